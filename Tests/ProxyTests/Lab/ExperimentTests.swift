import Testing

@testable import Proxy

@Suite("Experiments")
struct ExperimentTests {
    private func load(_ text: String) -> (settings: ExperimentSettings?, messages: [String]) {
        let loaded = loadExperiment(path: "tuning/experiments/made.conf", environment: [:]) { (_: String) throws(ReadFailure) in Array(text.utf8) }
        return (loaded.settings, loaded.diagnostics.map(\.description))
    }

    private static let good = """
        question = "Which?"
        metrics = { cpu-per-request, p99 }
        scenario { body-size = "64k" connections = 8 tested-cpus = "0-1,3" }
        knob splice-min-body { values = { "1g", 0 } labels = { "copied", "spliced" } }
        knob tcp-congestion { in = downstream values = { cubic } }
        knob MALLOC_CONF { kind = environment values = { "dirty_decay_ms:0" } }
        """

    @Test("a file is read as it is meant")
    func read() throws {
        let (settings, messages) = load(Self.good)
        #expect(messages == [])
        let experiment = try #require(settings)
        #expect(experiment.name == "made" && experiment.question == "Which?" && experiment.metrics == [.processorTime, .highLatency])
        #expect(experiment.scenario.bodyBytes == 65_536 && experiment.scenario.testedCPUs == [0, 1, 3])
        #expect(experiment.variants.map(\.name) == ["copied", "spliced"])
        #expect(experiment.variants[1].of(.setting).map(\.value) == ["0", "cubic"])
        #expect(experiment.variants[0].of(.environment).map(\.value) == ["dirty_decay_ms:0"])
    }

    @Test(
        "what is wrong is said with file, line and column, and what may have been meant",
        arguments: [
            ("question = 'x'\nknob splice-min-bodi { values = { 0, 1 } }", "2:6: error: 'server' has no word 'splice-min-bodi'; did you mean 'splice-min-body'?"),
            ("question = 'x'\nknob pipeline { values = { 1, 2 } }", "2:6: error: 'server' has no word 'pipeline'; write in = downstream"),
            ("question = 'x'\nknob splice { values = { on } }", "2:1: error: nothing is varied: give one 'knob' two values or more"),
            ("knob splice { values = { on, off } }", "1:1: error: there is no 'question'"),
            ("question = 'x'\nmetrics = { cpu-per-request, p98 }\nknob splice { values = { on, off } }", "2:30: error: 'metrics' knows no 'p98'"),
            ("question = 'x'\nknob splice { values = { on, on } }", "2:30: error: the value 'on' of 'splice' is there twice"),
            ("question = 'x'\nknob splice { values = { on, off } labels = { 'on' } }", "2:36: error: 'splice' has 2 values, but 1 labels"),
            ("question = 'x'\nknob /etc/passwd { kind = file values = { a, b } }", "2:6: error: '/etc/passwd' must be a file below /sys"),
            ("question = 'x'\nknob passwd { kind = sysctl values = { a, b } }", "2:6: error: 'passwd' is no name of a sysctl"),
            (
                "question = 'x'\ntarget = origin\nknob --lab-no-defr { kind = origin-option values = { off, on } }",
                "3:6: error: '--lab-no-defr' is no option of 'weir origin'; did you mean '--lab-no-defer'?"
            ),
            (
                "question = 'x'\nknob --clos { kind = load-option values = { off, on } }",
                "2:6: error: '--clos' is no option of 'weir load'; did you mean '--close'?"
            ),
            (
                "question = 'x'\nknob --lab-ring { kind = load-option values = { default, '64:128' } }",
                "2:6: error: '--lab-ring' is no option of 'weir load'"
            ),
            ("question = 'x'\ntarget = origin\nknob splice { values = { on, off } }", "3:6: error: the origin reads no configuration"),
            ("question = 'x'\nrounds = 3\nknob splice { values = { on, off } }", "2:10: error: 'rounds' must be between 6 and 200, not 3"),
            ("question = 'x'\nscenario { tested-cpus = '1-0' }\nknob splice { values = { on, off } }", "2:26: error: 'tested-cpus' takes numbers of CPUs"),
            ("question = 'x'\nscenario { rate = 10 }\nmetrics = { rate }\nknob splice { values = { on, off } }", "3:1: error: 'rate' is what the timetable says"),
            ("question = 'x'\nmetrics = { sharing }\nknob splice { values = { on, off } }", "2:1: error: 'sharing' tells how figures come about"),
            ("question = 'x'\nscenario { trickle = 10 }\nknob splice { values = { on, off } }", "2:1: error: 'trickle' is what happens during a 'rest'"),
            ("question = 'x'\nknob { values = { on, off } }", "2:1: error: 'knob' needs a title: knob NAME { … }"),
            ("question = 'x'\nquestions = 'y'\nknob splice { values = { on, off } }", "2:1: error: the top level knows no 'questions'; did you mean 'question'?"),
        ])
    func wrong(text: String, message: String) {
        let (settings, messages) = load(text)
        #expect(settings == nil)
        #expect(messages.contains { $0.hasPrefix("tuning/experiments/made.conf:" + message) }, "\(messages)")
    }

    @Test("too many variants are refused")
    func many() {
        let knobs = ["a", "b"].map { "knob \($0) { kind = environment values = { 1, 2, 3, 4 } }" }.joined(separator: "\n")
        #expect(load("question = 'x'\n" + knobs).messages.contains { $0.contains("the knobs make 16 variants, more than 12") })
    }

    @Test("variants take turns, forward and backward")
    func order() throws {
        var experiment = try #require(load(Self.good).settings)
        experiment.rounds = 4
        #expect(experiment.order.map(\.variant) == [0, 1, 1, 0, 0, 1, 1, 0])
        #expect(experiment.order.map(\.round) == [0, 0, 1, 1, 2, 2, 3, 3])
    }

    @Test("the proxy under test gets the words where they belong, and takes its configuration")
    func configuration() throws {
        let experiment = try #require(load(Self.good).settings)
        #expect(configurationComplaints(experiment).isEmpty)
        let text = experiment.configuration(experiment.variants[1], origin: "127.0.0.1:4711")
        let settings = ConfigurationFixture(text).load().settings
        let server = settings?.servers.first
        #expect(settings?.workers == 1 && server?.splice.bodyBytesMin == 0)
        #expect(server?.backends.first?.port == 4711 && server?.backends.first?.tcp.congestionControl == "cubic")
    }

    @Test("a value that the proxy would refuse is found before anything runs, at its knob")
    func badValue() throws {
        let experiment = try #require(load("question = 'x'\n\nknob splice-min-body { values = { 0, many } }").settings)
        let complaints = configurationComplaints(experiment).map(\.description)
        #expect(complaints.first?.hasPrefix("tuning/experiments/made.conf:3:6: error: with splice-min-body many: 'splice-min-body' takes") == true, "\(complaints)")
    }

    @Test("the plan shows what is started, what is changed and what is lacking")
    func plan() throws {
        let folder = try Folder()
        var experiment = try #require(load(Self.good + "\nknob net.core.nothing { kind = sysctl values = { 1, 2 } }").settings)
        experiment.rounds = 6
        let plan = ExperimentPlan(experiment, files: KernelFiles(root: folder.path), cpus: [0, 1, 2, 3])
        #expect(plan.changesMachine && plan.lacks.count == 1)
        #expect(plan.text.contains("A  copied, net.core.nothing 1  (what the others are compared with)"))
        #expect(plan.text.contains("changes /proc/sys/net/core/nothing: now 'unreadable', takes '1', '2', is put back after"))
        #expect(plan.text.contains("LACKS: this kernel has no /proc/sys/net/core/nothing"))
        #expect(plan.text.contains("6 rounds (A B C D D C B A …)"))
    }

    @Test("CPUs that the file leaves open are taken from those that the lab may use, as far as they go")
    func places() throws {
        var experiment = ExperimentSettings()
        func places(_ cpus: [Int]) -> [[Int]] {
            let scenario = experiment.placed(on: cpus).scenario
            return [scenario.testedCPUs, scenario.otherCPUs]
        }
        #expect(places([0, 1]) == [[0], [1]] && places([4]) == [[4], [4]] && places([2, 5, 6, 7]) == [[2], [5, 6]])
        experiment.scenario.testedCPUs = [1]
        #expect(places([0, 1]) == [[1], [0]])
    }

    @Test("a CPU that the lab may not use is lacking")
    func missingCPU() throws {
        let experiment = try #require(load(Self.good).settings)
        #expect(ExperimentPlan(experiment, cpus: [0, 1, 2, 3]).lacks.isEmpty)
        let plan = ExperimentPlan(experiment, cpus: [0, 2])
        #expect(plan.lacks.count == 1 && plan.text.contains("LACKS: CPU 1 and 3 is none of those that this process may use (0 and 2)"))
    }

    @Test("counters are asked for where they are wanted")
    func admin() throws {
        let experiment = try #require(load(Self.good).settings)
        let text = experiment.configuration(experiment.variants[0], origin: "127.0.0.1:4711", admin: "/tmp/weir-lab-x/admin.sock")
        #expect(ConfigurationFixture(text).load().settings?.adminSocketPath == "/tmp/weir-lab-x/admin.sock")
        #expect(ConfigurationFixture(experiment.configuration(experiment.variants[0], origin: "127.0.0.1:1")).load().settings?.adminSocketPath == nil)
    }

    @Test("options are given, left out or given with a value")
    func options() {
        let knob = Knob(kind: .originOption, name: "--lab-no-defer")
        #expect(knob.words(for: "on") == ["--lab-no-defer"] && knob.words(for: "off").isEmpty && knob.words(for: "default").isEmpty)
        #expect(knob.words(for: "64") == ["--lab-no-defer", "64"])
    }

    @Test("the options that an experiment may vary are those that the programs take", arguments: ["origin", "load"])
    func knownOptions(program: String) throws {
        let help = try RunningWeir.result([program, "--help"]).output
        // Each option has a line of its own that begins with it; explanations stand further in.
        let lines = help.split(separator: "\n").filter { $0.hasPrefix("  --") }
        let listed = lines.compactMap { line in line.split(separator: " ").first.map { String($0) } }
        let known = program == "origin" ? Knob.originOptions : Knob.loadOptions
        #expect(Set(listed) == Set(known))
    }
}

@Suite("Verdicts of experiments")
struct ExperimentVerdictTests {
    /// Rounds in which the second variant takes `factor` times as much, with noise of a few per cent, and all grow by `drift`.
    private func verdict(factor: Double, drift: Double = 0, rounds: Int = 8) -> ExperimentVerdict {
        var experiment = ExperimentSettings()
        experiment.rounds = rounds
        experiment.metrics = [.processorTime]
        experiment.knobs = [
            KnobSettings(knob: Knob(kind: .setting, name: "splice"), values: ["on", "off"], labels: ["spliced", "copied"])
        ]
        var numbers = SeededNumbers(seed: 7)
        let measurements = experiment.order.enumerated().map { turn, place in
            let noise = 0.99 + 0.02 * numbers.unit()
            let wander = 1 + drift * Double(turn) / Double(2 * rounds)
            let figure = 10 * (place.variant == 0 ? 1 : factor) * noise * wander
            return Measurement(round: place.round, variant: place.variant, turn: turn, figures: [.processorTime: figure], loadResult: "{}", complaint: nil)
        }
        return ExperimentVerdict(experiment, measurements)
    }

    @Test("a difference is told with its size, its range and which way is better")
    func difference() throws {
        let verdict = verdict(factor: 1.2)
        let row = try #require(verdict.deciding.first)
        #expect(row.verdict == .worse && abs(row.comparison.change - 0.2) < 0.02)
        #expect(verdict.sentence.hasPrefix("CPU time per request against 'spliced': 'copied' +"))
        #expect(verdict.sentence.contains("worse") && verdict.drifts.isEmpty)
    }

    @Test("noise is called noise")
    func noise() {
        let verdict = verdict(factor: 1)
        #expect(verdict.deciding.first?.verdict == .noEvidence)
        #expect(verdict.sentence.contains("no different beyond the noise"))
    }

    @Test("what a timetable fixes is shown and not judged")
    func notJudged() throws {
        var experiment = ExperimentSettings()
        experiment.scenario.rate = 10_000
        experiment.metrics = [.processorTime, .rate, .throughput, .sharing]
        experiment.knobs = [KnobSettings(knob: Knob(kind: .setting, name: "splice"), values: ["on", "off"], labels: ["spliced", "copied"])]
        func measurements() -> [Measurement] {
            experiment.order.enumerated().map { turn, place in
                let figure = (place.variant == 0 ? 10.0 : 9) + Double(turn) / 100
                let figures: [Metric: Double] = [.processorTime: figure, .rate: figure, .throughput: figure, .sharing: figure]
                return Measurement(round: place.round, variant: place.variant, turn: turn, figures: figures, loadResult: "{}", complaint: nil)
            }
        }
        func verdicts() -> [String] { ExperimentVerdict(experiment, measurements()).rows.map(\.verdictText) }
        #expect(verdicts() == ["better", "not judged", "not judged", "not judged"])
        experiment.scenario.rate = 0
        #expect(verdicts() == ["better", "worse", "worse", "not judged"])
    }

    @Test("a machine that wanders is told, and does not spoil the comparison")
    func drift() throws {
        let verdict = verdict(factor: 1.2, drift: 0.6, rounds: 12)
        #expect(verdict.drifts.count == 1 && verdict.sentence.contains("The machine wandered"))
        #expect(abs(try #require(verdict.deciding.first).comparison.change - 0.2) < 0.05)
    }

    @Test("measurements that came to nothing leave their round out")
    func complaints() {
        let whole = verdict(factor: 1.5)
        #expect(whole.complaints.isEmpty && whole.deciding.first?.comparison.pairs == 8)
        var measurements = [Measurement(round: 0, variant: 0, turn: 0, figures: [:], loadResult: "null", complaint: "no request was answered")]
        measurements.append(Measurement(round: 0, variant: 1, turn: 1, figures: [.processorTime: 1], loadResult: "null", complaint: nil))
        let empty = ExperimentVerdict(whole.experiment, measurements)
        #expect(empty.deciding.isEmpty && empty.complaints.count == 1 && empty.sentence.hasPrefix("No verdict"))
    }

    @Test("the page and the raw figures can be read, and carry the load's own words")
    func page() throws {
        let verdict = verdict(factor: 1.2)
        let measurement = Measurement(
            round: 0, variant: 0, turn: 0, figures: [.processorTime: 1], loadResult: "{\"schema\": \"weir-load/1\"}", complaint: nil)
        let page = ExperimentPage(
            experiment: verdict.experiment, measurements: [measurement], verdict: verdict, date: "2000-01-01 00:00 UTC", machine: MachineFacts(),
            versions: [("weir", "1")], source: "question = '<b>'")
        let raw = try JSONText(parsing: Array(page.raw.printed().utf8))
        #expect(raw["schema"]?.string == "weir-lab/1" && raw["verdict"]?.string == verdict.sentence)
        #expect(raw["measurements"]?.elements.first?["load"]?["schema"]?.string == "weir-load/1")
        #expect(page.html.contains("<svg") && page.html.contains("question = &#39;&lt;b&gt;&#39;"))
        #expect(resultsPage([("made", raw)]).contains("made/index.html"))
    }
}

@Suite("Measurements that count")
struct MeasurementJudgeTests {
    private let calm = MeasurementSurroundings(speed: 400)

    @Test("a generator behind its timetable makes a measurement void, and in a closed loop it does not")
    func bound() {
        var late = calm
        late.isGeneratorBound = true
        var byTimetable = MeasurementJudge(hasTimetable: true, acceptsNoise: true)
        var closed = MeasurementJudge(hasTimetable: false, acceptsNoise: false)
        #expect(byTimetable.complaint(late) == "the load could not keep its timetable" && byTimetable.complaint(calm) == nil)
        #expect(closed.complaint(late) == nil)
    }

    @Test("what others took of the machine makes it void, unless noise is accepted")
    func noise() {
        var foreign = calm
        foreign.foreignShare = 0.4
        var stolen = calm
        stolen.stolenShare = 0.2
        var judge = MeasurementJudge(hasTimetable: false, acceptsNoise: false)
        #expect(judge.complaint(foreign) == "others took 40 % of a CPU" && judge.complaint(stolen) == "the hypervisor took 20 % of a CPU")
        var patient = MeasurementJudge(hasTimetable: false, acceptsNoise: true)
        #expect(patient.complaint(foreign) == nil && patient.complaint(stolen) == nil)
    }

    @Test("a CPU of another speed makes it void once the usual one is known")
    func speed() {
        var judge = MeasurementJudge(hasTimetable: false, acceptsNoise: false)
        let slow = MeasurementSurroundings(speed: 300)
        for _ in 0..<4 { #expect(judge.complaint(calm) == nil) }
        #expect(judge.complaint(slow)?.hasPrefix("the speed of the CPU is -25") == true)
        #expect(judge.complaint(calm) == nil)
    }

    @Test("what this process uses is nobody else's")
    func ours() {
        var surroundings = calm
        let watch = SurroundingsWatch()
        _ = computingSpeed(cpu: nil)
        watch.end(into: &surroundings, load: nil)
        #expect(surroundings.foreignShare.isFinite && surroundings.foreignShare >= 0 && !surroundings.isGeneratorBound)
    }
}

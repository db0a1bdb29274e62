import CUring
import Glibc

/// Starts the programs of an experiment anew for each measurement, and takes the figures of the one under test.
final class ExperimentRunner {
    let experiment: ExperimentSettings
    let machine: LabGuard
    /// The path of this program, which is proxy, origin and load.
    let program: String
    /// For configurations, logs and results of the load; goes with the lab.
    let folder: String
    private let variants: [Variant]
    private var judge: MeasurementJudge

    static let startSeconds = 10.0
    /// How often a measurement that says nothing is taken again, and how many in line may come to nothing.
    private static let retriesMax = 2
    private static let emptyMax = 3

    /// - Parameter experiment: with its CPUs chosen.
    init(_ experiment: ExperimentSettings, machine: LabGuard, program: String, folder: String, acceptsNoise: Bool) {
        self.experiment = experiment
        self.machine = machine
        self.program = program
        self.folder = folder
        variants = experiment.variants
        judge = MeasurementJudge(hasTimetable: experiment.scenario.rate > 0, acceptsNoise: acceptsNoise)
    }

    /// All measurements in their order, with those that had to be repeated; `tell` gets a line after each.
    func run(tell: (String) -> Void) throws(LabFailure) -> [Measurement] {
        // Looking on must not disturb what is looked at.
        if let cpu = experiment.scenario.otherCPUs.last { clinux_pin_thread(Int32(cpu)) }
        var measurements: [Measurement] = []
        var emptyInLine = 0
        for place in experiment.order {
            for attempt in 0...Self.retriesMax {
                let taken = try measure(place.variant, round: place.round, turn: measurements.count)
                measurements.append(taken)
                let metric = experiment.decidingMetric
                let figure = taken.figures[metric].map { "\(FigureText.significant($0)) \(metric.unit)" } ?? "no figure"
                let next = attempt < Self.retriesMax ? "; again" : "; left out"
                tell(
                    "  round \(place.round + 1) of \(experiment.rounds), \(ExperimentPlan.letter(place.variant)): "
                        + (taken.complaint.map { $0 + next } ?? figure))
                if taken.complaint == nil { break }
            }
            let complaint = measurements.last?.complaint
            emptyInLine = complaint == nil ? 0 : emptyInLine + 1
            if emptyInLine >= Self.emptyMax {
                throw LabFailure("\(experiment.name): \(complaint ?? "no figures"), for \(emptyInLine) measurements in line, each tried \(Self.retriesMax + 1) times")
            }
        }
        return measurements
    }

    private func measure(_ number: Int, round: Int, turn: Int) throws(LabFailure) -> Measurement {
        let variant = variants[number]
        for change in variant.machineChanges { try machine.change(change.path, to: change.value) }
        let scenario = experiment.scenario
        let environment = variant.of(.environment).map { "\($0.knob.name)=\($0.value)" }
        let originIsTested = experiment.target == .origin
        var surroundings = MeasurementSurroundings(speed: computingSpeed(cpu: scenario.testedCPUs.first))
        let origin = try start(
            "origin", [program, "origin", "--listen", "127.0.0.1:0", "--size", "\(scenario.bodyBytes)"] + variant.options(.originOption),
            environment: originIsTested ? environment : [], cpus: originIsTested ? scenario.testedCPUs : scenario.otherCPUs)
        defer { stop(origin) }
        let originAddress = try address(of: origin)
        var tested = origin
        var asked = originAddress
        if !originIsTested {
            let file = folder + "/weir.conf"
            try writeText(file, experiment.configuration(variant, origin: originAddress, admin: asksForCounters ? adminPath : nil))
            tested = try start("proxy", [program, "run", file], environment: environment, cpus: scenario.testedCPUs)
            do throws(LabFailure) {
                asked = try address(of: tested)
            } catch {
                stop(tested)
                throw error
            }
        }
        defer { if !originIsTested { stop(tested) } }
        var result = Measurement(round: round, variant: number, turn: turn, figures: [:], loadResult: "null", complaint: nil)
        if scenario.warmUpMilliseconds > 0 {
            _ = try load(asked, variant, milliseconds: scenario.warmUpMilliseconds)
        }
        let sharedBefore = try sharedRequests()
        let watch = SurroundingsWatch()
        let before = ProcessFigures(of: tested.pid, memory: false)
        let (json, text, code) = try load(asked, variant, milliseconds: scenario.durationMilliseconds)
        let after = ProcessFigures(of: tested.pid, memory: experiment.metrics.contains(.memoryAfterLoad))
        watch.end(into: &surroundings, load: json)
        let sharedAfter = try sharedRequests()
        try rest(asked, variant)
        let memory = ProcessFigures(of: tested.pid)
        result.loadResult = text
        guard let json else {
            result.complaint = "the load ended with \(code) and no result: \(text)"
            return result
        }
        result.figures = Self.figures(json, before: before, after: after, memory: memory)
        if let sharedBefore, let sharedAfter, let answered = json["requests"]?["answered"]?.real, answered > 0 {
            result.figures[.sharing] = (sharedAfter - sharedBefore) / answered * 100
        }
        let answered = json["requests"]?["answered"]?.real ?? 0
        let failed = json["requests"]?["failed"]?.real ?? 0
        if tested.exitCode() != nil {
            result.complaint = "the \(experiment.target.rawValue) ended during the measurement; \(tested.lastWords)"
        } else if answered < 1 {
            result.complaint = "no request was answered"
        } else if failed > answered / 100 {
            result.complaint = "\(Int(failed)) requests failed"
        } else {
            result.complaint = judge.complaint(surroundings)
        }
        return result
    }

    /// What comes between the load and the look at the memory.
    private func rest(_ address: String, _ variant: Variant) throws(LabFailure) {
        let scenario = experiment.scenario
        if scenario.restMilliseconds == 0 { return }
        if scenario.trickleRate > 0 {
            _ = try load(address, variant, milliseconds: scenario.restMilliseconds, trickles: true)
        } else {
            usleep(UInt32(scenario.restMilliseconds) * 1_000)
        }
    }

    private var asksForCounters: Bool { experiment.metrics.contains(.sharing) }
    private var adminPath: String { folder + "/admin.sock" }

    /// How many requests have joined others on a backend connection so far; nil where nobody wants to know.
    private func sharedRequests() throws(LabFailure) -> Double? {
        guard asksForCounters else { return nil }
        guard let asked = runToEnd([program, "stat", "--json", "--socket", adminPath], logPath: folder + "/stat.json"), asked.code == 0,
            let shared = try? JSONText(parsing: Array(asked.output.utf8))["total"]?["pipelinedRequests"]?.real
        else { throw LabFailure("\(experiment.name): the proxy does not tell its counters") }
        return shared
    }

    /// The figures of one measurement from what the load saw and what /proc says of the program under test.
    static func figures(_ load: JSONText, before: ProcessFigures, after: ProcessFigures, memory: ProcessFigures) -> [Metric: Double] {
        var figures: [Metric: Double] = [:]
        let answered = load["requests"]?["answered"]?.real ?? 0
        let seconds = load["seconds"]?.real ?? 0
        let bytes = max(load["bytes"]?["bodies"]?.real ?? 0, load["bytes"]?["sent"]?.real ?? 0)
        let processorSeconds = after.cpuSeconds - before.cpuSeconds
        if answered > 0 {
            figures[.processorTime] = processorSeconds / answered * 1e6
            figures[.switches] = (after.contextSwitches - before.contextSwitches) / answered
        }
        if bytes > 0 { figures[.processorTimeOfBytes] = processorSeconds / (bytes / Double(1 << 30)) }
        if seconds > 0 { figures[.throughput] = bytes / Double(1 << 20) / seconds }
        figures[.rate] = load["rate"]?["achieved"]?.real
        figures[.medianLatency] = load["latency_us"]?["p50"]?.real
        figures[.highLatency] = load["latency_us"]?["p99"]?.real
        figures[.memory] = memory.ownKiB / 1_024
        if after.ownKiB > 0 { figures[.memoryAfterLoad] = after.ownKiB / 1_024 }
        return figures
    }
}

import Testing

@testable import Proxy

@Suite("Templates of rivals' configurations")
struct ConfigTemplateTests {
    private func filled(_ text: String, _ values: [String: ConfigTemplate.Value]) throws(BenchFailure) -> String {
        try ConfigTemplate(text, name: "t.conf").filled(values)
    }

    @Test("names are filled in, parts stand or not, and stand many times")
    func fills() throws {
        let values: [String: ConfigTemplate.Value] = ["port": .number(80), "tls": .flag(true), "rules": .number(2), "log": .text("")]
        #expect(try filled("listen {{port}}{{#tls}} ssl{{/tls}}{{^tls}} plain{{/tls}}{{#log}} log{{/log}};", values) == "listen 80 ssl;")
        #expect(try filled("{{#rules}}[{{*rules}}<{{number}}>{{/rules}}]{{/rules}}", values) == "[<0><1>]")
        #expect(try filled("{a: {b: {{port}}} }", values) == "{a: {b: 80} }")
    }

    @Test("a name that nobody gave, or a part without end, is told with its line")
    func mistakes() {
        #expect(throws: BenchFailure("t.conf:2: nothing is called 'prot'; did you mean 'port'?")) { try filled("\n{{prot}}", ["port": .number(1)]) }
        #expect(throws: BenchFailure("t.conf: {{/tls}} is missing")) { try filled("{{#tls}}x", ["tls": .flag(true)]) }
        #expect(throws: BenchFailure("t.conf:1: {{/log}} closes what is not open")) { try filled("{{#tls}}{{/log}}", ["tls": .flag(true)]) }
        #expect(throws: BenchFailure("t.conf:1: '{{' without '}}'")) { try filled("{{tls", ["tls": .flag(true)]) }
    }
}

@Suite("Scenarios as files")
struct BenchScenarioTests {
    private func load(_ text: String) -> (scenario: BenchScenario?, messages: [String]) {
        let (scenario, diagnostics) = loadBenchScenario(path: "Scenarios/one.conf") { _ in Array(text.utf8) }
        return (scenario, diagnostics.map(\.description))
    }

    @Test("a file says what proxies, origin and load are set to")
    func reads() throws {
        let (scenario, messages) = load("about = \"a b\"\nproxy { tls = on }\norigin { body = \"1m\" }\nload { connections = 8 rate = 100 poisson = yes mix = m.mix }\n")
        let read = try #require(scenario)
        #expect(messages.isEmpty)
        #expect(read.name == "one" && read.proxy.tls && read.origin.bodyBytes == 1 << 20 && read.movesBodies)
        #expect(read.loadOptions == ["--connections", "8", "--poisson", "100", "--mix", "Scenarios/m.mix", "--insecure"])
        #expect(read.originOptions == ["--size", "1048576"])
    }

    @Test("what is wrong is told with file, line and column, and with the word that was meant")
    func mistakes() {
        #expect(load("about = x\nload {\n  conections = 5 }\n").messages == ["Scenarios/one.conf:3:3: error: 'load' knows no 'conections'; did you mean 'connections'?"])
        #expect(load("quick = true\n").messages == ["Scenarios/one.conf:1:1: error: 'about' is missing: one sentence on what is measured"])
        #expect(load("about = x load { poisson = true }").messages.first?.contains("'poisson' needs a rate") == true)
        let place = "Scenarios/one.conf:5:3: error:"
        for (words, message) in [
            ("proxy {\n  tls = off\n\n  resumption = off\n}", "\(place) 'resumption' is for 'tls', which is off"),
            ("load {\n  close = on\n\n  pipeline = 2\n}", "\(place) 'pipeline' and 'close' exclude each other"),
            ("load {\n  websocket = on\n\n  close = on\n}", "\(place) 'close' and 'websocket' exclude each other"),
            ("load {\n  websocket = on\n\n  body = \"1k\"\n}", "\(place) 'body' and 'websocket' exclude each other"),
            ("load {\n  websocket = on\n\n  mix = m.mix\n}", "\(place) 'mix' and 'websocket' exclude each other"),
            ("load {\n  mix = m.mix\n\n  body = \"1k\"\n}", "\(place) 'body' does nothing beside 'mix', whose lines say what is sent"),
            ("load {\n  mix = m.mix\n\n  path = \"/a\"\n}", "\(place) 'path' does nothing beside 'mix', whose lines say what is asked for"),
        ] {
            #expect(load("about = x\n\(words)\n").messages == [message])
        }
        #expect(load("about = x\nproxy {\n  tls = on\n  resumption = off\n}\nload {\n  close = on\n  body = \"1k\"\n}\n").messages.isEmpty)
    }

    @Test("every scenario and rival that is shipped can be read, and every template filled for every scenario")
    func shipped() throws {
        let here: String = #filePath
        let root = here[..<here.firstRange(of: "/Tests/ProxyTests/")!.lowerBound]
        let suite = BenchSuite(folder: "\(root)/Benchmarks") { _ in }
        let scenarios = try suite.scenarios(named: [], quickOnly: false)
        #expect(scenarios.count >= 12)
        for name in suite.rivalNames {
            let rival = try suite.readRival(name)
            for file in rival.templates {
                let template = try ConfigTemplate(try #require(textOfFile("\(rival.folder)/\(file)")), name: file)
                for scenario in scenarios {
                    var values = scenario.templateValues
                    for place in ["front", "back"] { values[place] = .number(34_001) }
                    for place in ["folder", "certificate", "key", "both", "settings", "program"] { values[place] = .text("/tmp/x") }
                    values["root"] = .flag(true)
                    if name == "weir" { values["settings"] = .text("") }
                    let text = try template.filled(values)
                    #expect(!text.contains("{{"))
                    guard name == "weir", !scenario.proxy.tls else { continue }
                    let (settings, diagnostics) = loadConfiguration(path: "weir.conf", environment: [:]) { _ in Array(text.utf8) }
                    #expect(settings != nil, "\(scenario.name): \(diagnostics.map(\.description))")
                }
            }
        }
    }
}

@Suite("Results of benchmarks held against each other")
struct BenchComparisonTests {
    /// Ten rounds of small-hot with noise of a few percent.
    private func result(_ name: String, seed: UInt64, slower: Double = 1, run: String = "one", rounds: Int = 10) -> BenchResult {
        var numbers = SeededNumbers(seed: seed)
        func noisy(_ middle: Double) -> Double { middle * (1 + 0.03 * (numbers.unit() + numbers.unit() - 1)) }
        var scenario = BenchResult.Scenario(name: "small-hot", sentence: "s", settings: .object([]), atFixedRate: false)
        for round in 0..<rounds {
            scenario.rounds.append(
                BenchRound(
                    round: round, turn: round * 2,
                    figures: [
                        .cpuPerRequest: noisy(10 * slower), .requestRate: noisy(90_000 / slower), .latency50: noisy(600), .latency90: noisy(700), .latency99: noisy(900),
                        .latency999: noisy(2_000), .latency9999: noisy(4_000), .contextSwitches: noisy(0.5), .enters: noisy(0.4), .memory: noisy(9_000),
                    ]))
        }
        return BenchResult(
            run: run, time: 1, subject: BenchSubject(name: name, kind: .weir, rival: Rival(), commit: "abc"), machine: .object([]), generator: "weir", scenarios: [scenario])
    }

    @Test("a result is read as it was written")
    func roundTrip() throws {
        let written = result("weir", seed: 1)
        let read = try BenchResult(JSONText(parsing: Array(written.json.printed().utf8)), path: "weir.json")
        #expect(read == written)
        #expect(throws: BenchFailure.self) { try BenchResult(.object([("schema", .text("other"))]), path: "x.json") }
    }

    @Test("equal builds give no evidence in nearly all pairs")
    func equal() {
        // One in twenty may be wrong; that it is more than one in ten of so few is as good as impossible.
        let pairs = 40
        let calm = (0..<pairs).count { seed in
            let comparison = BenchComparison(base: result("a", seed: UInt64(2 * seed)), new: result("b", seed: UInt64(2 * seed + 1)), resamples: 40)
            return comparison.worse == 0 && comparison.better == 0
        }
        #expect(calm >= pairs * 9 / 10, "\(calm) of \(pairs), seeds 0..<\(2 * pairs)")
    }

    @Test("a build that is 5 % slower is found worse in CPU time and rate")
    func slower() throws {
        let comparison = BenchComparison(base: result("a", seed: 1), new: result("b", seed: 2, slower: 1.05))
        let verdicts = Dictionary(uniqueKeysWithValues: comparison.rows.map { ($0.metric, $0.verdict) })
        #expect(verdicts[.cpuPerRequest] == .worse)
        #expect(verdicts[.requestRate] == .worse)
        #expect(verdicts[.memory] == .noEvidence)
        #expect(comparison.text.contains("WORSE"))
    }

    @Test("a difference below half a percent is no evidence, however certain, and one above it is")
    func least() {
        func verdict(_ factor: Double) -> ComparisonVerdict? {
            var base = result("a", seed: 1)
            var new = base
            for at in 0..<10 {
                base.scenarios[0].rounds[at].figures[.memory] = 15_832
                new.scenarios[0].rounds[at].figures[.memory] = 15_832 * factor
            }
            return BenchComparison(base: base, new: new).rows.first { $0.metric == .memory }?.verdict
        }
        #expect(verdict(1.004) == .noEvidence)
        #expect(verdict(1.006) == .worse)
        #expect(verdict(0.99) == .better)
    }

    @Test("rates and latencies are not judged where the generator was at its limit in most rounds, and that is said")
    func bound() {
        var base = result("a", seed: 1)
        let new = result("b", seed: 2, slower: 1.05)
        for at in 0..<6 { base.scenarios[0].rounds[at].isGeneratorBound = true }
        #expect(BenchComparison(base: base, new: new).rows.first { $0.metric == .requestRate }?.verdict == .worse)
        var bound = new
        for at in 0..<6 { bound.scenarios[0].rounds[at].isGeneratorBound = true }
        let comparison = BenchComparison(base: base, new: bound)
        let verdicts = Dictionary(uniqueKeysWithValues: comparison.rows.map { ($0.metric, $0.verdict) })
        #expect(verdicts[.requestRate] == .some(nil) && verdicts[.latency99] == .some(nil) && verdicts[.cpuPerRequest] == .worse)
        #expect(comparison.remarks.contains("small-hot: rates and latencies are the load generator's own and are not judged"))
    }

    @Test("a scenario that a side could not finish is not compared, and not shown as measured")
    func unfinished() {
        var failed = result("weir", seed: 1)
        failed.scenarios[0].lack = "weir ended with 1"
        let other = result("b", seed: 2)
        #expect(BenchComparison(base: failed, new: other).rows.isEmpty)
        let report = BenchReport(results: [failed, other], history: BenchHistory(lines: ""), comparisons: [])
        #expect(report.html.contains("weir: weir ended with 1") && report.text.contains("–"))
        #expect(BenchHistory.entries(of: failed).isEmpty)
    }

    @Test("results that were not taken in turn, and too few rounds, are said to be weak")
    func remarks() {
        let comparison = BenchComparison(base: result("a", seed: 1, run: "one", rounds: 3), new: result("b", seed: 2, run: "two", rounds: 3))
        #expect(comparison.remarks.contains { $0.contains("not measured in turn") })
        #expect(comparison.remarks.contains { $0.hasPrefix("3 rounds cannot convince for 10 figures at once; 9 can") })
        #expect(BenchComparison.roundsNeeded(1) == 6)
    }

    @Test("the page has tables, plots and verdicts, and the history of one machine")
    func page() {
        let base = result("weir-abc", seed: 1)
        let new = result("weir", seed: 2, slower: 1.05)
        let lines = (0..<3).map { number in BenchHistory.entries(of: result("weir", seed: UInt64(number))).map(BenchHistory.line).joined() }.joined() + "no json\n"
        let history = BenchHistory(lines: lines)
        #expect(history.entries.count == 3)
        let html = BenchReport(results: [new, base], history: history, comparisons: [BenchComparison(base: base, new: new)]).html
        for part in ["CPU time for a request", "latency by quantile", "Requests a second over CPU", "worse", "History", "<svg", "weir-abc"] {
            #expect(html.contains(part), "\(part)")
        }
        #expect(!html.contains("nan"))
    }
}

@Suite("Plans of benchmarks")
struct BenchPlanTests {
    @Test("subjects take turns forwards and backwards")
    func order() {
        let subjects = ["a", "b", "c"].map { BenchSubject(name: $0, kind: .rival, rival: Rival()) }
        let plan = BenchPlan(scenarios: [BenchScenario()], subjects: subjects, rounds: 2, generator: "weir", layout: CPULayout(cpus: [4, 5, 6]), folder: "/tmp")
        #expect(plan.order(ofRound: 0) == [0, 1, 2] && plan.order(ofRound: 1) == [2, 1, 0])
    }

    @Test("who lacks what a scenario needs is left out of it, with the reason")
    func lacks() {
        var rival = Rival()
        rival.lacks = ["websocket"]
        let subject = BenchSubject(name: "old", kind: .rival, rival: rival)
        var scenario = BenchScenario()
        scenario.load.websocket = true
        let plan = BenchPlan(scenarios: [scenario], subjects: [subject], rounds: 1, generator: "weir", layout: CPULayout(cpus: []), folder: "/tmp")
        #expect(plan.lack(of: subject, for: scenario) == "old lacks websocket")
        #expect(plan.lack(of: subject, for: BenchScenario()) == nil)
    }
}

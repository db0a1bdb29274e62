/// What one subject did in all scenarios of a run: a file of its own, so that any two can be compared.
struct BenchResult: Equatable {
    static let schema = "weir-bench/1"

    struct Scenario: Equatable {
        var name: String
        var sentence: String
        var settings: JSONText
        var atFixedRate: Bool
        /// Length of one measurement.
        var seconds = 0.0
        var rounds: [BenchRound] = []
        /// Why it was not measured, or not to the end; nil when it was. Rounds before a failure stay, and count for nothing.
        var lack: String?
        /// What the reader should know: refused rounds, a generator at its limit.
        var remarks: [String] = []

        /// Whether there is something to show and to compare.
        var isMeasured: Bool { lack == nil && !rounds.isEmpty }

        /// The figure in each round, in their order; NaN where a round has none.
        func series(_ metric: BenchMetric) -> [Double] { rounds.map { $0.figures[metric] ?? .nan } }
    }

    /// The same for all subjects that took turns in one run.
    var run: String
    var time: Int
    var subject: BenchSubject
    var machine: JSONText
    var generator: String
    var scenarios: [Scenario] = []
}

/// One measurement.
struct BenchRound: Equatable, Sendable {
    var round: Int
    /// Its turn among all measurements of the run.
    var turn: Int
    var figures: [BenchMetric: Double] = [:]
    /// How fast the CPU computed right before its process was started; see `computingSpeed`.
    var speed = 0.0
    /// CPU time that others took meanwhile, as a share of one CPU.
    var foreignShare = 0.0
    var stolenShare = 0.0
    /// The load generator was at its own limit.
    var isGeneratorBound = false
    var requests = 0.0
    var failed = 0.0
}

extension BenchResult {
    var json: JSONText {
        .object([
            ("schema", .text(Self.schema)), ("run", .text(run)), ("time", .number(time)), ("subject", subject.json), ("machine", machine),
            ("generator", .text(generator)), ("scenarios", .list(scenarios.map(\.json))),
        ])
    }

    init(_ json: JSONText, path: String) throws(BenchFailure) {
        guard json["schema"]?.string == Self.schema else { throw BenchFailure("\(path) is no result of 'weir bench run' (schema \(Self.schema))") }
        run = json["run"]?.string ?? ""
        time = json["time"]?.whole ?? 0
        let told = json["subject"]
        subject = BenchSubject(
            name: told?["name"]?.string ?? "unknown", kind: BenchSubject.Kind(rawValue: told?["kind"]?.string ?? "") ?? .rival, rival: Rival(),
            commit: told?["commit"]?.string, settings: told?["settings"]?.string ?? "", version: told?["version"]?.string ?? "unknown")
        machine = json["machine"] ?? .null
        generator = json["generator"]?.string ?? ""
        scenarios = (json["scenarios"]?.elements ?? []).map(Scenario.init)
    }

    /// Whether a file is a result, of this version or of another one: what a run may replace. Comparisons are none.
    static func isResult(_ path: String) -> Bool {
        guard let bytes = bytesOfFile(path), let json = try? JSONText(parsing: bytes) else { return false }
        return json["schema"]?.string?.hasPrefix("weir-bench/") ?? false
    }

    static func read(_ path: String) throws(BenchFailure) -> BenchResult {
        guard let bytes = bytesOfFile(path) else { throw BenchFailure("cannot read \(path)") }
        let json: JSONText
        do throws(JSONFailure) {
            json = try JSONText(parsing: bytes)
        } catch {
            throw BenchFailure("\(path): \(error)")
        }
        return try BenchResult(json, path: path)
    }
}

extension BenchResult.Scenario {
    var json: JSONText {
        .object([
            ("name", .text(name)), ("sentence", .text(sentence)), ("settings", settings), ("fixed_rate", .truth(atFixedRate)), ("seconds", .decimal(seconds)),
            ("rounds", .list(rounds.map(\.json))), ("lack", lack.map(JSONText.text) ?? .null), ("remarks", .list(remarks.map(JSONText.text))),
        ])
    }

    init(_ json: JSONText) {
        name = json["name"]?.string ?? ""
        sentence = json["sentence"]?.string ?? ""
        settings = json["settings"] ?? .null
        atFixedRate = json["fixed_rate"]?.isTrue ?? false
        seconds = json["seconds"]?.real ?? 0
        rounds = (json["rounds"]?.elements ?? []).map(BenchRound.init)
        lack = json["lack"]?.string
        remarks = (json["remarks"]?.elements ?? []).compactMap(\.string)
    }
}

extension BenchRound {
    var json: JSONText {
        let figures = BenchMetric.allCases.compactMap { metric in self.figures[metric].map { (metric.rawValue, JSONText.decimal($0)) } }
        return .object([
            ("round", .number(round)), ("turn", .number(turn)), ("requests", .decimal(requests)), ("failed", .decimal(failed)),
            ("speed", .decimal(speed)), ("foreign_share", .decimal(foreignShare)), ("stolen_share", .decimal(stolenShare)),
            ("generator_bound", .truth(isGeneratorBound)), ("figures", .object(figures)),
        ])
    }

    init(_ json: JSONText) {
        round = json["round"]?.whole ?? 0
        turn = json["turn"]?.whole ?? 0
        requests = json["requests"]?.real ?? 0
        failed = json["failed"]?.real ?? 0
        speed = json["speed"]?.real ?? 0
        foreignShare = json["foreign_share"]?.real ?? 0
        stolenShare = json["stolen_share"]?.real ?? 0
        isGeneratorBound = json["generator_bound"]?.isTrue ?? false
        for (name, value) in json["figures"]?.members ?? [] {
            if let metric = BenchMetric(rawValue: name), let number = value.real { figures[metric] = number }
        }
    }
}

import Glibc

/// One line for each run and scenario of this build, in a file that is kept: figures over commits.
struct BenchHistory: Equatable {
    struct Entry: Equatable {
        var time: Int
        var commit: String
        var machine: String
        var scenario: String
        var figures: [BenchMetric: Double]
        var rounds: Int
        /// Length of one measurement; 0 in lines of before it was noted.
        var seconds: Double
        /// Of the pieces that it was cut into; 0 = one piece.
        var slice = 0.0
        /// What generator and origin were, in the words of `weir version`.
        var generator: String
    }

    var entries: [Entry] = []

    /// Medians of a result, an entry for each scenario that was measured.
    static func entries(of result: BenchResult) -> [Entry] {
        result.scenarios.filter(\.isMeasured).map { scenario in
            var figures: [BenchMetric: Double] = [:]
            for metric in BenchMetric.allCases { figures[metric] = Summaries.median(scenario.series(metric)) }
            return Entry(
                time: result.time, commit: result.subject.commit ?? "unknown", machine: MachineFacts.sentence(result.machine), scenario: scenario.name,
                figures: figures, rounds: scenario.rounds.count, seconds: scenario.seconds,
                slice: scenario.settings["slice_ms"]?.real ?? 0, generator: result.generator)
        }
    }

    /// Why a run has no place in a history of commits; nil when it has one.
    static func refusal(of subject: BenchSubject, acceptsNoise: Bool) -> String? {
        if acceptsNoise { return "noise was accepted" }
        guard let commit = subject.commit else { return "the commit of this build is not known" }
        return commit.hasSuffix(BenchSubject.changedMark) ? "files differ from the commit" : nil
    }

    static func line(_ entry: Entry) -> String {
        let figures = BenchMetric.allCases.compactMap { metric in entry.figures[metric].map { (metric.rawValue, JSONText.decimal($0)) } }
        return JSONText.object([
            ("time", .number(entry.time)), ("commit", .text(entry.commit)), ("machine", .text(entry.machine)), ("scenario", .text(entry.scenario)),
            ("rounds", .number(entry.rounds)), ("seconds", .decimal(entry.seconds)), ("slice_ms", .decimal(entry.slice)), ("generator", .text(entry.generator)),
            ("figures", .object(figures)),
        ]).printedOnOneLine() + "\n"
    }

    /// Adds entries to a file, on lines of their own whatever its last line ends with.
    static func append(_ entries: [Entry], to path: String) throws(BenchFailure) {
        guard !entries.isEmpty else { return }
        let isOpen = bytesOfFile(path)?.last.map { $0 != UInt8(ascii: "\n") } ?? false
        try writeFile(path, (isOpen ? "\n" : "") + entries.map(line).joined(), adds: true)
    }

    /// Reads JSON lines; a line that is none is left out, so that a conflict in the file costs one point and not the page.
    init(lines text: String) {
        for line in text.split(separator: "\n") {
            guard let json = try? JSONText(parsing: Array(line.utf8)), let scenario = json["scenario"]?.string else { continue }
            var figures: [BenchMetric: Double] = [:]
            for (name, value) in json["figures"]?.members ?? [] {
                if let metric = BenchMetric(rawValue: name), let number = value.real { figures[metric] = number }
            }
            entries.append(
                Entry(
                    time: json["time"]?.whole ?? 0, commit: json["commit"]?.string ?? "unknown", machine: json["machine"]?.string ?? "unknown",
                    scenario: scenario, figures: figures, rounds: json["rounds"]?.whole ?? 0, seconds: json["seconds"]?.real ?? 0,
                    slice: json["slice_ms"]?.real ?? 0,
                    generator: json["generator"]?.string ?? "unknown"))
        }
    }

    /// Entries of the machine and the length of measurement and slices that came last, oldest first: figures of others make no line with them.
    func series(of scenario: String) -> [Entry] {
        guard let machine = entries.last?.machine, let last = entries.last(where: { $0.scenario == scenario && $0.machine == machine }) else { return [] }
        return entries.filter { $0.scenario == scenario && $0.machine == machine && $0.seconds == last.seconds && $0.slice == last.slice }.sorted { $0.time < $1.time }
    }
}

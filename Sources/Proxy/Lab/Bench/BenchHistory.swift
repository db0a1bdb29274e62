/// One line for each run and scenario of this build, in a file that is kept: figures over commits.
struct BenchHistory: Equatable {
    struct Entry: Equatable {
        var time: Int
        var commit: String
        var machine: String
        var scenario: String
        var figures: [BenchMetric: Double]
        var rounds: Int
    }

    var entries: [Entry] = []

    /// Medians of a result, an entry for each scenario that has rounds.
    static func entries(of result: BenchResult) -> [Entry] {
        result.scenarios.compactMap { scenario in
            guard !scenario.rounds.isEmpty else { return nil }
            var figures: [BenchMetric: Double] = [:]
            for metric in BenchMetric.allCases { figures[metric] = Summaries.median(scenario.series(metric)) }
            return Entry(
                time: result.time, commit: result.subject.commit ?? "unknown", machine: MachineFacts.sentence(result.machine), scenario: scenario.name,
                figures: figures, rounds: scenario.rounds.count)
        }
    }

    static func line(_ entry: Entry) -> String {
        let figures = BenchMetric.allCases.compactMap { metric in entry.figures[metric].map { (metric.rawValue, JSONText.decimal($0)) } }
        return JSONText.object([
            ("time", .number(entry.time)), ("commit", .text(entry.commit)), ("machine", .text(entry.machine)), ("scenario", .text(entry.scenario)),
            ("rounds", .number(entry.rounds)), ("figures", .object(figures)),
        ]).printedOnOneLine() + "\n"
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
                    scenario: scenario, figures: figures, rounds: json["rounds"]?.whole ?? 0))
        }
    }

    /// Entries of the machine that was measured last, oldest first: figures of different machines make no line.
    func series(of scenario: String) -> [Entry] {
        guard let machine = entries.last?.machine else { return [] }
        return entries.filter { $0.scenario == scenario && $0.machine == machine }.sorted { $0.time < $1.time }
    }
}

/// Two results held against each other: what became better, what worse, and what chance may have done.
struct BenchComparison {
    struct Row: Equatable {
        var scenario: String
        var metric: BenchMetric
        var compared: PairedComparison
        /// Corrected by Holm for all rows that are judged.
        var probability: Double
        /// Nil for what is shown and not judged.
        var verdict: ComparisonVerdict?
    }

    let base: BenchResult
    let new: BenchResult
    private(set) var rows: [Row] = []
    /// What weakens the comparison, a sentence each.
    private(set) var remarks: [String] = []

    static let level = 0.05
    /// What is less is nobody's concern, however certain: one page of memory more shows in every round.
    static let leastChange = 0.005

    init(base: BenchResult, new: BenchResult, seed: UInt64 = 1, resamples: Int = Bootstrap.resamplesUsual) {
        self.base = base
        self.new = new
        if base.run != new.run {
            remarks.append("the two were not measured in turn: a change of the machine cannot be told from a change of the build; use 'weir bench run --against'")
        }
        if base.machine != new.machine { remarks.append("the two come from different machines or kernels") }
        var fewest = Int.max
        for scenario in base.scenarios {
            guard let other = new.scenarios.first(where: { $0.name == scenario.name }), scenario.isMeasured, other.isMeasured else { continue }
            if scenario.settings != other.settings { remarks.append("\(scenario.name) was set differently; it is compared all the same") }
            let rounds = scenario.rounds + other.rounds
            let bound = !scenario.atFixedRate && rounds.count(where: \.isGeneratorBound) * 2 > rounds.count
            if bound { remarks.append("\(scenario.name): rates and latencies are the load generator's own and are not judged") }
            for metric in BenchMetric.allCases {
                let (left, right) = Self.paired(scenario, other, metric)
                guard let compared = PairedComparison.paired(base: left, new: right, seed: seed, resamples: resamples) else { continue }
                let isJudged = metric.isJudged(atFixedRate: scenario.atFixedRate, generatorBound: bound)
                if isJudged { fewest = min(fewest, compared.pairs) }
                rows.append(
                    Row(
                        scenario: scenario.name, metric: metric, compared: compared, probability: isJudged ? compared.probability : 1,
                        verdict: isJudged ? .noEvidence : nil))
            }
            for remark in scenario.remarks + other.remarks { remarks.append("\(scenario.name): \(remark)") }
        }
        let judged = rows.indices.filter { rows[$0].verdict != nil }
        let corrected = Holm.corrected(judged.map { rows[$0].probability })
        for (at, probability) in zip(judged, corrected) {
            rows[at].probability = probability
            let isSmall = rows[at].compared.isRelative && abs(rows[at].compared.change) < Self.leastChange
            if isSmall { continue }
            rows[at].verdict = rows[at].compared.verdict(corrected: probability, direction: rows[at].metric.direction, level: Self.level)
        }
        let needed = Self.roundsNeeded(judged.count)
        if !judged.isEmpty, fewest < needed {
            remarks.append("\(fewest) rounds cannot convince for \(judged.count) figures at once; \(needed) can")
        }
    }

    /// Figures of the rounds that both have, by their numbers.
    private static func paired(_ base: BenchResult.Scenario, _ new: BenchResult.Scenario, _ metric: BenchMetric) -> ([Double], [Double]) {
        var left: [Double] = []
        var right: [Double] = []
        for round in base.rounds {
            guard let other = new.rounds.first(where: { $0.round == round.round }), let a = round.figures[metric], let b = other.figures[metric] else { continue }
            left.append(a)
            right.append(b)
        }
        return (left, right)
    }

    /// The least rounds whose smallest probability, 2/2ⁿ, survives the correction for so many figures.
    static func roundsNeeded(_ figures: Int) -> Int {
        var rounds = 1
        var probability = 1.0
        while probability * Double(max(figures, 1)) >= level {
            rounds += 1
            probability /= 2
        }
        return rounds
    }

    var worse: Int { rows.count { $0.verdict == .worse } }
    var better: Int { rows.count { $0.verdict == .better } }

    /// What a terminal shows.
    var text: String {
        var lines = ["base \(base.subject.told)", "new  \(new.subject.told)", ""]
        var scenario = ""
        for row in rows {
            if row.scenario != scenario {
                scenario = row.scenario
                lines.append(scenario)
            }
            let interval = row.compared.interval.map { "\(row.told($0.low)) … \(row.told($0.high))" } ?? ""
            let verdict = row.verdict.map { $0 == .noEvidence ? $0.rawValue : $0.rawValue.uppercased() } ?? "not judged"
            lines.append(
                "  " + pad(row.metric.title + (row.metric.unit.isEmpty ? "" : ", " + row.metric.unit), 34)
                    + pad(FigureText.significant(row.compared.base), 12, right: true) + pad(FigureText.significant(row.compared.new), 12, right: true)
                    + pad(row.told(row.compared.change), 11, right: true) + "  " + pad(interval, 24) + verdict)
        }
        lines.append("")
        lines += remarks.map { "note: \($0)" }
        lines.append("\(better) better, \(worse) worse, \(rows.count { $0.verdict == .noEvidence }) without evidence (5 %, corrected for all of them)")
        return lines.joined(separator: "\n") + "\n"
    }

    private func pad(_ text: String, _ width: Int, right: Bool = false) -> String {
        let space = String(repeating: " ", count: max(0, width - text.count))
        return right ? space + text : text + space
    }

    var json: JSONText {
        .object([
            ("schema", .text("weir-bench-comparison/1")), ("base", base.subject.json), ("new", new.subject.json),
            ("better", .number(better)), ("worse", .number(worse)),
            (
                "rows",
                .list(
                    rows.map { row in
                        .object([
                            ("scenario", .text(row.scenario)), ("metric", .text(row.metric.rawValue)), ("rounds", .number(row.compared.pairs)),
                            ("base", .decimal(row.compared.base)), ("new", .decimal(row.compared.new)), ("change", .decimal(row.compared.change)),
                            ("relative", .truth(row.compared.isRelative)), ("low", row.compared.interval.map { .decimal($0.low) } ?? .null),
                            ("high", row.compared.interval.map { .decimal($0.high) } ?? .null), ("probability", .decimal(row.probability)),
                            ("verdict", row.verdict.map { .text($0.rawValue) } ?? .null),
                        ])
                    })
            ),
            ("remarks", .list(remarks.map(JSONText.text))),
        ])
    }
}

extension BenchComparison.Row {
    /// A change as it is read: in percent, or in the unit where shares mean nothing.
    func told(_ change: Double) -> String {
        compared.isRelative ? FigureText.change(change) : (change > 0 ? "+" : "") + FigureText.significant(change, 3)
    }
}

extension BenchSubject {
    /// Name, version, revision and further settings on one line.
    var told: String {
        var text = name
        if version != "unknown" { text += " (\(version)\(commit.map { ", \($0)" } ?? ""))" }
        return settings.isEmpty ? text : text + " with \(settings)"
    }
}

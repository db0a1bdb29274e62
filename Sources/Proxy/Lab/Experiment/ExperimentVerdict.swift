/// What an experiment found: each variant against the first one, in each metric, and a sentence.
struct ExperimentVerdict {
    struct Row {
        /// Place in the list of variants, 1 and above.
        var variant: Int
        var metric: Metric
        var comparison: PairedComparison
        /// Corrected for how many comparisons there are.
        var probability: Double
        /// Nil for a metric that is not judged.
        var verdict: ComparisonVerdict?

        /// What the page and the raw figures call it.
        var verdictText: String { verdict?.rawValue ?? "not judged" }
    }

    let experiment: ExperimentSettings
    let rows: [Row]
    /// Metrics that wandered while the experiment ran, by their change.
    let drifts: [(metric: Metric, drift: Drift)]
    /// Measurements that came to nothing and were repeated, or left out in the end.
    let complaints: [String]

    private static let seed: UInt64 = 0x7765_6972

    init(_ experiment: ExperimentSettings, _ measurements: [Measurement]) {
        self.experiment = experiment
        complaints = measurements.compactMap(\.complaint)
        var found: [(variant: Int, metric: Metric, comparison: PairedComparison)] = []
        for metric in experiment.metrics {
            let base = experiment.series(metric, variant: 0, in: measurements)
            for variant in 1..<max(1, experiment.variants.count) {
                let new = experiment.series(metric, variant: variant, in: measurements)
                if let comparison = PairedComparison.paired(base: base, new: new, seed: Self.seed) { found.append((variant, metric, comparison)) }
            }
        }
        // Each metric is a question of its own, asked of every variant: what one looks at besides must not weaken the one that decides.
        var rows: [Row] = []
        for metric in experiment.metrics {
            let family = found.filter { $0.metric == metric }
            let corrected = Holm.corrected(family.map(\.comparison.probability))
            for (one, probability) in zip(family, corrected) {
                rows.append(
                    Row(
                        variant: one.variant, metric: one.metric, comparison: one.comparison, probability: probability,
                        verdict: one.metric.isJudged(hasTimetable: experiment.scenario.rate > 0)
                            ? one.comparison.verdict(corrected: probability, direction: one.metric.direction) : nil))
            }
        }
        self.rows = rows
        drifts = experiment.metrics.filter { $0.isJudged(hasTimetable: experiment.scenario.rate > 0) }.compactMap { metric in
            // The rounds of all variants, each as a share of the variant's own median, so that only time is left.
            var shares = [Double](repeating: .nan, count: experiment.rounds)
            for round in 0..<experiment.rounds {
                var ofRound: [Double] = []
                for variant in experiment.variants.indices {
                    let series = experiment.series(metric, variant: variant, in: measurements)
                    if let middle = Summaries.median(series), middle > 0, series[round].isFinite { ofRound.append(series[round] / middle) }
                }
                shares[round] = Summaries.mean(ofRound) ?? .nan
            }
            return Drift.check(shares).map { (metric, $0) }.flatMap { $0.1.isDrifting ? $0 : nil }
        }
    }

    /// The rows of the metric that decides.
    var deciding: [Row] { rows.filter { $0.metric == experiment.decidingMetric } }

    /// The verdict in a sentence.
    var sentence: String {
        let variants = experiment.variants
        guard !deciding.isEmpty else { return "No verdict: no round brought figures for both sides." }
        let base = variants[0].name
        let parts = deciding.map { row in
            "'\(variants[row.variant].name)' \(Self.tell(row))"
        }
        let noun = experiment.decidingMetric.noun
        var sentence = noun.prefix(1).uppercased() + noun.dropFirst() + " against '\(base)': " + parts.joined(separator: "; ") + "."
        if let drift = drifts.first {
            sentence +=
                " The machine wandered meanwhile (\(drift.metric.noun) \(FigureText.change(drift.drift.relativeChange)) from first to last); taking turns weighs it on all alike, but repeat it on a quiet machine."
        }
        return sentence
    }

    private static func tell(_ row: Row) -> String {
        let comparison = row.comparison
        let range = comparison.interval.map { " (95 % between \(change($0.low, comparison)) and \(change($0.high, comparison)))" } ?? ""
        switch row.verdict {
        case .noEvidence: return "no different beyond the noise\(range)"
        case .better, .worse, nil: return "\(change(comparison.change, comparison))\(range), \(row.verdictText)"
        }
    }

    static func change(_ value: Double, _ comparison: PairedComparison) -> String {
        comparison.isRelative ? FigureText.change(value) : (value > 0 ? "+" : "") + FigureText.significant(value, 3)
    }
}

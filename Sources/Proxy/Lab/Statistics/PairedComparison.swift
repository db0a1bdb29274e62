/// What rounds taken in turn tell about two sides.
struct PairedComparison: Equatable, Sendable {
    /// Rounds that both sides have.
    let pairs: Int
    /// Medians of the sides.
    let base: Double
    let new: Double
    /// The change of the new side against the base; as a share of the base where `isRelative` (0.03 = 3 % more), else in the unit
    /// of the values.
    let change: Double
    /// Where the change lies with 95 % confidence; nil below two pairs.
    let interval: Interval?
    /// How likely differences like these are between equal sides; not yet corrected for other metrics.
    let probability: Double
    /// False when a value was zero or below, so that shares have no meaning.
    let isRelative: Bool

    /// Compares round by round: `base[i]` and `new[i]` were taken one after the other. Nil when no round has both.
    static func paired(base: [Double], new: [Double], seed: UInt64, confidence: Double = 0.95, resamples: Int = Bootstrap.resamplesUsual) -> PairedComparison? {
        let pairs = zip(base, new).filter { $0.isFinite && $1.isFinite }
        guard let middle = Summaries.median(pairs.map(\.0)), let newMiddle = Summaries.median(pairs.map(\.1)) else { return nil }
        let isRelative = pairs.allSatisfy { $0 > 0 && $1 > 0 }
        // Logarithms make twice as much and half as much equally far.
        let differences = pairs.map { isRelative ? logarithm($1 / $0) : $1 - $0 }
        func told(_ difference: Double) -> Double { isRelative ? exponential(difference) - 1 : difference }
        let interval = Bootstrap.interval(of: differences, confidence: confidence, resamples: resamples, seed: seed, statistic: Summaries.middleOfPairs)
        return PairedComparison(
            pairs: pairs.count, base: middle, new: newMiddle, change: told(Summaries.middleOfPairs(differences) ?? 0),
            interval: interval.map { Interval(low: told($0.low), high: told($0.high)) },
            probability: SignedRanks.probability(ofDifferences: differences), isRelative: isRelative)
    }
}

/// Which way a figure is good.
enum Direction: Sendable { case lowerIsBetter, higherIsBetter }

/// What is said of one metric.
enum ComparisonVerdict: String, Sendable {
    case better, worse
    case noEvidence = "no evidence"
}

extension PairedComparison {
    /// Better or worse only if the corrected probability is below `level` and the interval leaves out "no change".
    func verdict(corrected: Double, direction: Direction, level: Double = 0.05) -> ComparisonVerdict {
        guard corrected < level, let interval, !interval.holds(0), change != 0 else { return .noEvidence }
        return (change < 0) == (direction == .lowerIsBetter) ? .better : .worse
    }
}

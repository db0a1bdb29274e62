/// A range that holds a figure with a stated confidence.
struct Interval: Equatable, Sendable {
    var low: Double
    var high: Double

    func holds(_ value: Double) -> Bool { low <= value && value <= high }
}

/// Intervals by drawing the rounds again, with replacement (Efron).
enum Bootstrap {
    static let resamplesUsual = 2000

    /// The percentile interval of `statistic` over `values`; nil below two values, which tell nothing about their spread.
    ///
    /// With fewer than about ten values the interval is too narrow: it only draws what was seen. Verdicts therefore ask
    /// `SignedRanks` too, which is exact.
    static func interval(
        of values: [Double], confidence: Double = 0.95, resamples: Int = resamplesUsual, seed: UInt64,
        statistic: ([Double]) -> Double?
    ) -> Interval? {
        let finite = values.filter(\.isFinite)
        guard finite.count >= 2, resamples > 0 else { return nil }
        var numbers = SeededNumbers(seed: seed)
        var drawn = finite
        var results: [Double] = []
        results.reserveCapacity(resamples)
        for _ in 0..<resamples {
            for at in drawn.indices { drawn[at] = finite[numbers.below(finite.count)] }
            if let result = statistic(drawn), result.isFinite { results.append(result) }
        }
        results.sort()
        let outside = (1 - min(max(confidence, 0), 1)) / 2
        guard let low = Summaries.ofSorted(results, outside), let high = Summaries.ofSorted(results, 1 - outside) else { return nil }
        return Interval(low: low, high: high)
    }
}

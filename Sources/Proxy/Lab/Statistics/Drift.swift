/// Whether a series wanders off while it is taken: the machine gets warm, a neighbour begins to work.
struct Drift: Equatable, Sendable {
    /// From the first to the last value along the median slope, as a share of the median.
    let relativeChange: Double
    /// How likely such an order of values is where nothing drifts (Kendall, exact).
    let probability: Double

    /// Both beyond chance and large enough to matter.
    var isDrifting: Bool { probability < 0.01 && abs(relativeChange) > 0.05 }

    /// Nil below four values or with a median of zero.
    static func check(_ series: [Double]) -> Drift? {
        let values = Array(series.filter(\.isFinite).prefix(valuesMax))
        guard values.count >= 4, let middle = Summaries.median(values), middle != 0 else { return nil }
        var slopes: [Double] = []
        var rising = 0
        var falling = 0
        for first in values.indices {
            for second in values.indices where second > first {
                slopes.append((values[second] - values[first]) / Double(second - first))
                if values[second] > values[first] { rising += 1 }
                if values[second] < values[first] { falling += 1 }
            }
        }
        let slope = Summaries.median(slopes) ?? 0
        return Drift(
            relativeChange: slope * Double(values.count - 1) / middle,
            probability: probability(fewer: min(rising, falling), of: values.count))
    }

    private static let valuesMax = 200

    /// Twice the share of all orders of `count` values that have at most `fewer` pairs the wrong way round.
    private static func probability(fewer: Int, of count: Int) -> Double {
        var shares: [Double] = [1]
        for size in 2...max(count, 2) {
            // One more value stands in any of `size` places and is passed by 0 ..< size others.
            var next = [Double](repeating: 0, count: shares.count + size - 1)
            for (at, share) in shares.enumerated() {
                for passed in 0..<size { next[at + passed] += share / Double(size) }
            }
            shares = next
        }
        return min(1, 2 * shares.prefix(fewer + 1).reduce(0, +))
    }
}

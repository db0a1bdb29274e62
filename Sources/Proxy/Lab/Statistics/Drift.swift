/// Whether a series wanders off while it is taken: the machine gets warm, a neighbour begins to work.
struct Drift: Equatable, Sendable {
    /// From the first to the last value along the median slope, as a share of the median.
    let relativeChange: Double
    /// How likely such an order of values is where nothing drifts (Kendall, exact, also with equal values).
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
            probability: probability(fewer: min(rising, falling), groups: groups(of: values)))
    }

    private static let valuesMax = 200

    /// How many values are equal, for each value that there is.
    private static func groups(of values: [Double]) -> [Int] {
        var counts: [Double: Int] = [:]
        for value in values { counts[value, default: 0] += 1 }
        return Array(counts.values)
    }

    /// Twice the share of all orders of the values that have at most `fewer` pairs the wrong way round. Equal values are no pair, so
    /// that fewer pairs can be so: without that, whole numbers that repeat would look like drift.
    private static func probability(fewer: Int, groups: [Int]) -> Double {
        var shares: [Double] = [1]
        var placed = 0
        // Single values last: they are cheap, and the others are few.
        for group in groups.sorted(by: >) {
            let passing = passings(of: group, among: placed)
            var next = [Double](repeating: 0, count: shares.count + passing.count - 1)
            for (at, share) in shares.enumerated() {
                for (more, probability) in passing.enumerated() { next[at + more] += share * probability }
            }
            shares = next
            placed += group
        }
        return min(1, 2 * shares.prefix(fewer + 1).reduce(0, +))
    }

    /// How likely it is that `count` equal values, put anywhere among `others`, are passed by 0, 1, … of them in sum.
    private static func passings(of count: Int, among others: Int) -> [Double] {
        // `row[n]` for n others: the last of all is one of the equal values, passed by nobody, or one of the others, which passes all.
        var row = [[Double]](repeating: [1], count: others + 1)
        for equal in stride(from: 1, through: count, by: 1) {
            for other in stride(from: 1, through: others, by: 1) {
                let all = Double(equal + other)
                var shares = row[other].map { $0 * Double(equal) / all }
                shares += [Double](repeating: 0, count: equal * other + 1 - shares.count)
                for (at, share) in row[other - 1].enumerated() { shares[at + equal] += share * Double(other) / all }
                row[other] = shares
            }
        }
        return row[others]
    }
}

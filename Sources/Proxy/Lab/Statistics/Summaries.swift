/// One number for many: medians and their kin.
///
/// Every function takes values in any order and answers nil for none. Values that are not finite have no place in an order and
/// are left out.
enum Summaries {
    /// The middle value; the mean of the two middle ones of an even count.
    static func median(_ values: [Double]) -> Double? { quantile(values, 0.5) }

    /// The value below which `fraction` (0 to 1) of the values lie, interpolated between neighbours (type 7 of Hyndman and Fan).
    static func quantile(_ values: [Double], _ fraction: Double) -> Double? {
        ofSorted(values.filter(\.isFinite).sorted(), fraction)
    }

    static func mean(_ values: [Double]) -> Double? {
        let finite = values.filter(\.isFinite)
        return finite.isEmpty ? nil : finite.reduce(0, +) / Double(finite.count)
    }

    /// The median of the means of all pairs, each value with itself too (Hodges and Lehmann): nearly as precise as the mean when
    /// noise is well-behaved, and unmoved by a single round that went astray. Quadratic in the count.
    static func middleOfPairs(_ values: [Double]) -> Double? {
        let finite = values.filter(\.isFinite)
        var means: [Double] = []
        means.reserveCapacity(finite.count * (finite.count + 1) / 2)
        for first in finite.indices {
            for second in first..<finite.count { means.append((finite[first] + finite[second]) / 2) }
        }
        return median(means)
    }

    /// `quantile` of values that are sorted and finite already.
    static func ofSorted(_ sorted: [Double], _ fraction: Double) -> Double? {
        guard let last = sorted.indices.last else { return nil }
        let place = min(max(fraction, 0), 1) * Double(last)
        let below = Int(place)
        let above = min(below + 1, last)
        return sorted[below] + (sorted[above] - sorted[below]) * (place - Double(below))
    }
}

/// How likely differences of pairs are if both sides were the same: Wilcoxon's test of signed ranks, exact at any count.
///
/// If two builds are equal and take turns, each difference could as well have had the other sign. The test counts in how many of
/// the 2ⁿ choices of signs the ranks would lie as far on one side as they do. It needs no shape of the noise. The smallest
/// probability that n pairs can give is 2/2ⁿ: five pairs never convince.
enum SignedRanks {
    /// The two-sided probability; 1 when no difference is left after the zeros went.
    static func probability(ofDifferences differences: [Double]) -> Double {
        let differences = differences.filter { $0.isFinite && $0 != 0 }.prefix(pairsMax)
        let order = differences.sorted { abs($0) < abs($1) }
        guard !order.isEmpty else { return 1 }
        // Equal sizes share the mean of their ranks; twice the rank is then whole.
        var ranks = [Int](repeating: 0, count: order.count)
        var begin = 0
        while begin < order.count {
            var end = begin
            while end < order.count, abs(order[end]) == abs(order[begin]) { end += 1 }
            for at in begin..<end { ranks[at] = begin + 1 + end }
            begin = end
        }
        let total = ranks.reduce(0, +)
        let positive = zip(order, ranks).reduce(0) { $0 + ($1.0 > 0 ? $1.1 : 0) }
        let extreme = min(positive, total - positive)
        // The share of the choices of signs that gives each sum of the ranks on the positive side.
        var shares = [Double](repeating: 0, count: total + 1)
        shares[0] = 1
        var reach = 0
        for rank in ranks {
            reach += rank
            for sum in stride(from: reach, through: 0, by: -1) {
                shares[sum] = (shares[sum] + (sum >= rank ? shares[sum - rank] : 0)) / 2
            }
        }
        return min(1, 2 * shares[0...extreme].reduce(0, +))
    }

    /// Work and memory grow with the cube and the square of the count.
    private static let pairsMax = 400
}

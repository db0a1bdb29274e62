import Testing

@testable import Proxy

@Suite("Statistics of rounds")
struct StatisticsTests {
    @Test("medians and quantiles interpolate between neighbours and leave out what is no number")
    func summaries() {
        #expect(Summaries.median([3, 1, 2]) == 2)
        #expect(Summaries.median([4, 1, .nan, 2, 3]) == 2.5)
        #expect(Summaries.median([]) == nil)
        #expect(Summaries.quantile([10, 20, 30, 40, 50], 0.9) == 46)
        #expect(Summaries.quantile([10, 20], 7) == 20)
        #expect(Summaries.mean([1, 2, .infinity]) == 1.5)
    }

    @Test("one round that went astray hardly moves the middle of pairs")
    func robust() {
        let calm = Summaries.middleOfPairs([1.00, 1.01, 1.02, 0.99, 0.98, 1.00, 1.01, 0.99])!
        let astray = Summaries.middleOfPairs([1.00, 1.01, 1.02, 0.99, 0.98, 1.00, 1.01, 99])!
        #expect(abs(calm - astray) < 0.02)
    }

    @Test("the probability of signed ranks is that of the published tables")
    func signedRanks() {
        // Ten differences of one sign: 2 of 1024 choices of signs are as extreme.
        #expect(SignedRanks.probability(ofDifferences: (1...10).map(Double.init)) == 2.0 / 1024)
        // n = 8, W = 3: the choices with sums 0, 1, 2 and 3 are 1 + 1 + 1 + 2 of 256.
        #expect(SignedRanks.probability(ofDifferences: [-1, -2, 3, 4, 5, 6, 7, 8]) == 10.0 / 256)
        // Equal sizes: four choices of signs, and with either sign of the pair one of two is as extreme.
        #expect(SignedRanks.probability(ofDifferences: [1, 1]) == 0.5)
        #expect(SignedRanks.probability(ofDifferences: [0, 0, 0]) == 1)
        #expect(SignedRanks.probability(ofDifferences: [1, -1]) == 1)
    }

    @Test("Holm's correction multiplies the smallest most and keeps the order")
    func holm() {
        #expect(Holm.corrected([0.01, 0.04, 0.03]) == [0.03, 0.06, 0.06])
        #expect(Holm.corrected([0.5, 0.9]) == [1, 1])
        #expect(Holm.corrected([]).isEmpty)
    }

    @Test("an interval is the same for the same seed, holds the middle and is nil for a single value")
    func bootstrap() throws {
        let values = Noise(seed: 5).rounds(20, middle: 100, spread: 0.02)
        let first = try #require(Bootstrap.interval(of: values, seed: 1, statistic: Summaries.median))
        #expect(first == Bootstrap.interval(of: values, seed: 1, statistic: Summaries.median))
        #expect(first.holds(Summaries.median(values)!))
        #expect(first.high - first.low < 6)
        #expect(Bootstrap.interval(of: [1], seed: 1, statistic: Summaries.median) == nil)
    }

    @Test("an interval of 95 % holds the true change in nearly all trials at ten rounds")
    func coverage() {
        var held = 0
        for seed in 0..<60 as Range<UInt64> {
            let noise = Noise(seed: 1_000 + seed)
            let compared = PairedComparison.paired(
                base: noise.rounds(10, middle: 100, spread: 0.03), new: noise.rounds(10, middle: 110, spread: 0.03), seed: seed, resamples: 200)
            if compared!.interval!.holds(0.1) { held += 1 }
        }
        #expect(held >= 51, "\(held) of 60")
    }

    @Test("a rise over rounds is drift; noise around a level is not")
    func drift() throws {
        let rising = try #require(Drift.check((0..<10).map { 100 + 2 * Double($0) }))
        #expect(rising.isDrifting)
        #expect(abs(rising.relativeChange - 18.0 / 109) < 1e-9)
        // Of 10! orders two have no pair the other way round.
        #expect(abs(rising.probability - 2 / 3_628_800) < 1e-12)
        var alarms = 0
        for seed in 0..<300 as Range<UInt64> {
            if Drift.check(Noise(seed: seed).rounds(10, middle: 100, spread: 0.1))!.isDrifting { alarms += 1 }
        }
        #expect(alarms <= 9, "\(alarms) of 300 without drift")
        #expect(Drift.check([1, 2, 3]) == nil)
    }

    @Test("equal values are no order, and make a rise less surprising")
    func driftWithTies() throws {
        // Of the 70 ways to put four of each, one is this way up and one the other.
        let steps = try #require(Drift.check([1, 1, 1, 1, 2, 2, 2, 2]))
        #expect(abs(steps.probability - 2.0 / 70) < 1e-12 && !steps.isDrifting)
        // One pair the wrong way round: 1 2 1 2, and as many the other way up; none at all: 1 1 2 2; of six.
        #expect(abs(try #require(Drift.check([1, 2, 1, 2])).probability - 2.0 * 2 / 6) < 1e-12)
        #expect(try #require(Drift.check([5, 5, 5, 5, 5])).probability == 1)
        // Single values beside equal ones, against all orders counted out.
        let values = [3.0, 1, 2, 1, 4]
        func inversions(_ values: [Double]) -> Int {
            values.indices.reduce(0) { sum, first in sum + values[(first + 1)...].count { $0 < values[first] } }
        }
        var counts: [Int] = []
        func permute(_ chosen: [Double], _ rest: [Double]) {
            if rest.isEmpty { counts.append(inversions(chosen)) }
            for at in rest.indices {
                var less = rest
                less.remove(at: at)
                permute(chosen + [rest[at]], less)
            }
        }
        permute([], values)
        let fewer = inversions(values)
        let expected = min(1, 2 * Double(counts.count { $0 <= fewer }) / Double(counts.count))
        #expect(abs(try #require(Drift.check(values)).probability - expected) < 1e-12)
    }
}

@Suite("Verdicts over many metrics")
struct VerdictTests {
    private static let metrics = 10

    /// The metrics of a pair of builds, judged together.
    private func verdicts(seed: UInt64, rounds: Int, shift: Double, spread: Double = 0.03, strays: Bool = false) -> [ComparisonVerdict] {
        let noise = Noise(seed: seed)
        let compared = (0..<Self.metrics).map { metric in
            var base = noise.rounds(rounds, middle: 100, spread: spread)
            var new = noise.rounds(rounds, middle: 100 * (1 + (metric == 0 ? shift : 0)), spread: spread)
            if strays {
                base[noise.below(rounds)] *= 3
                new[noise.below(rounds)] *= 3
            }
            return PairedComparison.paired(base: base, new: new, seed: seed, resamples: 40)!
        }
        let corrected = Holm.corrected(compared.map(\.probability))
        return zip(compared, corrected).map { $0.verdict(corrected: $1, direction: .lowerIsBetter) }
    }

    @Test("equal sides give no evidence in any metric of nearly all pairs", arguments: [false, true])
    func equal(strays: Bool) {
        // One in twenty may be wrong; that it is more than one in ten of so few is as good as impossible.
        let pairs = 50
        let calm = (0..<pairs).count { seed in
            verdicts(seed: UInt64(seed), rounds: 10, shift: 0, strays: strays).allSatisfy { $0 == .noEvidence }
        }
        #expect(calm >= pairs * 9 / 10, "\(calm) of \(pairs) pairs, seeds 0..<\(pairs)")
    }

    @Test("a shift of one metric is found and the others stay silent")
    func shifted() {
        var found = 0
        for seed in 0..<50 as Range<UInt64> {
            let verdicts = verdicts(seed: seed, rounds: 10, shift: 0.1)
            if verdicts[0] == .worse && verdicts.dropFirst().allSatisfy({ $0 == .noEvidence }) { found += 1 }
        }
        #expect(found >= 45, "\(found) of 50, seeds 0..<50")
    }

    @Test("the same shift is better where higher is better")
    func direction() throws {
        let base = (0..<10).map { 100 + Double($0 % 3) }
        let compared = try #require(PairedComparison.paired(base: base, new: base.map { $0 * 1.05 }, seed: 1))
        #expect(abs(compared.change - 0.05) < 1e-9)
        #expect(compared.verdict(corrected: 0.01, direction: .higherIsBetter) == .better)
        #expect(compared.verdict(corrected: 0.01, direction: .lowerIsBetter) == .worse)
        #expect(compared.verdict(corrected: 0.06, direction: .lowerIsBetter) == .noEvidence)
    }

    @Test("five rounds never convince, however far apart")
    func fewRounds() throws {
        let compared = try #require(PairedComparison.paired(base: [1, 2, 3, 4, 5], new: [100, 200, 300, 400, 500], seed: 1))
        #expect(compared.probability > 0.05)
    }

    @Test("values of zero are compared by difference, and the same values twice change nothing")
    func zeros() throws {
        let compared = try #require(PairedComparison.paired(base: [0, 0, 1], new: [0, 2, 1], seed: 1))
        #expect(!compared.isRelative)
        let same = try #require(PairedComparison.paired(base: [4, 4, 4], new: [4, 4, 4], seed: 1))
        #expect(same.change == 0 && same.probability == 1)
        #expect(PairedComparison.paired(base: [], new: [1], seed: 1) == nil)
    }
}

/// Rounds as machines give them: mostly near a middle, some above.
private final class Noise {
    private var numbers: SeededNumbers

    init(seed: UInt64) { numbers = SeededNumbers(seed: seed) }

    func below(_ bound: Int) -> Int { numbers.below(bound) }

    func rounds(_ count: Int, middle: Double, spread: Double) -> [Double] {
        (0..<count).map { _ in
            // The sum of three is bell-shaped enough.
            let bell = (numbers.unit() + numbers.unit() + numbers.unit() - 1.5) * 2
            return middle * (1 + spread * bell)
        }
    }
}

import Testing

@testable import Proxy

@Suite("Random laws and exact deadlines")
struct DistributionTests {
    private func samples(_ law: Distribution, seed: UInt64 = 5, count: Int = 50_000) -> [UInt64] {
        var random = RandomSource(seed: seed)
        return (0..<count).map { _ in law.sample(&random) }
    }

    private func mean(_ values: [UInt64]) -> Double { values.reduce(0) { $0 + Double($1) } / Double(values.count) }

    @Test("a fixed law is always the same; a uniform one has both its ends and nothing beyond")
    func uniform() {
        #expect(Set(samples(.fixed(7), count: 10)) == [7])
        let values = samples(.uniform(10, 14))
        #expect(Set(values) == [10, 11, 12, 13, 14])
        #expect(samples(.uniform(9, 3), count: 3) == [9, 9, 9])
    }

    @Test("an exponential law has its mean, a log-normal one its median")
    func shapes() {
        #expect(abs(mean(samples(.exponential(mean: 1_000))) - 1_000) < 30)
        let sorted = samples(.logNormal(median: 1_000, sigma: 0.5)).sorted()
        #expect(abs(Double(sorted[sorted.count / 2]) - 1_000) < 20)
        // One standard deviation above: e^0.5.
        #expect(abs(Double(sorted[Int(Double(sorted.count) * 0.8413)]) - 1_649) < 50)
    }

    @Test("a seed gives the same numbers again, and no number is above the bound")
    func seeds() {
        #expect(samples(.exponential(mean: 50), seed: 9) == samples(.exponential(mean: 50), seed: 9))
        #expect(samples(.exponential(mean: 50), seed: 9) != samples(.exponential(mean: 50), seed: 10))
        #expect(samples(.logNormal(median: 1e12, sigma: 10), count: 1_000).allSatisfy { $0 <= Distribution.max })
        #expect(samples(.uniform(0, .max), count: 1_000).allSatisfy { $0 <= Distribution.max })
    }

    @Test("deadlines come out in order, none before its time")
    func heap() {
        var heap = DeadlineHeap(slots: 500)
        var random = RandomSource(seed: 1)
        var deadlines: [UInt64] = []
        for slot in 0..<500 {
            let deadline = random.next(below: 1_000)
            deadlines.append(deadline)
            heap.set(UInt32(slot), deadline: deadline)
        }
        let next = heap.next
        #expect(next == deadlines.min())
        var seen: [UInt64] = []
        while let slot = heap.takeDue(now: 499) { seen.append(deadlines[Int(slot)]) }
        #expect(seen == deadlines.filter { $0 <= 499 }.sorted())
        while let slot = heap.takeDue(now: .max) { seen.append(deadlines[Int(slot)]) }
        #expect(seen == deadlines.sorted())
        let isEmpty = heap.next == nil && heap.count == 0
        #expect(isEmpty)
    }

    @Test("a slot has one deadline, the last that it was given, and none once it is removed", arguments: [1, 2, 3] as [UInt64])
    func removal(seed: UInt64) {
        let slots: UInt64 = 100
        var heap = DeadlineHeap(slots: Int(slots))
        var random = RandomSource(seed: seed)
        var expected: [UInt32: UInt64] = [:]
        for step in 0..<20_000 {
            let slot = UInt32(random.next(below: slots))
            switch random.next(below: 4) {
            case 0:
                heap.remove(slot)
                expected[slot] = nil
            case 1:
                let soonest = expected.values.min()
                let taken = heap.takeDue(now: soonest ?? .max)
                #expect(taken.flatMap { expected[$0] } == soonest, "step \(step), seed \(seed)")
                if let taken { expected[taken] = nil }
            default:
                let deadline = random.next(below: 1_000)
                heap.set(slot, deadline: deadline)
                expected[slot] = deadline
            }
            let (next, count) = (heap.next, heap.count)
            #expect(next == expected.values.min() && count == expected.count, "step \(step), seed \(seed)")
        }
    }
}

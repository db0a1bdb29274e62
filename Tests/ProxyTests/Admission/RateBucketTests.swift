import Testing

@testable import Proxy

private let second: UInt64 = 1_000_000_000

@Suite("Token buckets")
struct RateBucketTests {
    @Test("a full bucket gives its burst and no more", arguments: [(1, 1), (3, 1), (3, 3), (7, 20), (1000, 1000), (999_999_937, 1)] as [(UInt64, UInt64)])
    func burst(rate: UInt64, burst: UInt64) {
        let bucket = RateBucket(perSecond: rate, burst: burst)
        let (granted, word) = bucket.take(burst + 5, from: 0, now: 77)
        #expect(granted == burst)
        #expect(bucket.take(1, from: word, now: 77).granted == 0)
        #expect(bucket.wait(word, now: 77) > 0)
        let later = 77 + bucket.wait(word, now: 77)
        #expect(bucket.take(1, from: word, now: later).granted == 1)
        #expect(later <= 77 + second / rate + 1)
    }

    @Test("over a long time it gives its rate", arguments: [1, 3, 10, 997, 100_000] as [UInt64])
    func rate(perSecond: UInt64) {
        let bucket = RateBucket(perSecond: perSecond, burst: max(1, perSecond / 10))
        var word: UInt64 = 0
        var now: UInt64 = 5 * second
        var granted: UInt64 = 0
        for _ in 0..<100_000 {
            now += 100_000
            let taken = bucket.take(30, from: word, now: now)
            granted += taken.granted
            word = taken.word
        }
        let expected = Double(perSecond) * 10 + Double(max(1, perSecond / 10))
        #expect(abs(Double(granted) - expected) <= max(1.5, expected * 0.001), "\(granted) of \(expected)")
    }

    @Test("those who reserve are served in turn, at the rate")
    func reserve() {
        let bucket = RateBucket(perSecond: 1_000_000, burst: 100_000)
        var word: UInt64 = 0
        let now = 3 * second
        var slots: [UInt64] = []
        for _ in 0..<100 {
            let reserved = bucket.reserve(16_384, from: word, now: now)
            slots.append(reserved.slot)
            word = reserved.word
        }
        #expect(slots == slots.sorted() && slots[0] <= now && slots[6] <= now && slots[8] > now)
        // The last one waits for what went before, less the burst.
        #expect(abs(Int(slots[99]) - Int(now + 16_384 * 99 * 1000 - 100_000_000)) <= 1_000_000)
        #expect(bucket.refund(16_384, to: word) == word - 16_384_000)
    }

    @Test("no number makes it overflow")
    func extremes() {
        for rate in [1, 2, 1 << 40] as [UInt64] {
            for burst in [0, 1, 1 << 33, .max] as [UInt64] {
                let bucket = RateBucket(perSecond: rate, burst: burst)
                for word in [0, 1, 1 << 62] as [UInt64] {
                    let now: UInt64 = 1 << 61
                    _ = bucket.take(.max, from: word, now: now)
                    let reserved = bucket.reserve(.max, from: word, now: now)
                    #expect(reserved.word <= now + 86_400 * second)
                    _ = bucket.wait(word, now: now)
                }
            }
        }
    }

    @Test("workers that borrow in batches stay within the rate and one batch each, and lose none of it", arguments: 1...8 as ClosedRange<UInt64>)
    func workers(seed: UInt64) {
        var source = RandomSource(seed: seed)
        let workerCount = 2 + Int(source.next() % 3)
        let perSecond = [50, 400, 3_000, 40_000][Int(source.next() % 4)]
        let rates = RatePlan(RateSettings(requestsPerSecond: perSecond, requestsBurst: max(1, perSecond / 10)), workerCount: workerCount)
        let cell = LimitCell(workerCount: workerCount)
        defer { cell.deallocate() }
        var now: UInt64 = 10 * second
        let begin = now
        var granted = 0
        var offered = 0
        // More is asked for than is allowed, by workers of very different load.
        while now < begin + 10 * second {
            now += UInt64(source.next() % 200_000)
            let worker = Int(source.next() % 8) == 0 ? Int(source.next() % UInt64(workerCount)) : 0
            let asked = max(1, perSecond / 4_000)
            for _ in 0..<asked {
                offered += 1
                if cell.takeRequest(rates.requests, batch: rates.requestBatch, worker: worker, now: now) { granted += 1 }
            }
        }
        let expected = Double(perSecond) * 10
        let slack = Double(max(1, perSecond / 10)) + Double(rates.requestBatch) * Double(workerCount)
        #expect(Double(offered) > expected, "the test asks for too little, seed \(seed)")
        #expect(Double(granted) <= expected + slack, "\(granted) of \(expected), seed \(seed)")
        #expect(Double(granted) >= expected * 0.98, "\(granted) of \(expected), seed \(seed)")
    }

    @Test("open connections are counted over workers, within a batch each", arguments: [1, 2, 3, 10, 100, 1000, 100_000])
    func open(most: Int) {
        let workerCount = 4
        let rates = RatePlan(RateSettings(connectionsMax: most), workerCount: workerCount)
        let cell = LimitCell(workerCount: workerCount)
        defer { cell.deallocate() }
        var source = RandomSource(seed: UInt64(most))
        var open = [Int](repeating: 0, count: workerCount)
        var peak = 0
        for _ in 0..<(most * 6 + 5_000) {
            let worker = Int(source.next() % UInt64(workerCount))
            if source.next() % 5 != 0 {
                if cell.openOne(most: rates.openMax, batch: rates.openBatch, worker: worker) { open[worker] += 1 }
            } else if open[worker] > 0 {
                cell.closeOne(batch: rates.openBatch, worker: worker)
                open[worker] -= 1
            }
            let total = open.reduce(0, +)
            #expect(total <= most)
            peak = max(peak, total)
        }
        #expect(Double(peak) >= Double(most) * 0.95, "\(peak) of \(most)")
        for worker in 0..<workerCount {
            for _ in 0..<open[worker] { cell.closeOne(batch: rates.openBatch, worker: worker) }
        }
        #expect(cell.isQuiet(workerCount: workerCount))
    }
}

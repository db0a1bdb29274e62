import Testing

@testable import Proxy

@Suite("Timetable of the load generator")
struct TimetableTests {
    private static let second: UInt64 = 1_000_000_000

    /// The entries of all threads, thread after thread.
    private func entries(_ table: Timetable, threads: Int = 1) -> [[UInt64]] {
        (0..<threads).map { thread in
            var cursor = table.cursor(thread: thread, of: threads)
            var times: [UInt64] = []
            while let time = cursor.next() { times.append(time) }
            return times
        }
    }

    @Test("a rate makes exactly as many entries as it has seconds times requests", arguments: [(1_000.0, 2.0), (3, 10), (0.5, 10), (333.3, 3), (7, 0.5)])
    func exactCount(rate: Double, seconds: Double) {
        let table = Timetable(.constant(rate), durationNanoseconds: UInt64(seconds * 1e9), seed: 1)
        let times = entries(table)[0]
        #expect(UInt64(times.count) == table.count)
        #expect(times.count == Int((rate * seconds).rounded(.up)))
        #expect(times.last! < table.durationNanoseconds)
    }

    @Test("entries of a rate stand at equal distances from zero on")
    func evenly() {
        let times = entries(Timetable(.constant(1_000), durationNanoseconds: Self.second, seed: 1))[0]
        #expect(times.first == 0)
        #expect(zip(times, times.dropFirst()).allSatisfy { abs(Int64($1) - Int64($0) - 1_000_000) <= 1 })
    }

    @Test("a ramp has the count of its mean rate and its last second is as fast as it says")
    func ramp() {
        let table = Timetable(.ramp(from: 100, to: 500), durationNanoseconds: 10 * Self.second, seed: 1)
        let times = entries(table)[0]
        #expect(times.count == 3_000)
        #expect(table.count == 3_000)
        #expect(times.count { $0 < Self.second } == 120)
        #expect(times.count { $0 >= 9 * Self.second } == 480)
        #expect(zip(times, times.dropFirst()).allSatisfy { $0 <= $1 })
    }

    @Test("a ramp may begin at zero or end there", arguments: [(0.0, 1_000.0), (1_000, 0)])
    func rampAtZero(from: Double, to: Double) {
        let table = Timetable(.ramp(from: from, to: to), durationNanoseconds: 2 * Self.second, seed: 1)
        let times = entries(table)[0]
        #expect(times.count == 1_000)
        #expect(times.allSatisfy { $0 <= 2 * Self.second })
    }

    @Test("steps have each its count in its part of the time")
    func steps() {
        let times = entries(Timetable(.steps([10, 20, 5]), durationNanoseconds: 6 * Self.second, seed: 1))[0]
        #expect(times.count { $0 < 2 * Self.second } == 20)
        #expect(times.count { $0 >= 2 * Self.second && $0 < 4 * Self.second } == 40)
        #expect(times.count { $0 >= 4 * Self.second } == 10)
    }

    @Test(
        "threads share one timetable: together they have each entry once",
        arguments: [Timetable.Pace.constant(997), .ramp(from: 10, to: 900), .steps([100, 300]), .poisson(700)])
    func threads(pace: Timetable.Pace) {
        let table = Timetable(pace, durationNanoseconds: 2 * Self.second, seed: 42)
        let alone = entries(table)[0]
        #expect(entries(table, threads: 3).flatMap { $0 }.sorted() == alone)
    }

    @Test("arrivals by Poisson are those of their seed, as many as the rate says, with gaps that scatter as their mean")
    func poisson() {
        let table = Timetable(.poisson(1_000), durationNanoseconds: 20 * Self.second, seed: 7)
        let times = entries(table)[0]
        #expect(times == entries(Timetable(.poisson(1_000), durationNanoseconds: 20 * Self.second, seed: 7))[0])
        #expect(times != entries(Timetable(.poisson(1_000), durationNanoseconds: 20 * Self.second, seed: 8))[0])
        #expect(table.count == nil)
        // 20,000 expected, a standard deviation of 141.
        #expect(abs(times.count - 20_000) < 700)
        let gaps = zip(times, times.dropFirst()).map { Double($1 - $0) }
        let mean = gaps.reduce(0, +) / Double(gaps.count)
        let deviation = (gaps.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(gaps.count)).squareRoot()
        #expect(abs(deviation / mean - 1) < 0.05)
    }

    @Test("a number of requests ends a timetable before its time", arguments: [Timetable.Pace.constant(1_000), .poisson(1_000), .steps([1_000])])
    func requestsMax(pace: Timetable.Pace) {
        let table = Timetable(pace, durationNanoseconds: 10 * Self.second, requestsMax: 250, seed: 1)
        #expect(entries(table)[0].count == 250)
        #expect(entries(table, threads: 4).map(\.count).reduce(0, +) == 250)
    }

    private func isEndedByCount(_ table: Timetable, thread: Int, of threads: Int) -> Bool {
        var cursor = table.cursor(thread: thread, of: threads)
        while cursor.next() != nil {}
        return cursor.isEndedByCount
    }

    @Test(
        "each thread knows whether its timetable was ended by the number of requests or by the time",
        arguments: [Timetable.Pace.constant(100), .ramp(from: 50, to: 150), .poisson(100), .steps([100, 100])])
    func endings(pace: Timetable.Pace) {
        for (requestsMax, isByCount) in [(0, false), (50, true), (1_000, false)] as [(UInt64, Bool)] {
            let table = Timetable(pace, durationNanoseconds: 2 * Self.second, requestsMax: requestsMax, seed: 5)
            #expect((0..<3).allSatisfy { isEndedByCount(table, thread: $0, of: 3) == isByCount }, "\(requestsMax)")
        }
    }
}

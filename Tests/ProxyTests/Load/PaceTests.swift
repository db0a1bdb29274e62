import Testing

@testable import Proxy

@Suite("Pace of slow readers and writers")
struct PaceTests {
    private static let second: UInt64 = 1_000_000_000
    private static let begin: UInt64 = 50 * second

    /// Moves pieces as soon as the pace lets them, but `lateNanoseconds` later each; when the last of them has been paid for.
    private func end(_ pieces: Int, of bytes: Int, bytesPerSecond: Int, lateNanoseconds: UInt64) -> UInt64 {
        var pace = Pace()
        var now = Self.begin
        var due = now
        for _ in 0..<pieces {
            due = pace.next(after: bytes, bytesPerSecond: bytesPerSecond, now: now)
            now = max(now, due + lateNanoseconds)
        }
        return due - Self.begin
    }

    @Test("timers that are late make a stream no slower", arguments: [0, 9_000_000, 20_000_000] as [UInt64])
    func late(nanoseconds: UInt64) {
        let seconds = Double(end(200, of: 16_384, bytesPerSecond: 1_638_400, lateNanoseconds: nanoseconds)) / 1e9
        #expect((1.96...2.001).contains(seconds), "\(seconds)")
    }

    @Test("a stream that was idle is ahead of its rate by no more than a moment")
    func idle() {
        var pace = Pace()
        #expect(pace.next(after: 1_000, bytesPerSecond: 1_000, now: Self.begin) == Self.begin + Self.second - Pace.aheadNanoseconds)
        let later = Self.begin + 60 * Self.second
        #expect(pace.next(after: 1_000, bytesPerSecond: 1_000, now: later) == later + Self.second - Pace.aheadNanoseconds)
        #expect(pace.next(after: 1_000, bytesPerSecond: 1_000, now: later) == later + 2 * Self.second - Pace.aheadNanoseconds)
    }

    @Test("no rate and no time is too small or too great", arguments: [0, 1, .max])
    func extremes(bytesPerSecond: Int) {
        var pace = Pace()
        #expect(pace.next(after: 1 << 30, bytesPerSecond: bytesPerSecond, now: 0) <= 1 << 60)
    }
}

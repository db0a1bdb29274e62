/// When the next bytes of a stream with a rate may move.
///
/// What comes late, because timers are coarse, is made up for: the rate is that of the whole stream, not that of each piece.
struct Pace: BitwiseCopyable {
    /// What a stream that has been idle may be ahead of its rate, as time; more than timers are late.
    static var aheadNanoseconds: UInt64 { 30_000_000 }

    private var due: UInt64 = 0

    /// Counts bytes that have moved; when the next ones may: now, where that is in the past.
    mutating func next(after bytes: Int, bytesPerSecond: Int, now: UInt64) -> UInt64 {
        let cost = Double(bytes) / Double(max(bytesPerSecond, 1)) * 1e9
        due = max(due, now &- min(now, Self.aheadNanoseconds)) &+ UInt64(cost)
        return due
    }
}

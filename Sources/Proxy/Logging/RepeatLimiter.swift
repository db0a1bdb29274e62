/// Keeps one repeated message from drowning the others: a few of it in every window, then a count.
struct RepeatLimiter {
    enum Verdict: Equatable {
        /// Print it; so many like it were held back since the last one that was printed.
        case print(heldBack: Int)
        case holdBack
    }

    static let burst = 5
    static let windowNanoseconds: UInt64 = 10_000_000_000
    /// Different messages that are watched at a time; beyond it the oldest is forgotten.
    static let messagesMax = 256

    private struct Watch {
        var windowStart: UInt64
        var count: Int
        var heldBack: Int
    }

    private var watches: [String: Watch] = [:]

    /// Decides about a message that comes at `now`, in nanoseconds of any clock that does not go back.
    mutating func admit(_ message: String, at now: UInt64) -> Verdict {
        if watches[message] == nil, watches.count >= Self.messagesMax { forgetOldest() }
        var watch = watches[message] ?? Watch(windowStart: now, count: 0, heldBack: 0)
        defer { watches[message] = watch }
        if now &- watch.windowStart >= Self.windowNanoseconds {
            let heldBack = watch.heldBack
            watch = Watch(windowStart: now, count: 1, heldBack: 0)
            return .print(heldBack: heldBack)
        }
        if watch.count < Self.burst {
            watch.count += 1
            return .print(heldBack: 0)
        }
        watch.heldBack += 1
        return .holdBack
    }

    private mutating func forgetOldest() {
        guard let oldest = watches.min(by: { $0.value.windowStart < $1.value.windowStart }) else { return }
        watches[oldest.key] = nil
    }

    /// Messages whose window has ended with some held back, so that the count is told though no other came; forgets
    /// every window that ended.
    mutating func takeEnded(at now: UInt64) -> [(message: String, heldBack: Int)] {
        let ended = watches.filter { now &- $0.value.windowStart >= Self.windowNanoseconds }
        for key in ended.keys { watches[key] = nil }
        return ended.filter { $0.value.heldBack > 0 }.map { ($0.key, $0.value.heldBack) }.sorted { $0.message < $1.message }
    }
}

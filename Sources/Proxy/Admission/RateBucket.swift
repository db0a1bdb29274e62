/// A token bucket in one word: the moment at which the bucket will be full again, in monotonic nanoseconds.
///
/// A moment that has passed means a full bucket, so a word of 0 is one, and a bucket that nobody used for a while needs
/// no memory. Tokens that are taken move the moment ahead by the time in which as many come anew (the generic cell rate
/// algorithm of ATM's traffic management). One word is one compare-and-swap: `SharedBucket` does that, this is the sum.
struct RateBucket: BitwiseCopyable, Sendable, Equatable {
    /// Tokens a second; 0 = without limit.
    let perSecond: UInt64
    /// The time in which an empty bucket becomes full.
    let depthNanoseconds: UInt64

    static let unlimited = RateBucket(perSecond: 0, burst: 0)
    private static let second: UInt64 = 1_000_000_000
    /// No more than this is ever added, so that a product fits a word.
    private static let tokensMax: UInt64 = 1 << 33
    /// How far ahead a bucket may be in debt.
    private static let debtNanosecondsMax: UInt64 = 86_400 * second

    /// - Parameter burst: how many tokens a full bucket has; at most 2³³.
    init(perSecond: UInt64, burst: UInt64) {
        self.perSecond = perSecond
        let tokens = min(max(burst, 1), Self.tokensMax)
        // Rounded up, so that a bucket of n tokens gives n.
        depthNanoseconds = perSecond == 0 ? 0 : (tokens * Self.second + (perSecond - 1)) / perSecond
    }

    var isLimited: Bool { perSecond != 0 }

    /// The time in which so many tokens come.
    @inline(__always)
    func nanoseconds(for tokens: UInt64) -> UInt64 { min(tokens, Self.tokensMax) &* Self.second / max(perSecond, 1) }

    /// Takes up to `wanted` tokens; `word` is the bucket as it is then.
    @inline(__always)
    func take(_ wanted: UInt64, from word: UInt64, now: UInt64) -> (granted: UInt64, word: UInt64) {
        let begin = max(word, now)
        let ahead = begin &- now
        guard ahead < depthNanoseconds else { return (0, word) }
        let room = depthNanoseconds &- ahead
        // depth × rate is below tokensMax × 10⁹ + rate, and the room is part of the depth.
        let available = room.multipliedReportingOverflow(by: perSecond)
        let granted = min(wanted, available.overflow ? wanted : available.partialValue / Self.second)
        return (granted, begin &+ nanoseconds(for: granted))
    }

    /// Takes tokens whether they are there or not: `slot` is when they will be, at most now if they are already.
    ///
    /// Who asks later gets a later slot, so those who wait for one bucket are served in turn.
    @inline(__always)
    func reserve(_ tokens: UInt64, from word: UInt64, now: UInt64) -> (slot: UInt64, word: UInt64) {
        let begin = max(word, now)
        let slot = begin &- min(begin, depthNanoseconds)
        return (slot, min(begin &+ nanoseconds(for: tokens), now &+ Self.debtNanosecondsMax))
    }

    /// Gives tokens back that were taken and not used.
    @inline(__always)
    func refund(_ tokens: UInt64, to word: UInt64) -> UInt64 { word &- min(word, nanoseconds(for: tokens)) }

    /// How long until there is a token; 0 when there is one.
    func wait(_ word: UInt64, now: UInt64) -> UInt64 {
        let begin = max(word, now)
        let needed = begin &- now &+ nanoseconds(for: 1)
        return needed > depthNanoseconds ? needed &- depthNanoseconds : 0
    }
}

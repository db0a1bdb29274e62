import CUring
import Glibc

/// What the whole process remembers of client addresses: one table of fixed size, shared by all workers, without locks.
///
/// An entry is two words: a tag, which stands for one limit and one address (IPv6 by /64), and the state, a bucket's word
/// or a count. Four entries are a bucket of the table and one line of the cache; an address is in its bucket or nowhere.
/// When a bucket is full, the entry goes whose state says least: a full token bucket says nothing at all, then comes the
/// one that will be full soonest, or the count that was touched longest ago. So a flood of addresses forgets those first
/// that have been quiet for long.
///
/// Races are harmless by design and bounded by a request each: two workers may enter an address at the same moment (the
/// lower place wins), or take from an entry that is just being given to another address.
struct ClientTable: BitwiseCopyable, @unchecked Sendable {
    static let entriesPerBucket = 4
    private static let attemptsMax = 8

    private let entries: UnsafeMutablePointer<Entry>
    private let bucketMask: UInt64
    private let secret: (UInt64, UInt64)

    struct Entry: BitwiseCopyable {
        /// 0 = free. The lowest bit tells counts (1) from buckets (0).
        var tag: UInt64 = 0
        var state: UInt64 = 0
    }

    /// - Parameter entries: rounded up to a power of two; 16 bytes each, for the life of the process. Pages come when touched.
    init(entries wanted: Int, secret: (UInt64, UInt64)) {
        var buckets = 1
        while buckets * Self.entriesPerBucket < wanted && buckets < 1 << 28 { buckets *= 2 }
        let bytes = buckets * Self.entriesPerBucket * MemoryLayout<Entry>.stride
        let memory = mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
        precondition(memory != MAP_FAILED, "no memory for \(bytes) bytes of client-table-size")
        entries = memory!.bindMemory(to: Entry.self, capacity: buckets * Self.entriesPerBucket)
        bucketMask = UInt64(buckets - 1)
        self.secret = secret
    }

    /// A table whose places nobody outside can foresee.
    init(entries: Int) {
        var source = SystemRandomNumberGenerator()
        self.init(entries: entries, secret: (source.next(), source.next()))
    }

    /// Gives the memory back; for tests, the process keeps its table.
    func deallocate() { munmap(entries, Int(bucketMask + 1) * Self.entriesPerBucket * MemoryLayout<Entry>.stride) }

    var count: Int { Int(bucketMask + 1) * Self.entriesPerBucket }

    /// What stands for one limit and one address; never 0. All addresses of one IPv6 /64 have the same.
    @inline(__always)
    func tag(of host: HostAddress, limit: UInt64, isCount: Bool) -> UInt64 {
        let first = (host.high ^ secret.0).multipliedFullWidth(by: limit ^ secret.1)
        let mixed = (first.high ^ first.low ^ UInt64(host.family.rawValue)).multipliedFullWidth(by: secret.1 | 1)
        return (mixed.high ^ mixed.low) & ~3 | 2 | (isCount ? 1 : 0)
    }

    /// The state of that tag; nil when it is not in the table.
    @inline(__always)
    func find(_ tag: UInt64) -> UnsafeMutablePointer<UInt64>? {
        let bucket = bucket(of: tag)
        for place in 0..<Self.entriesPerBucket where clinux_load_relaxed(tagWord(bucket, place)) == tag {
            return stateWord(bucket, place)
        }
        return nil
    }

    /// The state of that tag, entered if it is not in the table; nil when others were always faster.
    @inline(__always)
    func findOrEnter(_ tag: UInt64, now: UInt64) -> UnsafeMutablePointer<UInt64>? { find(tag) ?? enter(tag, now: now) }

    @inline(never)
    private func enter(_ tag: UInt64, now: UInt64) -> UnsafeMutablePointer<UInt64>? {
        let bucket = bucket(of: tag)
        for _ in 0..<Self.attemptsMax {
            var best = 0
            var bestTag: UInt64 = 0
            var bestState: UInt64 = 0
            var leastWorth = UInt64.max
            for place in 0..<Self.entriesPerBucket {
                let seen = clinux_load_relaxed(tagWord(bucket, place))
                if seen == tag { return stateWord(bucket, place) }
                let state = clinux_load_relaxed(stateWord(bucket, place))
                let worth = seen == 0 ? 0 : Self.worth(seen, state, now)
                if worth < leastWorth {
                    (best, bestTag, bestState, leastWorth) = (place, seen, state, worth)
                }
            }
            guard clinux_compare_exchange(tagWord(bucket, best), &bestTag, tag) else { continue }
            if bestState != 0 { _ = clinux_compare_exchange(stateWord(bucket, best), &bestState, 0) }
            for place in 0..<best where clinux_load_acquire(tagWord(bucket, place)) == tag {
                // Another worker entered it at the same moment: the lower place is the one that is found.
                var mine = tag
                _ = clinux_compare_exchange(tagWord(bucket, best), &mine, 0)
                return stateWord(bucket, place)
            }
            return stateWord(bucket, best)
        }
        return nil
    }

    /// When an entry was last of importance, in nanoseconds: the least goes first.
    private static func worth(_ tag: UInt64, _ state: UInt64, _ now: UInt64) -> UInt64 {
        if tag & 1 == 0 { return state <= now ? 1 : state }
        return ClientCount.count(state) == 0 ? 1 : ClientCount.touched(state)
    }

    @inline(__always)
    private func bucket(of tag: UInt64) -> Int { Int(truncatingIfNeeded: (tag &>> 20) & bucketMask) &* Self.entriesPerBucket }

    @inline(__always)
    private func tagWord(_ bucket: Int, _ place: Int) -> UnsafeMutablePointer<UInt64> {
        UnsafeMutableRawPointer(entries + (bucket &+ place)).assumingMemoryBound(to: UInt64.self)
    }

    @inline(__always)
    private func stateWord(_ bucket: Int, _ place: Int) -> UnsafeMutablePointer<UInt64> { tagWord(bucket, place) + 1 }
}

/// A count of what a client has open, in one word: the number, and the second in which one was last opened.
struct ClientCount: BitwiseCopyable {
    let word: UnsafeMutablePointer<UInt64>

    static func count(_ state: UInt64) -> UInt64 { state &>> 40 }
    static func touched(_ state: UInt64) -> UInt64 { (state & 0xFF_FFFF_FFFF) &* 1_000_000_000 }

    /// Counts one more; false when there are `most` already.
    @inline(__always)
    func open(most: UInt64, now: UInt64) -> Bool {
        var seen = clinux_load_relaxed(word)
        while true {
            let count = Self.count(seen)
            if count >= most { return false }
            let next = (count &+ 1) &<< 40 | (now / 1_000_000_000) & 0xFF_FFFF_FFFF
            if clinux_compare_exchange(word, &seen, next) { return true }
        }
    }

    /// Counts one less; an entry that had to go in between has nothing to count.
    @inline(__always)
    func close() {
        var seen = clinux_load_relaxed(word)
        while Self.count(seen) > 0 {
            if clinux_compare_exchange(word, &seen, seen &- (1 &<< 40)) { return }
        }
    }
}

import CUring
import Glibc

/// The state of one `rate-limit` section that all workers share, and beside it a line of each worker's own.
///
/// The first line of the cache holds three buckets' words and the count of what is open; line `1 + worker` holds what
/// that worker has borrowed of them, which nobody else touches. Outlives the plans that refer to it.
struct LimitCell: BitwiseCopyable, @unchecked Sendable {
    private let base: UnsafeMutablePointer<UInt64>
    private static let lineWords = 8

    init(workerCount: Int) {
        let words = (workerCount + 1) * Self.lineWords
        var memory: UnsafeMutableRawPointer?
        guard posix_memalign(&memory, 64, words * 8) == 0, let memory else { fatalError("no memory for a rate limit") }
        base = memory.bindMemory(to: UInt64.self, capacity: words)
        base.initialize(repeating: 0, count: words)
    }

    func deallocate() { free(base) }

    var requests: SharedBucket { SharedBucket(word: base) }
    var read: SharedBucket { SharedBucket(word: base + 1) }
    var write: SharedBucket { SharedBucket(word: base + 2) }
    /// What is open, with what workers have borrowed of it.
    private var open: UnsafeMutablePointer<UInt64> { base + 3 }
    /// Nothing is open any more but what `workerCount` workers have to spare.
    func isQuiet(workerCount: Int) -> Bool {
        var spare: UInt64 = 0
        for worker in 0..<workerCount { spare &+= clinux_load_relaxed(line(worker) + 1) }
        return clinux_load_relaxed(open) == spare
    }

    @inline(__always)
    private func line(_ worker: Int) -> UnsafeMutablePointer<UInt64> { base + (worker &+ 1) &* Self.lineWords }

    /// Takes one request's token, from what this worker has borrowed or by borrowing up to `batch`.
    @inline(__always)
    func takeRequest(_ bucket: RateBucket, batch: UInt64, worker: Int, now: UInt64) -> Bool {
        let credit = line(worker)
        if credit.pointee > 0 {
            credit.pointee &-= 1
            return true
        }
        let granted = requests.take(batch, bucket, now: now)
        guard granted > 0 else { return false }
        credit.pointee = granted &- 1
        return true
    }

    /// Gives a token back that was taken for nothing.
    @inline(__always)
    func giveBackRequest(worker: Int) { line(worker).pointee &+= 1 }

    /// Counts one more open; false when there are `most` already. Large limits are borrowed in batches.
    @inline(__always)
    func openOne(most: UInt64, batch: UInt64, worker: Int) -> Bool {
        let spare = line(worker) + 1
        if spare.pointee > 0 {
            spare.pointee &-= 1
            return true
        }
        var seen = clinux_load_relaxed(open)
        while true {
            guard seen < most else { return false }
            let borrowed = min(batch, most &- seen)
            if clinux_compare_exchange(open, &seen, seen &+ borrowed) {
                spare.pointee = borrowed &- 1
                return true
            }
        }
    }

    /// Counts one less; what a worker has to spare beyond two batches goes back.
    @inline(__always)
    func closeOne(batch: UInt64, worker: Int) {
        let spare = line(worker) + 1
        spare.pointee &+= 1
        let kept = batch > 1 ? batch : 0
        if spare.pointee > kept &* 2 || kept == 0 {
            let returned = spare.pointee &- kept
            spare.pointee = kept
            _ = clinux_add_relaxed(open, 0 &- returned)
        }
    }
}

import CUring
import Synchronization

/// What the threads of a run and the one that watches them tell each other.
final class LoadBoard: Sendable {
    /// Threads whose connections are open, or could not be opened.
    let ready = Atomic<Int>(0)
    /// When all begin, in monotonic nanoseconds; 0 = not yet.
    let startAt = Atomic<UInt64>(0)
    /// Set to end early.
    let stop = Atomic<Bool>(false)
    /// Connections that are open when all are ready.
    let opened = Atomic<Int>(0)
    /// errno of the last connection that could not be opened.
    let lastFailure = Atomic<Int32>(0)
    private let lines: LoadLines

    init(threads: Int) { lines = LoadLines(threads: threads) }

    func publish(_ line: LoadProgress, thread: Int) { lines.store(line, thread) }

    /// The sum over all threads; the worst latency since the last call.
    func progress() -> LoadProgress { lines.sum() }
}

/// How far a run has come.
struct LoadProgress: Sendable, Equatable {
    var answered: UInt64 = 0
    var errors: UInt64 = 0
    var underWay: UInt64 = 0
    var queued: UInt64 = 0
    /// Of answers since the last look.
    var worstNanoseconds: UInt64 = 0
}

/// Words that threads store and another one reads; relaxed, since none depends on the other.
private struct LoadLines: @unchecked Sendable {
    private static let stride = 16
    private let words: UnsafeMutablePointer<UInt64>
    private let threads: Int

    init(threads: Int) {
        self.threads = threads
        words = .allocate(capacity: threads * Self.stride)
        words.initialize(repeating: 0, count: threads * Self.stride)
    }

    func store(_ line: LoadProgress, _ thread: Int) {
        let at = words + thread &* Self.stride
        clinux_store_relaxed(at, line.answered)
        clinux_store_relaxed(at + 1, line.errors)
        clinux_store_relaxed(at + 2, line.underWay)
        clinux_store_relaxed(at + 3, line.queued)
        if line.worstNanoseconds > clinux_load_relaxed(at + 4) { clinux_store_relaxed(at + 4, line.worstNanoseconds) }
    }

    func sum() -> LoadProgress {
        var sum = LoadProgress()
        for thread in 0..<threads {
            let at = words + thread &* Self.stride
            sum.answered += clinux_load_relaxed(at)
            sum.errors += clinux_load_relaxed(at + 1)
            sum.underWay += clinux_load_relaxed(at + 2)
            sum.queued += clinux_load_relaxed(at + 3)
            sum.worstNanoseconds = max(sum.worstNanoseconds, clinux_exchange(at + 4, 0))
        }
        return sum
    }
}

import CUring
import Glibc

/// What a worker tells the operator: records of fixed size in a ring of its own, which the control thread empties.
///
/// One thread writes and one reads. Writing neither allocates nor waits nor calls the kernel; a level that is off costs
/// one load. When the reader is late, new events are counted and lost, because old ones say how it began.
struct EventLog: BitwiseCopyable, @unchecked Sendable {
    /// By RFC 3164: a smaller number is graver.
    enum Level: UInt8, Sendable {
        case critical = 2, error, warning, notice, info, debug
    }

    /// One event; the reader gets a copy.
    struct Event: BitwiseCopyable {
        fileprivate(set) var level = Level.info
        /// What happened, as a constant of the program.
        fileprivate(set) var message: StaticString = ""
        /// Unit of `amount`, as "ms"; empty = there is no amount.
        fileprivate(set) var unit: StaticString = ""
        fileprivate(set) var amount: UInt64 = 0
        /// Why, in a word that stands for itself; empty = there is none.
        fileprivate(set) var reason: StaticString = ""
        /// errno of what failed; 0 = nothing did.
        fileprivate(set) var error: Int32 = 0
        fileprivate var subjectCount: UInt8 = 0
        fileprivate var subject = InlineArray<64, UInt8>(repeating: 0)

        /// Whom it happened to: the first 64 bytes of a name or an address.
        var subjectBytes: [UInt8] { (0..<Int(subjectCount)).map { subject[$0] } }
    }

    static let subjectBytesMax = 64

    /// Words that both threads read, each on a cache line of its own.
    private enum Word: Int, CaseIterable {
        case written, read, dropped, threshold
    }
    private static let wordStride = 8

    private let words: UnsafeMutablePointer<UInt64>
    private let events: UnsafeMutablePointer<Event>
    private let mask: UInt64

    /// - Parameter capacity: events that fit; a power of two.
    init(capacity: Int = 256, threshold: Level = .info) {
        precondition(capacity > 0 && capacity & (capacity - 1) == 0, "capacity must be a power of two")
        words = .allocate(capacity: Word.allCases.count * Self.wordStride)
        words.initialize(repeating: 0, count: Word.allCases.count * Self.wordStride)
        events = .allocate(capacity: capacity)
        events.initialize(repeating: Event(), count: capacity)
        mask = UInt64(capacity - 1)
        setThreshold(threshold)
    }

    private func word(_ word: Word) -> UnsafeMutablePointer<UInt64> { words + word.rawValue &* Self.wordStride }

    /// Switches levels on and off; from any thread.
    func setThreshold(_ level: Level) { clinux_store_relaxed(word(.threshold), UInt64(level.rawValue)) }

    /// How many events were lost because the ring was full; from any thread.
    var dropped: UInt64 { clinux_load_relaxed(word(.dropped)) }

    /// Records an event; only from the worker's thread.
    ///
    /// - Parameters:
    ///   - subject: whose name or address it is about; copied.
    ///   - error: errno of what failed, in either sign.
    ///   - amount: a number with its unit, as 250 and "ms".
    ///   - reason: why, in one word.
    func emit(
        _ level: Level, _ message: StaticString, subject: ByteSlice = .none, error: Int32 = 0, amount: UInt64 = 0,
        unit: StaticString = "", reason: StaticString = ""
    ) {
        guard UInt64(level.rawValue) <= clinux_load_relaxed(word(.threshold)) else { return }
        let written = word(.written).pointee
        guard written &- clinux_load_acquire(word(.read)) <= mask else {
            return clinux_store_relaxed(word(.dropped), word(.dropped).pointee &+ 1)
        }
        var event = Event()
        event.level = level
        event.message = message
        event.unit = unit
        event.amount = amount
        event.reason = reason
        event.error = error == .min ? 0 : abs(error)
        if let start = subject.start {
            let count = min(max(subject.count, 0), Self.subjectBytesMax)
            event.subjectCount = UInt8(count)
            withUnsafeMutableBytes(of: &event.subject) { $0.baseAddress!.copyMemory(from: start, byteCount: count) }
        }
        events[Int(written & mask)] = event
        clinux_store_release(word(.written), written &+ 1)
    }

    /// Takes the oldest event; nil when there is none. Only from the control thread.
    func next() -> Event? {
        let read = word(.read).pointee
        guard read != clinux_load_acquire(word(.written)) else { return nil }
        let event = events[Int(read & mask)]
        clinux_store_release(word(.read), read &+ 1)
        return event
    }

    /// Gives the memory back, when neither thread uses it any more.
    func release() {
        words.deallocate()
        events.deallocate()
    }
}

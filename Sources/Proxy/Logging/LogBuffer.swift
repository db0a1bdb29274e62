import Glibc

/// Lines of one log on one worker, on their way to its descriptor.
///
/// Two halves: one fills with whole lines while the other leaves, by one write at a time that the worker carries out
/// (through its ring) and reports back. Nothing is allocated after `init`. When the half that fills has no room for
/// another line, the line is dropped and counted, and the log says so as soon as there is room again.
///
/// Belongs to one thread. Must not end while a write is in flight, because the kernel reads from it.
struct LogBuffer: ~Copyable {
    /// From this many bytes on, lines leave without waiting for more.
    static let flushBytes = 64 * 1024
    /// How long a line waits for others.
    static let flushNanoseconds: UInt64 = 200_000_000
    /// Eight times the flush size: a write may take a tenth of a second on a busy machine, and what comes meanwhile has
    /// to go somewhere. Memory is touched only as far as lines have gathered.
    private static let halfBytes = 512 * 1024

    let framing: LogFraming
    let style: LogStyle
    /// Room that every line is given.
    let lineBytesMax: Int
    /// Times as text, kept from line to line.
    var clock = LogClock()
    private var filling: Half
    private var leaving: Half
    /// Bytes of `leaving` that a write carries now; 0 = none.
    private var inFlightBytes = 0
    /// The descriptor would not take more; the next try waits for the interval.
    private var isBackingOff = false
    /// The last write stopped inside a line whose rest is lost, so that the next one has to begin with a line break.
    private var endsTorn = false
    /// When what waits began to wait, as the worker's clock; 0 = not known yet.
    private var waitingSince: UInt64 = 0
    private var droppedReported: UInt64 = 0
    /// Lines that were given up: no room, or an error of the descriptor.
    private(set) var droppedLines: UInt64 = 0
    private(set) var writtenLines: UInt64 = 0
    private(set) var writeErrors: UInt64 = 0
    /// errno of the last failed write; 0 = none yet.
    private(set) var lastError: Int32 = 0
    /// Whether a syslog socket lost its listener and needs `reconnectSyslog`.
    var needsReconnect = false

    /// Lines from `start` to `end`. The byte at 0 is a line break that is sent only after a torn line.
    private struct Half {
        let base: UnsafeMutablePointer<UInt8>
        var start = 1
        var end = 1
        /// Lines of the log's own, without notices of drops.
        var lines: UInt64 = 0
        /// Where the last notice of drops ends, and how many it tells of; 0 = there is none.
        var noticeEnd = 0
        var noticeDrops: UInt64 = 0
        var isEmpty: Bool { start == end }

        init(bytes: Int) {
            base = .allocate(capacity: bytes)
            base[0] = UInt8(ascii: "\n")
        }

        mutating func clear() {
            start = 1
            end = 1
            lines = 0
            noticeEnd = 0
            noticeDrops = 0
        }
    }

    init(framing: LogFraming, style: LogStyle) {
        self.framing = framing
        self.style = style
        lineBytesMax = framing.lineBytesMax
        filling = Half(bytes: Self.halfBytes)
        leaving = Half(bytes: Self.halfBytes)
    }

    deinit {
        assert(inFlightBytes == 0, "the kernel still reads from this buffer")
        filling.base.deallocate()
        leaving.base.deallocate()
    }

    // MARK: Lines in

    /// Opens a line and gives its place, with room for `lineBytesMax` bytes; nil when there is none.
    mutating func beginLine() -> UnsafeMutablePointer<UInt8>? {
        guard filling.end + Self.noticeBytesMax + LogFraming.headerBytesMax + lineBytesMax < Self.halfBytes else {
            droppedLines &+= 1
            return nil
        }
        appendDropNotice()
        return headed()
    }

    /// Closes the line that `beginLine` opened and that ends before `cursor`.
    mutating func endLine(at cursor: UnsafeMutablePointer<UInt8>) {
        close(at: cursor)
        filling.lines &+= 1
    }

    private mutating func close(at cursor: UnsafeMutablePointer<UInt8>) {
        let end = cursor - filling.base
        precondition(end < Self.halfBytes, "a line of a log grew past its room")
        cursor[0] = UInt8(ascii: "\n")
        filling.end = end + 1
    }

    /// Writes what stands before every line and returns the place behind it.
    private mutating func headed() -> UnsafeMutablePointer<UInt8> {
        let start = filling.base + filling.end
        guard case .syslog(let header) = framing else { return start }
        return start + header.write(wallClockNanoseconds(), &clock, to: start)
    }

    /// Room for the notice with what stands before it.
    private static let noticeBytesMax = 64 + LogFraming.headerBytesMax

    /// Says how many lines were dropped since it was said last; nothing when none were. Needs `noticeBytesMax`.
    mutating func appendDropNotice() {
        let drops = droppedLines &- droppedReported
        guard drops > 0, filling.end + Self.noticeBytesMax < Self.halfBytes else { return }
        var line = LogLine(at: headed(), spare: 0, style: style)
        line.literal(style == .json ? ByteSlice(#"{"dropped_lines":"#) : ByteSlice("weir: "))
        line.number(drops)
        line.literal(style == .json ? ByteSlice("}") : ByteSlice(" lines dropped"))
        close(at: line.cursor)
        droppedReported = droppedLines
        filling.noticeEnd = filling.end
        filling.noticeDrops = drops
    }

    // MARK: Bytes out

    /// Whether nothing waits and nothing is in flight. A notice of drops waits for the next line to go with.
    var isEmpty: Bool { filling.isEmpty && leaving.isEmpty }
    var isWriting: Bool { inFlightBytes > 0 }
    /// Whether the next write begins a line, so that it may go to another descriptor (a reopened file).
    var isBetweenLines: Bool {
        inFlightBytes == 0 && (leaving.start == 0 || leaving.base[leaving.start - 1] == UInt8(ascii: "\n"))
    }

    /// Whether so much waits that a write is due now; asks no clock.
    var wantsFlush: Bool {
        inFlightBytes == 0 && !isBackingOff && (!leaving.isEmpty || filling.end - filling.start >= Self.flushBytes)
    }

    /// Whether a write is due at `now` (the worker's monotonic clock, in nanoseconds) by amount or by age.
    ///
    /// To be asked at every tick: the age of lines is counted from the first question after they came.
    mutating func wantsFlush(at now: UInt64) -> Bool {
        if inFlightBytes > 0 { return false }
        if isEmpty {
            waitingSince = 0
            return false
        }
        if wantsFlush { return true }
        if waitingSince == 0 { waitingSince = max(now, 1) }
        return now &- waitingSince >= Self.flushNanoseconds && now >= waitingSince
    }

    /// When `wantsFlush(at:)` will next turn true by age; nil when nothing waits for it.
    var flushDeadline: UInt64? {
        inFlightBytes > 0 || waitingSince == 0 ? nil : waitingSince &+ Self.flushNanoseconds
    }

    /// Gives the bytes of the next write, valid until `onWritten`; nil when nothing waits or a write is in flight.
    mutating func takeForWrite() -> (UnsafeRawPointer, Int)? {
        guard inFlightBytes == 0 else { return nil }
        if leaving.isEmpty {
            if filling.isEmpty { return nil }
            swap(&filling, &leaving)
            filling.clear()
            if endsTorn { leaving.start = 0 }
        }
        isBackingOff = false
        waitingSince = 0
        let start = leaving.base + leaving.start
        inFlightBytes = framing.nextWrite(from: start, count: leaving.end - leaving.start)
        return (UnsafeRawPointer(start), inFlightBytes)
    }

    /// Takes the result of the write: bytes written or a negative errno.
    ///
    /// A short write is resumed at its very byte. An interrupted or refused one is tried again. After any other error
    /// what was leaving is dropped and counted: a log must not hold up those it reports on.
    mutating func onWritten(_ result: Int32) {
        let attempted = inFlightBytes
        inFlightBytes = 0
        guard attempted > 0 else { return }
        if result > 0 { return advance(by: min(Int(result), attempted), of: attempted) }
        switch 0 &- result {
        case EINTR: break
        case 0, EAGAIN, ENOBUFS: isBackingOff = true
        case EMSGSIZE where framing.isDatagram:
            fail(EMSGSIZE)
            droppedLines &+= 1
            leaving.lines &-= 1
            leaving.start += attempted + 1
            clearWhenSent()
        case let error:
            fail(error)
            if framing.isDatagram { needsReconnect = true }
            giveUpLeaving()
        }
    }

    /// Forgets what is known about the old descriptor, after the worker took a new one between lines.
    mutating func onDescriptorChanged() {
        assert(isBetweenLines)
        endsTorn = false
        isBackingOff = false
        needsReconnect = false
        if leaving.start == 0 { leaving.start = 1 }
    }

    /// A datagram is taken whole or not at all; its line break stays behind.
    private mutating func advance(by count: Int, of attempted: Int) {
        leaving.start += framing.isDatagram ? attempted + 1 : count
        clearWhenSent()
    }

    private mutating func clearWhenSent() {
        guard leaving.isEmpty else { return }
        endsTorn = false
        writtenLines &+= leaving.lines
        leaving.clear()
    }

    private mutating func fail(_ error: Int32) {
        writeErrors &+= 1
        lastError = error
    }

    /// Drops what was leaving. A notice among it is not a line; what it told is still to be told.
    private mutating func giveUpLeaving() {
        guard !leaving.isEmpty else { return }
        let first = max(leaving.start, 1)
        var lost: UInt64 = 0
        for index in first..<leaving.end where leaving.base[index] == UInt8(ascii: "\n") { lost &+= 1 }
        if leaving.noticeEnd > first {
            lost &-= 1
            droppedReported &-= leaving.noticeDrops
        }
        droppedLines &+= lost
        writtenLines &+= leaving.lines &- lost
        if leaving.start > 0 { endsTorn = leaving.base[leaving.start - 1] != UInt8(ascii: "\n") }
        leaving.clear()
    }

    /// Drops and counts all that waits, because nobody will take it any more.
    mutating func giveUpEverything() {
        assert(inFlightBytes == 0)
        giveUpLeaving()
        swap(&filling, &leaving)
        giveUpLeaving()
    }
}

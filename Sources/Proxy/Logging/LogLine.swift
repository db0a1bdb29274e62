import Glibc

/// Writes the values of one line, never past the room that the line was given.
///
/// Numbers, times and addresses have a known greatest length, for which the format reserved room when it was compiled.
/// Text from peers has none: all of it together may take `spare` bytes, and what does not fit is cut and marked `...`.
struct LogLine: BitwiseCopyable {
    private(set) var cursor: UnsafeMutablePointer<UInt8>
    private var spare: Int
    let style: LogStyle
    /// Text of a peer did not fit, or was longer than a line repeats.
    private(set) var isCut = false

    /// Room that any value may need beside the bytes of a peer's text: quotes, the mark of a cut, a number, a time,
    /// an address.
    static let fixedBytesMax = 64
    /// Most bytes of one header field's value that a line repeats.
    static let fieldBytesMax = 1_024
    /// Most bytes of a target, a path or a query that a line repeats.
    static let targetBytesMax = 4_096

    init(at cursor: UnsafeMutablePointer<UInt8>, spare: Int, style: LogStyle) {
        self.cursor = cursor
        self.spare = spare
        self.style = style
    }

    mutating func byte(_ byte: UInt8) {
        cursor[0] = byte
        cursor += 1
    }

    /// Bytes that are safe already: the operator's own text.
    mutating func literal(_ bytes: ByteSlice) {
        guard let start = bytes.start else { return }
        memcpy(cursor, start, bytes.count)
        cursor += bytes.count
    }

    /// The sign that there is no value.
    mutating func missing() {
        switch style {
        case .text: byte(UInt8(ascii: "-"))
        case .json: literal(ByteSlice("null"))
        case .value, .target: break
        }
    }

    /// A peer's bytes, escaped; nothing and, in text, the empty value are printed as missing.
    mutating func text(_ value: ByteSlice, bytesMax: Int = fieldBytesMax) {
        guard let start = value.start, value.count > 0 || style == .json else { return missing() }
        openQuote()
        // Half a value would be another value: only lines are shortened, which says so with dots.
        let isLine = style == .text || style == .json
        let wanted = isLine ? min(value.count, bytesMax) : value.count
        let (taken, written) = escape(start, count: wanted, into: cursor, room: spare, style: style)
        cursor += written
        spare -= written
        if taken < value.count {
            isCut = true
            if isLine { literal(ByteSlice("...")) }
        }
        closeQuote()
    }

    /// One of our own words; `-` is printed as missing.
    mutating func word(_ word: StaticString) {
        let bytes = ByteSlice(word)
        if bytes.count == 1, word.utf8Start[0] == UInt8(ascii: "-") { return missing() }
        text(bytes)
    }

    mutating func flag(_ value: Bool) {
        switch style {
        case .text, .value, .target: byte(value ? UInt8(ascii: "1") : UInt8(ascii: "0"))
        case .json: literal(value ? ByteSlice("true") : ByteSlice("false"))
        }
    }

    mutating func number(_ value: UInt64) {
        var rest = value
        var digits = InlineArray<20, UInt8>(repeating: 0)
        var first = 20
        repeat {
            first &-= 1
            digits[first] = UInt8(truncatingIfNeeded: 48 &+ rest % 10)
            rest /= 10
        } while rest != 0
        while first < 20 {
            byte(digits[first])
            first &+= 1
        }
    }

    /// Nanoseconds as milliseconds with three decimals; a negative duration was not measured.
    mutating func milliseconds(_ nanoseconds: Int64) {
        guard nanoseconds >= 0 else { return missing() }
        thousandths(UInt64(nanoseconds) / 1_000)
    }

    /// A count of thousandths as a decimal number.
    mutating func thousandths(_ count: UInt64) {
        number(count / 1_000)
        let rest = count % 1_000
        byte(UInt8(ascii: "."))
        byte(UInt8(truncatingIfNeeded: 48 &+ rest / 100))
        byte(UInt8(truncatingIfNeeded: 48 &+ rest / 10 % 10))
        byte(UInt8(truncatingIfNeeded: 48 &+ rest % 10))
    }

    /// Sixteen hexadecimal digits.
    mutating func hexadecimal(_ value: UInt64) {
        openQuote()
        var shift: UInt64 = 64
        while shift > 0 {
            shift &-= 4
            let digit = UInt8(truncatingIfNeeded: (value >> shift) & 15)
            byte(digit < 10 ? 48 &+ digit : 87 &+ digit)
        }
        closeQuote()
    }

    mutating func commonTime(_ nanoseconds: UInt64, _ clock: inout LogClock) {
        openQuote()
        clock.writeCommon(nanoseconds, to: cursor)
        cursor += LogClock.commonBytes
        closeQuote()
    }

    mutating func isoTime(_ nanoseconds: UInt64, _ clock: inout LogClock) {
        openQuote()
        clock.writeISO(nanoseconds, to: cursor)
        cursor += LogClock.isoBytes
        closeQuote()
    }

    /// The time of RFC 3164; never quoted, because it stands before messages only.
    mutating func syslogTime(_ nanoseconds: UInt64, _ clock: inout LogClock) {
        clock.writeSyslog(nanoseconds, to: cursor)
        cursor += LogClock.syslogBytes
    }

    /// The address without its port.
    mutating func address(_ address: UnsafePointer<SocketAddress>?) {
        guard let address else { return missing() }
        openQuote()
        cursor += writeAddress(address, to: cursor)
        closeQuote()
    }

    mutating func openQuote() { if style == .json { byte(UInt8(ascii: "\"")) } }
    mutating func closeQuote() { if style == .json { byte(UInt8(ascii: "\"")) } }
}

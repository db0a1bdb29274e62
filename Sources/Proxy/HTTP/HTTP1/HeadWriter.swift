import Glibc

/// Writes a head into memory that the caller owns, and says at the end whether it fitted.
///
/// The one place of this room that holds a raw pointer, because it writes straight into send buffers: `base` must be
/// valid for `capacity` bytes while the writer lives. What does not fit is left out and `overflowed` stays set, so the
/// caller checks once; nothing is ever written past `capacity`.
struct HeadWriter {
    let base: UnsafeMutableRawPointer
    let capacity: Int
    /// Bytes written so far.
    private(set) var count = 0
    /// Something did not fit; the bytes written are no whole message.
    private(set) var overflowed = false

    init(base: UnsafeMutableRawPointer, capacity: Int) {
        self.base = base
        self.capacity = capacity < 0 ? 0 : capacity
    }

    /// Forgets what was written from `mark` on, an earlier `count`; `overflowed` stays as it is.
    mutating func truncate(to mark: Int) {
        precondition(mark >= 0 && mark <= count)
        count = mark
    }

    /// Room for `length` more bytes, or nil and the mark of overflow, after which nothing more is written.
    @inline(__always)
    private mutating func reserve(_ length: Int) -> UnsafeMutableRawPointer? {
        if overflowed || length > capacity &- count {
            overflowed = true
            return nil
        }
        let place = base + count
        count &+= length
        return place
    }

    @inline(__always)
    mutating func append(_ text: StaticString) {
        guard let place = reserve(text.utf8CodeUnitCount) else { return }
        memcpy(place, text.utf8Start, text.utf8CodeUnitCount)
    }

    @inline(__always)
    mutating func append(_ bytes: Span<UInt8>) {
        guard let place = reserve(bytes.count) else { return }
        bytes.withUnsafeBytes { source in
            if let address = source.baseAddress { memcpy(place, address, source.count) }
        }
    }

    @inline(__always)
    mutating func append(_ byte: UInt8) {
        reserve(1)?.storeBytes(of: byte, as: UInt8.self)
    }

    /// The place of the next byte for a printer that writes by itself, and how much is free there.
    var free: (place: UnsafeMutableRawPointer, room: Int) { (base + count, overflowed ? 0 : capacity &- count) }

    /// Counts `length` bytes that were written to the free place.
    mutating func advance(by length: Int) {
        precondition(length >= 0 && length <= capacity &- count)
        count &+= length
    }

    /// Notes that something did not fit.
    mutating func overflow() { overflowed = true }

    /// Writes 16 hexadecimal digits.
    mutating func append(hex16 value: UInt64) {
        guard let place = reserve(16) else { return }
        var offset = 16
        var rest = value
        while offset > 0 {
            offset &-= 1
            let digit = UInt8(truncatingIfNeeded: rest & 15)
            place.storeBytes(of: digit < 10 ? UInt8(ascii: "0") &+ digit : UInt8(ascii: "a") &- 10 &+ digit, toByteOffset: offset, as: UInt8.self)
            rest >>= 4
        }
    }

    /// Writes a number in decimal digits, without leading zeros.
    mutating func append(decimal value: UInt64) {
        var digits = 1
        var rest = value / 10
        while rest > 0 {
            digits &+= 1
            rest /= 10
        }
        guard let place = reserve(digits) else { return }
        rest = value
        var offset = digits
        while offset > 0 {
            offset &-= 1
            place.storeBytes(
                of: UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: rest % 10), toByteOffset: offset, as: UInt8.self)
            rest /= 10
        }
    }

    /// Writes a number in small hexadecimal digits, without leading zeros.
    mutating func append(hex value: UInt64) {
        let digits = value == 0 ? 1 : (67 &- value.leadingZeroBitCount) >> 2
        guard let place = reserve(digits) else { return }
        var offset = digits
        var rest = value
        while offset > 0 {
            offset &-= 1
            let digit = UInt8(truncatingIfNeeded: rest & 15)
            let byte = digit < 10 ? UInt8(ascii: "0") &+ digit : UInt8(ascii: "a") &- 10 &+ digit
            place.storeBytes(of: byte, toByteOffset: offset, as: UInt8.self)
            rest >>= 4
        }
    }

    /// Writes the line that opens a chunk of `length` bytes (RFC 9112 §7.1).
    mutating func appendChunkHead(length: UInt64) {
        append(hex: length)
        append("\r\n")
    }

    /// Writes the status line of a response with the usual reason phrase.
    mutating func appendStatusLine(_ status: UInt16) {
        append("HTTP/1.1 ")
        append(decimal: UInt64(status))
        append(ASCII.space)
        append(StatusCode(status).reason)
        append("\r\n")
    }

    /// Copies the lines of all fields that are neither hop-by-hop nor dropped, as they came, each with its CRLF.
    ///
    /// `fields` are the first `count` ranges that a parser filled, in the order of their lines, which lie side by side
    /// in `bytes` up to `fieldsEnd` (`headLength - 2`, or the count of a trailer section). Neighbours that are kept go
    /// in one copy.
    mutating func appendKeptFields(bytes: Span<UInt8>, fields: Span<FieldRange>, count: Int, fieldsEnd: Int) {
        var index = 0
        while index < count {
            if !fields[index].flags.isDisjoint(with: .notForwarded) {
                index &+= 1
                continue
            }
            let start = Int(fields[index].nameStart)
            repeat { index &+= 1 } while index < count && fields[index].flags.isDisjoint(with: .notForwarded)
            let end = index < count ? Int(fields[index].nameStart) : fieldsEnd
            append(bytes.extracting(start..<end))
        }
    }
}

/// How values are made safe to stand in a line.
enum LogStyle: UInt8, Sendable {
    /// Control bytes, quotes, backslashes and everything from 0x7f up become `\xHH`.
    case text
    /// A JSON string (RFC 8259): well-formed UTF-8 stays, stray bytes become the four characters `\xHH`.
    case json
    /// Part of a field's value (RFC 9110 §5.5): bytes stay as they are, control bytes are left out.
    case value
    /// Part of a URI (RFC 3986 §2): what may not stand in one is percent-encoded.
    case target
}

/// Copies bytes so that nothing in them can end a line or a string, or talk to a terminal.
///
/// Stops early rather than write past `room`; an escape is never cut in two.
/// - Returns: how many bytes of the source were taken and how many written.
func escape(
    _ source: UnsafeRawPointer, count: Int, into target: UnsafeMutablePointer<UInt8>, room: Int, style: LogStyle
) -> (taken: Int, written: Int) {
    switch style {
    case .text, .json: break
    case .value: return copyValue(source, count: count, into: target, room: room)
    case .target: return percentEncode(source, count: count, into: target, room: room)
    }
    var taken = 0
    var written = 0
    while taken < count {
        if count - taken >= 16, room - written >= 16 {
            let lanes = (source + taken).loadUnaligned(as: SIMD16<Int8>.self)
            let plain = plainPrefix(lanes)
            // The lanes behind the plain ones are overwritten by what comes next.
            UnsafeMutableRawPointer(target + written).storeBytes(of: lanes, as: SIMD16<Int8>.self)
            taken &+= plain
            written &+= plain
            if plain == 16 { continue }
        }
        let byte = source.load(fromByteOffset: taken, as: UInt8.self)
        if isPlain(byte) {
            if written == room { break }
            target[written] = byte
            taken &+= 1
            written &+= 1
            continue
        }
        if room - written < escapeBytesMax { break }
        switch style {
        case .text:
            written &+= writeHexEscape(byte, at: target + written)
            taken &+= 1
        case .json:
            let (bytes, letters) = escapeForJSON(source + taken, count: count - taken, at: target + written)
            taken &+= bytes
            written &+= letters
        case .value, .target: break
        }
    }
    return (taken, written)
}

/// Copies what may stand in the value of a field.
private func copyValue(
    _ source: UnsafeRawPointer, count: Int, into target: UnsafeMutablePointer<UInt8>, room: Int
) -> (taken: Int, written: Int) {
    var taken = 0
    var written = 0
    while taken < count {
        let byte = source.load(fromByteOffset: taken, as: UInt8.self)
        if byte >= 0x20 && byte != 0x7f || byte == 0x09 {
            if written == room { break }
            target[written] = byte
            written &+= 1
        }
        taken &+= 1
    }
    return (taken, written)
}

/// Copies what may stand in a URI and writes everything else as `%HH`; a percent sign is taken for the begin of one.
private func percentEncode(
    _ source: UnsafeRawPointer, count: Int, into target: UnsafeMutablePointer<UInt8>, room: Int
) -> (taken: Int, written: Int) {
    var taken = 0
    var written = 0
    while taken < count {
        let byte = source.load(fromByteOffset: taken, as: UInt8.self)
        let length = isTargetByte(byte) ? 1 : 3
        if room &- written < length { break }
        if length == 1 {
            target[written] = byte
        } else {
            target[written] = UInt8(ascii: "%")
            target[written &+ 1] = upperHexDigit(byte >> 4)
            target[written &+ 2] = upperHexDigit(byte & 15)
        }
        written &+= length
        taken &+= 1
    }
    return (taken, written)
}

private func upperHexDigit(_ value: UInt8) -> UInt8 { value < 10 ? 48 &+ value : 55 &+ value }

/// Whether a byte may stand in a URI as it is: unreserved, reserved, or the percent sign (RFC 3986 §2).
func isTargetByte(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "<"), UInt8(ascii: ">"), UInt8(ascii: "\\"), UInt8(ascii: "^"), UInt8(ascii: "`"),
        UInt8(ascii: "{"), UInt8(ascii: "|"), UInt8(ascii: "}"):
        false
    default: byte > 0x20 && byte < 0x7f
    }
}

/// The longest that one character of a value can become: `\u00HH`.
private let escapeBytesMax = 6

/// Whether a byte means nothing special in either style.
private func isPlain(_ byte: UInt8) -> Bool {
    byte >= 0x20 && byte < 0x7f && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\")
}

/// How many of 16 bytes, from the first, mean nothing special. As signed numbers, control bytes and those from 0x80
/// up are alike below 0x20.
private func plainPrefix(_ lanes: SIMD16<Int8>) -> Int {
    let special =
        (lanes .< SIMD16<Int8>(repeating: 0x20)) .| (lanes .== SIMD16<Int8>(repeating: 0x7f))
        .| (lanes .== SIMD16<Int8>(repeating: 0x22)) .| (lanes .== SIMD16<Int8>(repeating: 0x5c))
    let words = unsafeBitCast(special, to: SIMD2<UInt64>.self)
    if words[0] != 0 { return words[0].trailingZeroBitCount >> 3 }
    return 8 &+ (words[1].trailingZeroBitCount >> 3)
}

private func hexDigit(_ value: UInt8) -> UInt8 { value < 10 ? 48 &+ value : 87 &+ value }

/// Writes `\xHH`.
private func writeHexEscape(_ byte: UInt8, at target: UnsafeMutablePointer<UInt8>) -> Int {
    target[0] = UInt8(ascii: "\\")
    target[1] = UInt8(ascii: "x")
    target[2] = hexDigit(byte >> 4)
    target[3] = hexDigit(byte & 15)
    return 4
}

/// Writes one character of a JSON string that cannot stand as it is, or a well-formed UTF-8 sequence.
private func escapeForJSON(
    _ source: UnsafeRawPointer, count: Int, at target: UnsafeMutablePointer<UInt8>
) -> (taken: Int, written: Int) {
    let byte = source.load(as: UInt8.self)
    if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") {
        target[0] = UInt8(ascii: "\\")
        target[1] = byte
        return (1, 2)
    }
    if byte < 0x80 { return (1, writeUnicodeEscape(byte, at: target)) }
    let length = utf8SequenceLength(source, count: count)
    if length == 0 {
        target[0] = UInt8(ascii: "\\")
        return (1, 1 + writeHexEscape(byte, at: target + 1))
    }
    let second = source.load(fromByteOffset: 1, as: UInt8.self)
    // U+0080 to U+009F are control characters too, and some terminals obey them.
    if byte == 0xc2, second < 0xa0 { return (2, writeUnicodeEscape(second, at: target)) }
    for index in 0..<length { target[index] = source.load(fromByteOffset: index, as: UInt8.self) }
    return (length, length)
}

/// Writes `\u00HH`.
private func writeUnicodeEscape(_ code: UInt8, at target: UnsafeMutablePointer<UInt8>) -> Int {
    target[0] = UInt8(ascii: "\\")
    target[1] = UInt8(ascii: "u")
    target[2] = UInt8(ascii: "0")
    target[3] = UInt8(ascii: "0")
    target[4] = hexDigit(code >> 4)
    target[5] = hexDigit(code & 15)
    return 6
}

/// Length of the well-formed sequence of two to four bytes that begins here, by table 3-7 of the Unicode standard;
/// 0 when there is none.
private func utf8SequenceLength(_ source: UnsafeRawPointer, count: Int) -> Int {
    let first = source.load(as: UInt8.self)
    let length: Int
    var low: UInt8 = 0x80
    var high: UInt8 = 0xbf
    switch first {
    case 0xc2...0xdf: length = 2
    case 0xe0...0xef:
        length = 3
        if first == 0xe0 { low = 0xa0 }
        if first == 0xed { high = 0x9f }
    case 0xf0...0xf4:
        length = 4
        if first == 0xf0 { low = 0x90 }
        if first == 0xf4 { high = 0x8f }
    default: return 0
    }
    guard count >= length else { return 0 }
    let second = source.load(fromByteOffset: 1, as: UInt8.self)
    guard second >= low, second <= high else { return 0 }
    for index in 2..<max(length, 2) {
        guard source.load(fromByteOffset: index, as: UInt8.self) & 0xc0 == 0x80 else { return 0 }
    }
    return length
}

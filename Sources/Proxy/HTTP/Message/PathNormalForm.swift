/// Why a path has no normal form that every reader would agree on; all are answered with 400.
enum PathRefusal: UInt8, CaseIterable, Error, Sendable {
    /// The path does not begin with a slash.
    case relative
    /// `%` without two hexadecimal digits after it (RFC 3986 §2.1).
    case escapeInvalid
    /// An escaped slash or backslash: some readers see a separator, some a letter.
    case separatorEscaped
    /// An escaped control byte, NUL above all.
    case controlEscaped
    /// A backslash, which some readers turn into a slash.
    case backslash
    /// More `..` than there are segments above (RFC 3986 §5.2.4 drops them silently).
    case aboveRoot
    /// `..;a=b`: a dot segment to readers who know path parameters, a name to the others.
    case dotsWithParameter
    /// The normal form does not fit into the buffer given.
    case tooLong
    /// A byte that no request target has: a control byte, a space, `#`, `?` or one above ASCII.
    case byteInvalid

    /// The word that stands in logs and counters.
    var word: StaticString {
        switch self {
        case .relative: "path-relative"
        case .escapeInvalid: "path-escape-invalid"
        case .separatorEscaped: "path-separator-escaped"
        case .controlEscaped: "path-control-escaped"
        case .backslash: "path-backslash"
        case .aboveRoot: "path-above-root"
        case .dotsWithParameter: "path-dots-with-parameter"
        case .tooLong: "path-too-long"
        case .byteInvalid: "path-byte-invalid"
        }
    }
}

/// What bringing a path into its normal form came to.
enum PathNormalForm: Equatable, Sendable {
    /// The first `length` bytes of the buffer hold it.
    case complete(length: Int)
    case failed(PathRefusal)
}

/// Writes the normal form of a path, without its query, into `buffer` (RFC 3986 §6.2.2).
///
/// Escapes of unreserved bytes are resolved, other escapes get capital digits, printable bytes that a path may not
/// hold are escaped, dot segments are taken out; empty segments stay, since they may carry meaning. The normal form of
/// a normal form is itself. What readers resolve in different ways is refused by name. Needs at most three times
/// `length` bytes of room; costs linear time.
func normalizePath(
    _ bytes: Span<UInt8>, start: Int, length: Int, into buffer: inout MutableSpan<UInt8>
) -> PathNormalForm {
    let end = start &+ length
    if length == 0 || bytes[start] != UInt8(ascii: "/") { return .failed(.relative) }
    var index = start
    var count = 0
    while index < end {
        var byte = bytes[index]
        index &+= 1
        var isEscaped = false
        if byte == UInt8(ascii: "%") {
            guard end &- index >= 2, let high = hexadecimalValue(bytes[index]),
                let low = hexadecimalValue(bytes[index &+ 1])
            else { return .failed(.escapeInvalid) }
            index &+= 2
            byte = high << 4 | low
            if byte == UInt8(ascii: "/") || byte == UInt8(ascii: "\\") { return .failed(.separatorEscaped) }
            if byte < 0x20 || byte == 0x7f { return .failed(.controlEscaped) }
            isEscaped = !UnreservedBytes.contains(byte)
        } else if byte == UInt8(ascii: "/") {
            if count > 0, let refusal = closeSegment(&buffer, count: &count, isLast: false) { return .failed(refusal) }
        } else if byte == UInt8(ascii: "\\") {
            return .failed(.backslash)
        } else if !TargetBytes.contains(byte) || byte == UInt8(ascii: "?") {
            return .failed(.byteInvalid)
        } else {
            isEscaped = !isPathByte(byte)
        }
        if buffer.count &- count < (isEscaped ? 3 : 1) { return .failed(.tooLong) }
        if isEscaped {
            buffer[count] = UInt8(ascii: "%")
            buffer[count &+ 1] = hexadecimalDigit(byte >> 4)
            buffer[count &+ 2] = hexadecimalDigit(byte & 15)
            count &+= 3
        } else {
            buffer[count] = byte
            count &+= 1
        }
    }
    if let refusal = closeSegment(&buffer, count: &count, isLast: true) { return .failed(refusal) }
    return .complete(length: count)
}

/// Tells whether a path is plainly in its normal form, so that it can be used as it came: it holds neither escapes nor
/// segments that begin with a dot, nor bytes that need escapes. One that is not plainly so may still be.
func isNormalPath(_ bytes: Span<UInt8>) -> Bool {
    var before: UInt8 = 0
    var index = 0
    while index < bytes.count {
        let byte = bytes[index]
        if !isPathByte(byte) || byte == UInt8(ascii: ".") && before == UInt8(ascii: "/") { return false }
        before = byte
        index &+= 1
    }
    return bytes.count > 0 && bytes[0] == UInt8(ascii: "/")
}

/// Resolves the segment at the end of `buffer` when it is a dot segment; `buffer` begins with a slash.
///
/// A dot segment that is followed by a slash goes with the slash before it, which the next one replaces; the last
/// segment leaves its slash behind.
private func closeSegment(_ buffer: inout MutableSpan<UInt8>, count: inout Int, isLast: Bool) -> PathRefusal? {
    var segment = count
    while buffer[segment &- 1] != UInt8(ascii: "/") { segment &-= 1 }
    var dots = 0
    while segment &+ dots < count && buffer[segment &+ dots] == UInt8(ascii: ".") { dots &+= 1 }
    if dots == 0 || dots > 2 { return nil }
    if segment &+ dots < count { return buffer[segment &+ dots] == UInt8(ascii: ";") ? .dotsWithParameter : nil }
    if dots == 2 {
        if segment == 1 { return .aboveRoot }
        segment &-= 1
        while buffer[segment &- 1] != UInt8(ascii: "/") { segment &-= 1 }
    }
    count = isLast ? segment : segment &- 1
    return nil
}

/// What a path may hold unescaped: `pchar` and the slash (RFC 3986 §3.3).
@inline(__always)
func isPathByte(_ byte: UInt8) -> Bool {
    let low: UInt64 = 0x2fff_ffd2_0000_0000  // ! $ & ' ( ) * + , - . / 0-9 : ; =
    let high: UInt64 = 0x47ff_fffe_87ff_ffff  // @ A-Z _ a-z ~
    if byte >= 0x80 { return false }
    return (byte < 0x40 ? low : high) >> UInt64(byte & 0x3f) & 1 == 1
}

func hexadecimalDigit(_ value: UInt8) -> UInt8 {
    value < 10 ? UInt8(ascii: "0") &+ value : UInt8(ascii: "A") &- 10 &+ value
}

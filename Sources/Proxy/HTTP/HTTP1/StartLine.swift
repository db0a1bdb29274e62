/// What reading a part of a start line came to; `end` is the index after it.
enum LinePartParse {
    case complete(minor: UInt8, end: Int)
    case outOfBytes
    case failed(ParseFailure)
}

/// `HTTP/1.` as a little-endian word.
private let versionPrefix: UInt64 = 0x2e_312f_5054_5448

/// Reads `HTTP/1.0` or `HTTP/1.1`, looking at no byte from `end` on (RFC 9112 §2.3).
@inline(__always)
func parseVersion(_ bytes: Span<UInt8>, from start: Int, to end: Int) -> LinePartParse {
    if end &- start >= 8 {
        let word = load8(bytes, at: start)
        if word == versionPrefix | UInt64(UInt8(ascii: "1")) << 56 { return .complete(minor: 1, end: start &+ 8) }
        if word == versionPrefix | UInt64(UInt8(ascii: "0")) << 56 { return .complete(minor: 0, end: start &+ 8) }
    }
    return parseOddVersion(bytes, from: start, to: end)
}

/// Tells a version that is cut short from one that is not served and from none at all.
private func parseOddVersion(_ bytes: Span<UInt8>, from start: Int, to end: Int) -> LinePartParse {
    var offset = 0
    while offset < 8 {
        if start &+ offset >= end { return .outOfBytes }
        let byte = bytes[start &+ offset]
        let isRight: Bool
        if offset == 5 || offset == 7 {
            isRight = byte &- UInt8(ascii: "0") <= 9
        } else if offset == 6 {
            isRight = byte == UInt8(ascii: ".")
        } else {
            isRight = byte == UInt8(truncatingIfNeeded: versionPrefix >> (8 &* UInt64(offset)))
        }
        if !isRight { return .failed(.versionInvalid) }
        offset &+= 1
    }
    return .failed(.versionUnsupported)
}

/// Reads CRLF at `start`; `otherwise` names what else stands there.
@inline(__always)
func parseLineEnd(
    _ bytes: Span<UInt8>, from start: Int, to end: Int, otherwise: ParseFailure
) -> LinePartParse {
    if start >= end { return .outOfBytes }
    if bytes[start] != ASCII.carriageReturn {
        return .failed(bytes[start] == ASCII.lineFeed ? .bareLineFeed : otherwise)
    }
    if start &+ 1 >= end { return .outOfBytes }
    if bytes[start &+ 1] != ASCII.lineFeed { return .failed(.bareCarriageReturn) }
    return .complete(minor: 0, end: start &+ 2)
}

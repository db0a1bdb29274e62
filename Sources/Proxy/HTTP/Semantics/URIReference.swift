/// A reference to a resource as ranges over the bytes that it stands in (RFC 3986 §4.1), as far as it can be mapped.
struct URIReference: Equatable, Sendable {
    enum Form: Sendable {
        /// `http://host/path`, `https://host/path` or `//host/path`.
        case absolute
        /// `/path` on the same authority.
        case path
        /// Another scheme, a relative path, or something that readers understand differently: to be left alone.
        case other
    }
    var form = Form.other
    /// The scheme is https.
    var isSecure = false
    /// The scheme is said; `//host` leaves it to the reader.
    var hasScheme = false
    /// Meaningful where the form is `.absolute`.
    var authority = Authority()
    /// The path without its query; empty where an authority stands alone.
    var pathStart = 0
    var pathLength = 0
}

/// Takes the reference in `start..<end` apart; judges nothing but what is needed to map it.
///
/// A reference with a backslash, a control byte or a space is `other`, and so is one whose path holds dot segments,
/// escaped or not: what a browser makes of it is not what it seems to say.
func parseURIReference(_ bytes: Span<UInt8>, start: Int, end: Int) -> URIReference {
    var reference = URIReference()
    var index = start
    while index < end {
        let byte = bytes[index]
        if byte <= 0x20 || byte == 0x7f || byte == UInt8(ascii: "\\") { return reference }
        index &+= 1
    }
    guard start < end else { return reference }
    var authorityStart = -1
    if bytes[start] == UInt8(ascii: "/") {
        if end &- start > 1 && bytes[start &+ 1] == UInt8(ascii: "/") { authorityStart = start &+ 2 }
    } else if end &- start > 7 && equalsFolded(bytes, start: start, length: 7, "http://") {
        authorityStart = start &+ 7
        reference.hasScheme = true
    } else if end &- start > 8 && equalsFolded(bytes, start: start, length: 8, "https://") {
        authorityStart = start &+ 8
        reference.hasScheme = true
        reference.isSecure = true
    } else {
        return reference
    }
    reference.pathStart = start
    if authorityStart >= 0 {
        var authorityEnd = authorityStart
        while authorityEnd < end && !endsAuthority(bytes[authorityEnd]) { authorityEnd &+= 1 }
        guard let authority = parseAuthority(bytes, start: authorityStart, end: authorityEnd) else { return reference }
        reference.authority = authority
        reference.pathStart = authorityEnd
    }
    var pathEnd = reference.pathStart
    while pathEnd < end && bytes[pathEnd] != UInt8(ascii: "?") && bytes[pathEnd] != UInt8(ascii: "#") { pathEnd &+= 1 }
    reference.pathLength = pathEnd &- reference.pathStart
    if hasDotSegment(bytes, start: reference.pathStart, end: pathEnd) { return reference }
    reference.form = authorityStart >= 0 ? .absolute : .path
    return reference
}

@inline(__always)
private func endsAuthority(_ byte: UInt8) -> Bool {
    byte == UInt8(ascii: "/") || byte == UInt8(ascii: "?") || byte == UInt8(ascii: "#")
}

/// Tells whether a path has a segment that is `.` or `..`, with its dots escaped or not, or followed by `;`.
func hasDotSegment(_ bytes: Span<UInt8>, start: Int, end: Int) -> Bool {
    var index = start
    while index < end {
        // At the begin of a segment, or at the slash before it.
        if bytes[index] == UInt8(ascii: "/") { index &+= 1 }
        var dots = 0
        while index < end {
            if bytes[index] == UInt8(ascii: ".") {
                index &+= 1
            } else if end &- index >= 3 && bytes[index] == UInt8(ascii: "%") && bytes[index &+ 1] == UInt8(ascii: "2")
                && bytes[index &+ 2] | 0x20 == UInt8(ascii: "e")
            {
                index &+= 3
            } else {
                break
            }
            dots &+= 1
        }
        let isWhole = index == end || bytes[index] == UInt8(ascii: "/") || bytes[index] == UInt8(ascii: ";")
        if isWhole && (dots == 1 || dots == 2) { return true }
        while index < end && bytes[index] != UInt8(ascii: "/") { index &+= 1 }
    }
    return false
}

/// Tells whether the path in `start..<start+length` is `prefix` or lies below it; `prefix` has no slash at its end, and
/// the empty one is above every path.
func isUnder(_ bytes: Span<UInt8>, start: Int, length: Int, _ prefix: Span<UInt8>) -> Bool {
    guard length >= prefix.count else { return false }
    var offset = 0
    while offset < prefix.count {
        if bytes[start &+ offset] != prefix[offset] { return false }
        offset &+= 1
    }
    return length == prefix.count || bytes[start &+ prefix.count] == UInt8(ascii: "/")
}

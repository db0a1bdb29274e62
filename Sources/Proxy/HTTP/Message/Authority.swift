/// A host and port as ranges over the message, checked.
struct Authority: Equatable, Sendable {
    /// The host begins where the authority does; an IPv6 address keeps its brackets.
    var start = 0
    /// Bytes of host, colon and port.
    var length = 0
    /// Bytes of the host alone.
    var hostLength = 0
    /// The port as said; -1 when none was, or only its colon.
    var port = -1
}

/// Reads `host[:port]` in `start..<end` (RFC 9110 §7.2, RFC 3986 §3.2); nil when it is anything else or empty.
///
/// Narrower than the RFC's `reg-name`: letters, digits, `-`, `.`, `_` and `~` only, which is all that names in DNS
/// need; percent-encoding and sub-delimiters (`,` `;` `'` `(` …) in a host serve only to make two readers see two
/// hosts. In brackets, the bytes of an IPv6 address. User information is refused by its `@`.
func parseAuthority(_ bytes: Span<UInt8>, start: Int, end: Int) -> Authority? {
    if start >= end { return nil }
    var index = start
    if bytes[index] == UInt8(ascii: "[") {
        index &+= 1
        while index < end && isAddressByte(bytes[index]) { index &+= 1 }
        // The shortest address is "::"; the longest has 45 bytes.
        if index == end || bytes[index] != UInt8(ascii: "]") || index &- start < 3 || index &- start > 46 { return nil }
        index &+= 1
    } else {
        index = firstOutside(UnreservedBytes.self, bytes, from: start, to: end)
        if index == start { return nil }
    }
    let hostLength = index &- start
    var port = -1
    if index < end {
        if bytes[index] != ASCII.colon || end &- index > 6 { return nil }
        index &+= 1
        while index < end {
            let digit = bytes[index] &- UInt8(ascii: "0")
            if digit > 9 { return nil }
            port = (port < 0 ? 0 : port &* 10) &+ Int(digit)
            index &+= 1
        }
        if port > 65_535 { return nil }
    }
    return Authority(start: start, length: end &- start, hostLength: hostLength, port: port)
}

/// Tells whether two authorities of one message name the same place; a missing port is `defaultPort`.
func sameAuthority(_ bytes: Span<UInt8>, _ one: Authority, _ other: Authority, defaultPort: Int) -> Bool {
    one.hostLength == other.hostLength
        && equalsFolded(bytes, start: one.start, otherStart: other.start, length: one.hostLength)
        && (one.port < 0 ? defaultPort : one.port) == (other.port < 0 ? defaultPort : other.port)
}

private func isAddressByte(_ byte: UInt8) -> Bool {
    let letter = lowercased(byte)
    return byte &- UInt8(ascii: "0") <= 9 || letter &- UInt8(ascii: "a") < 6 || byte == ASCII.colon
        || byte == UInt8(ascii: ".")
}

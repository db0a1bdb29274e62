/// Takes the target of a request apart by its form (RFC 9112 §3.2); its bytes are printable ASCII without `#`.
@inline(__always)
func parseTarget(_ bytes: Span<UInt8>, head: inout RequestHead) -> ParseFailure? {
    let start = head.targetStart
    let end = start &+ head.targetLength
    if head.method == .connect { return parseAuthorityTarget(bytes, start: start, end: end, head: &head) }
    if bytes[start] == UInt8(ascii: "/") {
        head.form = .origin
        splitPath(bytes, from: start, to: end, head: &head)
        return nil
    }
    if bytes[start] == UInt8(ascii: "*") && head.targetLength == 1 {
        head.form = .asterisk
        return head.method == .options ? nil : .targetFormInvalid
    }
    return parseAbsoluteTarget(bytes, start: start, end: end, head: &head)
}

@inline(__always)
private func splitPath(_ bytes: Span<UInt8>, from start: Int, to end: Int, head: inout RequestHead) {
    let pathEnd = firstByte(UInt8(ascii: "?"), bytes, from: start, to: end)
    head.pathStart = start
    head.pathLength = pathEnd &- start
    head.hasQuery = pathEnd < end
    head.queryStart = head.hasQuery ? pathEnd &+ 1 : end
    head.queryLength = end &- head.queryStart
}

/// `host:port` and nothing else; the port must be said (RFC 9112 §3.2.3).
private func parseAuthorityTarget(
    _ bytes: Span<UInt8>, start: Int, end: Int, head: inout RequestHead
) -> ParseFailure? {
    head.form = .authority
    if bytes[start] == UInt8(ascii: "/") || bytes[start] == UInt8(ascii: "*") { return .targetFormInvalid }
    guard let authority = parseAuthority(bytes, start: start, end: end), authority.port >= 0 else {
        return .targetAuthorityInvalid
    }
    setAuthority(authority, head: &head)
    return nil
}

/// `http://host[:port][/path][?query]`, the scheme in any case (RFC 9112 §3.2.2).
private func parseAbsoluteTarget(
    _ bytes: Span<UInt8>, start: Int, end: Int, head: inout RequestHead
) -> ParseFailure? {
    head.form = .absolute
    let schemeEnd = firstByte(ASCII.colon, bytes, from: start, to: end)
    if schemeEnd == end { return .targetFormInvalid }
    head.isSecureTarget = equalsFolded(bytes, start: start, length: schemeEnd &- start, "https")
    if !head.isSecureTarget && !equalsFolded(bytes, start: start, length: schemeEnd &- start, "http") {
        return .targetSchemeInvalid
    }
    let authorityStart = schemeEnd &+ 3
    guard authorityStart <= end, bytes[schemeEnd &+ 1] == UInt8(ascii: "/"), bytes[schemeEnd &+ 2] == UInt8(ascii: "/")
    else { return .targetAuthorityInvalid }
    var authorityEnd = authorityStart
    while authorityEnd < end && bytes[authorityEnd] != UInt8(ascii: "/") && bytes[authorityEnd] != UInt8(ascii: "?") {
        authorityEnd &+= 1
    }
    guard let authority = parseAuthority(bytes, start: authorityStart, end: authorityEnd) else {
        return .targetAuthorityInvalid
    }
    setAuthority(authority, head: &head)
    splitPath(bytes, from: authorityEnd, to: end, head: &head)
    return nil
}

private func setAuthority(_ authority: Authority, head: inout RequestHead) {
    head.hostStart = authority.start
    head.hostLength = authority.length
    head.hostNameLength = authority.hostLength
    head.port = authority.port
}

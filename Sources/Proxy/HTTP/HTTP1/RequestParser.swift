/// Empty lines that are skipped before a request line; some old clients send one after a body (RFC 9112 §2.2).
let emptyLinesMax = 4
/// No method in the registry comes near it.
let methodLengthMax = 32

/// Reads a request head from its first byte (RFC 9112 §2 to §7), refusing whatever two readers could read differently.
///
/// Judges from left to right and remembers nothing: called again with more bytes it says the same, and a fault is
/// named as soon as its bytes are there, as is a line or head that has outgrown its limit. A head that comes in many
/// pieces is best read once at its first bytes and again when `HeadArrival` says so. `fields` and `head` hold the
/// result only after `complete`. Allocates nothing and traps on no input.
func parseRequestHead(
    _ bytes: Span<UInt8>, fields: inout MutableSpan<FieldRange>, limits: HeadLimits, head: inout RequestHead
) -> HeadParse {
    let headEndMax = limits.headBytesMaxInUse
    let end = bytes.count < headEndMax ? bytes.count : headEndMax

    var start = 0
    while start < end && bytes[start] == ASCII.carriageReturn {
        if start == 2 &* emptyLinesMax { return .failed(.tooManyEmptyLines) }
        if start &+ 1 == end { return bytes.count >= headEndMax ? .failed(.headTooLarge) : .incomplete }
        if bytes[start &+ 1] != ASCII.lineFeed { return .failed(.bareCarriageReturn) }
        start &+= 2
    }

    head = RequestHead()
    let fieldsStart: Int
    switch parseRequestLine(bytes, from: start, to: end, lineBytesMax: limits.lineBytesMaxInUse, head: &head) {
    case .complete(_, let next): fieldsStart = next
    case .outOfBytes: return bytes.count >= headEndMax ? .failed(.requestLineTooLong) : .incomplete
    case .failed(let failure): return .failed(failure)
    }

    var facts = FieldFacts()
    switch parseFieldSection(
        bytes, from: fieldsStart, to: end, fields: &fields, fieldsMax: limits.fieldsMax, facts: &facts)
    {
    case .complete(let next, let count):
        head.headLength = next
        head.fieldsStart = fieldsStart
        head.fieldCount = count
    case .outOfBytes: return bytes.count >= headEndMax ? .failed(.headTooLarge) : .incomplete
    case .failed(let failure): return .failed(failure)
    }
    if facts.nominates { markNominated(bytes, fields: &fields, count: head.fieldCount) }
    if let failure = settleHost(bytes, fields: fields, facts: facts, head: &head) { return .failed(failure) }
    if let failure = settleFraming(facts, head: &head) { return .failed(failure) }
    return .complete
}

/// Reads method, target and version with their CRLF, looking at no byte from `headEnd` on.
@inline(__always)
private func parseRequestLine(
    _ bytes: Span<UInt8>, from start: Int, to headEnd: Int, lineBytesMax: Int, head: inout RequestHead
) -> LinePartParse {
    // The window that the line may fill with its CRLF, when it is shorter than what has come.
    let isLimited = lineBytesMax <= headEnd &- start &- 2
    let end = isLimited ? start &+ lineBytesMax &+ 2 : headEnd
    let outOfBytes: LinePartParse = isLimited ? .failed(.requestLineTooLong) : .outOfBytes

    // Method.
    var index = start
    while index < end && TokenBytes.contains(bytes[index]) {
        index &+= 1
        if index &- start > methodLengthMax { return .failed(.methodTooLong) }
    }
    if index == end { return outOfBytes }
    if bytes[index] != ASCII.space || index == start {
        return .failed(bytes[index] == ASCII.lineFeed ? .bareLineFeed : .methodInvalid)
    }
    head.methodStart = start
    head.methodLength = index &- start
    if head.methodLength <= 8 {
        head.method = Method(
            length: head.methodLength, word: shortWord(bytes, at: start, length: head.methodLength))
    }

    // Target.
    let targetStart = index &+ 1
    let targetEnd = firstOutside(TargetBytes.self, bytes, from: targetStart, to: end)
    if targetEnd == end { return outOfBytes }
    if bytes[targetEnd] != ASCII.space || targetEnd == targetStart {
        // A line that ends here has no version: HTTP/0.9 is not spoken.
        switch parseLineEnd(bytes, from: targetEnd, to: end, otherwise: .targetInvalid) {
        case .complete: return .failed(targetEnd == targetStart ? .targetInvalid : .versionInvalid)
        case .outOfBytes: return outOfBytes
        case .failed(let failure): return .failed(failure)
        }
    }
    head.targetStart = targetStart
    head.targetLength = targetEnd &- targetStart

    // Version.
    let versionEnd: Int
    switch parseVersion(bytes, from: targetEnd &+ 1, to: end) {
    case .complete(let minor, let next):
        head.versionMinor = minor
        versionEnd = next
    case .outOfBytes: return outOfBytes
    case .failed(let failure): return .failed(failure)
    }
    switch parseLineEnd(bytes, from: versionEnd, to: end, otherwise: .versionInvalid) {
    case .complete(_, let next):
        if let failure = parseTarget(bytes, head: &head) { return .failed(failure) }
        return .complete(minor: head.versionMinor, end: next)
    case .outOfBytes: return outOfBytes
    case .failed(let failure): return .failed(failure)
    }
}

/// Decides the effective authority, and refuses a request that names none, several or two (RFC 9112 §3.2).
@inline(__always)
private func settleHost(
    _ bytes: Span<UInt8>, fields: borrowing MutableSpan<FieldRange>, facts: FieldFacts, head: inout RequestHead
) -> ParseFailure? {
    head.hostField = facts.hostField
    if facts.hostField < 0 { return head.versionMinor == 1 ? .hostMissing : nil }
    let field = fields[facts.hostField]
    let start = Int(field.valueStart)
    if field.valueLength == 0 {
        // An empty Host says that the target has no authority, as `OPTIONS *` may have none (RFC 9110 §7.2).
        if head.hostLength > 0 { return .hostDisagrees }
        return head.form == .asterisk || head.versionMinor == 0 ? nil : .hostInvalid
    }
    guard let host = parseAuthority(bytes, start: start, end: start &+ Int(field.valueLength)) else {
        return .hostInvalid
    }
    if head.form == .absolute || head.form == .authority {
        let target = Authority(
            start: head.hostStart, length: head.hostLength, hostLength: head.hostNameLength, port: head.port)
        let defaultPort = head.form == .authority ? -1 : head.isSecureTarget ? 443 : 80
        return sameAuthority(bytes, target, host, defaultPort: defaultPort) ? nil : .hostDisagrees
    }
    head.hostStart = host.start
    head.hostLength = host.length
    head.hostNameLength = host.hostLength
    head.port = host.port
    return nil
}

/// Decides how the body ends and what the connection does after it (RFC 9112 §6.3, §9.3).
@inline(__always)
private func settleFraming(_ facts: FieldFacts, head: inout RequestHead) -> ParseFailure? {
    let isCurrent = head.versionMinor == 1
    if facts.transferEncodingField >= 0 {
        if !isCurrent { return .transferCodingMisplaced }
        head.framing = .chunked
    } else if facts.contentLengthField >= 0 {
        head.framing = .length(facts.contentLength)
    } else {
        head.framing = .none
    }
    let hasBody = head.framing.hasBody
    if hasBody && (head.method == .connect || head.method == .trace) { return .contentNotAllowed }
    // HTTP/1.0 knows no expectations and no upgrades; what it says of them is ignored (RFC 9110 §10.1.1, §7.8).
    if facts.expectsOther && isCurrent { return .expectationUnsupported }
    head.expectsContinue = facts.expectsContinue && isCurrent && hasBody
    head.upgradeField = facts.upgradeField
    head.wantsUpgrade = facts.upgrades && facts.upgradeField >= 0 && isCurrent
    head.acceptsTrailers = facts.acceptsTrailers && isCurrent
    head.keepAlive = !facts.closes && (isCurrent || facts.keepsAlive)
    return nil
}

/// Reads a response head from its first byte (RFC 9112 §4 to §6); a backend's answer is trusted no more than a request.
///
/// `requestMethod` is that of the request it answers, since HEAD and CONNECT decide whether a body follows. Judges
/// from left to right and remembers nothing, as `parseRequestHead` does; `fields` and `head` hold the result only
/// after `complete`. Nothing may stand before the status line.
func parseResponseHead(
    _ bytes: Span<UInt8>, fields: inout MutableSpan<FieldRange>, limits: HeadLimits, requestMethod: Method,
    head: inout ResponseHead
) -> HeadParse {
    let headEndMax = limits.headBytesMaxInUse
    let end = bytes.count < headEndMax ? bytes.count : headEndMax
    head = ResponseHead()
    let fieldsStart: Int
    switch parseStatusLine(bytes, to: end, lineBytesMax: limits.lineBytesMaxInUse, head: &head) {
    case .complete(_, let next): fieldsStart = next
    case .outOfBytes: return bytes.count >= headEndMax ? .failed(.headTooLarge) : .incomplete
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
    if let failure = settleFraming(facts, requestMethod: requestMethod, fields: &fields, head: &head) {
        return .failed(failure)
    }
    return .complete
}

/// Reads version, status and reason with their CRLF, looking at no byte from `headEnd` on.
///
/// The reason may be missing with the space before it, as many servers leave it (RFC 9112 §4 asks for the space).
@inline(__always)
private func parseStatusLine(
    _ bytes: Span<UInt8>, to headEnd: Int, lineBytesMax: Int, head: inout ResponseHead
) -> LinePartParse {
    let isLimited = lineBytesMax <= headEnd &- 2
    let end = isLimited ? lineBytesMax &+ 2 : headEnd
    let outOfBytes: LinePartParse = isLimited ? .failed(.statusLineTooLong) : .outOfBytes
    switch parseVersion(bytes, from: 0, to: end) {
    case .complete(let minor, _): head.versionMinor = minor
    case .outOfBytes: return outOfBytes
    case .failed(let failure): return .failed(failure)
    }

    if end <= 8 { return outOfBytes }
    if bytes[8] != ASCII.space { return .failed(bytes[8] == ASCII.lineFeed ? .bareLineFeed : .versionInvalid) }
    var status: UInt16 = 0
    var index = 9
    while index < 12 {
        if index >= end { return outOfBytes }
        let digit = bytes[index] &- UInt8(ascii: "0")
        let isRight = index == 9 ? digit &- 1 < 5 : digit <= 9
        if !isRight { return .failed(.statusInvalid) }
        status = status &* 10 &+ UInt16(digit)
        index &+= 1
    }
    head.status = status

    if index >= end { return outOfBytes }
    if bytes[index] == ASCII.space {
        index &+= 1
        head.reasonStart = index
        index = firstOutside(ValueBytes.self, bytes, from: index, to: end)
        head.reasonLength = index &- head.reasonStart
        switch parseLineEnd(bytes, from: index, to: end, otherwise: .reasonInvalid) {
        case .outOfBytes: return outOfBytes
        case let other: return other
        }
    }
    head.reasonStart = index
    switch parseLineEnd(bytes, from: index, to: end, otherwise: .statusInvalid) {
    case .outOfBytes: return outOfBytes
    case let other: return other
    }
}

/// Decides how the body ends and whether the connection outlives it (RFC 9112 §6.3, §9.3).
@inline(__always)
private func settleFraming(
    _ facts: FieldFacts, requestMethod: Method, fields: inout MutableSpan<FieldRange>, head: inout ResponseHead
) -> ParseFailure? {
    let isCurrent = head.versionMinor == 1
    let isSuccess = head.status >= 200 && head.status < 300
    let hasCoding = facts.transferEncodingField >= 0
    head.contentLengthIndex = facts.contentLengthField
    head.contentLength = facts.contentLength
    head.upgradeField = facts.upgradeField
    head.keepAlive = !facts.closes && (isCurrent || facts.keepsAlive)
    if hasCoding && !isCurrent { return .transferCodingMisplaced }

    if requestMethod == .connect && isSuccess {
        // A tunnel begins: framing fields mean nothing and must not be passed on (RFC 9110 §9.3.6).
        if facts.contentLengthField >= 0 { fields[facts.contentLengthField].flags.insert(.dropped) }
        head.isSwitch = true
        head.keepAlive = false
        return nil
    }
    if head.status < 200 || head.status == 204 {
        if hasCoding { return .transferCodingMisplaced }
        if facts.contentLengthField >= 0 {
            // Must not have been sent (RFC 9110 §8.6). Servers do send a zero; another number announces bytes that
            // no reader expects, so the connection is not used again.
            fields[facts.contentLengthField].flags.insert(.dropped)
            if facts.contentLength > 0 { head.keepAlive = false }
        }
        if head.status == 101 {
            if facts.upgradeField < 0 || facts.contentLengthField >= 0 || !isCurrent { return .switchInvalid }
            head.isSwitch = true
            head.keepAlive = false
        } else {
            head.isInterim = head.status < 200
        }
        return nil
    }
    if requestMethod == .head || head.status == 304 { return nil }
    if hasCoding {
        head.framing = .chunked
    } else if facts.contentLengthField >= 0 {
        head.framing = .length(facts.contentLength)
    } else {
        head.framing = .untilClose
        head.keepAlive = false
    }
    return nil
}

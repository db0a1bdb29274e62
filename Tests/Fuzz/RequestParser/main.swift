/// Parses the input whole and as a row of prefixes: no prefix may contradict the whole, whatever the limits.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzRequestParser(_ data: UnsafePointer<UInt8>, _ size: Int) -> Int32 {
    let bytes = Span(_unsafeStart: data, count: size)
    var chooser = Chooser(bytes)
    let limits = chooser.limits()
    let whole = parseWhole(bytes, limits)
    if whole.parse == .complete { checkRequest(bytes, whole) }

    var arrival = HeadArrival()
    var cut = 0
    var isSettled = false
    while cut < size && !isSettled {
        cut = min(size, cut + chooser.below(24) + 1)
        let part = bytes.extracting(0..<cut)
        let isWorthParsing = arrival.isWorthParsing(part, limits: limits)
        let parsed = parseWhole(part, limits)
        switch parsed.parse {
        case .complete:
            isSettled = true
            require(whole.parse == .complete && parsed.head == whole.head && parsed.fields == whole.fields)
            require(isWorthParsing)
        case .incomplete:
            require(whole.parse != .complete || cut < whole.head.headLength)
        case .failed:
            isSettled = true
            require(parsed.parse == whole.parse)
        }
    }
    return 0
}

struct ParsedHead {
    var parse = HeadParse.incomplete
    var head = RequestHead()
    var fields: [FieldRange] = []
}

private func parseWhole(_ bytes: Span<UInt8>, _ limits: HeadLimits) -> ParsedHead {
    // A copy of exactly this size, so that a read behind it is seen.
    let copy = exactCopy(bytes)
    var result = ParsedHead()
    var table = [FieldRange](repeating: FieldRange(), count: 32)
    var span = table.mutableSpan
    result.parse = parseRequestHead(copy.span, fields: &span, limits: limits, head: &result.head)
    if result.parse == .complete { result.fields = Array(table[..<result.head.fieldCount]) }
    return result
}

/// What must hold of every head that was let through, judged by means of its own.
private func checkRequest(_ bytes: Span<UInt8>, _ request: ParsedHead) {
    let head = request.head
    require(head.headLength <= bytes.count && head.fieldsStart <= head.headLength - 2)
    var lengths = 0
    var codings = 0
    var hosts = 0
    for field in request.fields {
        require(field.nameRange.upperBound < field.valueRange.lowerBound || field.valueLength == 0)
        require(field.valueRange.upperBound <= head.headLength - 4 && bytes[field.nameRange.upperBound] == 0x3a)
        let name = String(decoding: field.nameRange.map { bytes[$0] }, as: UTF8.self).lowercased()
        if name == "content-length" { lengths += 1 }
        if name == "transfer-encoding" { codings += 1 }
        if name == "host" { hosts += 1 }
        require((field.name == .other) == !knownNames.contains(name))
    }
    require(lengths + codings <= 1 && hosts <= 1 && (hosts == 1 || head.versionMinor == 0))
    require((head.framing == .chunked) == (codings == 1))
    for index in 0..<head.headLength {
        let byte = bytes[index]
        if byte == 0x0a { require(index > 0 && bytes[index - 1] == 0x0d) }
        if byte == 0x0d { require(bytes[index + 1] == 0x0a) }
        require(byte >= 0x20 && byte != 0x7f || byte == 0x0a || byte == 0x0d || byte == 0x09)
    }
    checkKept(bytes, request.fields, fieldsEnd: head.headLength - 2)
    checkPath(bytes, head)
}

private func checkPath(_ bytes: Span<UInt8>, _ head: RequestHead) {
    var buffer = [UInt8](repeating: 0, count: max(1, head.pathLength * 3))
    var span = buffer.mutableSpan
    guard case .complete(let length) = normalizePath(bytes, start: head.pathStart, length: head.pathLength, into: &span)
    else { return }
    let form = Array(buffer[..<length])
    span = buffer.mutableSpan
    require(normalizePath(form.span, start: 0, length: length, into: &span) == .complete(length: length))
    require(Array(buffer[..<length]) == form)
}

private let knownNames = Set(HeaderName.allCases.filter { $0 != .other }.map { "\($0.text)".lowercased() })

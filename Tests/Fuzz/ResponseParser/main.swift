/// Parses the input whole and as a row of prefixes: no prefix may contradict the whole, whatever the request was.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzResponseParser(_ data: UnsafePointer<UInt8>, _ size: Int) -> Int32 {
    let bytes = Span(_unsafeStart: data, count: size)
    var chooser = Chooser(bytes)
    let limits = chooser.limits()
    let method = [Method.get, .get, .head, .connect][chooser.below(4)]
    let whole = parseWhole(bytes, limits, method)
    if whole.parse == .complete { checkResponse(bytes, whole, method) }
    checkDate(bytes)

    var cut = 0
    while cut < size {
        cut = min(size, cut + chooser.below(24) + 1)
        let parsed = parseWhole(bytes.extracting(0..<cut), limits, method)
        switch parsed.parse {
        case .complete:
            require(whole.parse == .complete && parsed.head == whole.head && parsed.fields == whole.fields)
            return 0
        case .incomplete:
            require(whole.parse != .complete || cut < whole.head.headLength)
        case .failed:
            require(parsed.parse == whole.parse)
            return 0
        }
    }
    return 0
}

struct ParsedHead {
    var parse = HeadParse.incomplete
    var head = ResponseHead()
    var fields: [FieldRange] = []
}

private func parseWhole(_ bytes: Span<UInt8>, _ limits: HeadLimits, _ method: Method) -> ParsedHead {
    let copy = exactCopy(bytes)
    var result = ParsedHead()
    var table = [FieldRange](repeating: FieldRange(), count: 32)
    var span = table.mutableSpan
    result.parse = parseResponseHead(
        copy.span, fields: &span, limits: limits, requestMethod: method, head: &result.head)
    if result.parse == .complete { result.fields = Array(table[..<result.head.fieldCount]) }
    return result
}

private func checkResponse(_ bytes: Span<UInt8>, _ response: ParsedHead, _ method: Method) {
    let head = response.head
    require(head.headLength <= bytes.count && (100...599).contains(head.status))
    require(!(head.isInterim && head.isSwitch) && (!head.isInterim || head.framing == .none))
    if method == .head || head.status == 204 || head.status == 304 { require(head.framing == .none) }
    if head.framing == .untilClose || head.isSwitch { require(!head.keepAlive) }
    if case .length(let length) = head.framing { require(length == head.contentLength) }
    checkKept(bytes, response.fields, fieldsEnd: head.headLength - 2)
}

/// A date that is read is written as one that reads the same.
private func checkDate(_ bytes: Span<UInt8>) {
    let length = min(bytes.count, 40)
    guard let date = HTTPDate(bytes, start: 0, length: length, nowSeconds: 1_700_000_000) else { return }
    let base = UnsafeMutableRawPointer.allocate(byteCount: 29, alignment: 1)
    defer { base.deallocate() }
    var writer = HeadWriter(base: base, capacity: 29)
    date.write(into: &writer)
    require(!writer.overflowed && writer.count == 29)
    let text = Array(UnsafeRawBufferPointer(start: base, count: 29))
    require(HTTPDate(text.span, start: 0, length: 29, nowSeconds: 0) == date)
}

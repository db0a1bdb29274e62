// Reads any bytes as a PROXY head: nothing may trap, no head is longer than allowed, one cut short is incomplete or the
// same thing, and what is understood can be written and read again.
//
// Sources besides this file: see Tests/Fuzz/run.

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzProxyHead(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = UnsafeBufferPointer(start: start, count: start == nil ? 0 : count)
    let copy = exactCopy(bytes.span)
    let whole = parseProxyHead(copy.span)
    if case .complete(let head, let length) = whole {
        require(length > 0 && length <= copy.count && length <= ProxyProtocol.headBytesMax)
        require(head.source.family != .unknown || head == ProxyHead())
        checkWritten(head)
    }
    // The verdict on what has come is never taken back when more comes.
    for cut in 0..<min(copy.count, 256) {
        let part = parseProxyHead(exactCopy(copy.span.extracting(0..<cut)).span)
        if part != .incomplete { require(part == whole) }
    }
    return 0
}

private func checkWritten(_ head: ProxyHead) {
    for isText in [true, false] {
        let base = UnsafeMutableRawPointer.allocate(byteCount: ProxyHead.writtenBytesMax, alignment: 1)
        defer { base.deallocate() }
        var writer = HeadWriter(base: base, capacity: ProxyHead.writtenBytesMax)
        isText ? head.writeText(into: &writer) : head.writeBinary(into: &writer)
        require(!writer.overflowed)
        let written = Array(UnsafeRawBufferPointer(start: base, count: writer.count))
        let isTold = [.ipv4, .ipv6].contains(head.source.family) && (head.source.family == head.destination.family || !isText)
        let expected = isTold && [.ipv4, .ipv6].contains(head.destination.family) ? head : ProxyHead()
        require(parseProxyHead(written.span) == .complete(expected, length: written.count))
    }
}

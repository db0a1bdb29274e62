/// Decodes the input whole and cut at chosen bytes: data, end and failure must be the same.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzChunkedDecoder(_ data: UnsafePointer<UInt8>, _ size: Int) -> Int32 {
    let bytes = Span(_unsafeStart: data, count: size)
    var chooser = Chooser(bytes)
    let trailerBytesMax = [0, 10, 64, 8_192][chooser.below(4)]
    var whole = Decoded(trailerBytesMax: trailerBytesMax)
    whole.feed(bytes, offset: 0, mayMoveElsewhere: false)
    var cut = Decoded(trailerBytesMax: trailerBytesMax)
    let mayMoveElsewhere = chooser.below(2) == 0
    var start = 0
    while start < size {
        let end = min(size, start + chooser.below(24) + 1)
        cut.feed(bytes.extracting(start..<end), offset: start, mayMoveElsewhere: mayMoveElsewhere)
        start = end
    }
    require(cut.data == whole.data && cut.end == whole.end && cut.failure == whole.failure)
    if let end = whole.end {
        require(cut.trailers == whole.trailers && whole.trailers.count <= trailerBytesMax && end <= size)
        checkTrailers(whole.trailers)
    }
    return 0
}

private struct Decoded {
    var decoder: ChunkedDecoder
    var data: [UInt8] = []
    var trailers: [UInt8] = []
    var end: Int?
    var failure: ParseFailure?

    init(trailerBytesMax: Int) { decoder = ChunkedDecoder(trailerBytesMax: trailerBytesMax) }

    /// Feeds one piece; on request, bytes of a chunk that begins in it are taken past the decoder, as a splice does.
    mutating func feed(_ piece: Span<UInt8>, offset: Int, mayMoveElsewhere: Bool) {
        let copy = exactCopy(piece)
        var index = 0
        // Every event but the last moves on, so that more of them than bytes is a loop without end.
        for _ in 0...copy.count + 2 {
            let remaining = decoder.remainingInChunk
            if mayMoveElsewhere && index == 0 && decoder.isInsideChunk {
                let moved = Int(min(remaining, UInt64(copy.count)))
                data += copy[..<moved]
                decoder.skip(UInt64(moved))
                index = moved
            }
            switch decoder.next(copy.span, from: index) {
            case .data(let start, let length):
                require(start >= index && length > 0 && start + length <= copy.count)
                data += copy[start..<start + length]
                index = start + length
            case .trailerBytes(let start, let length):
                require(start >= index && length > 0 && start + length <= copy.count)
                trailers += copy[start..<start + length]
                index = start + length
            case .needMore: return
            case .end(let next):
                require(next >= index && next <= copy.count)
                if end == nil { end = offset + next }
                return
            case .failed(let reason):
                require(failure == nil || failure == reason)
                failure = reason
                return
            }
        }
        fatalError("the decoder does not move on")
    }
}

private func checkTrailers(_ bytes: [UInt8]) {
    var table = [FieldRange](repeating: FieldRange(), count: 32)
    var span = table.mutableSpan
    guard case .complete(let count) = parseTrailers(bytes.span, fields: &span, fieldsMax: 32) else { return }
    for field in table[..<count] where isAllowedInTrailer(field.name) { require(!field.flags.contains(.dropped)) }
    checkKept(bytes.span, Array(table[..<count]), fieldsEnd: bytes.count)
}

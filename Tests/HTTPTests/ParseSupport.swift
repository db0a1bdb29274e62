@testable import Proxy

/// A request as parsed from text, with the text at hand.
struct ParsedRequest {
    var bytes: [UInt8]
    var parse: HeadParse
    var head = RequestHead()
    var fields: [FieldRange] = []

    init(_ text: String, limits: HeadLimits = HeadLimits()) { self.init(Array(text.utf8), limits: limits) }

    init(_ bytes: [UInt8], limits: HeadLimits = HeadLimits(), tableSize: Int = 128) {
        self.bytes = bytes
        var table = [FieldRange](repeating: FieldRange(), count: tableSize)
        var span = table.mutableSpan
        parse = parseRequestHead(bytes.span, fields: &span, limits: limits, head: &head)
        if parse == .complete { fields = Array(table[..<head.fieldCount]) }
    }

    var target: String { text(head.targetStart, head.targetLength) }
    var path: String { text(head.pathStart, head.pathLength) }
    var query: String { text(head.queryStart, head.queryLength) }
    var host: String { text(head.hostStart, head.hostLength) }
    var hostName: String { text(head.hostStart, head.hostNameLength) }
    var method: String { text(head.methodStart, head.methodLength) }
    /// What would be forwarded of the fields.
    var kept: String { keptFields(bytes, fields, fieldsEnd: head.headLength - 2) }

    func text(_ start: Int, _ length: Int) -> String { String(decoding: bytes[start..<start + length], as: UTF8.self) }
    func value(_ index: Int) -> String { String(decoding: bytes[fields[index].valueRange], as: UTF8.self) }
    func name(_ index: Int) -> String { String(decoding: bytes[fields[index].nameRange], as: UTF8.self) }
}

/// A response as parsed from text.
struct ParsedResponse {
    var bytes: [UInt8]
    var parse: HeadParse
    var head = ResponseHead()
    var fields: [FieldRange] = []

    init(_ text: String, to method: Proxy.Method = .get, limits: HeadLimits = HeadLimits()) {
        self.init(Array(text.utf8), to: method, limits: limits)
    }

    init(_ bytes: [UInt8], to method: Proxy.Method = .get, limits: HeadLimits = HeadLimits()) {
        self.bytes = bytes
        var table = [FieldRange](repeating: FieldRange(), count: 128)
        var span = table.mutableSpan
        parse = parseResponseHead(bytes.span, fields: &span, limits: limits, requestMethod: method, head: &head)
        if parse == .complete { fields = Array(table[..<head.fieldCount]) }
    }

    var reason: String {
        String(decoding: bytes[head.reasonStart..<head.reasonStart + head.reasonLength], as: UTF8.self)
    }
    var kept: String { keptFields(bytes, fields, fieldsEnd: head.headLength - 2) }
}

func keptFields(_ bytes: [UInt8], _ fields: [FieldRange], fieldsEnd: Int) -> String {
    written { writer in
        writer.appendKeptFields(bytes: bytes.span, fields: fields.span, count: fields.count, fieldsEnd: fieldsEnd)
    }
}

/// What a writer with enough room wrote, as text.
func written(capacity: Int = 70_000, _ write: (inout HeadWriter) -> Void) -> String {
    let base = UnsafeMutableRawPointer.allocate(byteCount: capacity + 1, alignment: 16)
    defer { base.deallocate() }
    // A byte behind the capacity that nobody may touch.
    base.storeBytes(of: 0xa5, toByteOffset: capacity, as: UInt8.self)
    var writer = HeadWriter(base: base, capacity: capacity)
    write(&writer)
    precondition(base.load(fromByteOffset: capacity, as: UInt8.self) == 0xa5, "written past the capacity")
    return String(decoding: UnsafeRawBufferPointer(start: base, count: writer.count), as: UTF8.self)
}

/// What a chunked body came to when it was fed in pieces.
struct DecodedBody: Equatable {
    var data: [UInt8] = []
    var trailers: [UInt8] = []
    /// Bytes consumed up to the end of the body, nil when it has not ended.
    var end: Int?
    var failure: ParseFailure?

    /// Feeds `bytes` cut at the given places, in order.
    init(_ bytes: [UInt8], cuts: [Int] = [], decoder: ChunkedDecoder = ChunkedDecoder()) {
        var decoder = decoder
        var start = 0
        for cut in cuts + [bytes.count] {
            let piece = Array(bytes[start..<cut])
            var index = 0
            feeding: while true {
                switch decoder.next(piece.span, from: index) {
                case .data(let from, let length):
                    data += piece[from..<from + length]
                    index = from + length
                case .trailerBytes(let from, let length):
                    trailers += piece[from..<from + length]
                    index = from + length
                case .needMore: break feeding
                case .end(let next):
                    end = start + next
                    return
                case .failed(let failure):
                    self.failure = failure
                    return
                }
            }
            start = cut
        }
    }

    init(_ text: String, cuts: [Int] = []) { self.init(Array(text.utf8), cuts: cuts) }
}

/// Random numbers from a seed (SplitMix64), so that a failing test can be run again.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}

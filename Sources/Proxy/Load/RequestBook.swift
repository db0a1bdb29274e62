import Glibc

/// The requests of a run as bytes, ready to be sent; the memory lasts as long as the process, all threads read it.
struct RequestBook: @unchecked Sendable {
    struct Entry: BitwiseCopyable {
        var bytes: UnsafeRawPointer
        var count: Int
        var method: Method
        /// Weights of all entries up to this one.
        var weightSum: UInt64
    }

    private let entries: UnsafeMutableBufferPointer<Entry>
    private let weightTotal: UInt64
    /// One after the other, and not by weight.
    private let isInTurn: Bool
    /// What a WebSocket connection begins with; empty without WebSocket.
    let preamble: UnsafeRawBufferPointer
    /// The payload of a WebSocket message, as it has to come back.
    let payload: UnsafeRawBufferPointer

    /// Requests over HTTP.
    ///
    /// - Parameters:
    ///   - inTurn: they are asked one after the other, and not by their weights.
    ///   - body: the bytes of a body that the mix describes.
    init(_ mix: RequestMix, authority: String, closes: Bool, inTurn: Bool = false, body: (RequestMix.Body) -> [UInt8]) {
        isInTurn = inTurn
        entries = .allocate(capacity: max(mix.requests.count, 1))
        var sum: UInt64 = 0
        for (index, request) in mix.requests.enumerated() {
            sum += request.weight
            let text = Self.message(request, authority: authority, closes: closes, body: body(request.body))
            let bytes = Self.lasting(text)
            entries.initializeElement(
                at: index,
                to: Entry(bytes: bytes.baseAddress!, count: bytes.count, method: Method(named: request.method), weightSum: sum))
        }
        weightTotal = sum
        preamble = UnsafeRawBufferPointer(start: nil, count: 0)
        payload = preamble
    }

    /// Messages over WebSocket (RFC 6455): one frame, masked as a client has to.
    init(webSocket request: RequestMix.Request, authority: String, payload bytes: [UInt8], seed: UInt64) {
        var opening = RequestMix.Request(target: request.target, fields: request.fields)
        opening.fields += [
            "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: \(WebSocketReply.key)",
        ]
        preamble = Self.lasting(Self.message(opening, authority: authority, closes: false, body: []))
        payload = Self.lasting(bytes)
        let frame = Self.lasting(Self.frame(bytes, mask: UInt32(truncatingIfNeeded: mixed(seed))))
        entries = .allocate(capacity: 1)
        entries.initialize(repeating: Entry(bytes: frame.baseAddress!, count: frame.count, method: .get, weightSum: 1))
        weightTotal = 1
        isInTurn = false
    }

    var count: Int { entries.count }

    @inline(__always)
    subscript(index: Int) -> UnsafeMutablePointer<Entry> { entries.baseAddress! + index }

    /// The next entry: by the weights, or the one whose turn it is, which `turn` remembers.
    @inline(__always)
    func pick(_ turn: inout Int, _ random: inout RandomSource) -> Int {
        if entries.count == 1 { return 0 }
        if isInTurn {
            turn = turn < entries.count ? turn : turn % entries.count
            defer { turn &+= 1 }
            return turn
        }
        let number = random.next(below: weightTotal)
        var low = 0
        var high = entries.count &- 1
        while low < high {
            let middle = (low &+ high) / 2
            if entries[middle].weightSum > number { high = middle } else { low = middle &+ 1 }
        }
        return low
    }

    private static func lasting(_ bytes: [UInt8]) -> UnsafeRawBufferPointer {
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: max(bytes.count, 1), alignment: 16)
        memory.copyBytes(from: bytes)
        return UnsafeRawBufferPointer(start: memory.baseAddress, count: bytes.count)
    }

    private static func message(_ request: RequestMix.Request, authority: String, closes: Bool, body: [UInt8]) -> [UInt8] {
        func has(_ name: String) -> Bool { request.fields.contains { $0.lowercased().hasPrefix(name + ":") } }
        var head = "\(request.method) \(request.target) HTTP/1.1\r\n"
        if !has("host") { head += "Host: \(authority)\r\n" }
        if !has("user-agent") { head += "User-Agent: weir-load\r\n" }
        if !has("accept") { head += "Accept: */*\r\n" }
        for field in request.fields { head += field + "\r\n" }
        // A method that means something by its body says how long it is, even when there is none (RFC 9110 §8.6).
        let hasLength = request.body != .none || ["POST", "PUT", "PATCH"].contains(request.method)
        if hasLength, !has("content-length") { head += "Content-Length: \(body.count)\r\n" }
        if closes, !has("connection") { head += "Connection: close\r\n" }
        return Array((head + "\r\n").utf8) + body
    }

    private static func frame(_ payload: [UInt8], mask: UInt32) -> [UInt8] {
        var frame: [UInt8] = [0x82]  // final, binary
        switch payload.count {
        case ..<126: frame.append(0x80 | UInt8(payload.count))
        case ..<65_536: frame += [0xFE, UInt8(payload.count >> 8), UInt8(payload.count & 0xFF)]
        default:
            frame.append(0xFF)
            for shift in stride(from: 56, through: 0, by: -8) { frame.append(UInt8(truncatingIfNeeded: payload.count >> shift)) }
        }
        let key = (0..<4).map { UInt8(truncatingIfNeeded: mask >> (8 * UInt32($0))) }
        return frame + key + payload.enumerated().map { $0.element ^ key[$0.offset & 3] }
    }
}

extension Method {
    fileprivate init(named name: String) {
        self = Method.allCases.first { $0 != .other && "\($0.text)" == name } ?? .other
    }
}

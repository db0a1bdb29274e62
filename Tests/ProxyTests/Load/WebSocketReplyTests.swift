import Testing

@testable import Proxy

@Suite("Echo of WebSocket messages, RFC 6455 §5.2")
struct WebSocketReplyTests {
    /// Feeds bytes in pieces; the first event that is neither a wish for more nor a ping.
    private func read(_ bytes: [UInt8], expecting payload: String, pieces: Int) -> WebSocketReply.Event {
        var pongs: [[UInt8]] = []
        return read(bytes, expecting: payload, pieces: pieces, &pongs)
    }

    private func read(_ bytes: [UInt8], expecting payload: String, pieces: Int, _ pongs: inout [[UInt8]]) -> WebSocketReply.Event {
        var reply = WebSocketReply()
        let expected = Array(payload.utf8)
        return expected.withUnsafeBytes { expected in
            var start = 0
            while start < bytes.count {
                let piece = Array(bytes[start..<min(bytes.count, start + pieces)])
                var from = 0
                while case let event = piece.withUnsafeBytes({ reply.next($0.baseAddress!, $0.count, from: from, expected: expected) }), event != .needMore {
                    guard case .ping(let next) = event else { return event }
                    from = next
                    pongs.append(pong(reply))
                }
                start += piece.count
            }
            return .needMore
        }
    }

    /// The frame that answers a ping, its payload without the mask.
    private func pong(_ reply: WebSocketReply) -> [UInt8] {
        var frame = InlineArray<131, UInt8>(repeating: 0)
        let length = reply.writePong(mask: 0xA1B2_C3D4, to: &frame)
        return (0..<2).map { frame[$0] } + (6..<max(length, 6)).map { frame[$0] ^ [0xD4, 0xC3, 0xB2, 0xA1][($0 - 6) % 4] }
    }

    private func isMessage(_ event: WebSocketReply.Event) -> Bool {
        if case .message = event { true } else { false }
    }

    private func frame(_ first: UInt8, _ payload: String) -> [UInt8] { [first, UInt8(payload.utf8.count)] + Array(payload.utf8) }

    @Test("a message that comes back is told, cut anywhere", arguments: 1...8)
    func whole(pieces: Int) {
        #expect(isMessage(read(frame(0x82, "hello"), expecting: "hello", pieces: pieces)))
    }

    @Test("a message may come in several frames, with a ping between them", arguments: 1...8)
    func fragments(pieces: Int) {
        let bytes = frame(0x02, "he") + frame(0x89, "?") + frame(0x80, "llo")
        #expect(isMessage(read(bytes, expecting: "hello", pieces: pieces)))
    }

    @Test("each ping has a pong with its own bytes, however both are cut", arguments: 1...8)
    func pings(pieces: Int) {
        var pongs: [[UInt8]] = []
        let longest = String(repeating: "p", count: 125)
        let bytes = frame(0x89, "") + frame(0x02, "he") + frame(0x89, "ping!") + frame(0x8A, "unasked") + frame(0x89, longest) + frame(0x80, "llo")
        #expect(isMessage(read(bytes, expecting: "hello", pieces: pieces, &pongs)))
        #expect(pongs == [[0x8A, 0x80], [0x8A, 0x85] + Array("ping!".utf8), [0x8A, 0xFD] + Array(longest.utf8)])
    }

    @Test("long lengths are read", arguments: [1, 7, 4_096])
    func long(pieces: Int) {
        let payload = String(repeating: "x", count: 70_000)
        let bytes: [UInt8] = [0x82, 127, 0, 0, 0, 0, 0, 1, 0x11, 0x70] + Array(payload.utf8)
        #expect(isMessage(read(bytes, expecting: payload, pieces: pieces)))
    }

    @Test("other bytes, another length, a mask or reserved bits are no echo")
    func wrong() {
        #expect(read(frame(0x82, "hellO"), expecting: "hello", pieces: 99) == .failed)
        #expect(read(frame(0x82, "hell"), expecting: "hello", pieces: 99) == .failed)
        #expect(read(frame(0x82, "hello!"), expecting: "hello", pieces: 99) == .failed)
        #expect(read([0x82, 0x85, 1, 2, 3, 4, 0, 0, 0, 0, 0], expecting: "hello", pieces: 99) == .failed)
        #expect(read(frame(0xC2, "hello"), expecting: "hello", pieces: 99) == .failed)
        #expect(read(frame(0x09, "a ping in parts"), expecting: "hello", pieces: 99) == .failed)
        #expect(read([0x89, 126, 0, 200], expecting: "hello", pieces: 99) == .failed)
        #expect(read([0x82, 127, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], expecting: "hello", pieces: 99) == .failed)
    }

    @Test("a close frame ends it")
    func close() { #expect(read([0x88, 2, 3, 0xE8], expecting: "hello", pieces: 99) == .closed) }
}

import Testing

@testable import Proxy

@Suite("WebSocket frames of the origin, RFC 6455 §5.2")
struct WebSocketEchoTests {
    private static let mask: [UInt8] = [0x37, 0xFA, 0x21, 0x3D]

    /// A client's frame: masked, of the shortest length form unless told otherwise.
    private func frame(_ first: UInt8, _ payload: [UInt8], lengthBytes: Int? = nil) -> [UInt8] {
        let form = lengthBytes ?? (payload.count < 126 ? 0 : payload.count <= 0xFFFF ? 2 : 8)
        let length = (0..<form).reversed().map { UInt8(truncatingIfNeeded: payload.count >> ($0 * 8)) }
        let short: UInt8 = form == 0 ? UInt8(payload.count) : form == 2 ? 126 : 127
        return [first, 0x80 | short] + length + Self.mask + payload.enumerated().map { $1 ^ Self.mask[$0 % 4] }
    }

    /// What goes back for bytes that come in pieces of `piece`; nil once they are refused.
    private func echoed(_ bytes: [UInt8], piece: Int = .max) -> [UInt8]? {
        var echo = WebSocketEcho()
        var back: [UInt8] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            var part = Array(rest.prefix(piece))
            let used = part.withUnsafeMutableBytes { part -> Int in
                switch echo.part {
                case .head:
                    let used = echo.takeHead(part.baseAddress!, part.count)
                    if echo.part == .payload, echo.isEchoed { back += head(echo) }
                    return used
                case .payload:
                    let used = echo.unmask(part.baseAddress!, part.count)
                    if echo.isEchoed { back += part[..<used] }
                    return used
                case .failed: return part.count
                }
            }
            if echo.part == .failed { return nil }
            rest = rest.dropFirst(used)
            if echo.endFrame(), echo.isClose { return back }
        }
        return back
    }

    private func head(_ echo: WebSocketEcho) -> [UInt8] {
        withUnsafeTemporaryAllocation(byteCount: 10, alignment: 1) { memory in
            var writer = HeadWriter(base: memory.baseAddress!, capacity: 10)
            echo.writeHead(to: &writer)
            return Array(memory[..<writer.count])
        }
    }

    @Test("the masked Hello of §5.7 goes back unmasked, however it is cut", arguments: 1...11)
    func hello(piece: Int) {
        let bytes: [UInt8] = [0x81, 0x85, 0x37, 0xFA, 0x21, 0x3D, 0x7F, 0x9F, 0x4D, 0x51, 0x58]
        #expect(echoed(bytes, piece: piece) == [0x81, 0x05, 0x48, 0x65, 0x6C, 0x6C, 0x6F])
    }

    @Test("the three forms of the length are read, and the shortest is written", arguments: [0, 1, 125, 126, 127, 65_535, 65_536, 70_001])
    func lengths(_ count: Int) {
        let payload = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        let short: [UInt8] =
            count < 126
            ? [UInt8(count)]
            : (count <= 0xFFFF ? [126] : [127, 0, 0, 0, 0, 0, UInt8(count >> 16)]) + [UInt8(count >> 8 & 255), UInt8(count & 255)]
        for piece in [Int.max, 4_093] { #expect(echoed(frame(0x82, payload), piece: piece) == [0x82] + short + payload) }
        #expect(echoed(frame(0x82, payload, lengthBytes: 8)) == [0x82] + short + payload)
    }

    @Test("parts of a message go back as parts, a ping between them as a pong, a pong not at all")
    func fragments() {
        let bytes = frame(0x01, [1, 2, 3]) + frame(0x89, [9]) + frame(0x8A, [8, 8]) + frame(0x00, [4]) + frame(0x80, [5, 6])
        let expected: [UInt8] = [0x01, 3, 1, 2, 3] + [0x8A, 1, 9] + [0x00, 1, 4] + [0x80, 2, 5, 6]
        for piece in [1, 2, 3, 5, 7, .max] { #expect(echoed(bytes, piece: piece) == expected) }
    }

    @Test("a close goes back with its status, and nothing behind it is looked at")
    func close() {
        #expect(echoed(frame(0x88, [0x03, 0xE8]) + [0xFF, 0xFF]) == [0x88, 2, 0x03, 0xE8])
    }

    struct Refusal: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let bytes: [UInt8]
    }

    @Test(
        "what the protocol forbids is refused",
        arguments: [
            Refusal(testDescription: "no mask", bytes: [0x81, 0x05]),
            Refusal(testDescription: "a reserved bit", bytes: [0xC1, 0x80]),
            Refusal(testDescription: "an unknown kind of data", bytes: [0x83, 0x80]),
            Refusal(testDescription: "an unknown kind of control", bytes: [0x8B, 0x80]),
            Refusal(testDescription: "a control frame in parts", bytes: [0x09, 0x80]),
            Refusal(testDescription: "a long control frame", bytes: [0x89, 0xFE]),
            Refusal(testDescription: "a length above 63 bits", bytes: [0x82, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0]),
        ])
    func refused(_ refusal: Refusal) {
        #expect(echoed(refusal.bytes) == nil)
        #expect(echoed(refusal.bytes, piece: 1) == nil)
        #expect(echoed(frame(0x81, [1]) + refusal.bytes) == nil)
    }
}

import Glibc

/// Reads the frames of a WebSocket server as they come, and whether they are the echo of what was sent (RFC 6455 §5.2).
struct WebSocketReply: BitwiseCopyable {
    enum Event: Equatable {
        /// All bytes given have been used.
        case needMore
        /// A whole message has come back as it was sent; `next` is the index of the byte behind it.
        case message(next: Int)
        /// A ping has come whole; `writePong` has its answer.
        case ping(next: Int)
        /// The server ends the conversation.
        case closed
        /// Something else came back.
        case failed
    }

    /// The key of the example in RFC 6455 §1.3, and what a server has to make of it.
    static let key: StaticString = "dGhlIHNhbXBsZSBub25jZQ=="
    static let accept: StaticString = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

    private var headCount = 0
    private var opcode: UInt8 = 0
    private var isFinal = false
    private var lengthBytesLeft = 0
    private var remaining: UInt64 = 0
    private var inPayload = false
    /// Bytes of the message that have come, over all its frames.
    private var received = 0

    /// Of the control frame that is coming, or has just come: 125 at most.
    private var controlBytes = InlineArray<125, UInt8>(repeating: 0)
    private var controlCount = 0

    private static var closeCode: UInt8 { 8 }
    private static var pingCode: UInt8 { 9 }
    private static var pongCode: UInt8 { 10 }
    private var isControl: Bool { opcode & 8 != 0 }

    /// Goes on at index `from`; `expected` is the payload that was sent.
    mutating func next(_ bytes: UnsafeRawPointer, _ count: Int, from: Int, expected: UnsafeRawBufferPointer) -> Event {
        var index = from
        while index < count || (inPayload && remaining == 0) {
            if !inPayload {
                if !take(bytes.load(fromByteOffset: index, as: UInt8.self)) { return .failed }
                index &+= 1
                if inPayload && opcode == Self.closeCode { return .closed }
                continue
            }
            let piece = Int(min(UInt64(count &- index), remaining))
            if isControl {
                for offset in 0..<piece {
                    controlBytes[controlCount] = bytes.load(fromByteOffset: index &+ offset, as: UInt8.self)
                    controlCount &+= 1
                }
            } else {
                guard piece <= expected.count &- received else { return .failed }
                if piece > 0, memcmp(bytes + index, expected.baseAddress! + received, piece) != 0 { return .failed }
                received &+= piece
            }
            index &+= piece
            remaining &-= UInt64(piece)
            if remaining > 0 { return .needMore }
            inPayload = false
            headCount = 0
            if opcode == Self.pingCode { return .ping(next: index) }
            if isFinal && !isControl {
                guard received == expected.count else { return .failed }
                received = 0
                return .message(next: index)
            }
        }
        return .needMore
    }

    /// Writes the frame that answers the ping which has just come, masked as a client has to; its length.
    func writePong(mask: UInt32, to frame: inout InlineArray<131, UInt8>) -> Int {
        frame[0] = 0x80 | Self.pongCode
        frame[1] = 0x80 | UInt8(truncatingIfNeeded: controlCount)
        for index in 0..<4 { frame[2 &+ index] = UInt8(truncatingIfNeeded: mask >> UInt32(8 &* index)) }
        for index in 0..<controlCount { frame[6 &+ index] = controlBytes[index] ^ frame[2 &+ index & 3] }
        return 6 &+ controlCount
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        headCount &+= 1
        if headCount == 1 {
            opcode = byte & 0x0F
            isFinal = byte & 0x80 != 0
            // No extension was agreed upon; servers do not mask.
            return byte & 0x70 == 0
        }
        if headCount == 2 {
            guard byte & 0x80 == 0, !isControl || (byte < 126 && isFinal) else { return false }
            controlCount = 0
            lengthBytesLeft = byte == 126 ? 2 : byte == 127 ? 8 : 0
            remaining = lengthBytesLeft == 0 ? UInt64(byte) : 0
            inPayload = lengthBytesLeft == 0
            return true
        }
        remaining = remaining << 8 | UInt64(byte)
        lengthBytesLeft &-= 1
        inPayload = lengthBytesLeft == 0
        return remaining >> 62 == 0
    }
}

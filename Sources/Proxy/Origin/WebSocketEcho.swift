/// Reads the frames of a WebSocket client as they come and says how each goes back (RFC 6455 §5.2).
///
/// Frames are not gathered: the head of the answer goes out when theirs is whole, then the payload piece by piece, so
/// that no message is too long. A ping becomes a pong; pongs end here.
struct WebSocketEcho: BitwiseCopyable {
    enum Part: UInt8 { case head, payload, failed }

    private static var binary: UInt8 { 2 }
    private static var closeCode: UInt8 { 8 }
    private static var ping: UInt8 { 9 }
    private static var pong: UInt8 { 10 }

    /// What the next byte belongs to.
    private(set) var part = Part.head
    private var headCount = 0
    private var first: UInt8 = 0
    private var lengthBytesLeft = 0
    private var length: UInt64 = 0
    private var maskBytes = 0
    private var mask: UInt32 = 0
    private var remaining: UInt64 = 0

    private var opcode: UInt8 { first & 0x0F }
    var isClose: Bool { opcode == Self.closeCode }
    var isEchoed: Bool { opcode != Self.pong }

    /// Takes bytes up to the end of a frame's head; returns how many.
    mutating func takeHead(_ bytes: UnsafeRawPointer, _ count: Int) -> Int {
        var used = 0
        while used < count && part == .head {
            take(bytes.load(fromByteOffset: used, as: UInt8.self))
            used &+= 1
        }
        return used
    }

    private mutating func take(_ byte: UInt8) {
        headCount &+= 1
        if headCount == 1 {
            first = byte
            let isKnown = opcode <= Self.binary || opcode >= Self.closeCode && opcode <= Self.pong
            // Reserved bits are for extensions, and none was agreed upon.
            if byte & 0x70 != 0 || !isKnown { part = .failed }
        } else if headCount == 2 {
            length = UInt64(byte & 0x7F)
            let isControl = opcode >= Self.closeCode
            if byte & 0x80 == 0 || isControl && (length > 125 || first & 0x80 == 0) {
                part = .failed
            } else if length >= 126 {
                lengthBytesLeft = length == 126 ? 2 : 8
                length = 0
            }
        } else if lengthBytesLeft > 0 {
            length = length << 8 | UInt64(byte)
            lengthBytesLeft &-= 1
            if length >> 63 != 0 { part = .failed }
        } else {
            mask |= UInt32(byte) << UInt32(8 &* maskBytes)
            maskBytes &+= 1
            if maskBytes == 4 {
                remaining = length
                part = .payload
            }
        }
    }

    /// Writes the head of the frame that goes back: the same, unmasked; at most ten bytes.
    func writeHead(to writer: inout HeadWriter) {
        writer.append(opcode == Self.ping ? first & 0xF0 | Self.pong : first)
        if length < 126 {
            writer.append(UInt8(length))
            return
        }
        let wide = length > 0xFFFF
        writer.append(wide ? 127 : 126)
        var shift: UInt64 = wide ? 64 : 16
        while shift > 0 {
            shift &-= 8
            writer.append(UInt8(truncatingIfNeeded: length >> shift))
        }
    }

    /// Takes the mask off as much of the payload as is there, in place; returns its length.
    mutating func unmask(_ bytes: UnsafeMutableRawPointer, _ count: Int) -> Int {
        let piece = Int(min(UInt64(count), remaining))
        let payload = bytes.assumingMemoryBound(to: UInt8.self)
        for index in 0..<piece {
            payload[index] ^= UInt8(truncatingIfNeeded: mask >> UInt32(8 &* (index & 3)))
        }
        remaining &-= UInt64(piece)
        // The mask of the next piece begins with the byte whose turn it is.
        let turn = UInt32(8 &* (piece & 3))
        if turn > 0 { mask = mask >> turn | mask << (32 &- turn) }
        return piece
    }

    /// Turns to the next frame if this one is over; whether it was.
    mutating func endFrame() -> Bool {
        guard part == .payload, remaining == 0 else { return false }
        part = .head
        headCount = 0
        maskBytes = 0
        mask = 0
        return true
    }
}

import Glibc

/// Bytes as tests write them.
public typealias Bytes = [UInt8]

extension [UInt8] {
    public init(_ text: String) { self = Array(text.utf8) }
    /// Readable in a report: text as it is, other bytes escaped, long values cut.
    public var readable: String {
        let shown = prefix(2000).map { byte in
            switch byte {
            case 0x20..<0x7F, 0x0A: String(UnicodeScalar(byte))
            case 0x0D: "\\r"
            default: "\\x" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
            }
        }
        return shown.joined() + (count > 2000 ? "… (\(count) bytes)" : "")
    }
    public var text: String { String(decoding: self, as: UTF8.self) }

    /// The offset of the first occurrence of `pattern` at or after `start`.
    public func firstOffset(of pattern: some Collection<UInt8>, from start: Int = 0) -> Int? {
        let pattern = Array(pattern)
        guard !pattern.isEmpty, count >= pattern.count, start <= count - pattern.count else { return nil }
        return (start...(count - pattern.count)).first { offset in
            self[offset] == pattern[0] && self[offset..<(offset + pattern.count)].elementsEqual(pattern)
        }
    }
    public func contains(text: String) -> Bool { firstOffset(of: text.utf8) != nil }
}

/// Bodies in which a lost, doubled, moved or foreign byte shows: a random block of a prime length, again and again.
public enum BodyPattern {
    /// Prime, so that no buffer size, chunk size or pipe size is a multiple of it.
    private static let period = 65_521

    private static func block(_ seed: UInt64) -> Bytes {
        var state = seed &* 0x9E37_79B9_7F4A_7C15 &+ 0x1234_5678_9ABC_DEF1
        return Bytes(unsafeUninitializedCapacity: period) { buffer, initialized in
            for index in 0..<period {
                state ^= state << 13
                state ^= state >> 7
                state ^= state << 17
                buffer[index] = UInt8(truncatingIfNeeded: state >> 32)
            }
            initialized = period
        }
    }

    public static func bytes(_ count: Int, seed: UInt64, from offset: Int = 0) -> Bytes {
        let block = block(seed)
        return Bytes(unsafeUninitializedCapacity: count) { buffer, initialized in
            var filled = 0
            while filled < count {
                let start = (offset + filled) % period
                let length = min(period - start, count - filled)
                _ = block.withUnsafeBytes { memcpy(buffer.baseAddress! + filled, $0.baseAddress! + start, length) }
                filled += length
            }
            initialized = count
        }
    }

    /// Where `bytes` first differ from the pattern; nil when they are it.
    public static func firstDifference(_ bytes: Bytes, seed: UInt64, from offset: Int = 0) -> Int? {
        let wanted = Self.bytes(bytes.count, seed: seed, from: offset)
        guard bytes != wanted else { return nil }
        return zip(bytes, wanted).enumerated().first { $0.element.0 != $0.element.1 }?.offset
    }
}

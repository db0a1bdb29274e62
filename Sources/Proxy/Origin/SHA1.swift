/// SHA-1 (FIPS 180-4), which the WebSocket handshake wants and nothing else here may use: it protects nothing.
struct SHA1 {
    private var state: InlineArray<5, UInt32> = [0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476, 0xC3D2_E1F0]
    private var block = InlineArray<16, UInt32>(repeating: 0)
    private var length: UInt64 = 0

    mutating func add(_ byte: UInt8) {
        let word = Int(length / 4 % 16)
        block[word] = block[word] << 8 | UInt32(byte)
        length &+= 1
        if length % 64 == 0 { mix() }
    }

    private mutating func mix() {
        var schedule = InlineArray<80, UInt32>(repeating: 0)
        for round in 0..<80 {
            schedule[round] =
                round < 16
                ? block[round]
                : Self.rotate(
                    schedule[round - 3] ^ schedule[round - 8] ^ schedule[round - 14] ^ schedule[round - 16], 1)
        }
        var (a, b, c, d, e) = (state[0], state[1], state[2], state[3], state[4])
        for round in 0..<80 {
            let (mixed, constant): (UInt32, UInt32) =
                switch round {
                case ..<20: ((b & c) | (~b & d), 0x5A82_7999)
                case ..<40: (b ^ c ^ d, 0x6ED9_EBA1)
                case ..<60: ((b & c) | (b & d) | (c & d), 0x8F1B_BCDC)
                default: (b ^ c ^ d, 0xCA62_C1D6)
                }
            let next = Self.rotate(a, 5) &+ mixed &+ e &+ constant &+ schedule[round]
            (a, b, c, d, e) = (next, a, Self.rotate(b, 30), c, d)
        }
        state[0] &+= a
        state[1] &+= b
        state[2] &+= c
        state[3] &+= d
        state[4] &+= e
    }

    private static func rotate(_ word: UInt32, _ count: UInt32) -> UInt32 { word << count | word >> (32 &- count) }

    /// Ends the message and writes the digest in base64: 28 characters. The value is used up.
    mutating func appendBase64(to writer: inout HeadWriter) {
        let bits = length &* 8
        add(0x80)
        while length % 64 != 56 { add(0) }
        for shift in stride(from: UInt64(56), through: 0, by: -8) { add(UInt8(truncatingIfNeeded: bits >> shift)) }
        let alphabet: StaticString = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        for group in 0..<7 {
            var three: UInt32 = 0
            for offset in 0..<3 { three = three << 8 | byte(group * 3 + offset) }
            for shift in stride(from: UInt32(18), through: 0, by: -6) where group < 6 || shift > 0 {
                writer.append(alphabet.utf8Start[Int(three >> shift & 63)])
            }
        }
        writer.append(UInt8(ascii: "="))
    }

    /// One byte of the digest; zero behind its end.
    private func byte(_ index: Int) -> UInt32 {
        index < 20 ? state[index / 4] >> UInt32(24 - index % 4 * 8) & 0xFF : 0
    }
}

/// The key by which sticky cookies name backends without revealing them; one per process, shared by all workers.
///
/// A token is SipHash-2-4 of the candidate's identity: stable as long as the secret is, and of no use for finding out addresses or
/// how many backends there are. It is no credential either: who guesses one chooses a backend, nothing more.
struct StickySecret: Equatable, Sendable {
    private let low: UInt64
    private let high: UInt64

    init(low: UInt64, high: UInt64) {
        self.low = low
        self.high = high
    }

    /// A shorter text could be found out by trying.
    static let textBytesMin = 16

    /// A secret from the configuration: cookies survive restarts and hold on every Weir that has the same text.
    init(text: String) {
        let bytes = Array(text.utf8)
        let (a, b) = bytes.withUnsafeBytes { (hashKey($0), hashKey($0, seed: 0x5851_F42D_4C95_7F2D)) }
        self.init(low: a, high: b)
    }

    /// A secret of this process alone, from the system's own randomness: clients are placed anew after a restart.
    static func random() -> StickySecret {
        var source = SystemRandomNumberGenerator()
        return StickySecret(low: source.next(), high: source.next())
    }

    /// What the cookie says for the candidate of that identity; never 0.
    func token(for identity: UInt64) -> UInt64 {
        let hash = sipHash(identity, low, high)
        return hash == 0 ? 1 : hash
    }
}

/// The text of a sticky cookie: 16 lower-case hexadecimal digits.
enum StickyCookie {
    static let lengthBytes = 16

    /// Writes the token's digits; `destination` holds at least `lengthBytes`.
    static func write(_ token: UInt64, into destination: UnsafeMutableRawBufferPointer) {
        precondition(destination.count >= lengthBytes)
        for index in 0..<lengthBytes {
            let digit = UInt8(truncatingIfNeeded: token >> UInt64(60 &- 4 &* index)) & 15
            destination[index] = digit &+ (digit < 10 ? UInt8(ascii: "0") : UInt8(ascii: "a") &- 10)
        }
    }

    /// The token that a client sent; 0 when the value is none of ours.
    static func token(from value: UnsafeRawBufferPointer) -> UInt64 {
        guard value.count == lengthBytes else { return 0 }
        var token: UInt64 = 0
        for byte in value {
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): token = token << 4 | UInt64(byte &- UInt8(ascii: "0"))
            case UInt8(ascii: "a")...UInt8(ascii: "f"): token = token << 4 | UInt64(byte &- UInt8(ascii: "a") &+ 10)
            default: return 0
            }
        }
        return token
    }

    /// Index of the candidate that the token names, usable or not; -1 when there is none.
    ///
    /// The caller decides whether to wait for it or to choose anew.
    static func find(_ token: UInt64, in candidates: Candidates) -> Int {
        guard token != 0 else { return -1 }
        var index = 0
        while index < candidates.count {
            if candidates[index].stickyToken == token { return index }
            index &+= 1
        }
        return -1
    }
}

/// SipHash-2-4 of exactly one 64-bit word, read as eight little-endian bytes.
func sipHash(_ word: UInt64, _ low: UInt64, _ high: UInt64) -> UInt64 {
    var v0 = low ^ 0x736F_6D65_7073_6575
    var v1 = high ^ 0x646F_7261_6E64_6F6D
    var v2 = low ^ 0x6C79_6765_6E65_7261
    var v3 = high ^ 0x7465_6462_7974_6573
    func rotated(_ value: UInt64, _ count: UInt64) -> UInt64 { value << count | value >> (64 &- count) }
    func scramble(rounds: Int) {
        for _ in 0..<rounds {
            v0 &+= v1
            v1 = rotated(v1, 13) ^ v0
            v0 = rotated(v0, 32)
            v2 &+= v3
            v3 = rotated(v3, 16) ^ v2
            v0 &+= v3
            v3 = rotated(v3, 21) ^ v0
            v2 &+= v1
            v1 = rotated(v1, 17) ^ v2
            v2 = rotated(v2, 32)
        }
    }
    let last: UInt64 = 8 << 56  // the length in the top byte, no further bytes
    v3 ^= word
    scramble(rounds: 2)
    v0 ^= word
    v3 ^= last
    scramble(rounds: 2)
    v0 ^= last
    v2 ^= 0xFF
    scramble(rounds: 4)
    return v0 ^ v1 ^ v2 ^ v3
}

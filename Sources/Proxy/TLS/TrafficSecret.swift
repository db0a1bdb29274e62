import COpenSSL
import Glibc

/// What the keys of one direction come from: with TLS 1.3 the application traffic secret (RFC 8446 7.1), with TLS 1.2 the key.
///
/// Inline, so that it is wiped where it stands.
struct TrafficSecret: BitwiseCopyable {
    /// As long as the longest hash of a suite, SHA-384.
    static let bytesMax = 48
    private var bytes = InlineArray<48, UInt8>(repeating: 0)
    private(set) var count = 0

    var isKnown: Bool { count > 0 }

    init() {}

    /// The key of TLS 1.2, kept for `key12`.
    init(_ key: inout TrafficKey) {
        count = key.suite.keyBytes
        let length = count
        withUnsafeMutableBytes(of: &bytes) { bytes in withUnsafeBytes(of: &key.key) { _ = memcpy(bytes.baseAddress!, $0.baseAddress!, length) } }
    }

    /// Takes hexadecimal digits up to the first letter that is none; unknown where they are too many or odd.
    mutating func read(hexadecimal text: UnsafePointer<CChar>) {
        count = 0
        var place = 0
        while let high = Self.digit(text[2 &* place]) {
            guard place < Self.bytesMax, let low = Self.digit(text[2 &* place &+ 1]) else { return }
            bytes[place] = high << 4 | low
            place &+= 1
        }
        count = place
    }

    private static func digit(_ letter: CChar) -> UInt8? {
        let letter = UInt8(bitPattern: letter)
        switch letter {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): return letter &- UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): return letter &- UInt8(ascii: "a") &+ 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): return letter &- UInt8(ascii: "A") &+ 10
        default: return nil
        }
    }

    /// The key of TLS 1.3 for the first record under this secret (RFC 8446 7.3); nil when OpenSSL fails or the secret is not
    /// one of this suite.
    mutating func key13(_ suite: RecordSuite) -> TrafficKey? {
        guard count == suite.hashBytes else { return nil }
        var key = TrafficKey(version: .tls13, suite: suite)
        guard withUnsafeMutableBytes(of: &key.key, { expand("key", suite, into: $0.baseAddress!, suite.keyBytes) }),
            withUnsafeMutableBytes(of: &key.iv, { expand("iv", suite, into: $0.baseAddress!, 12) })
        else {
            key.wipe()
            return nil
        }
        return key
    }

    /// Turns into the next secret (RFC 8446 7.2); false when OpenSSL fails.
    mutating func advance(_ suite: RecordSuite) -> Bool {
        var next = TrafficSecret()
        defer { next.wipe() }
        guard withUnsafeMutableBytes(of: &next.bytes, { expand("traffic upd", suite, into: $0.baseAddress!, suite.hashBytes) }) else { return false }
        next.count = suite.hashBytes
        self = next
        return true
    }

    /// The key of TLS 1.2 with what else the next record needs.
    mutating func key12(_ suite: RecordSuite) -> TrafficKey {
        var key = TrafficKey(version: .tls12, suite: suite)
        let length = min(count, suite.keyBytes)
        withUnsafeMutableBytes(of: &key.key) { key in withUnsafeBytes(of: &bytes) { _ = memcpy(key.baseAddress!, $0.baseAddress!, length) } }
        return key
    }

    /// HKDF-Expand-Label with an empty context (RFC 8446 7.1), for at most one block of the hash.
    private mutating func expand(_ label: StaticString, _ suite: RecordSuite, into place: UnsafeMutableRawPointer, _ length: Int) -> Bool {
        var info = InlineArray<32, UInt8>(repeating: 0)
        var block = InlineArray<64, UInt8>(repeating: 0)
        defer { withUnsafeMutableBytes(of: &block) { OPENSSL_cleanse($0.baseAddress, $0.count) } }
        let prefix: StaticString = "tls13 "
        let labelBytes = prefix.utf8CodeUnitCount + label.utf8CodeUnitCount
        // Length, label with its own length, no context, number of the block.
        let infoBytes = 2 + 1 + labelBytes + 1 + 1
        precondition(infoBytes <= 32 && length <= suite.hashBytes && suite.hashBytes <= 64, "too much for one block")
        info[1] = UInt8(truncatingIfNeeded: length)
        info[2] = UInt8(truncatingIfNeeded: labelBytes)
        for index in 0..<prefix.utf8CodeUnitCount { info[3 + index] = prefix.utf8Start[index] }
        for index in 0..<label.utf8CodeUnitCount { info[3 + prefix.utf8CodeUnitCount + index] = label.utf8Start[index] }
        info[infoBytes - 1] = 1
        let secretBytes = Int32(truncatingIfNeeded: count)
        return withUnsafeBytes(of: &bytes) { secret in
            withUnsafeBytes(of: &info) { info in
                withUnsafeMutableBytes(of: &block) { block in
                    let start = block.baseAddress!.assumingMemoryBound(to: UInt8.self)
                    let data = info.baseAddress!.assumingMemoryBound(to: UInt8.self)
                    guard HMAC(suite.digest, secret.baseAddress, secretBytes, data, infoBytes, start, nil) != nil else { return false }
                    memcpy(place, start, length)
                    return true
                }
            }
        }
    }

    mutating func wipe() {
        withUnsafeMutableBytes(of: &bytes) { OPENSSL_cleanse($0.baseAddress, $0.count) }
        count = 0
    }
}

extension RecordSuite {
    /// The hash of the suite; TLS 1.2 has no other one for these ciphers.
    var digest: OpaquePointer? { self == .aes256GCM ? EVP_sha384() : EVP_sha256() }
    var hashBytes: Int { self == .aes256GCM ? 48 : 32 }

    /// What a connection has agreed on; nil for a cipher that is not ours.
    init?(_ ssl: OpaquePointer) {
        guard let cipher = SSL_get_current_cipher(ssl) else { return nil }
        switch SSL_CIPHER_get_cipher_nid(cipher) {
        case NID_aes_128_gcm: self = .aes128GCM
        case NID_aes_256_gcm: self = .aes256GCM
        case NID_chacha20_poly1305: self = .chaCha20Poly1305
        default: return nil
        }
    }
}

extension TrafficKey {
    /// The keys of a TLS 1.2 connection (RFC 5246 6.3), with sequence number 1: the Finished of each side was the first record
    /// under them. nil when OpenSSL fails.
    static func pair12(of ssl: OpaquePointer, _ suite: RecordSuite) -> (client: TrafficKey, server: TrafficKey)? {
        let ivBytes = suite == .chaCha20Poly1305 ? 12 : 4
        let label: StaticString = "key expansion"
        var master = InlineArray<48, UInt8>(repeating: 0)
        var seed = InlineArray<77, UInt8>(repeating: 0)
        var keys = InlineArray<88, UInt8>(repeating: 0)
        defer {
            withUnsafeMutableBytes(of: &master) { OPENSSL_cleanse($0.baseAddress, $0.count) }
            withUnsafeMutableBytes(of: &keys) { OPENSSL_cleanse($0.baseAddress, $0.count) }
        }
        let isDerived = withUnsafeMutableBytes(of: &master) { master in
            withUnsafeMutableBytes(of: &seed) { seed in
                withUnsafeMutableBytes(of: &keys) { keys in
                    let start = seed.baseAddress!.assumingMemoryBound(to: UInt8.self)
                    memcpy(start, label.utf8Start, 13)
                    let masterStart = master.baseAddress!.assumingMemoryBound(to: UInt8.self)
                    guard let session = SSL_get_session(ssl), SSL_SESSION_get_master_key(session, masterStart, 48) == 48,
                        SSL_get_server_random(ssl, start + 13, 32) == 32, SSL_get_client_random(ssl, start + 45, 32) == 32
                    else { return false }
                    return copenssl_prf12(
                        suite == .aes256GCM ? 384 : 256, masterStart, 48, start, 77, keys.baseAddress!.assumingMemoryBound(to: UInt8.self),
                        2 * (suite.keyBytes + ivBytes)) == 1
                }
            }
        }
        guard isDerived else { return nil }
        var client = TrafficKey(version: .tls12, suite: suite, sequence: 1)
        var server = client
        for index in 0..<suite.keyBytes {
            client.key[index] = keys[index]
            server.key[index] = keys[suite.keyBytes + index]
        }
        for index in 0..<ivBytes {
            client.iv[index] = keys[2 * suite.keyBytes + index]
            server.iv[index] = keys[2 * suite.keyBytes + ivBytes + index]
        }
        return (client, server)
    }
}

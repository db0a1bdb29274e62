import COpenSSL

/// How records are sealed once the handshake is through: the authenticated ciphers that we and the kernel know.
enum RecordSuite: UInt8, Sendable, CaseIterable {
    case aes128GCM
    case aes256GCM
    case chaCha20Poly1305

    var keyBytes: Int { self == .aes128GCM ? 16 : 32 }
    /// Records that may be sealed under one key (RFC 8446 5.5); for ChaCha20 the sequence number ends first.
    var recordsMax: UInt64 { self == .chaCha20Poly1305 ? .max : 23_726_566 }
}

/// All that is needed to seal the next record of a connection, or to open it: what the kernel is told to go on in our stead.
///
/// Trivial, so whoever has a copy calls `wipe` as soon as it has been used.
struct TrafficKey: BitwiseCopyable {
    var version: TLSVersion
    var suite: RecordSuite
    /// The first `suite.keyBytes` count, the others are zero.
    var key = InlineArray<32, UInt8>(repeating: 0)
    /// What the sequence number is laid over (RFC 8446 5.3, RFC 7905 2). With AES-GCM under TLS 1.2 the first four bytes are the
    /// salt; the other eight are zero, and a record carries its sequence number there (RFC 5288 3).
    var iv = InlineArray<12, UInt8>(repeating: 0)
    /// Of the next record.
    var sequence: UInt64 = 0

    /// The eight bytes of every record that stand between head and ciphertext.
    var hasExplicitNonce: Bool { version == .tls12 && suite != .chaCha20Poly1305 }

    mutating func wipe() {
        withUnsafeMutableBytes(of: &key) { OPENSSL_cleanse($0.baseAddress, $0.count) }
        withUnsafeMutableBytes(of: &iv) { OPENSSL_cleanse($0.baseAddress, $0.count) }
        sequence = 0
    }
}

/// Something to be said that is no application data, where the kernel seals what is sent: it goes out as a control message
/// (`TLS_SET_RECORD_TYPE`).
struct TLSControlMessage: BitwiseCopyable, Equatable {
    /// 21 = alert, 22 = handshake (RFC 8446 5.1).
    let contentType: UInt8
    /// How many of `bytes` count.
    let count: Int
    private let first: (UInt8, UInt8, UInt8, UInt8, UInt8)

    /// A warning or a fatal alert.
    static func alert(_ description: UInt8, isFatal: Bool) -> TLSControlMessage {
        TLSControlMessage(contentType: 21, count: 2, first: (isFatal ? 2 : 1, description, 0, 0, 0))
    }

    /// Key update, which asks for none in return (RFC 8446 4.6.3). What follows it is sealed under the next key.
    static var keyUpdate: TLSControlMessage { TLSControlMessage(contentType: 22, count: 5, first: (24, 0, 0, 1, 0)) }

    /// Calls `use` with the `count` bytes.
    func withBytes<Result>(_ use: (UnsafeRawBufferPointer) -> Result) -> Result {
        withUnsafeBytes(of: first) { use(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
    }

    static func == (one: TLSControlMessage, other: TLSControlMessage) -> Bool {
        one.contentType == other.contentType && one.count == other.count && one.first == other.first
    }
}

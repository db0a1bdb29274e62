import COpenSSL
import Glibc

/// What a handshake has come to, kept so that OpenSSL's object need not be.
struct TLSAgreement: BitwiseCopyable {
    private(set) var version = TLSVersion.tls13
    private(set) var isResumed = false
    private(set) var hasClientCertificate = false
    /// How many bytes of `texts` are ALPN's, and how many are the name.
    private var protocolBytes: UInt8 = 0
    private var nameBytes: UInt16 = 0
    /// OpenSSL's name, which lives as long as the process.
    private var cipher: UnsafePointer<CChar>?
    private var texts: UnsafeMutableRawPointer?

    init() {}

    /// - Parameter isServer: keeps what a client has asked for, too; `free` gives it back.
    init(_ ssl: OpaquePointer, isServer: Bool) {
        version = SSL_version(ssl) >= TLS1_3_VERSION ? .tls13 : .tls12
        isResumed = SSL_session_reused(ssl) == 1
        cipher = SSL_CIPHER_get_name(SSL_get_current_cipher(ssl))
        guard isServer else { return }
        hasClientCertificate = SSL_get0_peer_certificate(ssl) != nil
        var chosen: UnsafePointer<UInt8>?
        var chosenBytes: UInt32 = 0
        SSL_get0_alpn_selected(ssl, &chosen, &chosenBytes)
        let name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name)
        // Both have at most 255 bytes.
        let first = chosen == nil ? 0 : min(Int(chosenBytes), 255)
        let second = name.map { min(strlen($0), 255) } ?? 0
        guard first &+ second > 0, let memory = malloc(first &+ second) else { return }
        if let chosen { memcpy(memory, chosen, first) }
        if let name { memcpy(memory + first, name, second) }
        protocolBytes = UInt8(truncatingIfNeeded: first)
        nameBytes = UInt16(truncatingIfNeeded: second)
        texts = memory
    }

    func free() { Glibc.free(texts) }

    var cipherName: ByteSlice { cipher.map { ByteSlice(start: $0, count: strlen($0)) } ?? .none }
    var applicationProtocol: ByteSlice {
        guard let texts, protocolBytes > 0 else { return .none }
        return ByteSlice(start: texts, count: Int(protocolBytes))
    }
    var requestedName: ByteSlice {
        guard let texts, nameBytes > 0 else { return .none }
        return ByteSlice(start: texts + Int(protocolBytes), count: Int(nameBytes))
    }
}

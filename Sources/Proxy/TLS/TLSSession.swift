import COpenSSL

/// A session of a client's side that may be resumed: what a worker keeps of a backend between two connections.
struct TLSSession: BitwiseCopyable {
    let pointer: OpaquePointer

    func free() { SSL_SESSION_free(pointer) }

    /// Whether a session that a client brings back counts: a certificate in it must still be valid.
    ///
    /// Lists of revoked certificates need no look: a session's scope covers them (`SessionScope`).
    static func mayResume(_ session: OpaquePointer?) -> Bool {
        guard let session else { return false }
        guard let certificate = SSL_SESSION_get0_peer(session) else { return true }
        return X509_cmp_current_time(X509_get0_notBefore(certificate)) < 0 && X509_cmp_current_time(X509_get0_notAfter(certificate)) > 0
    }
}

/// What a session was made under: it resumes only where all of this is the same.
///
/// The server or virtual host, what it asks of clients' certificates, whom it trusts and whom it has revoked: with a new list
/// of revoked certificates everybody is looked at again.
struct SessionScope: BitwiseCopyable {
    static let byteCount = 32
    private var bytes = InlineArray<32, UInt8>(repeating: 0)

    init() {}

    /// nil when OpenSSL fails.
    init?(_ material: TLSMaterial) {
        var input: [UInt8] = []
        func add(_ part: [UInt8]) {
            withUnsafeBytes(of: UInt64(part.count)) { input += $0 }
            input += part
        }
        add(material.sessionScope)
        add([material.clientCertificates.rawValue, material.acceptsMissingRevocationList ? 1 : 0, material.acceptsExpiredRevocationList ? 1 : 0])
        add([UInt8](String(material.verifyDepth).utf8))
        if material.clientCertificates != .unwanted {
            for file in material.authorities { add(file.bytes.withBytes { Array($0) }) }
            add([0])
            for file in material.revocationLists { add(file.bytes.withBytes { Array($0) }) }
        }
        let result = withUnsafeMutableBytes(of: &bytes) {
            EVP_Digest(input, input.count, $0.baseAddress?.assumingMemoryBound(to: UInt8.self), nil, EVP_sha256(), nil)
        }
        guard result == 1 else { return nil }
    }

    /// Calls `use` with the 32 bytes.
    func withBytes<Result>(_ use: (UnsafePointer<UInt8>) -> Result) -> Result {
        withUnsafeBytes(of: bytes) { use($0.baseAddress!.assumingMemoryBound(to: UInt8.self)) }
    }
}

import COpenSSL

/// A context in the making: each step takes over a part of the material or complains.
final class TLSContextBuilder {
    let context: OpaquePointer
    let state: UnsafeMutablePointer<TLSContextState>
    var warnings: [String] = []
    private var isTaken = false
    /// What kind of key each certificate so far has, and where it came from.
    private var kinds: [Int32: String] = [:]
    private var staples: [OCSPStaple] = []

    init(_ method: OpaquePointer?) throws(TLSComplaint) {
        guard let context = SSL_CTX_new(method) else { throw Self.outOfMemory }
        guard let state = TLSContextState.make(for: context) else {
            SSL_CTX_free(context)
            throw Self.outOfMemory
        }
        self.context = context
        self.state = state
        SSL_CTX_set_options(context, copenssl_op_always)
        copenssl_ctx_set_mode(
            context,
            Int(SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_NO_AUTO_CHAIN))
        // 0-RTT: what is sent with it can be sent again by anybody.
        SSL_CTX_set_max_early_data(context, 0)
    }

    private static let outOfMemory = TLSComplaint(sentence: "OpenSSL has no memory left for another context")

    /// The context is ready and its owner's from now on.
    func take() -> TLSContext.Reference {
        state.pointee.staples = .allocate(capacity: staples.count)
        _ = state.pointee.staples.initialize(from: staples)
        staples = []
        isTaken = true
        return TLSContext.Reference(state: state)
    }

    func releaseIfUnused() {
        if isTaken { return }
        for staple in staples { staple.release() }
        SSL_CTX_free(context)
    }

    func setVersions(_ policy: TLSPolicy, _ least: TLSVersion?, _ most: TLSVersion?) throws(TLSComplaint) {
        let least = least ?? min(policy.versionMin, most ?? policy.versionMin)
        let most = most ?? policy.versionMax
        guard least <= most else {
            throw TLSComplaint(sentence: "the oldest version allowed, \(least.word), is newer than the newest, \(most.word)")
        }
        copenssl_ctx_set_min_version(context, least.number)
        copenssl_ctx_set_max_version(context, most.number)
    }

    func setSuites(_ policy: TLSPolicy, _ ciphers: String?, _ suites: String?) throws(TLSComplaint) {
        let sifted = SiftedCiphers(ciphers ?? policy.cipherNames)
        warnings += sifted.dropped.map { "cipher '\($0)' is left out: it is insecure or OpenSSL does not know it" }
        guard let list = sifted.list, SSL_CTX_set_cipher_list(context, list) == 1 else {
            ERR_clear_error()
            throw TLSComplaint(sentence: "none of the ciphers in '\(ciphers ?? "")' can be used; leave the setting out to have the policy's")
        }
        let kept = sift(suites ?? policy.suiteNames, "TLS 1.3 suite") { SSL_CTX_set_ciphersuites(context, $0) == 1 }
        guard let kept, SSL_CTX_set_ciphersuites(context, kept) == 1 else {
            throw TLSComplaint(sentence: "OpenSSL knows none of the TLS 1.3 suites in '\(suites ?? "")'; one is TLS_AES_128_GCM_SHA256")
        }
    }

    func setCurves(_ policy: TLSPolicy, _ names: String?) throws(TLSComplaint) {
        let kept = sift(names ?? policy.curveNames, "curve") { copenssl_ctx_set_groups(context, $0) == 1 }
        guard let kept, copenssl_ctx_set_groups(context, kept) == 1 else {
            throw TLSComplaint(sentence: "OpenSSL knows none of the curves in '\(names ?? "")'; some are X25519, prime256v1, secp384r1")
        }
        let text = kept.utf8CString
        let copy = UnsafeMutablePointer<CChar>.allocate(capacity: text.count)
        for (index, letter) in text.enumerated() { copy[index] = letter }
        state.pointee.curves?.deallocate()
        state.pointee.curves = copy
    }

    /// The names that `try` takes, joined by colons; the others get a warning. nil = none is left.
    private func sift(_ names: String, _ what: String, _ works: (String) -> Bool) -> String? {
        var kept: [String] = []
        for name in names.split(whereSeparator: { ":, ".contains($0) }).map(String.init) {
            if works(name) { kept.append(name) } else { warnings.append("\(what) '\(name)' is left out: OpenSSL does not know it") }
        }
        ERR_clear_error()
        return kept.isEmpty ? nil : kept.joined(separator: ":")
    }

    func setProtocols(_ names: [String]) throws(TLSComplaint) {
        guard let bytes = ApplicationProtocols.encoded(names) else {
            throw TLSComplaint(sentence: "names of application protocols have 1 to 255 letters")
        }
        guard !bytes.isEmpty else { return }
        state.pointee.applicationProtocols = .allocate(capacity: bytes.count)
        _ = state.pointee.applicationProtocols.initialize(from: bytes)
    }

    /// Adds a certificate with its chain and key.
    func add(_ identity: TLSIdentity) throws(TLSComplaint) {
        let chain = try PEMFile.certificates(identity.chain)
        defer { for certificate in chain { X509_free(certificate) } }
        let key = try PEMFile.key(identity.key)
        defer { EVP_PKEY_free(key) }
        defer { ERR_clear_error() }
        guard X509_check_private_key(chain[0], key) == 1 else {
            let hint =
                chain.dropFirst().contains { X509_check_private_key($0, key) == 1 }
                ? "it belongs to a later certificate of that file, which must come first" : "name the key that it was made with"
            throw TLSComplaint(
                sentence: "the key in \(identity.key.name) does not belong to the first certificate in \(identity.chain.name): \(hint)")
        }
        let kind = EVP_PKEY_get_base_id(key)
        if let other = kinds[kind] {
            throw TLSComplaint(
                sentence: "\(other) and \(identity.chain.name) have keys of the same kind, of which only one can be used; leave one out")
        }
        kinds[kind] = identity.chain.name
        guard SSL_CTX_use_certificate(context, chain[0]) == 1, SSL_CTX_use_PrivateKey(context, key) == 1 else {
            throw TLSComplaint(
                sentence: "OpenSSL does not take the certificate in \(identity.chain.name); its key or its signature is too weak, so have a new one made")
        }
        for certificate in chain.dropFirst() {
            guard copenssl_ctx_add_chain_certificate(context, certificate) == 1 else {
                throw TLSComplaint(sentence: "OpenSSL does not take a certificate of the chain in \(identity.chain.name); it is too weak")
            }
        }
        if X509_cmp_current_time(X509_get0_notAfter(chain[0])) < 0 {
            warnings.append("the certificate in \(identity.chain.name) has expired; clients will refuse it")
        } else if X509_cmp_current_time(X509_get0_notBefore(chain[0])) > 0 {
            warnings.append("the certificate in \(identity.chain.name) is not valid yet; clients will refuse it, so look at the clock")
        }
        if let file = identity.staple {
            let issuer = chain.first { X509_check_issued($0, chain[0]) == X509_V_OK }
            if let staple = try OCSPStaple(file, about: chain[0], issuer: issuer, warnings: &warnings) { staples.append(staple) }
        }
    }
}

extension TLSVersion {
    /// As it stands in messages.
    var number: Int32 {
        switch self {
        case .tls12: TLS1_2_VERSION
        case .tls13: TLS1_3_VERSION
        }
    }
}

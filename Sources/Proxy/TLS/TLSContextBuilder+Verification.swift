import COpenSSL

/// Whom a context trusts, and what it lets resume.
extension TLSContextBuilder {
    func setClientCertificates(_ material: TLSMaterial) throws(TLSComplaint) {
        guard material.clientCertificates != .unwanted else { return }
        guard !material.authorities.isEmpty else {
            throw TLSComplaint(sentence: "certificates of clients are asked for, but nobody is trusted to issue them; name a file of authorities")
        }
        try trust(material.authorities, tellsNames: true)
        try revoke(material.revocationLists, acceptsMissing: material.acceptsMissingRevocationList)
        state.pointee.acceptsMissingRevocationList = material.acceptsMissingRevocationList
        state.pointee.acceptsExpiredRevocationList = material.acceptsExpiredRevocationList
        var mode = SSL_VERIFY_PEER | SSL_VERIFY_CLIENT_ONCE
        if material.clientCertificates == .required { mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT }
        SSL_CTX_set_verify(context, mode, RevocationList.onFinding)
        SSL_CTX_set_verify_depth(context, Int32(clamping: max(0, material.verifyDepth)))
        state.pointee.checksPeer = true
        state.pointee.texts = material.certificateTexts
        var objects: [OpaquePointer] = []
        for text in material.certificateExtensions {
            guard let object = OBJ_txt2obj(text, 1) else {
                for object in objects { ASN1_OBJECT_free(object) }
                ERR_clear_error()
                throw TLSComplaint(sentence: "'\(text)' is no object identifier; one is written as 1.3.6.1.4.1.311.20.2")
            }
            objects.append(object)
        }
        state.pointee.extensions = .allocate(capacity: objects.count)
        _ = state.pointee.extensions.initialize(from: objects)
    }

    func setBackendVerification(_ material: TLSBackendMaterial) throws(TLSComplaint) {
        guard material.verifies else {
            SSL_CTX_set_verify(context, SSL_VERIFY_NONE, nil)
            return
        }
        try trust(material.authorities, tellsNames: false)
        try revoke(material.revocationLists, acceptsMissing: material.acceptsMissingRevocationList)
        state.pointee.acceptsMissingRevocationList = material.acceptsMissingRevocationList
        state.pointee.acceptsExpiredRevocationList = material.acceptsExpiredRevocationList
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, RevocationList.onFinding)
        SSL_CTX_set_verify_depth(context, Int32(clamping: max(0, material.verifyDepth)))
        state.pointee.checksPeer = true
    }

    /// - Parameter tellsNames: clients are told whose certificates are wanted.
    private func trust(_ files: [TLSFile], tellsNames: Bool) throws(TLSComplaint) {
        let store = SSL_CTX_get_cert_store(context)
        for file in files {
            let certificates = try PEMFile.certificates(file)
            defer { for certificate in certificates { X509_free(certificate) } }
            for certificate in certificates {
                let taken = X509_STORE_add_cert(store, certificate) == 1 && (!tellsNames || SSL_CTX_add_client_CA(context, certificate) == 1)
                ERR_clear_error()
                guard taken else { throw TLSComplaint(sentence: "OpenSSL does not take an authority of \(file.name)") }
            }
        }
    }

    private func revoke(_ files: [TLSFile], acceptsMissing: Bool) throws(TLSComplaint) {
        // Where lists must not be missing, there is something to look at without any.
        guard !files.isEmpty || !acceptsMissing else { return }
        let store = SSL_CTX_get_cert_store(context)
        for file in files { try RevocationList.add(file, to: store, warnings: &warnings) }
        RevocationList.require(in: store)
    }

    /// - Parameter sessions: for clients without tickets.
    func setResumption(_ material: TLSMaterial, secret: TLSTicketSecret, sessions: TLSSessionCache?) throws(TLSComplaint) {
        guard let scope = SessionScope(material) else { throw TLSComplaint(sentence: "OpenSSL has no SHA-256") }
        state.pointee.scope = scope
        _ = scope.withBytes { SSL_CTX_set_session_id_context(context, $0, UInt32(SessionScope.byteCount)) }
        state.pointee.sessionSeconds = max(1, material.sessionSeconds)
        SSL_CTX_set_timeout(context, state.pointee.sessionSeconds)
        if material.ticketCount > 0 {
            state.pointee.tickets =
                material.ticketKeys.isEmpty
                ? TLSTickets(secret: secret, rotationSeconds: material.ticketRotationSeconds) : try TLSTickets(files: material.ticketKeys)
            SSL_CTX_set_num_tickets(context, min(material.ticketCount, 8))
        } else {
            SSL_CTX_set_options(context, copenssl_op_no_ticket)
            // Without tickets TLS 1.3 gives out ids of sessions, in the same message.
            SSL_CTX_set_num_tickets(context, sessions == nil ? 0 : 1)
        }
        if let sessions { state.pointee.sessions = Unmanaged.passRetained(sessions) }
        // Callbacks ask the chosen context, so every context has them, whether it has a use for them or not.
        TLSTickets.install(in: context)
        TLSSessionCache.install(in: context)
        copenssl_ctx_set_session_cache_mode(context, Int(SSL_SESS_CACHE_SERVER | SSL_SESS_CACHE_NO_INTERNAL))
    }
}

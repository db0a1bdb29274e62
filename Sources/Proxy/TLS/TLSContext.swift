import COpenSSL

/// One `ssl` section ready for use: certificates, versions, suites, whom to trust, keys of tickets.
///
/// One for each worker and section, since OpenSSL's locks cost more than the memory. Any thread may make it, which takes
/// about a millisecond; its streams are one worker's. It may be dropped at any time: streams keep alive what they need.
final class TLSContext: @unchecked Sendable {
    /// For streams: trivial, good as long as the context or one of its streams lives.
    struct Reference: BitwiseCopyable, @unchecked Sendable {
        let state: UnsafeMutablePointer<TLSContextState>
    }

    let reference: Reference
    /// What the operator should know, in sentences.
    let warnings: [String]

    /// The side that clients connect to.
    ///
    /// - Parameters:
    ///   - secret: what keys of tickets are derived from, unless the material brings keys.
    ///   - sessions: for clients without tickets, of all workers of this section; nil = they do not resume.
    init(_ material: TLSMaterial, secret: TLSTicketSecret, sessions: TLSSessionCache?) throws(TLSComplaint) {
        let builder = try TLSContextBuilder(TLS_server_method())
        defer { builder.releaseIfUnused() }
        try builder.setVersions(material.policy, material.versionMin, material.versionMax)
        try builder.setSuites(material.policy, material.cipherNames, material.suiteNames)
        try builder.setCurves(material.policy, material.curveNames)
        // Groups of DHE as strong as the certificate, of use only where the ciphers name DHE.
        copenssl_ctx_set_dh_auto(builder.context, 1)
        guard !material.identities.isEmpty else { throw TLSComplaint(sentence: "a server needs a certificate and its key") }
        for identity in material.identities { try builder.add(identity) }
        try builder.setProtocols(material.applicationProtocols)
        ApplicationProtocols.install(in: builder.context)
        OCSPStaple.install(in: builder.context)
        ServerNameStop.install(in: builder.context)
        HandshakeSecrets.install(in: builder.context)
        try builder.setClientCertificates(material)
        try builder.setResumption(material, secret: secret, sessions: sessions)
        if material.prefersServerOrder { SSL_CTX_set_options(builder.context, copenssl_op_server_order) }
        warnings = builder.warnings
        reference = builder.take()
    }

    /// The side that connects to backends.
    init(backend material: TLSBackendMaterial) throws(TLSComplaint) {
        let builder = try TLSContextBuilder(TLS_client_method())
        defer { builder.releaseIfUnused() }
        try builder.setVersions(material.policy, material.versionMin, material.versionMax)
        try builder.setSuites(material.policy, material.cipherNames, material.suiteNames)
        try builder.setCurves(material.policy, material.curveNames)
        if let identity = material.identity { try builder.add(identity) }
        if !material.applicationProtocols.isEmpty {
            guard let bytes = ApplicationProtocols.encoded(material.applicationProtocols),
                SSL_CTX_set_alpn_protos(builder.context, bytes, UInt32(bytes.count)) == 0
            else { throw TLSComplaint(sentence: "names of application protocols have 1 to 255 letters") }
        }
        try builder.setBackendVerification(material)
        // Sessions are kept by the worker, one for each backend. With a cache OpenSSL would spoil a session for connections
        // that still use it once one of them gets a newer one.
        copenssl_ctx_set_session_cache_mode(builder.context, Int(SSL_SESS_CACHE_OFF))
        // The head and the body of a record cost one read of the BIO. Not toward clients, whose handshake may take no more than its
        // own: what follows is for our record layer.
        copenssl_ctx_set_read_ahead(builder.context, 1)
        warnings = builder.warnings
        reference = builder.take()
    }

    deinit { SSL_CTX_free(reference.state.pointee.context) }
}

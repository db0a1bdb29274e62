/// Sections of a configuration as the TLS room takes them.

extension TLSMaterial {
    /// - Parameters:
    ///   - scope: names the server or virtual host: sessions of one are never taken by another.
    ///   - wants: what backends and logs are told of certificates.
    init(_ settings: TLSSettings, scope: String, wants: CertificateWants = CertificateWants()) {
        self.init(identities: settings.identities.map(TLSIdentity.init))
        versionMin = settings.speaksTLS12 ? .tls12 : .tls13
        versionMax = settings.speaksTLS13 ? .tls13 : .tls12
        cipherNames = settings.ciphers.isEmpty ? nil : settings.ciphers
        suiteNames = settings.cipherSuites.isEmpty ? nil : settings.cipherSuites
        curveNames = settings.curves.isEmpty ? nil : settings.curves
        prefersServerOrder = settings.prefersServerCiphers
        ticketCount = settings.tickets ? 1 : 0
        sessionSeconds = settings.sessionSeconds
        ticketRotationSeconds = settings.ticketRotationSeconds
        ticketKeys = settings.ticketKeys.map(TLSFile.init)
        keepsSessions = settings.keepsSessions
        sessionScope = Array(scope.utf8)
        clientCertificates = settings.requiresPeer ? .required : settings.verifiesPeer ? .requested : .unwanted
        verifyDepth = settings.verifyDepth
        authorities = settings.authorities.map(TLSFile.init)
        authorityPlaces = settings.authorityPlaces
        revocationPlaces = settings.revocations?.places ?? []
        revocationLists = settings.revocations?.files.map(TLSFile.init) ?? []
        acceptsMissingRevocationList = settings.revocations?.acceptsMissing ?? true
        acceptsExpiredRevocationList = settings.revocations?.acceptsExpired ?? false
        certificateTexts = wants.texts
        certificateExtensions = wants.extensions
    }
}

extension TLSBackendMaterial {
    init(_ settings: BackendTLSSettings) {
        self.init()
        verifies = settings.verifies
        authorities = settings.authorities.map(TLSFile.init)
        identity = settings.identity.map(TLSIdentity.init)
        cipherNames = settings.ciphers
        suiteNames = settings.cipherSuites
        curveNames = settings.curves
    }
}

extension TLSIdentity {
    fileprivate init(_ settings: TLSSettings.Identity) {
        self.init(chain: TLSFile(settings.certificate), key: TLSFile(settings.key), staple: settings.staple.map(TLSFile.init))
    }
}

extension TLSFile {
    fileprivate init(_ file: TLSSettings.File) { self.init(name: file.path, bytes: file.bytes) }
}

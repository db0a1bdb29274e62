/// What an `ssl` section of a server or a virtual host asks for; policies, old words and inheritance are worked in already.
struct TLSSettings: Sendable, Equatable {
    /// A file as it was when the configuration was read.
    struct File: Sendable, Equatable {
        var path: String
        /// The word that names it.
        var location: SourceLocation
        var bytes: SecretBytes
    }

    /// A certificate with what belongs to it.
    struct Identity: Sendable, Equatable {
        /// PEM: the certificate itself, then those between it and its root.
        var certificate: File
        /// PEM; may be the same file.
        var key: File
        /// DER of the authority's answer that the certificate is not revoked (RFC 6960).
        var staple: File?
    }

    /// What is spoken where nothing more exact is written.
    enum Policy: String, Sendable, CaseIterable { case intermediate, modern }

    /// Lists of revoked client certificates.
    struct Revocations: Sendable, Equatable {
        /// PEM or DER, each with one or more lists.
        var files: [File] = []
        /// Paths of the files and directories that are named, whatever is in them.
        var places: [String] = []
        /// A certificate whose issuer has no list here counts as good.
        var acceptsMissing = true
        /// A list that is past its time still counts as a list.
        var acceptsExpired = false
        /// Also where there is no list yet.
        var saysAnything: Bool { !files.isEmpty || !places.isEmpty || !acceptsMissing }
    }

    var location = SourceLocation.none
    /// RSA and ECDSA side by side; at least one.
    var identities: [Identity] = []
    /// For messages: the members below are what it comes to.
    var policy = Policy.intermediate
    /// At least one of both.
    var speaksTLS12 = true
    var speaksTLS13 = true
    /// Ciphers of TLS 1.2 as OpenSSL writes them, none of them unknown; empty exactly when it is not spoken.
    var ciphers = ""
    /// Cipher suites of TLS 1.3 likewise.
    var cipherSuites = ""
    /// Groups for the key exchange, preferred first, with colons between.
    var curves = ""
    var prefersServerCiphers = true

    // Client certificates.
    /// PEM, any number of certificates each.
    var authorities: [File] = []
    /// Paths of the files and directories that are named, whatever is in them.
    var authorityPlaces: [String] = []
    var verifiesPeer = false
    /// Refuses clients without a certificate; implies `verifiesPeer`.
    var requiresPeer = false
    var verifyDepth = 9
    /// nil = nobody is asked.
    var revocations: Revocations?

    // Resumption.
    /// Life of a session, by ticket or by identifier.
    var sessionSeconds = 172_800
    /// Sessions of TLS 1.2 are kept by their identifiers. The size and the time of this are the server's, also in a virtual host.
    var keepsSessions = true
    var cacheSeconds = 1_024
    var cacheEntriesMax = 65_535
    var tickets = true
    /// 48 or 80 bytes each: the first seals, all open; empty = made from the secret of the process.
    var ticketKeys: [File] = []
    /// Of keys that are made from the secret.
    var ticketRotationSeconds = 43_200

    // The server's, also in a virtual host: they count before a name is known.
    var handshakeMilliseconds = 10_000
    /// Per worker, at one time.
    var handshakesMax = 1_024
    /// Most bytes of plain text in one record; 0 = few at first, then as many as fit.
    var recordBytes = 0
    /// The most that a record may hold (RFC 8446 5.1).
    static let recordBytesMax = 16_384
    /// Large bodies go to clients by the kernel's own TLS, where it has that.
    var usesKernelTLS = false
    /// How often the supervisor looks at the files for changes.
    var reloadMilliseconds = 10_000

    /// Where certificates of well-known authorities stand on this system.
    static let systemAuthorities = "/etc/ssl/certs/ca-certificates.crt"
    static let identitiesMax = 8
    static let ticketKeysMax = 16
    /// Sessions live no longer (RFC 8446 §4.6.1).
    static let sessionSecondsMax = 7 * 86_400
}

/// What the `ssl` section of a backend asks for.
struct BackendTLSSettings: Sendable, Equatable {
    enum Name: Sendable, Equatable {
        /// Sent as the server's name, and must stand in its certificate.
        case name(String)
        /// No name is sent; the address that is connected to must stand in the certificate.
        case address
        /// Neither; nothing is verified then.
        case none
    }

    var location = SourceLocation.none
    var verifies = true
    /// PEM; the system's where the section names none; empty when nothing is verified.
    var authorities: [TLSSettings.File] = []
    var name = Name.none
    /// What this proxy shows when it is asked for a certificate; without a staple.
    var identity: TLSSettings.Identity?
    var ciphers = TLSSettings.Policy.intermediate.ciphers
    var cipherSuites = TLSSettings.Policy.intermediate.cipherSuites
    var curves = TLSSettings.Policy.intermediate.curves
    /// A new connection resumes the newest session of the backend.
    var reusesSessions = true
}

extension TLSSettings.Policy {
    var speaksTLS12: Bool { self == .intermediate }

    /// Forward-secret and authenticated, in TLS 1.2.
    var ciphers: String {
        "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384"
            + ":ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
    }

    var cipherSuites: String { "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256" }

    var curves: String { "X25519:prime256v1:secp384r1" }
}

/// What an `ssl` section asks for, with the contents of the files it names: all that a `TLSContext` is made from.
///
/// Plain values: whoever makes them has read the files, so that nothing here touches the file system.
struct TLSMaterial: Sendable, Equatable {
    /// Certificates side by side: one of each kind of key, the client's offer decides.
    var identities: [TLSIdentity]
    var policy = TLSPolicy.intermediate
    /// Narrower or wider than the policy; nil = the policy's.
    var versionMin: TLSVersion?
    var versionMax: TLSVersion?
    /// Suites of TLS 1.2 as a list of OpenSSL's names; nil = the policy's.
    ///
    /// Names that nobody knows any more and insecure ones are left out with a warning; it is a complaint when none is left.
    var cipherNames: String?
    /// Suites of TLS 1.3, separated by colons; nil = the policy's.
    var suiteNames: String?
    /// Groups for the exchange of keys, separated by colons and preferred first; nil = the policy's.
    var curveNames: String?
    /// Our order of suites counts, not the client's.
    var prefersServerOrder = true
    /// ALPN, preferred first; a client that offers others only is refused. Empty = the extension is passed over.
    var applicationProtocols = ["http/1.1"]

    /// Tickets of TLS 1.3 for a full handshake; 0 = no tickets, neither in TLS 1.2.
    var ticketCount = 1
    /// How long a session can be resumed.
    var sessionSeconds = 172_800
    /// After how long another key seals tickets, where keys come from the process's secret; tickets of the one before are
    /// still taken, and renewed.
    var ticketRotationSeconds = 43_200
    /// Keys shared with other nodes, each of 48 or 80 bytes in the layout of nginx: the first seals, all open. Empty = keys
    /// from the process's secret.
    var ticketKeys: [TLSFile] = []
    /// Clients without tickets may resume, where there is a place for their sessions.
    var keepsSessions = true
    /// Names the server or virtual host: sessions of one are never taken by another.
    var sessionScope: [UInt8] = []

    var clientCertificates = TLSClientCertificates.unwanted
    /// How many certificates may stand between that of a client and a trusted one.
    var verifyDepth = 9
    /// Whom to trust about clients; PEM, any number of certificates in each. Their names are sent to clients.
    var authorities: [TLSFile] = []
    /// What the configuration names for them, files and directories; stands for them where their contents may change.
    var authorityPlaces: [String] = []
    /// Lists of revoked certificates; PEM, any number in each, or one as DER.
    var revocationLists: [TLSFile] = []
    /// What the configuration names for those.
    var revocationPlaces: [String] = []
    /// A certificate whose issuer has no list is taken.
    var acceptsMissingRevocationList = true
    /// A list past its time still counts; else it refuses everybody whom it could name.
    var acceptsExpiredRevocationList = false
    /// What `ClientCertificate` holds.
    var certificateTexts: ClientCertificateTexts = []
    /// Extensions of client certificates that `ClientCertificate` holds, as object identifiers.
    var certificateExtensions: [String] = []
}

/// What the `ssl` section of a backend asks for.
struct TLSBackendMaterial: Sendable, Hashable {
    /// The backend must show a certificate that an authority vouches for, with the name that `connecting` was given.
    var verifies = true
    /// Whom to trust; without any, and with `verifies`, every backend fails.
    var authorities: [TLSFile] = []
    var verifyDepth = 9
    var revocationLists: [TLSFile] = []
    var acceptsMissingRevocationList = true
    var acceptsExpiredRevocationList = false
    /// What is shown to a backend that asks for a certificate.
    var identity: TLSIdentity?
    var policy = TLSPolicy.intermediate
    var versionMin: TLSVersion?
    var versionMax: TLSVersion?
    var cipherNames: String?
    var suiteNames: String?
    var curveNames: String?
    /// ALPN, preferred first; empty = none is offered.
    var applicationProtocols: [String] = []
}

/// A file that has been read; its name is for complaints.
struct TLSFile: Sendable, Hashable {
    var name: String
    var bytes: SecretBytes
}

/// A certificate with its chain and key.
struct TLSIdentity: Sendable, Hashable {
    /// PEM: the certificate first, then those that lead to the authority.
    var chain: TLSFile
    /// PEM, without a passphrase; may be the same file.
    var key: TLSFile
    /// An OCSP response about the certificate, DER, given to clients that ask.
    var staple: TLSFile?
}

enum TLSVersion: UInt8, Sendable, Comparable {
    case tls12
    case tls13

    static func < (left: TLSVersion, right: TLSVersion) -> Bool { left.rawValue < right.rawValue }

    /// As OpenSSL and the log call it.
    var word: StaticString {
        switch self {
        case .tls12: "TLSv1.2"
        case .tls13: "TLSv1.3"
        }
    }
}

enum TLSClientCertificates: UInt8, Sendable {
    /// Clients are not asked.
    case unwanted
    /// Clients are asked; one that shows a certificate must show a good one.
    case requested
    /// No connection without a good certificate.
    case required
}

/// Why a context can't be made, in a sentence for the operator.
struct TLSComplaint: Error, Equatable {
    var sentence: String
}

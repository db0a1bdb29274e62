/// The certificates of a test run, made once: an authority, one below it that issues all the others, and their lists.
public struct TestCertificates: Sendable {
    public static let shared = TestCertificates()

    /// The extension that `client` has, and what it says.
    public static let extensionID = "1.3.6.1.4.1.55555.7"
    public static let extensionText = "Grüße, client"

    public let authority: MadeCertificate
    public let intermediate: MadeCertificate
    /// For `localhost`, `example.com`, `*.example.com` and 127.0.0.1, of both kinds.
    public let rsa: MadeCertificate
    public let ecdsa: MadeCertificate
    /// For `other.example.net` alone.
    public let other: MadeCertificate
    public let expired: MadeCertificate
    public let client: MadeCertificate
    public let expiredClient: MadeCertificate
    public let revokedClient: MadeCertificate
    /// An authority that nobody trusts, and a client of it.
    public let stranger: MadeCertificate
    public let strangerClient: MadeCertificate

    /// Both authorities' lists, one of which names `revokedClient`.
    public let revocationList: String
    /// The same lists with nobody in them.
    public let emptyRevocationList: String
    public let expiredRevocationList: String

    private init() {
        typealias Maker = CertificateMaker
        authority = Maker.make("Weir test root", for: .authority, serial: 1)
        intermediate = Maker.make("Weir test issuer", for: .authority, by: authority, serial: 2)
        let names = ["localhost", "example.com", "*.example.com"]
        rsa = Maker.make("rsa.example.com", .rsa, for: .server, by: intermediate, serial: 3, names: names, addresses: ["127.0.0.1"])
        ecdsa = Maker.make("ecdsa.example.com", for: .server, by: intermediate, serial: 4, names: names, addresses: ["127.0.0.1"])
        other = Maker.make("other.example.net", for: .server, by: intermediate, serial: 5, names: ["other.example.net"])
        expired = Maker.make("expired.example.com", for: .server, by: intermediate, serial: 6, names: names, days: -60 ..< -1)
        client = Maker.make(
            "client", for: .client, by: intermediate, serial: 0xABC, texts: [(Self.extensionID, "ASN1:FORMAT:UTF8,UTF8String:\(Self.extensionText)")])
        expiredClient = Maker.make("expired client", for: .client, by: intermediate, serial: 8, days: -60 ..< -1)
        revokedClient = Maker.make("revoked client", for: .client, by: intermediate, serial: 9)
        stranger = Maker.make("Somebody else's root", for: .authority, serial: 1)
        strangerClient = Maker.make("stranger", for: .client, by: stranger, serial: 2)
        revocationList = authority.revocationList([]) + intermediate.revocationList([revokedClient])
        emptyRevocationList = authority.revocationList([]) + intermediate.revocationList([])
        expiredRevocationList = authority.revocationList([]) + intermediate.revocationList([], untilDays: -1)
    }

    /// Writes them to a folder, for programs: NAME.pem with the chain, NAME.key, and the lists.
    public func write(to folder: TemporaryFolder) throws {
        let all: [(String, MadeCertificate)] = [
            ("ca", authority), ("issuer", intermediate), ("rsa", rsa), ("ecdsa", ecdsa), ("other", other), ("expired", expired),
            ("client", client), ("expired-client", expiredClient), ("revoked-client", revokedClient), ("stranger", stranger),
            ("stranger-client", strangerClient),
        ]
        for (name, made) in all {
            try folder.write("\(name).pem", made.chainPEM)
            try folder.write("\(name).key", made.keyPEM)
        }
        try folder.write("revoked.crl", revocationList)
        try folder.write("empty.crl", emptyRevocationList)
        try folder.write("expired.crl", expiredRevocationList)
    }
}

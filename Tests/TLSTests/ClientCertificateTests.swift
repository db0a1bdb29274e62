import TestSupport
import Testing

@testable import Proxy

@Suite("Certificates of clients")
struct ClientCertificateTests {
    private static let versions: [TLSVersion] = [.tls12, .tls13]

    private func server(_ mode: TLSClientCertificates = .required, _ change: (inout TLSMaterial) -> Void = { _ in }) throws -> TLSContext {
        try .serving {
            $0.clientCertificates = mode
            $0.authorities = [Materials.file("ca.pem", Materials.made.authority.pem)]
            change(&$0)
        }
    }

    private func client(_ version: TLSVersion, _ made: MadeCertificate?) throws -> TLSContext {
        try .asking {
            $0.versionMax = version
            $0.identity = made.map { Materials.identity($0) }
        }
    }

    /// What the client is told (RFC 8446 6.2), by what the server has found; OpenSSL decides which alert that is.
    private static let alerts: [TLSFailure: Int32] = [
        .none: 0, .certificateNotYetValid: 42, .wrongPurpose: 43, .certificateRevoked: 44, .certificateExpired: 45,
        .revocationListExpired: 45, .unknownAuthority: 48, .chainTooLong: 48, .noRevocationList: 48,
    ]

    /// TLS 1.2 has no alert that says certificate_required; handshake_failure stands for it.
    private static func alert(of failure: TLSFailure, _ version: TLSVersion) -> Int32? {
        failure == .noCertificate ? (version == .tls13 ? 116 : 40) : alerts[failure]
    }

    /// What the server finds, once it has told the client with the right alert.
    private func failure(_ version: TLSVersion, _ made: MadeCertificate?, _ server: TLSContext) throws -> TLSFailure {
        let alert = UnsafeMutablePointer<Int32>.allocate(capacity: 1)
        alert.initialize(to: 0)
        defer { alert.deallocate() }
        let peers = TLSPeers(try client(version, made), server)
        peers.client.noteAlert(in: alert)
        let agreed = peers.shakeHands()
        #expect(agreed == (peers.server.failure == .none && peers.client.failure == .none))
        if !agreed {
            // The client learns of it, with TLS 1.3 when it reads.
            _ = peers.clientReads()
            #expect(peers.client.failure != .none)
        }
        #expect(alert.pointee == Self.alert(of: peers.server.failure, version), "\(peers.server.failure.word)")
        return peers.server.failure
    }

    @Test("one that was only requested may be missing, but not bad", arguments: versions)
    func requested(version: TLSVersion) throws {
        let server = try server(.requested)
        #expect(try failure(version, nil, server) == .none)
        #expect(try failure(version, Materials.made.client, server) == .none)
        #expect(try failure(version, Materials.made.strangerClient, server) == .unknownAuthority)
    }

    @Test("without one that is required there is no connection", arguments: versions)
    func required(version: TLSVersion) throws {
        let server = try server()
        #expect(try failure(version, nil, server) == .noCertificate)
        #expect(try failure(version, Materials.made.client, server) == .none)
    }

    @Test("each way of being bad has its word", arguments: versions)
    func bad(version: TLSVersion) throws {
        let server = try server()
        #expect(try failure(version, Materials.made.expiredClient, server) == .certificateExpired)
        #expect(try failure(version, Materials.made.strangerClient, server) == .unknownAuthority)
        #expect(try failure(version, Materials.made.ecdsa, server) == .wrongPurpose)
        // Between the client's certificate and the authority stands one.
        #expect(try failure(version, Materials.made.client, try self.server { $0.verifyDepth = 0 }) == .chainTooLong)
        #expect(try failure(version, Materials.made.client, try self.server { $0.verifyDepth = 1 }) == .none)
    }

    @Test("so has one whose time has not come", arguments: versions)
    func early(version: TLSVersion) throws {
        let early = CertificateMaker.make("early client", for: .client, by: Materials.made.intermediate, serial: 78, days: 1..<30)
        #expect(try failure(version, early, try server()) == .certificateNotYetValid)
    }

    @Test("a revoked one is refused, others of its issuer are not", arguments: versions)
    func revoked(version: TLSVersion) throws {
        let server = try server { $0.revocationLists = [Materials.file("revoked.crl", Materials.made.revocationList)] }
        #expect(try failure(version, Materials.made.revokedClient, server) == .certificateRevoked)
        #expect(try failure(version, Materials.made.client, server) == .none)
    }

    @Test("where a list is missing or past its time, the settings decide", arguments: versions)
    func lists(version: TLSVersion) throws {
        func server(_ list: String, missing: Bool, expired: Bool) throws -> TLSContext {
            try self.server {
                $0.revocationLists = [Materials.file("some.crl", list)]
                $0.acceptsMissingRevocationList = missing
                $0.acceptsExpiredRevocationList = expired
            }
        }
        // A list of the root alone says nothing of those whom the intermediate issued.
        let rootOnly = Materials.made.authority.revocationList([])
        #expect(try failure(version, Materials.made.client, try server(rootOnly, missing: true, expired: false)) == .none)
        #expect(try failure(version, Materials.made.client, try server(rootOnly, missing: false, expired: false)) == .noRevocationList)
        let expired = Materials.made.expiredRevocationList
        #expect(try failure(version, Materials.made.client, try server(expired, missing: true, expired: false)) == .revocationListExpired)
        #expect(try failure(version, Materials.made.client, try server(expired, missing: true, expired: true)) == .none)
    }

    @Test("where lists must not be missing, nobody comes in without any list at all", arguments: versions)
    func noLists(version: TLSVersion) throws {
        let server = try server { $0.acceptsMissingRevocationList = false }
        #expect(try failure(version, Materials.made.client, server) == .noRevocationList)
        #expect(try failure(version, Materials.made.client, try self.server()) == .none)
    }

    /// What clients of a section are checked for, as the worker compares it.
    private func mark(_ change: (inout TLSMaterial) -> Void) throws -> UInt64 {
        let arena = PlanArena()
        let contexts = TLSContexts(provision: TLSContexts.Provision(workers: 1, secret: Materials.secret), arena: arena)
        let material = Materials.server {
            $0.clientCertificates = .required
            $0.authorities = [Materials.file("ca.pem", Materials.made.authority.pem)]
            $0.authorityPlaces = ["ca.pem"]
            $0.revocationPlaces = ["lists"]
            change(&$0)
        }
        let listener = try contexts.listener([material], ofHost: [0], sessions: nil)
        return withExtendedLifetime(arena) { listener.pointee.marks[0] }
    }

    @Test("what clients were checked for stays the same when files change, and is another where others are named")
    func marks() throws {
        let before = try mark { _ in }
        let authority = try mark { $0.authorities = [Materials.file("ca.pem", Materials.made.authority.pem + Materials.made.stranger.pem)] }
        let list = try mark { $0.revocationLists = [Materials.file("lists/new", Materials.made.revocationList)] }
        #expect(authority == before && list == before)
        #expect(try mark { $0.authorityPlaces = ["other.pem"] } != before)
        #expect(try mark { $0.revocationPlaces = [] } != before)
        #expect(try mark { $0.acceptsMissingRevocationList = false } != before)
    }

    @Test("once revoked, a client's session does not resume", arguments: versions, [true, false])
    func revokedOnResumption(version: TLSVersion, byTicket: Bool) throws {
        let cache = TLSSessionCache(countMax: 10, seconds: 10)
        func server(_ list: String) throws -> TLSContext {
            try .serving(sessions: cache) {
                $0.clientCertificates = .required
                $0.authorities = [Materials.file("ca.pem", Materials.made.authority.pem)]
                $0.ticketCount = byTicket ? 1 : 0
                $0.revocationLists = [Materials.file("some.crl", list)]
            }
        }
        let client = try client(version, Materials.made.revokedClient)
        let before = try server(Materials.made.emptyRevocationList)
        let session = try ResumptionTests.begin(client, before)
        // Read again without a change, the list makes no difference.
        #expect(ResumptionTests.resumes(session, client, try server(Materials.made.emptyRevocationList)))
        let after = TLSPeers(client, try server(Materials.made.revocationList), resuming: session.session)
        #expect(!after.shakeHands() && after.server.failure == .certificateRevoked)
    }

    @Test("what is told of a certificate")
    func texts() throws {
        let peers = TLSPeers(
            try client(.tls13, Materials.made.client),
            try server {
                $0.certificateTexts = .all
                $0.certificateExtensions = [TestCertificates.extensionID, "2.5.29.15", "1.2.3.4"]
            })
        #expect(peers.shakeHands())
        let texts = try #require(peers.certificate)
        #expect(texts.subject.text == "/C=US/O=Weir tests/CN=client")
        #expect(texts.issuer.text == "/C=US/O=Weir tests/CN=Weir test issuer")
        #expect(texts.serial.text == "0ABC")
        #expect(texts.sha1.count == 59 && texts.sha1.text.split(separator: ":").count == 20)
        #expect(texts.notBefore.text.hasSuffix(" GMT") && texts.notAfter.text.hasSuffix(" GMT"))
        #expect(texts.folded.text.replacing("\r\n\t", with: "\n") + "\n" == Materials.made.client.pem)
        #expect(texts.escaped.text.hasPrefix("-----BEGIN%20CERTIFICATE-----%0A") && texts.escaped.text.hasSuffix("-----END%20CERTIFICATE-----%0A"))
        let base64 = Materials.made.client.pem.split(separator: "\n").dropFirst().dropLast().joined()
        #expect(texts.structured.text == ":\(base64):")
        #expect(texts.extensionText(0).text == TestCertificates.extensionText)
        // One that is no text, one that is not there, one that was not asked for.
        #expect(texts.extensionText(1).isAbsent && texts.extensionText(2).isAbsent && texts.extensionText(3).isAbsent)
    }

    @Test("an extension that could end a field is left out")
    func controls() throws {
        let sly = CertificateMaker.make(
            "sly", for: .client, by: Materials.made.intermediate, serial: 77, texts: [("1.2.3.4", "DER:0C:05:61:0D:0A:58:3A")])
        let peers = TLSPeers(try client(.tls13, sly), try server { $0.certificateExtensions = ["1.2.3.4"] })
        #expect(peers.shakeHands())
        let texts = try #require(peers.certificate)
        #expect(texts.extensionText(0).isAbsent && texts.subject.isAbsent)
    }

    @Test("without a certificate there is nothing to tell")
    func none() throws {
        let peers = TLSPeers(try client(.tls13, nil), try server(.requested))
        #expect(peers.shakeHands() && peers.certificate == nil && !peers.server.hasClientCertificate)
    }
}

@Suite("Backends over TLS")
struct BackendTests {
    @Test("a backend must show a certificate that an authority vouches for, with its name")
    func verified() throws {
        let server = try TLSContext.serving()
        #expect(TLSPeers(try .asking(), server, name: "example.com").shakeHands())
        let wrong = TLSPeers(try .asking(), server, name: "elsewhere.org")
        #expect(!wrong.shakeHands() && wrong.client.failure == .wrongName && wrong.server.failure == .peerBadCertificate)
        let unknown = TLSPeers(try .asking { $0.authorities = [Materials.file("other.pem", Materials.made.stranger.pem)] }, server)
        #expect(!unknown.shakeHands() && unknown.client.failure == .unknownAuthority && unknown.server.failure == .peerUnknownAuthority)
        let nobody = TLSPeers(try .asking { $0.authorities = [] }, server)
        #expect(!nobody.shakeHands() && nobody.client.failure == .unknownAuthority)
        let expired = TLSPeers(try .asking(), try .serving { $0.identities = [Materials.identity(Materials.made.expired)] })
        #expect(!expired.shakeHands() && expired.client.failure == .certificateExpired && expired.server.failure == .peerCertificateExpired)
    }

    @Test("one that need not be verified may show anything")
    func unverified() throws {
        let client = try TLSContext.asking {
            $0.verifies = false
            $0.authorities = []
        }
        #expect(TLSPeers(client, try .serving { $0.identities = [Materials.identity(Materials.made.expired)] }, name: "elsewhere.org").shakeHands())
    }

    @Test("a revoked backend is refused")
    func revoked() throws {
        let list = Materials.made.authority.revocationList([]) + Materials.made.intermediate.revocationList([Materials.made.ecdsa])
        let peers = TLSPeers(try .asking { $0.revocationLists = [Materials.file("some.crl", list)] }, try .serving())
        #expect(!peers.shakeHands() && peers.client.failure == .certificateRevoked)
    }

    @Test("names that are none are no connection", arguments: ["a\0b", String(repeating: "x", count: 300)])
    func names(name: String) throws {
        let client = try TLSContext.asking()
        #expect(name.withLent { TLSStream.connecting(client.reference, name: $0, resuming: nil) } == nil)
    }

    @Test("a response about a certificate goes with it, and its client can read it")
    func staple() throws {
        let response = Materials.made.intermediate.staple(about: Materials.made.ecdsa)
        let server = try TLSContext.serving { $0.identities = [Materials.identity(Materials.made.ecdsa, staple: response)] }
        let peers = TLSPeers(try .asking(), server)
        peers.client.askForStaple()
        #expect(peers.shakeHands() && peers.client.staple == response)
    }
}

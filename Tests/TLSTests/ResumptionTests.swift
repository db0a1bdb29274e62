import COpenSSL
import TestSupport
import Testing

@testable import Proxy

/// A session that a client has kept, freed with the test.
final class KeptSession {
    let session: TLSSession
    init?(of peers: TLSPeers) {
        guard let session = peers.client.session() else { return nil }
        self.session = session
    }
    deinit { session.free() }
}

extension TLSSession {
    /// As it would be shown to the server.
    var ticket: [UInt8] {
        var start: UnsafePointer<UInt8>?
        var count = 0
        SSL_SESSION_get0_ticket(pointer, &start, &count)
        return Array(UnsafeBufferPointer(start: start, count: count))
    }
}

@Suite("Sessions that resume")
struct ResumptionTests {
    static let versions: [TLSVersion] = [.tls12, .tls13]

    /// A full handshake, and what the client keeps of it.
    static func begin(_ client: TLSContext, _ server: TLSContext, name: String = "example.com", now: Int64 = 1_000_000) throws -> KeptSession {
        let peers = TLSPeers(client, server, name: name)
        peers.now = now
        #expect(peers.shakeHands() && !peers.server.isResumed)
        // With TLS 1.3 tickets come behind the handshake.
        #expect(peers.fromServer(Bytes("hello")) == Bytes("hello"))
        return try #require(KeptSession(of: peers))
    }

    /// Whether the session is resumed.
    static func resumes(
        _ session: KeptSession, _ client: TLSContext, _ server: TLSContext, name: String = "example.com", now: Int64 = 1_000_000
    ) -> Bool {
        let peers = TLSPeers(client, server, name: name, resuming: session.session)
        peers.now = now
        #expect(peers.shakeHands(), "\(peers.server.failure.word) \(peers.client.failure.word)")
        #expect(peers.fromServer(Bytes("hello")) == Bytes("hello") && peers.fromClient(Bytes("again")) == Bytes("again"))
        return peers.server.isResumed
    }

    @Test("a ticket resumes, with each version and kind of key", arguments: versions, [CertificateMaker.Kind.rsa, .ecdsa])
    func tickets(version: TLSVersion, kind: CertificateMaker.Kind) throws {
        let client = try TLSContext.asking { $0.versionMax = version }
        let made = kind == .rsa ? Materials.made.rsa : Materials.made.ecdsa
        let server = try TLSContext.serving { $0.identities = [Materials.identity(made)] }
        #expect(Self.resumes(try Self.begin(client, server), client, server))
    }

    @Test("a section that keeps no sessions has no place for them, whatever others of its server have")
    func keptBySection() throws {
        let arena = PlanArena()
        let contexts = TLSContexts(provision: TLSContexts.Provision(workers: 1, secret: Materials.secret), arena: arena)
        let keeping = Materials.server()
        let forgetting = Materials.server { $0.keepsSessions = false }
        let tls = try contexts.listener([keeping, forgetting], ofHost: [0, 1], sessions: TLSSessionCache(countMax: 10, seconds: 10))
        withExtendedLifetime(arena) {
            let places = [0, 1].map { tls.pointee.context($0, worker: 0).state.pointee.sessions != nil }
            #expect(places == [true, false])
        }
    }

    @Test("with TLS 1.3 every connection gets a ticket for the next")
    func chain() throws {
        let client = try TLSContext.asking()
        let server = try TLSContext.serving()
        let first = try Self.begin(client, server)
        let second = TLSPeers(client, server, name: "example.com", resuming: first.session)
        second.now = 1_000_000
        #expect(second.shakeHands() && second.server.isResumed && second.fromServer([1]) == [1])
        let kept = try #require(KeptSession(of: second))
        #expect(kept.session.ticket != first.session.ticket)
        #expect(Self.resumes(kept, client, server))
    }

    @Test("without tickets an id resumes, from the cache of all workers", arguments: versions)
    func ids(version: TLSVersion) throws {
        let cache = TLSSessionCache(countMax: 100, seconds: 100)
        let client = try TLSContext.asking { $0.versionMax = version }
        let workers = try (0..<2).map { _ in try TLSContext.serving(sessions: cache) { $0.ticketCount = 0 } }
        let session = try Self.begin(client, workers[0])
        #expect(cache.count == 1)
        #expect(Self.resumes(session, client, workers[1]))
        cache.clear()
        #expect(!Self.resumes(session, client, workers[0]))
    }

    @Test("without tickets and cache nothing resumes", arguments: versions)
    func neither(version: TLSVersion) throws {
        let client = try TLSContext.asking { $0.versionMax = version }
        let server = try TLSContext.serving { $0.ticketCount = 0 }
        let peers = TLSPeers(client, server)
        #expect(peers.shakeHands() && peers.fromServer(Bytes("hello")) == Bytes("hello"))
        guard let session = KeptSession(of: peers) else { return }
        #expect(!Self.resumes(session, client, server))
    }

    @Test("sessions in tickets take no place in the cache", arguments: versions)
    func noPlace(version: TLSVersion) throws {
        let cache = TLSSessionCache(countMax: 100, seconds: 100)
        let client = try TLSContext.asking { $0.versionMax = version }
        let server = try TLSContext.serving(sessions: cache)
        #expect(Self.resumes(try Self.begin(client, server), client, server))
        #expect(cache.count == 0)
    }

    @Test("the cache holds no more sessions than it may, and the oldest go")
    func bounded() throws {
        let cache = TLSSessionCache(countMax: 16, seconds: 100)
        let client = try TLSContext.asking { $0.versionMax = .tls12 }
        let server = try TLSContext.serving(sessions: cache) { $0.ticketCount = 0 }
        let first = try Self.begin(client, server)
        for _ in 0..<200 { _ = try Self.begin(client, server) }
        #expect(cache.count == 16)
        #expect(!Self.resumes(first, client, server))
        #expect(Self.resumes(try Self.begin(client, server), client, server))
    }

    @Test("a certificate of a client is known again", arguments: versions, [true, false])
    func clientCertificate(version: TLSVersion, byTicket: Bool) throws {
        let client = try TLSContext.asking {
            $0.versionMax = version
            $0.identity = Materials.identity(Materials.made.client)
        }
        let server = try TLSContext.serving(sessions: TLSSessionCache(countMax: 10, seconds: 10)) {
            $0.ticketCount = byTicket ? 1 : 0
            $0.clientCertificates = .required
            $0.authorities = [Materials.file("ca.pem", Materials.made.authority.pem)]
            $0.certificateTexts = .subject
        }
        let session = try Self.begin(client, server)
        let peers = TLSPeers(client, server, resuming: session.session)
        #expect(peers.shakeHands() && peers.server.isResumed && peers.server.hasClientCertificate)
        let texts = try #require(peers.certificate)
        #expect(texts.subject.text == "/C=US/O=Weir tests/CN=client")
        #expect(texts.issuer.isAbsent)
    }

    @Test("a ticket of this epoch resumes, one of the epoch before is renewed, an older one does not", arguments: versions)
    func epochs(version: TLSVersion) throws {
        let client = try TLSContext.asking { $0.versionMax = version }
        let server = try TLSContext.serving { $0.ticketRotationSeconds = 1_000 }
        let session = try Self.begin(client, server, now: 5_000)
        #expect(Self.resumes(session, client, server, now: 5_999))
        // A worker whose clock is a moment behind knows it too.
        #expect(Self.resumes(session, client, server, now: 4_999))
        // In the next epoch it still counts, and the client gets another one, which counts in the one after.
        let renewing = TLSPeers(client, server, resuming: session.session)
        renewing.now = 6_500
        #expect(renewing.shakeHands() && renewing.server.isResumed && renewing.fromServer([1]) == [1])
        let renewed = try #require(KeptSession(of: renewing))
        #expect(Self.resumes(renewed, client, server, now: 7_500))
        #expect(!Self.resumes(session, client, server, now: 7_500))
        #expect(!Self.resumes(session, client, server, now: 3_999))
    }

    @Test("workers derive the same keys from the same secret, and others from another", arguments: versions)
    func secrets(version: TLSVersion) throws {
        let client = try TLSContext.asking { $0.versionMax = version }
        let session = try Self.begin(client, try .serving())
        #expect(Self.resumes(session, client, try .serving()))
        let another = try #require(TLSTicketSecret.random())
        #expect(!Self.resumes(session, client, try .serving(secret: another)))
        #expect(TLSTicketSecret([1, 2, 3]) == nil)
    }

    @Test("nodes that share files of keys take each other's tickets, until a key is gone", arguments: versions, [48, 80])
    func keyFiles(version: TLSVersion, length: Int) throws {
        let keys = (0..<3).map { number in TLSFile(name: "\(number).key", bytes: Bytes(repeating: UInt8(number), count: length)) }
        let client = try TLSContext.asking { $0.versionMax = version }
        let secrets = try (0..<2).map { _ in try #require(TLSTicketSecret.random()) }
        func node(_ number: Int, _ keys: [TLSFile]) throws -> TLSContext { try .serving(secret: secrets[number]) { $0.ticketKeys = keys } }
        let session = try Self.begin(client, try node(0, [keys[0]]))
        #expect(Self.resumes(session, client, try node(1, [keys[0]])))
        #expect(Self.resumes(session, client, try node(1, [keys[1], keys[0]])))
        #expect(!Self.resumes(session, client, try node(1, [keys[2], keys[1]])))
    }

    @Test("a session of one server is not taken by another", arguments: versions, [true, false])
    func scopes(version: TLSVersion, byTicket: Bool) throws {
        let cache = TLSSessionCache(countMax: 100, seconds: 100)
        let client = try TLSContext.asking { $0.versionMax = version }
        let servers = try ["one", "two"].map { scope in
            try TLSContext.serving(sessions: cache) {
                $0.sessionScope = Bytes(scope)
                $0.ticketCount = byTicket ? 1 : 0
            }
        }
        let session = try Self.begin(client, servers[0])
        #expect(!Self.resumes(session, client, servers[1]))
        #expect(Self.resumes(session, client, servers[0]))
    }

    @Test("a session is not kept longer than the server says")
    func lifetime() throws {
        let cache = TLSSessionCache(countMax: 16, seconds: 100)
        let client = try TLSContext.asking { $0.versionMax = .tls12 }
        let server = try TLSContext.serving(sessions: cache) { $0.sessionSeconds = 77 }
        let session = try Self.begin(client, server)
        #expect(session.session.lifetimeHintSeconds == 77)
    }
}

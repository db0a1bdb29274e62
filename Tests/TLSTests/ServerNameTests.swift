import TestSupport
import Testing

@testable import Proxy

@Suite("Names in the ClientHello, RFC 6066 §3")
struct ServerNameTests {
    private static let versions: [TLSVersion] = [.tls12, .tls13]

    /// A listener with virtual hosts: example.com is the default, other.example.net has a certificate of its own.
    private struct Listener {
        let arena = PlanArena()
        let table: HostTable
        let contexts: [TLSContext]

        init(sessions: TLSSessionCache? = nil, other: (inout TLSMaterial) -> Void = { _ in }) throws {
            let hosts = try [["example.com", "*.example.com"], ["other.example.net"]].map { try $0.map { try HostName($0) } }
            table = HostTable(hosts, defaultHost: 0, in: arena)
            contexts = [
                try .serving(sessions: sessions) { $0.sessionScope = [0] },
                try .serving(sessions: sessions) {
                    $0.identities = [Materials.identity(Materials.made.other)]
                    $0.sessionScope = [1]
                    other(&$0)
                },
            ]
        }

        func peers(_ client: TLSContext, name: String, resuming: KeptSession? = nil) -> TLSPeers {
            let peers = TLSPeers(client, contexts[0], name: name, resuming: resuming?.session)
            peers.choose = { name in
                let host = Bytes(name).withUnsafeBytes { table.find($0) }
                return (contexts[Int(host)], host)
            }
            return peers
        }
    }

    @Test(
        "an exact name, a pattern and the default each get their certificate", arguments: versions,
        [("example.com", Int32(0)), ("Deep.EXAMPLE.com", 0), ("other.example.net", 1), ("localhost", 0)])
    func names(version: TLSVersion, expected: (name: String, host: Int32)) throws {
        let listener = try Listener()
        let peers = listener.peers(try .asking { $0.versionMax = version }, name: expected.name)
        peers.pieceBytes = 50
        // The client checks that the certificate has the name.
        #expect(peers.shakeHands(), "\(peers.client.failure.word)")
        #expect(peers.server.host == expected.host)
        #expect(peers.namesAsked == [expected.name])
        #expect(peers.fromClient([1, 2, 3]) == [1, 2, 3])
    }

    @Test("the wrong certificate would have been noticed", arguments: versions)
    func wrongName(version: TLSVersion) throws {
        let listener = try Listener()
        let peers = listener.peers(try .asking { $0.versionMax = version }, name: "elsewhere.org")
        #expect(!peers.shakeHands())
        #expect(peers.client.failure == .wrongName)
    }

    @Test("a client that connects to an address sends no name")
    func address() throws {
        let listener = try Listener()
        let peers = listener.peers(try .asking(), name: "127.0.0.1")
        #expect(peers.shakeHands(), "\(peers.client.failure.word)")
        #expect(peers.namesAsked == [""] && peers.server.host == 0)
        let wrong = listener.peers(try .asking(), name: "127.0.0.2")
        #expect(!wrong.shakeHands() && wrong.client.failure == .wrongName)
    }

    @Test("a name that is refused ends with the alert that says so", arguments: versions)
    func refused(version: TLSVersion) throws {
        let peers = TLSPeers(try .asking { $0.versionMax = version }, try .serving())
        peers.choose = { _ in (nil, -1) }
        #expect(!peers.shakeHands())
        #expect(peers.server.failure == .unknownName && peers.client.failure == .peerUnknownName)
    }

    @Test("versions are those of the chosen virtual host")
    func chosenVersion() throws {
        let listener = try Listener { $0.policy = .modern }
        let old = try TLSContext.asking { $0.versionMax = .tls12 }
        #expect(listener.peers(old, name: "example.com").shakeHands())
        let refused = listener.peers(old, name: "other.example.net")
        #expect(!refused.shakeHands() && refused.server.failure == .protocolVersion)
    }

    @Test("suites and curves are those of the chosen virtual host", arguments: versions)
    func chosenSuite(version: TLSVersion) throws {
        let listener = try Listener {
            $0.cipherNames = "ECDHE-ECDSA-CHACHA20-POLY1305"
            $0.suiteNames = "TLS_CHACHA20_POLY1305_SHA256"
            $0.curveNames = "secp384r1"
        }
        let peers = listener.peers(try .asking { $0.versionMax = version }, name: "other.example.net")
        #expect(peers.shakeHands() && peers.server.cipherName.text.contains("CHACHA20"))
        let narrow = try TLSContext.asking {
            $0.versionMax = version
            $0.curveNames = "X25519:prime256v1"
        }
        #expect(!listener.peers(narrow, name: "other.example.net").shakeHands())
        #expect(listener.peers(narrow, name: "example.com").shakeHands())
    }

    @Test("certificates of clients are asked for where the chosen virtual host says so", arguments: versions)
    func chosenVerification(version: TLSVersion) throws {
        let listener = try Listener {
            $0.clientCertificates = .required
            $0.authorities = [Materials.file("ca.pem", Materials.made.authority.pem)]
        }
        let nobody = try TLSContext.asking { $0.versionMax = version }
        #expect(listener.peers(nobody, name: "example.com").shakeHands())
        let refused = listener.peers(nobody, name: "other.example.net")
        #expect(!refused.shakeHands() && refused.server.failure == .noCertificate)
        let somebody = try TLSContext.asking {
            $0.versionMax = version
            $0.identity = Materials.identity(Materials.made.client)
        }
        let taken = listener.peers(somebody, name: "other.example.net")
        #expect(taken.shakeHands() && taken.server.hasClientCertificate)
    }

    @Test("a session of one virtual host does not open another", arguments: versions, [true, false])
    func sessions(version: TLSVersion, byTicket: Bool) throws {
        let listener = try Listener(sessions: TLSSessionCache(countMax: 10, seconds: 10)) {
            $0.clientCertificates = .required
            $0.authorities = [Materials.file("ca.pem", Materials.made.authority.pem)]
            $0.ticketCount = byTicket ? 1 : 0
        }
        let nobody = try TLSContext.asking {
            $0.versionMax = version
            $0.verifies = false
        }
        let first = listener.peers(nobody, name: "example.com")
        #expect(first.shakeHands() && first.fromServer([1]) == [1])
        let session = try #require(KeptSession(of: first))
        #expect(listener.peers(nobody, name: "example.com", resuming: session).shakeHands())
        let refused = listener.peers(nobody, name: "other.example.net", resuming: session)
        #expect(!refused.shakeHands() && refused.server.failure == .noCertificate && !refused.server.isResumed)
    }

    @Test("the chosen virtual host's sessions resume there", arguments: versions, [true, false])
    func resumesThere(version: TLSVersion, byTicket: Bool) throws {
        let listener = try Listener(sessions: TLSSessionCache(countMax: 10, seconds: 10)) { $0.ticketCount = byTicket ? 1 : 0 }
        let client = try TLSContext.asking { $0.versionMax = version }
        let first = listener.peers(client, name: "other.example.net")
        #expect(first.shakeHands() && first.fromServer([1]) == [1])
        let session = try #require(KeptSession(of: first))
        let second = listener.peers(client, name: "other.example.net", resuming: session)
        #expect(second.shakeHands() && second.server.isResumed)
    }

    @Test("streams keep the contexts that they need when a reload drops them")
    func lifetimes() throws {
        let client = try TLSContext.asking()
        var listener: Listener? = try Listener()
        let peers = try #require(listener?.peers(client, name: "other.example.net"))
        peers.choose = nil
        let other = listener?.contexts[1]
        peers.choose = { _ in (other, 1) }
        #expect(peers.shakeHands())
        listener = nil
        peers.choose = nil
        #expect(peers.fromClient([1, 2, 3]) == [1, 2, 3] && peers.fromServer([4]) == [4])
    }
}

@Suite("Application protocols, RFC 7301")
struct ApplicationProtocolTests {
    private func peers(_ offered: [String], _ ours: [String]) throws -> TLSPeers {
        TLSPeers(try .asking { $0.applicationProtocols = offered }, try .serving { $0.applicationProtocols = ours })
    }

    @Test("the server takes the first of its own that the client offers")
    func order() throws {
        let peers = try peers(["http/1.1", "h2"], ["h2", "http/1.1"])
        #expect(peers.shakeHands() && peers.server.applicationProtocol.text == "h2" && peers.client.applicationProtocol.text == "h2")
    }

    @Test("a client that offers nothing gets none")
    func nothing() throws {
        let peers = try peers([], ["http/1.1"])
        #expect(peers.shakeHands() && peers.server.applicationProtocol.count == 0)
    }

    @Test("a client that offers only what we do not speak is refused")
    func refused() throws {
        let peers = try peers(["imap"], ["http/1.1"])
        #expect(!peers.shakeHands() && peers.server.failure == .noApplicationProtocol && peers.client.failure == .peerOther)
    }

    @Test("a server without protocols passes the offer over")
    func passedOver() throws {
        let peers = try peers(["imap"], [])
        #expect(peers.shakeHands() && peers.server.applicationProtocol.count == 0)
    }
}

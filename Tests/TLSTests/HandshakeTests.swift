import TestSupport
import Testing

@testable import Proxy

@Suite("TLS handshakes through memory")
struct HandshakeTests {
    private static let versions: [TLSVersion] = [.tls12, .tls13]
    private static let hello = Bytes("GET / HTTP/1.1\r\n\r\n")

    @Test("both ends agree and carry bytes both ways, with each version and kind of key", arguments: versions, [CertificateMaker.Kind.rsa, .ecdsa])
    func matrix(version: TLSVersion, kind: CertificateMaker.Kind) throws {
        let made = kind == .rsa ? Materials.made.rsa : Materials.made.ecdsa
        let peers = TLSPeers(
            try .asking { $0.versionMax = version },
            try .serving {
                $0.identities = [Materials.identity(made)]
            })
        #expect(peers.shakeHands())
        #expect(peers.server.version == version && peers.client.version == version)
        #expect(peers.server.cipherName.text.contains(version == .tls13 ? "TLS_AES" : kind == .rsa ? "ECDHE-RSA" : "ECDHE-ECDSA"))
        #expect(!peers.server.isResumed && !peers.server.hasClientCertificate)
        #expect(peers.fromClient(Self.hello) == Self.hello)
        #expect(peers.fromServer(Self.hello) == Self.hello)
    }

    @Test("two certificates stand side by side, and the client's offer decides", arguments: versions)
    func sideBySide(version: TLSVersion) throws {
        let server = try TLSContext.serving { $0.identities = [Materials.identity(Materials.made.rsa), Materials.identity(Materials.made.ecdsa)] }
        let onlyRSA = try TLSContext.asking {
            $0.versionMax = .tls12
            $0.cipherNames = "ECDHE-RSA-AES128-GCM-SHA256"
        }
        let peers = TLSPeers(onlyRSA, server)
        #expect(peers.shakeHands() && peers.server.cipherName.text == "ECDHE-RSA-AES128-GCM-SHA256")
        let free = TLSPeers(try .asking { $0.versionMax = version }, server)
        #expect(free.shakeHands())
    }

    @Test("pieces of any size change nothing", arguments: versions)
    func cuts(version: TLSVersion) throws {
        let client = try TLSContext.asking { $0.versionMax = version }
        let server = try TLSContext.serving { _ in }
        for size in Array(1...40) + [100, 255, 256, 1_000, 1_448] {
            let peers = TLSPeers(client, server)
            peers.pieceBytes = size
            #expect(peers.shakeHands(), "pieces of \(size)")
            let bytes = Bytes((0..<3_000).map { UInt8(truncatingIfNeeded: $0) })
            #expect(peers.fromClient(bytes) == bytes && peers.fromServer(bytes, recordBytes: 700) == bytes, "pieces of \(size)")
        }
    }
}

import COpenSSL
import TestSupport
import Testing

@testable import Proxy

/// A server that hears what no client would say.
final class LoneServer {
    var stream: TLSStream
    var blocks = BlockPool()
    var output = ByteQueue()
    private let context: TLSContext
    private(set) var progress = TLSProgress.wantsInput
    private(set) var sentBytes = 0

    init(_ context: TLSContext) {
        self.context = context
        stream = TLSStream.accepting(context.reference)!
    }

    deinit {
        stream.free(&blocks)
        output.clear(into: &blocks)
        precondition(blocks.takenBytes == 0, "a stream keeps blocks")
    }

    /// Returns what it says.
    @discardableResult
    func hear(_ bytes: Bytes) -> Bytes {
        bytes.withUnsafeBytes { bytes in
            var input = TLSInput(start: bytes.baseAddress ?? UnsafeRawPointer(bitPattern: 8)!, count: bytes.count)
            repeat {
                progress = stream.handshake(&input, now: 1, to: &output, &blocks)
                if progress == .wantsName { stream.choose(context.reference, host: 0) }
            } while progress == .wantsName
        }
        let said = output.takeAll(&blocks)
        sentBytes += said.count
        return said
    }
}

@Suite("TLS that fails")
struct FailureTests {
    private static let versions: [TLSVersion] = [.tls12, .tls13]

    @Test("words for the log are all different, and of small letters")
    func words() {
        let words = TLSFailure.allCases.map { "\($0.word)" }
        #expect(Set(words).count == words.count)
        #expect(words.allSatisfy { $0.allSatisfy { $0.isLowercase || $0 == "-" } })
    }

    @Test("HTTP on a port for TLS is told apart from the first byte on", arguments: ["GET / HTTP/1.1\r\n", "OPTIONS *", "PRI * HTTP/2.0", "P", "DE"])
    func plainHTTP(text: String) throws {
        let server = LoneServer(try .serving())
        #expect(server.hear(Bytes(text)).isEmpty)
        #expect(server.progress == .failed && server.stream.failure == .plainHTTP)
        // Nothing more is said, whatever comes.
        #expect(server.hear(Bytes("x")).isEmpty && server.progress == .failed)
    }

    /// A ClientHello without extensions.
    private static func hello(version: UInt16) -> Bytes {
        let body = [UInt8(version >> 8), UInt8(version & 255)] + Bytes(repeating: 7, count: 32) + [0, 0, 4, 0xC0, 0x2B, 0x00, 0x2F, 1, 0]
        return [0x16, 3, 1, 0, UInt8(body.count + 4), 1, 0, 0, UInt8(body.count)] + body
    }

    @Test("protocols older than TLS 1.2 are refused with an alert", arguments: [UInt16(0x0300), 0x0301, 0x0302])
    func oldProtocols(version: UInt16) throws {
        let server = LoneServer(try .serving())
        let said = server.hear(Self.hello(version: version))
        #expect(server.progress == .failed && server.stream.failure == .protocolVersion)
        // SSL 3 has no word for it but handshake_failure.
        #expect(said.count == 7 && said.first == 21 && said.last == (version == 0x0300 ? 40 : 70))
    }

    @Test("so is SSL 2")
    func sslv2() throws {
        let server = LoneServer(try .serving())
        server.hear([0x80, 0x2E, 1, 0, 2, 0, 0x15, 0, 0, 0, 0x10, 1, 0, 0x80] + Bytes(repeating: 7, count: 40))
        #expect(server.progress == .failed && server.stream.failure != .none)
    }

    @Test("the modern policy refuses TLS 1.2")
    func modern() throws {
        let peers = TLSPeers(try .asking { $0.versionMax = .tls12 }, try .serving { $0.policy = .modern })
        #expect(!peers.shakeHands() && peers.server.failure == .protocolVersion && peers.client.failure == .peerProtocolVersion)
        #expect(TLSPeers(try .asking(), try .serving { $0.policy = .modern }).shakeHands())
    }

    @Test("the intermediate policy refuses suites without authenticated encryption or forward secrecy")
    func intermediate() throws {
        for name in ["ECDHE-ECDSA-AES128-SHA", "AES128-GCM-SHA256"] {
            let peers = TLSPeers(
                try .asking {
                    $0.versionMax = .tls12
                    $0.cipherNames = name
                }, try .serving { $0.identities = [Materials.identity(Materials.made.rsa), Materials.identity(Materials.made.ecdsa)] })
            #expect(!peers.shakeHands() && peers.server.failure == .noSharedCipher && peers.client.failure == .peerHandshakeFailure)
        }
    }

    @Test("without a curve in common there is no connection", arguments: versions)
    func curves(version: TLSVersion) throws {
        let peers = TLSPeers(
            try .asking {
                $0.versionMax = version
                $0.curveNames = "secp521r1"
            }, try .serving())
        #expect(!peers.shakeHands())
        #expect(peers.server.failure == (version == .tls13 ? .noSharedCurve : .noSharedCipher))
    }

    /// What a client says first.
    private func firstFlight(_ version: TLSVersion) throws -> Bytes {
        let peers = TLSPeers(try .asking { $0.versionMax = version }, try .serving())
        var input = TLSInput(start: UnsafeRawPointer(bitPattern: 8)!, count: 0)
        #expect(peers.client.handshake(&input, now: 1, to: &peers.clientOutput, &peers.blocks) == .wantsInput)
        return peers.clientOutput.takeAll(&peers.blocks)
    }

    @Test("a hello cut anywhere waits for more; any other first byte behind the cut fails or waits", arguments: versions)
    func truncated(version: TLSVersion) throws {
        let context = try TLSContext.serving()
        let flight = try firstFlight(version)
        for cut in 0..<flight.count {
            let server = LoneServer(context)
            #expect(server.hear(Bytes(flight[..<cut])).isEmpty && server.progress == .wantsInput)
        }
    }

    @Test("a hello with any byte changed ends well or with a word", arguments: versions)
    func changed(version: TLSVersion) throws {
        let context = try TLSContext.serving()
        let flight = try firstFlight(version)
        for place in flight.indices {
            for change in [UInt8(1), 0x80, 0xFF] {
                var bytes = flight
                bytes[place] ^= change
                let server = LoneServer(context)
                server.hear(bytes)
                #expect((server.progress == .failed) == (server.stream.failure != .none))
                #expect(server.sentBytes < 10_000)
            }
        }
    }

    @Test("random bytes end with a word", arguments: [UInt64(1), 2, 3, 4])
    func random(seed: UInt64) throws {
        print("seed \(seed)")
        var source = RandomSource(seed: seed)
        let context = try TLSContext.serving()
        let flight = try firstFlight(.tls13)
        for round in 0..<300 {
            let server = LoneServer(context)
            let count = 1 + Int(source.next() % 2_000)
            var bytes = (0..<count).map { _ in UInt8(truncatingIfNeeded: source.next()) }
            if round % 2 == 0 { bytes = Bytes(flight.prefix(Int(source.next() % 300))) + bytes }
            server.hear(bytes)
            // Behind a record that may be long a server waits for its end.
            server.hear(Bytes(repeating: 0, count: 40_000))
            #expect(server.progress == .failed && server.stream.failure != .none && server.sentBytes < 10_000)
        }
    }

    @Test("a client that hears random bytes ends with a word", arguments: [UInt64(1), 2])
    func randomToClient(seed: UInt64) throws {
        print("seed \(seed)")
        var source = RandomSource(seed: seed)
        let asking = try TLSContext.asking()
        let serving = try TLSContext.serving()
        for _ in 0..<200 {
            let peers = TLSPeers(asking, serving)
            var nothing = TLSInput(start: UnsafeRawPointer(bitPattern: 8)!, count: 0)
            _ = peers.client.handshake(&nothing, now: 1, to: &peers.clientOutput, &peers.blocks)
            let bytes = (0..<40_000).map { _ in UInt8(truncatingIfNeeded: source.next()) }
            bytes.withUnsafeBytes {
                var input = TLSInput(start: $0.baseAddress!, count: $0.count)
                #expect(peers.client.handshake(&input, now: 1, to: &peers.clientOutput, &peers.blocks) == .failed)
            }
            #expect(peers.client.failure != .none)
        }
    }

    @Test("a record that was changed on its way is refused with an alert", arguments: versions)
    func tampered(version: TLSVersion) throws {
        let peers = TLSPeers(try .asking { $0.versionMax = version }, try .serving())
        #expect(peers.shakeHands())
        let bytes = Bytes("hello")
        _ = bytes.withUnsafeBytes { peers.client.seal($0.baseAddress!, 5, recordBytes: 100, to: &peers.clientOutput, &peers.blocks) }
        peers.collect()
        peers.toServer[peers.toServer.count - 3] ^= 1
        #expect(peers.serverReads().isEmpty && peers.lastOpened == .failed && peers.server.failure == .decryptionFailed)
        #expect(!peers.serverOutput.isEmpty)
        var plain: [UInt8] = [0]
        #expect(peers.server.seal(&plain, 1, recordBytes: 1, to: &peers.serverOutput, &peers.blocks) == 0)
    }

    @Test("the end is told, and what came before it is read", arguments: versions)
    func closing(version: TLSVersion) throws {
        let peers = TLSPeers(try .asking { $0.versionMax = version }, try .serving())
        #expect(peers.shakeHands())
        let bytes = Bytes("last words")
        _ = bytes.withUnsafeBytes { peers.client.seal($0.baseAddress!, $0.count, recordBytes: 100, to: &peers.clientOutput, &peers.blocks) }
        #expect(peers.client.sealEnd(to: &peers.clientOutput, &peers.blocks) && peers.client.sealEnd(to: &peers.clientOutput, &peers.blocks))
        peers.collect()
        #expect(peers.serverReads() == bytes && peers.lastOpened == .ended && peers.server.failure == .none)
        // The other direction is still open.
        #expect(peers.fromServer(Bytes("and ours")) == Bytes("and ours"))
        #expect(peers.server.sealEnd(to: &peers.serverOutput, &peers.blocks))
    }

    @Test("an end in the middle of a handshake is told apart")
    func endedEarly() throws {
        let server = LoneServer(try .serving())
        server.hear([21, 3, 3, 0, 2, 1, 0])
        #expect(server.progress == .failed && [.endedEarly, .peerClosed, .unexpectedMessage].contains(server.stream.failure))
    }

    @Test("a client may not shake hands again")
    func renegotiation() throws {
        let peers = TLSPeers(try .asking { $0.versionMax = .tls12 }, try .serving())
        #expect(peers.shakeHands())
        peers.client.startRenegotiation()
        _ = peers.clientReads()
        peers.collect()
        #expect(peers.toServer.count > 100, "a ClientHello is on its way")
        #expect(peers.serverReads().isEmpty)
        peers.collect()
        _ = peers.clientReads()
        #expect(peers.client.failure != .none && peers.namesAsked.count == 1)
    }

    @Test("a client that asks for new keys again and again is sent away, and not much has been said by then")
    func keyUpdates() throws {
        let peers = TLSPeers(try .asking(), try .serving())
        #expect(peers.shakeHands())
        var rounds = 0
        while peers.server.failure == .none, rounds < 10_000 {
            peers.client.askForNewKeys()
            _ = peers.fromClient([1])
            peers.collect()
            _ = peers.clientReads()
            rounds += 1
        }
        #expect(peers.server.failure == .tooManyAnswers && rounds > 1_000 && rounds < 4_000, "\(rounds) \(peers.server.failure.word)")
    }
}

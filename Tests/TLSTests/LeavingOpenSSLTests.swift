import COpenSSL
import TestSupport
import Testing

@testable import Proxy

/// A suite of OpenSSL's, by its name.
struct NamedSuite: Sendable, CustomTestStringConvertible {
    let version: TLSVersion
    let name: String
    var testDescription: String { name }

    static let ours = [
        NamedSuite(version: .tls12, name: "ECDHE-ECDSA-AES128-GCM-SHA256"), NamedSuite(version: .tls12, name: "ECDHE-ECDSA-AES256-GCM-SHA384"),
        NamedSuite(version: .tls12, name: "ECDHE-ECDSA-CHACHA20-POLY1305"), NamedSuite(version: .tls13, name: "TLS_AES_128_GCM_SHA256"),
        NamedSuite(version: .tls13, name: "TLS_AES_256_GCM_SHA384"), NamedSuite(version: .tls13, name: "TLS_CHACHA20_POLY1305_SHA256"),
    ]
    static let others = [
        NamedSuite(version: .tls12, name: "ECDHE-ECDSA-AES128-SHA256"), NamedSuite(version: .tls12, name: "ECDHE-ECDSA-AES128-CCM"),
        NamedSuite(version: .tls13, name: "TLS_AES_128_CCM_SHA256"),
    ]

    func peers(serving: TLSContext? = nil, resuming: TLSSession? = nil) throws -> TLSPeers {
        let client = try TLSContext.asking {
            $0.versionMax = version
            if version == .tls13 { $0.suiteNames = name } else { $0.cipherNames = name }
        }
        let server =
            try serving
            ?? TLSContext.serving {
                if version == .tls13 { $0.suiteNames = name } else { $0.cipherNames = name }
            }
        return TLSPeers(client, server, resuming: resuming)
    }
}

@Suite("Leaving OpenSSL behind the handshake")
struct LeavingOpenSSLTests {
    private static let bulk = Bytes((0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) })

    @Test("both sides go on, whatever the suite", arguments: NamedSuite.ours)
    func goesOn(suite: NamedSuite) throws {
        let peers = try suite.peers()
        #expect(peers.shakeHands() && peers.server.hasLeftOpenSSL && !peers.client.hasLeftOpenSSL)
        #expect(peers.server.cipherName.text == suite.name && peers.server.version == suite.version)
        #expect(peers.clientReads().isEmpty)
        for size in [1, 1_360, 16_384] {
            let bytes = Bytes(Self.bulk.prefix(size * 20))
            #expect(peers.fromClient(bytes, recordBytes: size) == bytes)
            #expect(peers.fromServer(bytes, recordBytes: size) == bytes)
        }
        _ = peers.server.sealEnd(to: &peers.serverOutput, &peers.blocks)
        peers.collect()
        #expect(peers.clientReads().isEmpty && peers.lastOpened == .ended)
        _ = peers.client.sealEnd(to: &peers.clientOutput, &peers.blocks)
        peers.collect()
        #expect(peers.serverReads().isEmpty && peers.lastOpened == .ended)
    }

    @Test("other suites stay with OpenSSL, and all works as well", arguments: NamedSuite.others)
    func stays(suite: NamedSuite) throws {
        let peers = try suite.peers()
        #expect(peers.shakeHands() && !peers.server.hasLeftOpenSSL && peers.server.failure == .none)
        #expect(peers.server.cipherName.text == suite.name)
        #expect(peers.clientReads().isEmpty)
        #expect(peers.fromClient(Self.bulk) == Self.bulk && peers.fromServer(Self.bulk) == Self.bulk)
        let key = peers.server.handOutSendingKey()
        #expect(key.map { $0.sequence } == nil)
    }

    @Test("any number of tickets counts", arguments: [0, 1, 2, 5])
    func tickets(count: Int) throws {
        let peers = TLSPeers(try .asking(), try .serving { $0.ticketCount = count })
        #expect(peers.shakeHands() && peers.server.hasLeftOpenSSL)
        #expect(peers.fromServer([1, 2, 3]) == [1, 2, 3])
    }

    @Test("sessions resume, from tickets and by id, again and again", arguments: NamedSuite.ours, [true, false])
    func resumption(suite: NamedSuite, usesTickets: Bool) throws {
        let cache = TLSSessionCache(countMax: 100, seconds: 1_000)
        let serving = try TLSContext.serving(sessions: cache) {
            $0.ticketCount = usesTickets ? 1 : 0
            if suite.version == .tls13 { $0.suiteNames = suite.name } else { $0.cipherNames = suite.name }
        }
        var session: TLSSession?
        for round in 0..<4 {
            let peers = try suite.peers(serving: serving, resuming: session)
            #expect(peers.shakeHands() && peers.server.hasLeftOpenSSL && peers.server.isResumed == (round > 0), "round \(round)")
            #expect(peers.fromClient([1]) == [1] && peers.fromServer([2]) == [2])
            session?.free()
            session = peers.client.session()
            #expect(session != nil)
        }
        session?.free()
    }

    @Test("records behind the handshake in the same piece are opened", arguments: TLSVersion.all)
    func together(version: TLSVersion) throws {
        // Whatever the size of the pieces: among them those in which the end of the handshake and data come together.
        for pieceBytes in [1, 7, 100, 1_000, Int.max] {
            let peers = TLSPeers(try .asking { $0.versionMax = version }, try .serving())
            peers.clientSpeaksFirst = Bytes("early words")
            peers.pieceBytes = pieceBytes
            #expect(peers.shakeHands() && peers.server.hasLeftOpenSSL)
            #expect(peers.serverReads() == Bytes("early words"))
        }
    }

    @Test("what was agreed on is still known")
    func agreement() throws {
        let peers = TLSPeers(try .asking { $0.applicationProtocols = ["http/1.1"] }, try .serving(), name: "example.com")
        #expect(peers.shakeHands() && peers.server.hasLeftOpenSSL)
        #expect(peers.server.requestedName.text == "example.com" && peers.server.applicationProtocol.text == "http/1.1")
        let nameless = TLSPeers(try .asking(), try .serving(), name: "127.0.0.1")
        nameless.shakeHands()
        #expect(nameless.server.requestedName.isAbsent && nameless.server.applicationProtocol.isAbsent)
    }

    @Test("a stream goes on when its contexts are gone")
    func outlives() throws {
        let client = try TLSContext.asking()
        var server: TLSContext? = try TLSContext.serving()
        var stream = TLSStream.accepting(server!.reference)!
        var blocks = BlockPool()
        var (output, other) = (ByteQueue(), ByteQueue())
        var asking = "example.com".withLent { TLSStream.connecting(client.reference, name: $0, resuming: nil)! }
        func step(_ one: inout TLSStream, _ bytes: Bytes, to queue: inout ByteQueue) {
            bytes.withUnsafeBytes {
                var input = TLSInput(start: $0.baseAddress ?? UnsafeRawPointer(bitPattern: 8)!, count: $0.count)
                if one.handshake(&input, now: 1, to: &queue, &blocks) == .wantsName {
                    one.choose(server!.reference, host: 0)
                    _ = one.handshake(&input, now: 1, to: &queue, &blocks)
                }
            }
        }
        step(&asking, [], to: &other)
        step(&stream, other.takeAll(&blocks), to: &output)
        step(&asking, output.takeAll(&blocks), to: &other)
        step(&stream, other.takeAll(&blocks), to: &output)
        #expect(stream.isDone)
        stream.leaveOpenSSL()
        server = nil
        #expect(stream.hasLeftOpenSSL && stream.requestedName.text == "example.com")
        #expect([1, 2].withUnsafeBytes { stream.seal($0.baseAddress!, 2, recordBytes: 9, to: &output, &blocks) } == 2)
        #expect(stream.sealEnd(to: &output, &blocks))
        output.clear(into: &blocks)
        stream.free(&blocks)
        asking.free(&blocks)
        #expect(blocks.takenBytes == 0)
    }

    @Test("a client that asks for small records gets them", arguments: TLSVersion.all)
    func fragmentLength(version: TLSVersion) throws {
        let peers = TLSPeers(try .asking { $0.versionMax = version }, try .serving())
        SSL_set_tlsext_max_fragment_length(peers.client.ssl, UInt8(TLSEXT_max_fragment_length_512))
        #expect(peers.shakeHands() && peers.server.hasLeftOpenSSL)
        #expect(peers.fromServer(Self.bulk) == Self.bulk && peers.fromClient(Self.bulk) == Self.bulk)
    }

    // MARK: The kernel seals

    @Test("the key that is handed out is the one that the client expects", arguments: NamedSuite.ours)
    func handOut(suite: NamedSuite) throws {
        let peers = try suite.peers()
        #expect(peers.shakeHands() && peers.clientReads().isEmpty)
        #expect(peers.fromServer([1]) == [1])
        let first = peers.server.handOutSendingKey()
        var key = try #require(first)
        let second = peers.server.handOutSendingKey()
        #expect(key.version == suite.version && second.map { $0.sequence } == nil)
        // Opening goes on, and all that is to be said comes as a message.
        #expect(peers.fromClient([2]) == [2])
        let kernel = KernelInTest(&key)
        peers.toClient = kernel.seal(23, Bytes("by the kernel"))
        #expect(peers.clientReads() == Bytes("by the kernel"))
        if suite.version == .tls13 {
            peers.client.askForNewKeys()
            #expect(peers.fromClient([3]) == [3] && peers.serverOutput.isEmpty)
            let messages = (peers.server.takeControl(), peers.server.takeControl())
            #expect(messages.0 == .keyUpdate && messages.1 == nil)
            peers.toClient = kernel.seal(.keyUpdate)
            let following = peers.server.nextSendingKey()
            var next = try #require(following)
            peers.toClient += KernelInTest(&next).seal(23, Bytes("under the next"))
            #expect(peers.clientReads() == Bytes("under the next"))
        } else {
            let following = peers.server.nextSendingKey()
            #expect(following.map { $0.sequence } == nil)
            let isSealed = peers.server.sealEnd(to: &peers.serverOutput, &peers.blocks)
            let message = peers.server.takeControl()
            #expect(isSealed && peers.serverOutput.isEmpty && message == .alert(0, isFatal: false))
            peers.toClient = kernel.seal(.alert(0, isFatal: false))
            #expect(peers.clientReads().isEmpty && peers.lastOpened == .ended)
        }
        key.wipe()
        #expect((0..<32).allSatisfy { key.key[$0] == 0 } && (0..<12).allSatisfy { key.iv[$0] == 0 })
    }

    @Test("a refusal comes as a message, too, and nothing is sealed any more")
    func refusal() throws {
        let peers = TLSPeers(try .asking(), try .serving())
        #expect(peers.shakeHands())
        let key = peers.server.handOutSendingKey()
        #expect(key.map { $0.sequence } == 1, "behind a ticket")
        peers.toServer = [20, 3, 3, 0, 1, 1]
        #expect(peers.serverReads().isEmpty && peers.server.failure == .unexpectedMessage && peers.serverOutput.isEmpty)
        let messages = (peers.server.takeControl(), peers.server.takeControl())
        #expect(messages.0 == .alert(10, isFatal: true) && messages.1 == nil)
    }
}

/// Seals as the kernel would.
private final class KernelInTest {
    private let keys: KnownKeys

    init(_ key: inout TrafficKey) {
        keys = KnownKeys(key.version, key.suite)
        precondition(keys.peerSealing.use(&key, isSealing: true))
    }

    func seal(_ type: UInt8, _ content: Bytes) -> Bytes { keys.seal(type, content) }
    func seal(_ message: TLSControlMessage) -> Bytes { message.withBytes { keys.seal(message.contentType, Bytes($0)) } }
}

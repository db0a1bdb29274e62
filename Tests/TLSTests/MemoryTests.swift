import COpenSSL
import Glibc
import Synchronization
import TestSupport
import Testing

@testable import Proxy

@Suite("Memory of TLS streams")
struct MemoryTests {
    /// An idle client costs at most this much, OpenSSL's part and ours: two ciphers, nearly.
    static let idleBytesMax = 4_000

    /// In a process of its own, where nothing has used OpenSSL before and nobody else does.
    @Test("a stream that has shaken hands and rests costs little, and gives everything back")
    func idle() async throws {
        let result = try await #require(processExitsWith: .success, observing: [\.standardOutputContent]) {
            try MemoryTests.measure()
        }
        let told = String(decoding: result.standardOutputContent, as: UTF8.self)
        for line in told.split(separator: "\n") where line.hasPrefix("memory: ") { print(line) }
        #expect(told.contains("memory: "))
    }

    private static func measure() throws {
        try #require(CountedMemory.begin())
        for version in [TLSVersion.tls12, .tls13] {
            let client = try TLSContext.asking { $0.versionMax = version }
            let server = try TLSContext.serving()
            func make() -> TLSPeers {
                let peers = TLSPeers(client, server)
                precondition(peers.shakeHands() && peers.clientReads().isEmpty)
                precondition(peers.fromClient(Bytes("GET / HTTP/1.1\r\n\r\n")).count == 18)
                precondition(peers.fromServer(Bytes(repeating: 1, count: 20_000)).count == 20_000)
                return peers
            }
            _ = make()
            // Each pair has its own blocks, so all pairs are not kept: streams are taken out of them.
            let before = CountedMemory.bytes
            var servers: [TLSStream] = []
            let count = 1_000
            var clientBytes = 0
            for _ in 0..<count {
                let peers = make()
                let with = CountedMemory.bytes
                peers.client.free(&peers.blocks)
                clientBytes += with - CountedMemory.bytes
                peers.client = TLSStream.accepting(server.reference)!
                servers.append(peers.server)
                peers.server = TLSStream.accepting(server.reference)!
            }
            let each = (CountedMemory.bytes - before) / count + MemoryLayout<TLSStream>.stride
            print("memory: \(version.word): \(each) bytes for an idle client, \(clientBytes / count) for an idle backend")
            fflush(nil)
            precondition(each <= idleBytesMax)
            var blocks = BlockPool()
            for index in servers.indices { servers[index].free(&blocks) }
            precondition(CountedMemory.bytes - before < 4_096, "\(CountedMemory.bytes - before) bytes are left behind")
        }
    }
}

/// What OpenSSL has allocated and not freed, rounded as glibc's malloc does.
private enum CountedMemory {
    private static let total = Atomic<Int>(0)
    /// In front of each piece stands its size.
    private static let head = 16

    static var bytes: Int { total.load(ordering: .relaxed) }

    /// False when OpenSSL has allocated before.
    static func begin() -> Bool {
        CRYPTO_set_mem_functions(
            { size, _, _ in CountedMemory.allocate(size) },
            { old, size, _, _ in
                guard let old else { return CountedMemory.allocate(size) }
                guard let new = CountedMemory.allocate(size) else { return nil }
                memcpy(new, old, min(size, (old - CountedMemory.head).load(as: Int.self)))
                CountedMemory.release(old)
                return new
            },
            { old, _, _ in if let old { CountedMemory.release(old) } }) == 1
    }

    private static func rounded(_ size: Int) -> Int { max(32, (size + 8 + 15) & ~15) }

    private static func allocate(_ size: Int) -> UnsafeMutableRawPointer? {
        guard size > 0, let piece = malloc(size + head) else { return nil }
        piece.storeBytes(of: size, as: Int.self)
        total.wrappingAdd(rounded(size), ordering: .relaxed)
        return piece + head
    }

    private static func release(_ piece: UnsafeMutableRawPointer) {
        let start = piece - head
        total.wrappingSubtract(rounded(start.load(as: Int.self)), ordering: .relaxed)
        free(start)
    }
}

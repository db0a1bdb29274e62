import TestSupport
import Testing

@testable import Proxy

@Suite("Records")
struct RecordTests {
    private static let versions: [TLSVersion] = [.tls12, .tls13]
    private static let bulk = Bytes((0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) })

    /// Lengths of the records in a stream.
    private func records(_ bytes: Bytes) -> [Int] {
        var lengths: [Int] = []
        var at = 0
        while at + 5 <= bytes.count {
            let length = Int(bytes[at + 3]) << 8 | Int(bytes[at + 4])
            lengths.append(length)
            at += 5 + length
        }
        #expect(at == bytes.count)
        return lengths
    }

    @Test("bulk goes in records of 16 KiB, the first may be small", arguments: versions)
    func sizes(version: TLSVersion) throws {
        let peers = TLSPeers(try .asking { $0.versionMax = version }, try .serving())
        #expect(peers.shakeHands())
        _ = peers.clientReads()
        let small = 1_300
        Self.bulk.withUnsafeBytes {
            let first = peers.server.seal($0.baseAddress!, small, recordBytes: small, to: &peers.serverOutput, &peers.blocks)
            let rest = peers.server.seal($0.baseAddress! + small, $0.count - small, recordBytes: 1 << 20, to: &peers.serverOutput, &peers.blocks)
            #expect(first == small && rest == Self.bulk.count - small)
        }
        peers.collect()
        let overhead = version == .tls13 ? 17 : 24
        let lengths = records(peers.toClient)
        #expect(lengths.first == small + overhead)
        #expect(lengths.dropFirst().dropLast().allSatisfy { $0 == 16_384 + overhead } && lengths.count == 2 + (Self.bulk.count - small) / 16_384)
        #expect(peers.clientReads() == Self.bulk)
    }

    @Test("bulk arrives whole, whatever the sizes of records and pieces", arguments: versions, [1, 100, 1_448, 5_000, 16_384])
    func whole(version: TLSVersion, size: Int) throws {
        let peers = TLSPeers(try .asking { $0.versionMax = version }, try .serving())
        #expect(peers.shakeHands())
        let bulk = size == 1 ? Bytes(Self.bulk.prefix(2_000)) : Self.bulk
        peers.pieceBytes = 4_096
        #expect(peers.fromServer(bulk, recordBytes: size) == bulk)
        peers.pieceBytes = size
        #expect(peers.fromClient(bulk, recordBytes: 16_384) == bulk)
    }

    @Test("records are sealed into blocks that the queue has, and more where they do not hold them")
    func tailRoom() throws {
        let peers = TLSPeers(try .asking(), try .serving())
        #expect(peers.shakeHands())
        _ = peers.clientReads()
        for _ in 0..<30 {
            Self.bulk.withUnsafeBytes {
                #expect(peers.server.seal($0.baseAddress!, 100, recordBytes: 16_384, to: &peers.serverOutput, &peers.blocks) == 100)
            }
        }
        // 30 × 122 bytes.
        #expect(peers.serverOutput.count == 3_660 && peers.blocks.takenBytes == BlockSize.small.totalBytes)
        peers.collect()
        #expect(peers.clientReads().count == 3_000)
    }

    @Test("when no block is to be had sealing stops, goes on later, and nothing is lost", arguments: versions)
    func exhausted(version: TLSVersion) throws {
        let peers = TLSPeers(try .asking { $0.versionMax = version }, try .serving())
        #expect(peers.shakeHands())
        _ = peers.clientReads()
        var pool = BlockPool()
        var output = ByteQueue()
        var held: [UnsafeMutablePointer<Block>] = []
        // A whole record fits into none but the largest.
        while let block = pool.take(.large) { held.append(block) }
        var sent: Bytes = []
        var taken = 0
        while taken + 49_152 <= Self.bulk.count {
            let stopped = Self.bulk.withUnsafeBytes {
                peers.server.seal($0.baseAddress! + taken, 49_152, recordBytes: 16_384, to: &output, &pool)
            }
            #expect(stopped == 0 && peers.server.failure == .none && output.isEmpty)
            // One block becomes free, room for three records.
            pool.giveBack(held.removeLast())
            let more = Self.bulk.withUnsafeBytes {
                peers.server.seal($0.baseAddress! + taken, 49_152, recordBytes: 16_384, to: &output, &pool)
            }
            #expect(more == 49_152)
            taken += more
            sent += output.takeAll(&pool)
            while let block = pool.take(.large) { held.append(block) }
        }
        peers.toClient = sent
        #expect(peers.clientReads() == Bytes(Self.bulk.prefix(taken)))
        for block in held { pool.giveBack(block) }
        #expect(pool.takenBytes == 0)
    }

    @Test("a call opens one record, and leaves the next ones where they were lent")
    func oneAtATime() throws {
        let peers = TLSPeers(try .asking(), try .serving())
        #expect(peers.shakeHands())
        _ = Self.bulk.withUnsafeBytes { peers.client.seal($0.baseAddress!, 2_000, recordBytes: 1_000, to: &peers.clientOutput, &peers.blocks) }
        peers.collect()
        var room = Bytes(repeating: 0, count: TLSStream.openRoomBytes)
        peers.toServer.withUnsafeBytes {
            var input = TLSInput(start: $0.baseAddress!, count: $0.count)
            #expect(peers.server.open(&input, into: &room, room.count, to: &peers.serverOutput, &peers.blocks) == .bytes(1_000))
            #expect(input.count == 1_022)
            #expect(peers.server.open(&input, into: &room, room.count, to: &peers.serverOutput, &peers.blocks) == .bytes(1_000))
            #expect(peers.server.open(&input, into: &room, room.count, to: &peers.serverOutput, &peers.blocks) == .wantsInput)
        }
    }
}

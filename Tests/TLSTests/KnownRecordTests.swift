import COpenSSL
import TestSupport
import Testing

@testable import Proxy

@Suite("Our record layer, RFC 8446 5 and RFC 5246 6.2")
struct KnownRecordTests {
    private static func pattern(_ count: Int) -> Bytes { Bytes((0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3 &+ $0) }) }

    @Test("what a peer seals is opened, and what we seal the peer opens", arguments: TLSVersion.all, RecordSuite.allCases)
    func both(version: TLSVersion, suite: RecordSuite) {
        let keys = KnownKeys(version, suite)
        for count in [1, 15, 16, 17, 63, 64, 1_000, 16_383, 16_384] {
            let bytes = Self.pattern(count)
            #expect(keys.hear(keys.sealData(bytes)) == bytes)
            #expect(keys.say(bytes) == count)
            #expect(keys.said() == [KnownKeys.Said(type: 23, content: bytes)])
        }
        #expect(keys.blocks.takenBytes == 0)
    }

    @Test("lent in pieces of any size the plain text is the same", arguments: TLSVersion.all, RecordSuite.allCases)
    func pieces(version: TLSVersion, suite: RecordSuite) {
        for size in Array(1...60) + [100, 1_000, 4_064, 4_096, 16_000, 16_405] {
            let keys = KnownKeys(version, suite)
            let all = size < 3 ? [Self.pattern(100), [7]] : [Self.pattern(100), [7], Self.pattern(16_384), Self.pattern(5_000)]
            let way = all.reduce(into: Bytes()) { $0 += keys.sealData($1) }
            #expect(keys.hear(way, pieceBytes: size) == all.reduce([], +), "pieces of \(size)")
            #expect(keys.blocks.takenBytes == 0)
        }
    }

    @Test("cut at any byte the plain text is the same", arguments: TLSVersion.all, RecordSuite.allCases)
    func cuts(version: TLSVersion, suite: RecordSuite) {
        let all = [Self.pattern(40), [7], Self.pattern(33)]
        let length = all.reduce(into: Bytes()) { $0 += KnownKeys(version, suite).sealData($1) }.count
        for cut in 0...length {
            let keys = KnownKeys(version, suite)
            let way = all.reduce(into: Bytes()) { $0 += keys.sealData($1) }
            let first = keys.hear(Bytes(way[..<cut]))
            #expect(first + keys.hear(Bytes(way[cut...])) == all.reduce([], +), "cut at \(cut)")
        }
    }

    @Test("pieces of random sizes, with records of random sizes and much padding", arguments: [UInt64(1), 2, 3])
    func random(seed: UInt64) {
        print("seed \(seed)")
        var source = RandomSource(seed: seed)
        for _ in 0..<60 {
            let suite = RecordSuite.allCases[Int(source.next() % 3)]
            let keys = KnownKeys(TLSVersion.all[Int(source.next() % 2)], suite)
            var way: Bytes = []
            var expected: Bytes = []
            for _ in 0..<(1 + source.next() % 6) {
                let content = Self.pattern(1 + Int(source.next() % 9_000))
                way += keys.seal(23, content, padding: Int(source.next() % 7_000))
                expected += content
            }
            var plain: Bytes = []
            while !way.isEmpty {
                let piece = Bytes(way.prefix(1 + Int(source.next() % 6_000)))
                way.removeFirst(piece.count)
                plain += keys.hear(piece)
            }
            #expect(plain == expected)
        }
    }

    @Test("a record that comes byte by byte holds no more than it must, and nothing when it is through")
    func bounded() {
        let keys = KnownKeys(.tls13, .aes128GCM)
        let record = keys.sealData(Self.pattern(16_384))
        var most = 0
        for (index, byte) in record.enumerated() {
            keys.hear([byte])
            most = max(most, keys.blocks.takenBytes)
            if index == 0 { #expect(keys.blocks.takenBytes == BlockSize.small.totalBytes) }
        }
        #expect(most <= 6 * BlockSize.small.totalBytes && keys.blocks.takenBytes == 0)
    }

    @Test("records are sealed across the ends of blocks", arguments: TLSVersion.all, RecordSuite.allCases)
    func acrossBlocks(version: TLSVersion, suite: RecordSuite) {
        for room in Array(0...300) + [1_000, 4_000] {
            for length in [1, 100, 300, 5_000, 16_384] {
                let keys = KnownKeys(version, suite)
                let before = BlockSize.small.payloadBytes - room
                guard before > 0 else { continue }
                #expect(keys.output.append(Bytes(repeating: 0, count: before), before, from: &keys.blocks))
                #expect(keys.output.room == room)
                let bytes = Self.pattern(length)
                #expect(keys.say(bytes) == length)
                keys.output.consume(before, into: &keys.blocks)
                #expect(keys.said() == [KnownKeys.Said(type: 23, content: bytes)], "room \(room), length \(length)")
            }
        }
    }

    @Test("where no block is to be had nothing is sealed, and later it goes on")
    func noBlocks() {
        let keys = KnownKeys(.tls13, .aes128GCM)
        var held: [UnsafeMutablePointer<Block>] = []
        while let block = keys.blocks.take(.large) { held.append(block) }
        let bytes = Self.pattern(16_384)
        #expect(keys.say(bytes) == 0 && keys.records.failure == .none && keys.output.isEmpty)
        for block in held { keys.blocks.giveBack(block) }
        #expect(keys.say(bytes) == bytes.count)
        #expect(keys.said() == [KnownKeys.Said(type: 23, content: bytes)])
    }

    @Test("a client that asked for small records gets them, and may send no larger ones", arguments: TLSVersion.all)
    func smallRecords(version: TLSVersion) {
        let keys = KnownKeys(version, .aes128GCM, contentMax: 512)
        keys.say(Self.pattern(1_100))
        #expect(keys.said().map { $0?.content.count } == [512, 512, 76])
        #expect(keys.hear(keys.sealData(Self.pattern(512))).count == 512)
        #expect(keys.hear(keys.sealData(Self.pattern(513))).isEmpty && keys.records.failure == .badRecord)
        #expect(keys.said() == [KnownKeys.Said(type: 21, content: [2, 22])])
    }

    // MARK: Key updates

    @Test("a peer's key update is followed, and answered where it asks for that", arguments: RecordSuite.allCases, [false, true])
    func keyUpdate(suite: RecordSuite, asks: Bool) {
        let keys = KnownKeys(.tls13, suite)
        for round in 0..<5 {
            let text = Bytes("round \(round)")
            #expect(keys.hear(keys.seal(22, [24, 0, 0, 1, asks ? 1 : 0])).isEmpty && keys.lastOpened == .wantsInput)
            keys.renewPeerSealing()
            #expect(keys.hear(keys.sealData(text)) == text)
            keys.say(text)
            let data = KnownKeys.Said(type: 23, content: text)
            #expect(keys.said() == (asks ? [KnownKeys.Said(type: 22, content: [24, 0, 0, 1, 0]), data] : [data]))
        }
    }

    @Test("another key comes before one has sealed as many records as it may", arguments: [RecordSuite.aes128GCM, .aes256GCM])
    func limit(suite: RecordSuite) {
        let keys = KnownKeys(.tls13, suite, sequence: suite.recordsMax - 3)
        for text in ["one", "two"] {
            keys.say(Bytes(text))
            #expect(keys.said() == [KnownKeys.Said(type: 23, content: Bytes(text))])
        }
        keys.say(Bytes("three"))
        #expect(keys.said() == [KnownKeys.Said(type: 22, content: [24, 0, 0, 1, 0]), KnownKeys.Said(type: 23, content: Bytes("three"))])
        #expect(keys.records.sending.sequence == 1)
    }

    @Test("behind the last sequence number nothing is sealed or opened", arguments: RecordSuite.allCases)
    func lastNumber(suite: RecordSuite) {
        let keys = KnownKeys(.tls12, suite, sequence: .max - 1)
        #expect(keys.say([1]) == 1 && keys.hear(keys.sealData([1])) == [1])
        #expect(keys.say([2]) == 0 && keys.records.failure == .internalError)
        let others = KnownKeys(.tls12, suite, sequence: .max)
        others.hear(others.sealData([1]))
        #expect(others.records.failure == .decryptionFailed)
    }

    @Test("the same record does not count twice", arguments: TLSVersion.all, RecordSuite.allCases)
    func replay(version: TLSVersion, suite: RecordSuite) {
        let keys = KnownKeys(version, suite)
        let record = keys.sealData([1, 2, 3])
        #expect(keys.hear(record) == [1, 2, 3])
        #expect(keys.hear(record).isEmpty && keys.records.failure == .decryptionFailed)
    }

    // MARK: The end

    @Test("close_notify ends what the peer says, and what follows is nothing; we may go on", arguments: TLSVersion.all)
    func end(version: TLSVersion) {
        let keys = KnownKeys(version, .aes128GCM)
        #expect(keys.hear(keys.sealData([1]) + keys.seal(21, [1, 0]) + keys.sealData([2])) == [1])
        #expect(keys.lastOpened == .ended)
        #expect(keys.hear([1, 2, 3]).isEmpty && keys.lastOpened == .ended && keys.blocks.takenBytes == 0)
        keys.say([3])
        #expect(keys.records.sayEnd(&keys.output, &keys.blocks) && keys.records.sayEnd(&keys.output, &keys.blocks))
        #expect(keys.said() == [KnownKeys.Said(type: 23, content: [3]), KnownKeys.Said(type: 21, content: [1, 0])])
        #expect(keys.say([4]) == 0 && keys.records.failure == .internalError)
    }

    @Test("after our close_notify nothing is said any more, whatever comes", arguments: TLSVersion.all)
    func silence(version: TLSVersion) {
        let keys = KnownKeys(version, .aes128GCM)
        #expect(keys.records.sayEnd(&keys.output, &keys.blocks))
        #expect(keys.said().count == 1)
        keys.hear(version == .tls13 ? keys.seal(22, [24, 0, 0, 1, 1]) : keys.seal(22, [1, 0, 0, 1, 1]))
        if version == .tls13 { keys.renewPeerSealing() }
        #expect(keys.hear(keys.sealData([5])) == [5])
        keys.hear(keys.seal(99, [1]))
        #expect(keys.records.failure == .unexpectedMessage && keys.said().isEmpty)
    }

    // MARK: RFC 8448 3, the connection of one round trip

    private static func bytes(_ hexadecimal: String) -> Bytes {
        let digits = hexadecimal.filter { !$0.isWhitespace }
        return stride(from: 0, to: digits.count, by: 2).map {
            let start = digits.index(digits.startIndex, offsetBy: $0)
            return UInt8(digits[start..<digits.index(start, offsetBy: 2)], radix: 16)!
        }
    }

    private static func secret(_ hexadecimal: String) -> TrafficSecret {
        var secret = TrafficSecret()
        hexadecimal.filter { !$0.isWhitespace }.withCString { secret.read(hexadecimal: $0) }
        return secret
    }

    private static var client: TrafficSecret { secret("9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5") }
    private static var server: TrafficSecret { secret("a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643") }

    @Test("keys are derived as in RFC 8448")
    func keys() throws {
        var client = Self.client
        var server = Self.server
        let found = (client.key13(.aes128GCM), server.key13(.aes128GCM))
        let one = try #require(found.0)
        let two = try #require(found.1)
        #expect((0..<16).map { one.key[$0] } == Self.bytes("17422dda596ed5d9acd890e3c63f5051"))
        #expect((0..<12).map { one.iv[$0] } == Self.bytes("5b78923dee08579033e523d9"))
        #expect((0..<16).map { two.key[$0] } == Self.bytes("9f02283b6c9c07efc26bb9f2ac92e356"))
        #expect((0..<12).map { two.iv[$0] } == Self.bytes("cf782b88dd83549aadf1e984"))
        let other = client.key13(.aes256GCM)
        #expect(other.map { $0.sequence } == nil, "a secret of another length")
    }

    @Test("records are sealed and opened as in RFC 8448")
    func records() throws {
        var client = Self.client
        var server = Self.server
        let found = (client.key13(.aes128GCM), server.key13(.aes128GCM))
        var incoming = try #require(found.0)
        var outgoing = try #require(found.1)
        // A ticket went first.
        outgoing.sequence = 1
        var records = TLSRecords()
        var blocks = BlockPool()
        var output = ByteQueue()
        #expect(records.begin(receiving: &incoming, sending: &outgoing, contentMax: 16_384))
        let data = Bytes(0..<50)
        var room = Bytes(repeating: 0, count: TLSStream.openRoomBytes)
        let record = Self.bytes(
            """
            1703030043a23f7054b62c94d0affafe8228ba55cbefacea42f914aa66bcab3f2b9819a8a5b46b395bd54a9a20441e2b62974e1f5a6292a2977014bd1e3d
            eae63aeebb21694915e4
            """)
        record.withUnsafeBytes {
            var input = TLSInput(start: $0.baseAddress!, count: $0.count)
            #expect(records.open(&input, into: &room, to: &output, &blocks) == .bytes(50))
        }
        #expect(Bytes(room[..<50]) == data)
        #expect(data.withUnsafeBytes { records.seal($0.baseAddress!, 50, recordBytes: 100, to: &output, &blocks) } == 50)
        #expect(
            output.takeAll(&blocks)
                == Self.bytes(
                    """
                    17030300432e937e11ef4ac740e538ad36005fc4a46932fc3225d05f82aa1b36e30efaf97d90e6dffc602dcb501a59a8fcc49c4bf2e5f0a21c0047c2
                    abf332540dd032e167c2955d
                    """))
        records.free(&blocks)
        #expect(blocks.takenBytes == 0)
    }
}

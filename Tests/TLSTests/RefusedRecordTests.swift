import COpenSSL
import TestSupport
import Testing

@testable import Proxy

/// What a peer may send, though it owns the keys, and what it hears then.
struct RefusedRecord: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let failure: TLSFailure
    let alert: UInt8
    let version: TLSVersion?
    let make: @Sendable (KnownKeys) -> Bytes

    init(_ words: String, _ failure: TLSFailure, _ alert: UInt8, _ version: TLSVersion? = nil, _ make: @escaping @Sendable (KnownKeys) -> Bytes) {
        testDescription = words
        self.failure = failure
        self.alert = alert
        self.version = version
        self.make = make
    }
}

@Suite("Records that are refused")
struct RefusedRecordTests {
    private static let keyUpdate: Bytes = [24, 0, 0, 1, 0]
    private static func zeros(_ count: Int) -> Bytes { Bytes(repeating: 0, count: count) }

    static let refused: [RefusedRecord] = [
        // The record.
        RefusedRecord("a changed tag", .decryptionFailed, 20) { keys in
            var record = keys.sealData([1, 2, 3])
            record[record.count - 1] ^= 1
            return record
        },
        RefusedRecord("a changed byte", .decryptionFailed, 20) { keys in
            var record = keys.sealData([1, 2, 3])
            record[record.count - 18] ^= 0x80
            return record
        },
        RefusedRecord("a head that says too much", .badRecord, 22) { _ in [23, 3, 3, 0x41, 0x19] },
        RefusedRecord("a head that says 64 KiB", .badRecord, 22) { _ in [23, 3, 3, 0xFF, 0xFF] },
        RefusedRecord("a record too short for a proof", .badRecord, 20) { _ in [23, 3, 3, 0, 15] + zeros(15) },
        RefusedRecord("a record of no bytes", .badRecord, 20) { _ in [23, 3, 3, 0, 0] },
        RefusedRecord("a proof of nothing", .decryptionFailed, 20) { _ in [23, 3, 3, 0, 24] + zeros(24) },
        RefusedRecord("content beyond 16 KiB", .badRecord, 22) { $0.sealData(zeros(16_385)) },
        RefusedRecord("padding beyond 16 KiB", .badRecord, 22, .tls13) { $0.seal(23, [1], padding: 16_384) },
        RefusedRecord("an older version in the head", .badRecord, 70) { $0.seal(23, [1], number: 0x0301) },
        RefusedRecord("nothing but padding", .unexpectedMessage, 10, .tls13) { $0.seal(0, [], padding: 100) },
        RefusedRecord("content of kind 0", .unexpectedMessage, 10, .tls13) { $0.seal(0, [1, 2, 3]) },
        RefusedRecord("content of an unknown kind", .unexpectedMessage, 10, .tls13) { $0.seal(24, [1, 2, 3]) },
        RefusedRecord("a record of an unknown kind", .unexpectedMessage, 10) { $0.seal(24, [1, 2, 3], outer: 24) },
        RefusedRecord("HTTP", .unexpectedMessage, 10) { _ in Bytes("GET / HTTP/1.1\r\n\r\n") },
        RefusedRecord("a change of cipher", .unexpectedMessage, 10) { _ in [20, 3, 3, 0, 1, 1] },
        RefusedRecord("a change of cipher, encrypted", .unexpectedMessage, 10) { $0.seal(20, [1]) },
        RefusedRecord("an alert in the plain", .unexpectedMessage, 10, .tls13) { _ in [21, 3, 3, 0, 2, 1, 0] },
        RefusedRecord("a handshake message in the plain", .unexpectedMessage, 10, .tls13) { _ in [22, 3, 3, 0, 5] + keyUpdate },
        // Alerts.
        RefusedRecord("an alert of no bytes", .unexpectedMessage, 10) { $0.seal(21, []) },
        RefusedRecord("half an alert", .unexpectedMessage, 10) { $0.seal(21, [1]) },
        RefusedRecord("two alerts in a record", .unexpectedMessage, 10) { $0.seal(21, [1, 90, 1, 0]) },
        RefusedRecord("an alert of an unknown level", .unexpectedMessage, 47) { $0.seal(21, [3, 0]) },
        // Messages of handshakes.
        RefusedRecord("a handshake message of no bytes", .unexpectedMessage, 10) { $0.seal(22, []) },
        RefusedRecord("a ticket from a client", .unexpectedMessage, 10) { $0.seal(22, [4, 0, 0, 2, 1, 1]) },
        RefusedRecord("a Finished", .unexpectedMessage, 10) { $0.seal(22, [20, 0, 0, 12] + zeros(12)) },
        RefusedRecord("a request for hello", .unexpectedMessage, 10) { $0.seal(22, [0, 0, 0, 0]) },
        RefusedRecord("a ClientHello", .unexpectedMessage, 10, .tls13) { $0.seal(22, [1, 0, 0, 2, 3, 3]) },
        RefusedRecord("half a ClientHello", .unexpectedMessage, 10, .tls12) { $0.seal(22, [1, 0, 0, 9, 3, 3]) },
        RefusedRecord("a ClientHello with something behind it", .unexpectedMessage, 10, .tls12) { $0.seal(22, [1, 0, 0, 1, 3, 3]) },
        RefusedRecord("a key update", .unexpectedMessage, 10, .tls12) { $0.seal(22, keyUpdate) },
        RefusedRecord("half a key update", .unexpectedMessage, 10, .tls13) { $0.seal(22, [24, 0, 0]) },
        RefusedRecord("a key update without its last byte", .unexpectedMessage, 10, .tls13) { $0.seal(22, [24, 0, 0, 1]) },
        RefusedRecord("two key updates in a record", .unexpectedMessage, 10, .tls13) { $0.seal(22, keyUpdate + keyUpdate) },
        RefusedRecord("a key update of two bytes", .badRecord, 50, .tls13) { $0.seal(22, [24, 0, 0, 2, 0, 0]) },
        RefusedRecord("a key update of no byte", .badRecord, 50, .tls13) { $0.seal(22, [24, 0, 0, 0]) },
        RefusedRecord("a key update that wants what is not there", .unexpectedMessage, 47, .tls13) { $0.seal(22, [24, 0, 0, 1, 2]) },
        RefusedRecord("a record under the old key behind a key update", .decryptionFailed, 20, .tls13) {
            $0.seal(22, keyUpdate) + $0.sealData([1])
        },
        // What brings nothing, again and again.
        RefusedRecord("empty records without end", .tooManyAnswers, 10) { keys in (0..<33).reduce(into: []) { way, _ in way += keys.sealData([]) } },
        RefusedRecord("padding without end", .tooManyAnswers, 10, .tls13) { keys in
            (0..<33).reduce(into: []) { way, _ in way += keys.seal(23, [], padding: 50) }
        },
        RefusedRecord("warnings without end", .tooManyAnswers, 10) { keys in (0..<33).reduce(into: []) { way, _ in way += keys.seal(21, [1, 90]) } },
        RefusedRecord("key updates without end", .tooManyAnswers, 10, .tls13) { keys in
            (0..<33).reduce(into: []) { way, _ in
                way += keys.seal(22, keyUpdate)
                keys.renewPeerSealing()
            }
        },
    ]

    @Test("is refused with its word and its alert, whatever the suite, whole or byte by byte", arguments: refused, RecordSuite.allCases)
    func refuses(record: RefusedRecord, suite: RecordSuite) {
        for version in TLSVersion.all where record.version == nil || record.version == version {
            for pieceBytes in [Int.max, 1] {
                let keys = KnownKeys(version, suite)
                #expect(keys.hear(keys.sealData([9]) + record.make(keys) + keys.sealData([8]), pieceBytes: pieceBytes) == [9])
                #expect(keys.lastOpened == .failed && keys.records.failure == record.failure, "\(version): \(keys.records.failure)")
                #expect(keys.said() == [KnownKeys.Said(type: 21, content: [2, record.alert])], "\(version)")
                // Nothing goes on.
                #expect(keys.say([1]) == 0 && keys.hear(keys.sealData([1])).isEmpty && !keys.records.sayEnd(&keys.output, &keys.blocks))
                #expect(keys.output.isEmpty && keys.blocks.takenBytes == 0)
            }
        }
    }

    @Test("a few records that bring nothing are passed over", arguments: TLSVersion.all)
    func fewIdle(version: TLSVersion) {
        let keys = KnownKeys(version, .aes128GCM)
        for _ in 0..<10 {
            var way: Bytes = []
            for _ in 0..<16 { way += keys.sealData([]) + keys.seal(21, [1, 90]) }
            #expect(keys.hear(way + keys.sealData([1])) == [1])
        }
        #expect(keys.said().isEmpty)
    }

    @Test("an alert of the peer ends the connection with its word, and is not answered", arguments: TLSVersion.all)
    func alerts(version: TLSVersion) {
        for (description, word) in [(UInt8(20), TLSFailure.peerOther), (48, .peerUnknownAuthority), (46, .peerCertificateUnknown), (80, .peerOther)] {
            let keys = KnownKeys(version, .aes128GCM)
            keys.hear(keys.seal(21, [2, description]))
            #expect(keys.lastOpened == .failed && keys.records.failure == word && keys.said().isEmpty)
        }
        // With TLS 1.3 the level says nothing.
        let keys = KnownKeys(version, .aes128GCM)
        keys.hear(keys.seal(21, [1, 46]))
        #expect(keys.records.failure == (version == .tls13 ? .peerCertificateUnknown : .none))
    }

    @Test("the wish for another handshake is declined, and the connection goes on; at some time it is enough")
    func renegotiation() {
        let keys = KnownKeys(.tls12, .aes128GCM)
        var rounds = 0
        while keys.records.failure == .none, rounds < 10_000 {
            #expect(keys.hear(keys.seal(22, [1, 0, 0, 2, 3, 3]) + keys.sealData([1])) == (rounds < 2_114 ? [1] : []))
            #expect(keys.said() == [KnownKeys.Said(type: 21, content: [1, 100])])
            rounds += 1
        }
        #expect(keys.records.failure == .tooManyAnswers && rounds == 2_115, "\(rounds)")
    }
}

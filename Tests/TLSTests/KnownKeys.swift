import COpenSSL
import TestSupport

@testable import Proxy

/// Our record layer under keys that a test knows, and a peer that seals whatever it likes.
final class KnownKeys {
    var records = TLSRecords()
    var blocks = BlockPool()
    var output = ByteQueue()
    let version: TLSVersion
    let suite: RecordSuite
    /// What the peer seals with, and what it opens with.
    var peerSealing = RecordCipher()
    var peerOpening = RecordCipher()

    init(_ version: TLSVersion, _ suite: RecordSuite, contentMax: Int = 16_384, sequence: UInt64 = 0) {
        self.version = version
        self.suite = suite
        for isPeers in [true, false] {
            var key = TrafficKey(version: version, suite: suite, sequence: sequence)
            var secret = TrafficSecret()
            let digits = (0..<suite.hashBytes).map { String(($0 * 7 + (isPeers ? 1 : 2)) % 10) + "f" }.joined()
            digits.withCString { secret.read(hexadecimal: $0) }
            if version == .tls13 {
                key = secret.key13(suite)!
                key.sequence = sequence
            } else {
                for index in 0..<suite.keyBytes { key.key[index] = UInt8(index) &* 3 &+ (isPeers ? 1 : 2) }
                for index in 0..<(suite == .chaCha20Poly1305 ? 12 : 4) { key.iv[index] = UInt8(index) &* 5 &+ (isPeers ? 1 : 2) }
                secret = TrafficSecret(&key)
            }
            var other = key
            if isPeers {
                peerSealing.secret = secret
                records.receiving.secret = secret
                precondition(peerSealing.use(&key, isSealing: true))
                keys.client = other
            } else {
                peerOpening.secret = secret
                records.sending.secret = secret
                precondition(peerOpening.use(&key, isSealing: false))
                keys.server = other
            }
            other.wipe()
        }
        var incoming = keys.client!
        var outgoing = keys.server!
        precondition(records.begin(receiving: &incoming, sending: &outgoing, contentMax: contentMax))
    }

    /// As they were at the beginning.
    private(set) var keys: (client: TrafficKey?, server: TrafficKey?) = (nil, nil)

    deinit {
        records.free(&blocks)
        peerSealing.free()
        peerOpening.free()
        output.clear(into: &blocks)
        precondition(blocks.takenBytes == 0, "the record layer keeps blocks")
    }

    // MARK: The peer

    private var nonceBytes: Int { version == .tls12 && suite != .chaCha20Poly1305 ? 8 : 0 }

    /// A record as the peer would send it, whether it may or not.
    ///
    /// - Parameters:
    ///   - outer: the kind in its head.
    ///   - padding: zeros behind the kind, with TLS 1.3.
    func seal(_ type: UInt8, _ content: Bytes, outer: UInt8? = nil, padding: Int = 0, number: UInt16 = 0x0303) -> Bytes {
        let inner = version == .tls13 ? content + [type] + Bytes(repeating: 0, count: padding) : content
        let outer = outer ?? (version == .tls13 ? 23 : type)
        let length = nonceBytes + inner.count + 16
        func head(_ length: Int) -> Bytes { [outer, UInt8(number >> 8), UInt8(number & 255), UInt8(length >> 8 & 255), UInt8(length & 255)] }
        let sequence = peerSealing.sequence.bigEndian
        let sequenceBytes = withUnsafeBytes(of: sequence) { Bytes($0) }
        let associated = version == .tls13 ? head(length) : sequenceBytes + head(inner.count)
        precondition(peerSealing.begin(number: sequence, associated, associated.count))
        var sealed = Bytes(repeating: 0, count: inner.count + 16)
        sealed.withUnsafeMutableBytes { sealed in
            inner.withUnsafeBytes { inner in
                if let start = inner.baseAddress { precondition(peerSealing.update(start, inner.count, to: sealed.baseAddress!)) }
            }
            precondition(peerSealing.finish(sealed.baseAddress! + inner.count))
        }
        return head(length) + (nonceBytes > 0 ? sequenceBytes : []) + sealed
    }

    func sealData(_ content: Bytes) -> Bytes { seal(23, content) }

    /// Both go on with the peer's next key, as a key update says.
    func renewPeerSealing() { Self.renew(&peerSealing, suite, isSealing: true) }
    func renewPeerOpening() { Self.renew(&peerOpening, suite, isSealing: false) }

    private static func renew(_ cipher: inout RecordCipher, _ suite: RecordSuite, isSealing: Bool) {
        precondition(cipher.secret.advance(suite))
        var key = cipher.secret.key13(suite)!
        precondition(cipher.use(&key, isSealing: isSealing))
    }

    struct Said: Equatable {
        var type: UInt8
        var content: Bytes
    }

    /// What our side has sent, record by record; nil for one that does not open.
    func said() -> [Said?] {
        var way = output.takeAll(&blocks)
        var all: [Said?] = []
        while way.count >= 5 {
            let length = Int(way[3]) << 8 | Int(way[4])
            precondition(way.count >= 5 + length)
            all.append(open(Bytes(way[..<5]), Bytes(way[5..<(5 + length)])))
            way.removeFirst(5 + length)
        }
        precondition(way.isEmpty)
        return all
    }

    private func open(_ head: Bytes, _ body: Bytes) -> Said? {
        precondition(head[1] == 3 && head[2] == 3)
        let count = body.count - nonceBytes - 16
        guard count >= 0 else { return nil }
        var number = peerOpening.sequence.bigEndian
        if nonceBytes > 0 { withUnsafeMutableBytes(of: &number) { $0.copyBytes(from: body[..<8]) } }
        let sequenceBytes = withUnsafeBytes(of: peerOpening.sequence.bigEndian) { Bytes($0) }
        let associated = version == .tls13 ? head : sequenceBytes + [head[0], 3, 3, UInt8(count >> 8), UInt8(count & 255)]
        guard peerOpening.begin(number: number, associated, associated.count) else { return nil }
        var plain = Bytes(repeating: 0, count: max(count, 1))
        let isGood = plain.withUnsafeMutableBytes { plain in
            body.withUnsafeBytes { body in
                var tag = Bytes(body[(nonceBytes + count)...])
                return peerOpening.update(body.baseAddress! + nonceBytes, count, to: plain.baseAddress!) && peerOpening.check(&tag)
            }
        }
        guard isGood else { return nil }
        plain = Bytes(plain.prefix(count))
        if version == .tls12 { return Said(type: head[0], content: plain) }
        let type = plain.removeLast()
        if type == 22, plain == [24, 0, 0, 1, 0] { renewPeerOpening() }
        return Said(type: type, content: plain)
    }

    // MARK: Our side

    private(set) var lastOpened = TLSOpened.wantsInput

    /// What our side reads, lent in pieces.
    @discardableResult
    func hear(_ bytes: Bytes, pieceBytes: Int = .max) -> Bytes {
        var plain: Bytes = []
        var room = Bytes(repeating: 0, count: TLSStream.openRoomBytes)
        var way = bytes[...]
        repeat {
            // Of exactly its size, for the sanitizer.
            let piece = Bytes(way.prefix(pieceBytes))
            way.removeFirst(piece.count)
            piece.withUnsafeBytes { piece in
                var input = TLSInput(start: piece.baseAddress ?? UnsafeRawPointer(bitPattern: 8)!, count: piece.count)
                reading: while true {
                    lastOpened = records.open(&input, into: &room, to: &output, &blocks)
                    guard case .bytes(let count) = lastOpened else { break reading }
                    plain += room[..<count]
                }
                precondition(lastOpened != .wantsInput || input.count == 0)
            }
        } while !way.isEmpty && lastOpened == .wantsInput
        return plain
    }

    @discardableResult
    func say(_ bytes: Bytes, recordBytes: Int = 16_384) -> Int {
        bytes.withUnsafeBytes { records.seal($0.baseAddress!, bytes.count, recordBytes: recordBytes, to: &output, &blocks) }
    }
}

extension TLSVersion {
    static let all = [TLSVersion.tls12, .tls13]
}

// Feeds records to our record layer under known keys, cut at random: nothing may trap or go round for ever, what is sent stays
// bounded and is never anything but an alert or a key update, and no block of memory is kept.
//
// The first byte of an input chooses version and suite, and whether what follows is taken as it is or as an order to a peer that
// owns the keys: what to seal, and what to change of it.
//
// Sources besides this file: see Tests/Fuzz/run.

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzTLSRecord(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = UnsafeBufferPointer(start: start, count: start == nil ? 0 : count)
    guard let first = bytes.first else { return 0 }
    var chooser = Chooser(bytes.span)
    let connection = FuzzedRecords(version: first & 1 == 0 ? .tls13 : .tls12, suite: RecordSuite.allCases[Int(first >> 1 & 3) % 3])
    let rest = Array(bytes.dropFirst())
    if first & 8 == 0 { connection.feed(rest, &chooser) } else { connection.obey(rest, &chooser) }
    connection.end()
    require(pools.takenBytes == 0)
    return 0
}

nonisolated(unsafe) private var pools = BlockPool()
nonisolated(unsafe) private let room = UnsafeMutableRawPointer.allocate(byteCount: TLSStream.openRoomBytes, alignment: 16)

private final class FuzzedRecords {
    private var records = TLSRecords()
    private var peer = RecordCipher()
    private var output = ByteQueue()
    private let version: TLSVersion
    private let suite: RecordSuite
    private var heardBytes = 0
    /// What the peer has sealed and nobody has changed.
    private var honest: [UInt8] = []
    private var plain: [UInt8] = []
    private var isHonest = true

    init(version: TLSVersion, suite: RecordSuite) {
        self.version = version
        self.suite = suite
        var secret = TrafficSecret()
        // Letters of one digit, ended by zero.
        let digits = [CChar](repeating: 0x61, count: 2 * suite.hashBytes) + [0]
        secret.read(hexadecimal: digits)
        var key = TrafficKey(version: version, suite: suite)
        if version == .tls13 {
            guard let derived = secret.key13(suite) else { fatalError("no key") }
            key = derived
        } else {
            key.key[0] = 1
            secret = TrafficSecret(&key)
        }
        var same = key
        var other = key
        peer.secret = secret
        records.receiving.secret = secret
        records.sending.secret = secret
        require(peer.use(&key, isSealing: true) && records.begin(receiving: &same, sending: &other, contentMax: 16_384))
    }

    func end() {
        if isHonest { require(plain == honest) }
        require(output.count <= 4 * Int(TLSRecords.answeredBytesMax))
        records.free(&pools)
        peer.free()
        output.clear(into: &pools)
    }

    func feed(_ bytes: [UInt8], _ chooser: inout Chooser) {
        isHonest = false
        say(bytes, &chooser)
    }

    /// Four bytes are an order: kind of content, how much of it, padding or a change, and its first byte.
    func obey(_ orders: [UInt8], _ chooser: inout Chooser) {
        var at = 0
        while at + 4 <= orders.count {
            let order = orders[at..<(at + 4)].map { Int($0) }
            at += 4
            var content: [UInt8]
            var type = UInt8(20 + order[0] % 5)
            switch order[0] >> 4 & 3 {
            case 0:
                // A good key update, or a ClientHello.
                type = 22
                content = version == .tls13 ? [24, 0, 0, 1, UInt8(order[3] & 1)] : [1, 0, 0, 2, 3, 3]
            case 1:
                type = 23
                content = (0..<(order[1] * 70)).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ order[3]) }
            default: content = (0..<(order[1] & 15)).map { UInt8(truncatingIfNeeded: order[3] &+ $0) }
            }
            var record = seal(type, content, padding: order[2] & 0x80 == 0 ? order[2] * 40 : 0)
            if order[2] & 0xC0 == 0xC0 {
                isHonest = false
                record[(order[1] << 3 ^ order[3]) % record.count] ^= UInt8(1 << (order[2] & 7))
            }
            if type != 23, !(type == 22 && order[0] >> 4 & 3 == 0) { isHonest = false }
            if type == 23 { honest += content }
            // Many empty ones and many questions end it by design.
            if content.isEmpty || content.count > 16_384 || at >= 4 * 16 { isHonest = false }
            say(record, &chooser)
            if type == 22, version == .tls13, order[0] >> 4 & 3 == 0 { renew() }
        }
    }

    private func renew() {
        guard peer.secret.advance(suite), var key = peer.secret.key13(suite) else { fatalError("no key") }
        require(peer.use(&key, isSealing: true))
    }

    private func seal(_ type: UInt8, _ content: [UInt8], padding: Int) -> [UInt8] {
        let nonceBytes = version == .tls12 && suite != .chaCha20Poly1305 ? 8 : 0
        // What may be padded without being too long.
        let padding = min(padding, 16_384 - min(content.count, 16_384))
        let inner = version == .tls13 ? content + [type] + [UInt8](repeating: 0, count: padding) : content
        let outer = version == .tls13 ? 23 : type
        let length = nonceBytes + inner.count + 16
        func head(_ length: Int) -> [UInt8] { [outer, 3, 3, UInt8(length >> 8 & 255), UInt8(length & 255)] }
        let number = peer.sequence.bigEndian
        let numberBytes = withUnsafeBytes(of: number) { [UInt8]($0) }
        let associated = version == .tls13 ? head(length) : numberBytes + head(inner.count)
        require(peer.begin(number: number, associated, associated.count))
        var sealed = [UInt8](repeating: 0, count: inner.count + 16)
        sealed.withUnsafeMutableBytes { sealed in
            inner.withUnsafeBytes { inner in
                guard let from = inner.baseAddress, let to = sealed.baseAddress else { return }
                require(peer.update(from, inner.count, to: to))
            }
            if let to = sealed.baseAddress { require(peer.finish(to + inner.count)) }
        }
        return head(length) + (nonceBytes > 0 ? numberBytes : []) + sealed
    }

    private func say(_ bytes: [UInt8], _ chooser: inout Chooser) {
        heardBytes += bytes.count
        var at = 0
        while at < bytes.count {
            let end = min(bytes.count, at + 1 + chooser.below(chooser.below(4) == 0 ? 20 : 9_000))
            let copy = exactCopy(Array(bytes[at..<end]).span)
            copy.withUnsafeBytes { copy in
                guard let start = copy.baseAddress else { return }
                var input = TLSInput(start: start, count: copy.count)
                hear(&input)
            }
            at = end
        }
    }

    private func hear(_ input: inout TLSInput) {
        for _ in 0...(8 + input.count) {
            switch records.open(&input, into: room, to: &output, &pools) {
            case .bytes(let count):
                require(count > 0 && count <= 16_384)
                plain += UnsafeRawBufferPointer(start: room, count: count)
            case .wantsInput:
                require(input.count == 0 && pools.takenBytes <= 81_920 + 2 * output.count)
                return
            case .ended: return
            case .failed:
                require(records.failure != .none)
                return
            }
        }
        require(false)
    }
}

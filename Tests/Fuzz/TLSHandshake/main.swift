// Feeds bytes, cut at random, to streams of TLS: nothing may trap or go round for ever, what is sent stays bounded, and no
// block of memory is kept.
//
// The first byte of an input says to whom the rest is fed: a server or a client at its beginning, either of them in the middle
// of a handshake with an honest peer, whose bytes the input changes, or after it.
//
// Sources besides this file: see Tests/Fuzz/run.

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzTLSHandshake(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = UnsafeBufferPointer(start: start, count: start == nil ? 0 : count)
    guard let first = bytes.first else { return 0 }
    let choice = Int(first)
    var chooser = Chooser(bytes.span)
    let rest = Array(bytes.dropFirst())
    let pair = FuzzPair(Contexts.shared, isOld: choice & 1 == 1, asksCertificate: choice & 2 == 2)
    switch choice >> 2 & 3 {
    case 0: pair.feed(rest, toServer: choice & 16 == 0, &chooser)
    case 1: pair.shakeHands(changing: rest, afterBytes: 0, &chooser)
    case 2: pair.shakeHands(changing: rest, afterBytes: 500, &chooser)
    default:
        pair.shakeHands(changing: [], afterBytes: 0, &chooser)
        pair.feed(rest, toServer: choice & 16 == 0, &chooser)
    }
    pair.end()
    require(pools.takenBytes == 0)
    return 0
}

nonisolated(unsafe) private var pools = BlockPool()

/// Made once, in two versions and with and without certificates of clients.
private struct Contexts: @unchecked Sendable {
    static let shared = Contexts()
    private let all: [(client: TLSContext, server: TLSContext)]

    init() {
        let authority = CertificateMaker.make("root", for: .authority, serial: 1)
        let leaf = CertificateMaker.make("leaf", for: .server, by: authority, serial: 2, names: ["example.com"])
        let client = CertificateMaker.make("client", for: .client, by: authority, serial: 3)
        func file(_ text: String) -> TLSFile { TLSFile(name: "file", bytes: [UInt8](text.utf8)) }
        func identity(_ made: MadeCertificate) -> TLSIdentity { TLSIdentity(chain: file(made.chainPEM), key: file(made.keyPEM)) }
        let secret = TLSTicketSecret([UInt8](repeating: 1, count: 32))
        var made: [(client: TLSContext, server: TLSContext)] = []
        for asks in [false, true] {
            for version in [TLSVersion.tls13, .tls12] {
                var asking = TLSBackendMaterial(authorities: [file(authority.pem)])
                asking.versionMax = version
                asking.identity = identity(client)
                var serving = TLSMaterial(identities: [identity(leaf)])
                serving.clientCertificates = asks ? .required : .unwanted
                serving.authorities = [file(authority.pem)]
                serving.revocationLists = [file(authority.revocationList([]))]
                serving.certificateTexts = .all
                guard let secret, let one = try? TLSContext(backend: asking),
                    let two = try? TLSContext(serving, secret: secret, sessions: TLSSessionCache(countMax: 100, seconds: 100))
                else { fatalError("no contexts") }
                made.append((one, two))
            }
        }
        all = made
    }

    func pair(isOld: Bool, asksCertificate: Bool) -> (client: TLSContext, server: TLSContext) { all[(asksCertificate ? 2 : 0) + (isOld ? 1 : 0)] }
}

/// A client and a server between which the fuzzer stands.
private final class FuzzPair {
    private var client: TLSStream
    private var server: TLSStream
    private let serving: TLSContext.Reference
    private var clientOutput = ByteQueue()
    private var serverOutput = ByteQueue()
    private var sentBytes = 0
    private var heardBytes = 0

    init(_ contexts: Contexts, isOld: Bool, asksCertificate: Bool) {
        let pair = contexts.pair(isOld: isOld, asksCertificate: asksCertificate)
        serving = pair.server.reference
        guard let client = TLSStream.connecting(pair.client.reference, name: ByteSlice("example.com"), resuming: nil),
            let server = TLSStream.accepting(serving)
        else { fatalError("no streams") }
        self.client = client
        self.server = server
        say([], toServer: false)
    }

    func end() {
        // No answer is longer than what was asked, but for the flights of a handshake.
        require(sentBytes <= 64_000 + 4 * heardBytes)
        client.free(&pools)
        server.free(&pools)
        clientOutput.clear(into: &pools)
        serverOutput.clear(into: &pools)
    }

    /// Bytes to one of the two, in pieces.
    func feed(_ bytes: [UInt8], toServer: Bool, _ chooser: inout Chooser) {
        var at = 0
        while at < bytes.count {
            let end = min(bytes.count, at + 1 + chooser.below(chooser.below(4) == 0 ? 2_000 : 20))
            say(Array(bytes[at..<end]), toServer: toServer)
            at = end
        }
    }

    /// An honest handshake with bytes on the way changed; nothing changed = it succeeds.
    func shakeHands(changing bytes: [UInt8], afterBytes: Int, _ chooser: inout Chooser) {
        var left = bytes[...]
        var passed = 0
        for _ in 0..<100 {
            var hadAny = false
            for toServer in [true, false] {
                var flight = toServer ? takeAll(&clientOutput) : takeAll(&serverOutput)
                if flight.isEmpty { continue }
                hadAny = true
                for index in flight.indices where passed + index >= afterBytes {
                    guard let change = left.popFirst() else { break }
                    // Mostly none, since the first change is the last that is understood.
                    if change < 0x40 { flight[index] ^= change }
                }
                passed += flight.count
                feed(flight, toServer: toServer, &chooser)
            }
            if !hadAny { break }
        }
        if bytes.isEmpty { require(client.isDone && server.isDone && client.failure == .none && server.failure == .none) }
    }

    private func say(_ bytes: [UInt8], toServer: Bool) {
        heardBytes += bytes.count
        let copy = exactCopy(bytes.span)
        copy.withUnsafeBytes { copy in
            var input = TLSInput(start: copy.baseAddress ?? UnsafeRawPointer(bitPattern: 8)!, count: copy.count)
            if toServer { hear(&server, &input, &serverOutput) } else { hear(&client, &input, &clientOutput) }
        }
    }

    private func hear(_ stream: inout TLSStream, _ input: inout TLSInput, _ output: inout ByteQueue) {
        let before = output.count
        defer { sentBytes += output.count - before }
        while !stream.isDone {
            switch stream.handshake(&input, now: 1, to: &output, &pools) {
            case .wantsInput:
                require(input.count == 0)
                return
            case .wantsName:
                require(stream.serverName.count <= 255)
                stream.choose(serving, host: 1)
            case .failed:
                require(stream.failure != .none)
                return
            case .done:
                stream.clientCertificate()?.free()
                stream.leaveOpenSSL()
            }
        }
        var room = [UInt8](repeating: 0, count: TLSStream.openRoomBytes)
        // Every byte that is read was heard.
        for _ in 0...max(64, heardBytes) {
            switch stream.open(&input, into: &room, room.count, to: &output, &pools) {
            case .bytes(let count): require(count > 0 && count <= room.count)
            case .wantsInput:
                require(input.count == 0)
                return
            case .ended: return
            case .failed:
                require(stream.failure != .none)
                return
            }
        }
        require(false)
    }

    private func takeAll(_ output: inout ByteQueue) -> [UInt8] {
        var all: [UInt8] = []
        while let block = output.head, !output.isEmpty {
            let count = block.count
            all += UnsafeRawBufferPointer(start: block.begin, count: count)
            output.consume(count, into: &pools)
        }
        return all
    }
}

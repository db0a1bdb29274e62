import COpenSSL
import Glibc
import TestSupport

@testable import Proxy

/// A client's and a server's stream joined by memory: what one sends is lent to the other in pieces.
final class TLSPeers {
    var client: TLSStream
    var server: TLSStream
    /// What is on the way.
    var toServer: Bytes = []
    var toClient: Bytes = []
    var blocks = BlockPool()
    var clientOutput = ByteQueue()
    var serverOutput = ByteQueue()
    /// How many bytes are lent at a time.
    var pieceBytes = Int.max
    /// Wall clock of the server.
    var now: Int64 = 1_000_000
    /// Whether the server goes on with its own record layer once the handshake is done.
    var serverLeavesOpenSSL = true
    /// What the client says as soon as its handshake is done, so that it travels with the end of that.
    var clientSpeaksFirst: Bytes = []
    /// What the server does with the name it is told; nil = goes on with its own context.
    var choose: ((String) -> (context: TLSContext?, host: Int32))?
    private(set) var namesAsked: [String] = []
    /// What the server has read of the client's certificate when the handshake was done.
    private(set) var certificate: ClientCertificate?
    private(set) var clientProgress = TLSProgress.wantsInput
    private(set) var serverProgress = TLSProgress.wantsInput
    /// Held, though streams do not need it.
    private let serverContext: TLSContext

    init(_ clientContext: TLSContext, _ serverContext: TLSContext, name: String = "example.com", resuming: TLSSession? = nil) {
        self.serverContext = serverContext
        client = name.withLent { TLSStream.connecting(clientContext.reference, name: $0, resuming: resuming)! }
        server = TLSStream.accepting(serverContext.reference)!
    }

    deinit {
        certificate?.free()
        client.free(&blocks)
        server.free(&blocks)
        clientOutput.clear(into: &blocks)
        serverOutput.clear(into: &blocks)
        precondition(blocks.takenBytes == 0, "a stream keeps blocks")
    }

    /// Lets both talk until nothing moves any more; true when both are done.
    @discardableResult
    func shakeHands() -> Bool {
        step(&client, &clientProgress, [], isServer: false)
        while true {
            collect()
            if let piece = take(&toServer) {
                step(&server, &serverProgress, piece, isServer: true)
            } else if let piece = take(&toClient) {
                step(&client, &clientProgress, piece, isServer: false)
            } else {
                break
            }
        }
        return clientProgress == .done && serverProgress == .done
    }

    /// Bytes that came behind the end of a handshake.
    private var clientRest: Bytes = []
    private var serverRest: Bytes = []

    private func step(_ stream: inout TLSStream, _ progress: inout TLSProgress, _ piece: Bytes, isServer: Bool) {
        if progress == .failed { return }
        if progress == .done {
            if isServer { serverRest += piece } else { clientRest += piece }
            return
        }
        var isAgain = true
        piece.withUnsafeBytes { bytes in
            var input = TLSInput(start: bytes.baseAddress ?? UnsafeRawPointer(bitPattern: 8)!, count: bytes.count)
            while isAgain {
                isAgain = false
                progress =
                    isServer
                    ? stream.handshake(&input, now: now, to: &serverOutput, &blocks) : stream.handshake(&input, now: now, to: &clientOutput, &blocks)
                if progress == .wantsName {
                    let name = stream.serverName.text
                    namesAsked.append(name)
                    let choice = choose?(name) ?? (serverContext, 0)
                    stream.choose(choice.context?.reference, host: choice.host)
                    isAgain = true
                }
            }
            if !isServer, progress == .done, !clientSpeaksFirst.isEmpty {
                _ = clientSpeaksFirst.withUnsafeBytes { stream.seal($0.baseAddress!, $0.count, recordBytes: 100, to: &clientOutput, &blocks) }
            }
            if isServer, progress == .done {
                certificate = stream.clientCertificate()
                if serverLeavesOpenSSL { stream.leaveOpenSSL() }
            }
            let rest = Bytes(UnsafeRawBufferPointer(start: input.start, count: input.count))
            if isServer { serverRest += rest } else { clientRest += rest }
        }
    }

    /// Moves what was queued onto the way.
    func collect() {
        toServer += clientOutput.takeAll(&blocks)
        toClient += serverOutput.takeAll(&blocks)
    }

    private func take(_ way: inout Bytes) -> Bytes? {
        if way.isEmpty { return nil }
        let piece = Bytes(way.prefix(pieceBytes))
        way.removeFirst(piece.count)
        return piece
    }

    /// Sends bytes from the client and returns what the server reads.
    func fromClient(_ bytes: Bytes, recordBytes: Int = 16_384) -> Bytes {
        let sealed = bytes.withUnsafeBytes { client.seal($0.baseAddress!, bytes.count, recordBytes: recordBytes, to: &clientOutput, &blocks) }
        precondition(sealed == bytes.count)
        collect()
        return serverReads()
    }

    func fromServer(_ bytes: Bytes, recordBytes: Int = 16_384) -> Bytes {
        let sealed = bytes.withUnsafeBytes { server.seal($0.baseAddress!, bytes.count, recordBytes: recordBytes, to: &serverOutput, &blocks) }
        precondition(sealed == bytes.count)
        collect()
        return clientReads()
    }

    /// What ended the last reading.
    private(set) var lastOpened = TLSOpened.wantsInput

    func serverReads() -> Bytes {
        let way = serverRest + toServer
        serverRest = []
        toServer = []
        return read(&server, &serverOutput, way)
    }

    func clientReads() -> Bytes {
        let way = clientRest + toClient
        clientRest = []
        toClient = []
        return read(&client, &clientOutput, way)
    }

    private func read(_ stream: inout TLSStream, _ output: inout ByteQueue, _ way: Bytes) -> Bytes {
        var plain: Bytes = []
        var room = Bytes(repeating: 0, count: TLSStream.openRoomBytes)
        var way = way
        repeat {
            let piece = Bytes(way.prefix(pieceBytes))
            way.removeFirst(piece.count)
            piece.withUnsafeBytes { bytes in
                var input = TLSInput(start: bytes.baseAddress ?? UnsafeRawPointer(bitPattern: 8)!, count: bytes.count)
                reading: while true {
                    lastOpened = stream.open(&input, into: &room, room.count, to: &output, &blocks)
                    guard case .bytes(let count) = lastOpened else { break reading }
                    plain += room[..<count]
                }
            }
        } while !way.isEmpty && lastOpened == .wantsInput
        return plain
    }
}

extension ByteQueue {
    /// All of it, as it would be sent.
    mutating func takeAll(_ blocks: inout BlockPool) -> Bytes {
        var all: Bytes = []
        while !isEmpty {
            var count = 0
            let pieces = pieces(byteCount: &count)
            _ = pieces
            var block = head
            var left = count
            while let current = block, left > 0 {
                all += UnsafeRawBufferPointer(start: current.begin, count: current.count)
                left -= current.count
                block = current.pointee.next
            }
            consume(count, into: &blocks)
        }
        return all
    }
}

extension ByteSlice {
    var text: String { start == nil ? "" : String(decoding: UnsafeRawBufferPointer(start: start, count: count), as: UTF8.self) }
}

extension String {
    /// Calls `use` with the bytes.
    func withLent<Result>(_ use: (ByteSlice) -> Result) -> Result {
        Bytes(utf8).withUnsafeBytes { use(ByteSlice(start: $0.baseAddress, count: $0.count)) }
    }
}

import TestSupport
import Testing

@Suite("Bodies in both directions, byte for byte", .scenario)
struct BodyTests {
    static let sizes = [0, 1, 4_095, 4_096, 16_384, 65_535, 65_536, 65_537, 300_000, 1_048_576]

    private func head(_ start: String, _ framing: Framing) -> Bytes {
        switch framing {
        case .length(let count): Bytes("\(start)\r\nHost: test\r\nContent-Length: \(count)\r\n\r\n")
        case .chunked: Bytes("\(start)\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n")
        case .untilClose, .none: Bytes("\(start)\r\nHost: test\r\n\r\n")
        }
    }

    /// Cuts into chunks of `size`.
    private func chunked(_ body: Bytes, size: Int) -> Bytes {
        var result: Bytes = []
        result.reserveCapacity(body.count + body.count / size * 16 + 64)
        var index = 0
        while index < body.count {
            let count = min(size, body.count - index)
            result += Bytes(String(count, radix: 16) + "\r\n") + body[index..<(index + count)] + Bytes("\r\n")
            index += count
        }
        return result + Bytes("0\r\n\r\n")
    }

    @Test("request bodies of known length", arguments: sizes)
    func requestOfKnownLength(size: Int) throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend) { proxy in
            let client = try proxy.connect()
            let sending = client.sendInBackground(head("PUT / HTTP/1.1", .length(size)) + BodyPattern.bytes(size, seed: 11))
            let (request, connection) = try backend.receiveRequest()
            #expect(request.body.count == size)
            #expect(BodyPattern.firstDifference(request.body, seed: 11) == nil)
            try sending.join()
            try connection.respond(body: "ok")
            #expect(try client.receiveResponse().body == Bytes("ok"))
            #expect(try client.get("/next", answeredBy: backend).status == 200)
        }
    }

    @Test("chunked request bodies", arguments: [1, 4_096, 65_536, 300_000], [1_000, 65_536])
    func chunkedRequest(size: Int, chunk: Int) throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend) { proxy in
            let client = try proxy.connect()
            let sending = client.sendInBackground(head("PUT / HTTP/1.1", .chunked) + chunked(BodyPattern.bytes(size, seed: 12), size: chunk))
            let (request, connection) = try backend.receiveRequest()
            #expect(request.body.count == size)
            #expect(BodyPattern.firstDifference(request.body, seed: 12) == nil)
            try sending.join()
            try connection.respond(body: "ok")
            #expect(try client.receiveResponse().body == Bytes("ok"))
            #expect(try client.get("/next", answeredBy: backend).status == 200)
        }
    }

    @Test("response bodies of known length", arguments: sizes)
    func responseOfKnownLength(size: Int) throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend) { proxy in
            let client = try proxy.connect()
            try client.sendRequest("/")
            let (_, connection) = try backend.receiveRequest()
            let sending = connection.sendInBackground(Bytes("HTTP/1.1 200 OK\r\nContent-Length: \(size)\r\n\r\n") + BodyPattern.bytes(size, seed: 13))
            let response = try client.receiveResponse()
            #expect(response.body.count == size)
            #expect(BodyPattern.firstDifference(response.body, seed: 13) == nil)
            try sending.join()
            #expect(try client.get("/next", answeredBy: backend).status == 200)
            #expect(backend.connections.count == 1)
        }
    }

    @Test("response bodies until the end of the connection", arguments: sizes)
    func responseUntilClose(size: Int) throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend) { proxy in
            let client = try proxy.connect()
            try client.sendRequest("/")
            let (_, connection) = try backend.receiveRequest()
            let sending = Background { [connection] in
                try connection.send(Bytes("HTTP/1.1 200 OK\r\n\r\n") + BodyPattern.bytes(size, seed: 14))
                connection.close()
            }
            let response = try client.receiveResponse()
            #expect(response.body.count == size)
            #expect(BodyPattern.firstDifference(response.body, seed: 14) == nil)
            try sending.join()
            #expect(try client.get("/next", answeredBy: backend).status == 200)
        }
    }

    @Test("chunked response bodies", arguments: [1, 4_096, 65_536, 300_000], [1_000, 65_536])
    func chunkedResponse(size: Int, chunk: Int) throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend) { proxy in
            let client = try proxy.connect()
            try client.sendRequest("/")
            let (_, connection) = try backend.receiveRequest()
            let sending = connection.sendInBackground(
                Bytes("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n") + chunked(BodyPattern.bytes(size, seed: 15), size: chunk))
            let response = try client.receiveResponse()
            #expect(response.body.count == size)
            #expect(BodyPattern.firstDifference(response.body, seed: 15) == nil)
            try sending.join()
            #expect(try client.get("/next", answeredBy: backend).status == 200)
            #expect(backend.connections.count == 1)
        }
    }

    @Test("20 MB go up and come back at the same time")
    func bothWays() throws {
        let size = 20_000_000
        let backend = try ScriptedBackend()
        try withProxy(to: backend) { proxy in
            let client = try proxy.connect()
            let up = client.sendInBackground(head("POST / HTTP/1.1", .length(size)) + BodyPattern.bytes(size, seed: 16))
            let (request, connection) = try backend.receiveRequestHead()
            let down = connection.sendInBackground(Bytes("HTTP/1.1 200 OK\r\nContent-Length: \(size)\r\n\r\n") + BodyPattern.bytes(size, seed: 17))
            let receiving = Background { [client] in try client.receiveResponse(deadline: Deadline(after: .seconds(60))) }
            let body = try connection.receiveBody(of: request, deadline: Deadline(after: .seconds(60)))
            #expect(BodyPattern.firstDifference(body.bytes, seed: 16) == nil)
            let response = try receiving.join(within: .seconds(60))
            #expect(response.body.count == size)
            #expect(BodyPattern.firstDifference(response.body, seed: 17) == nil)
            #expect(try up.join() > size)
            #expect(try down.join() > size)
        }
    }

    @Test("a body that comes in odd pieces arrives whole", arguments: [1, 7, 1_459, 4_097])
    func oddPieces(piece: Int) throws {
        let size = piece == 1 ? 3_000 : 200_000
        let body = BodyPattern.bytes(size, seed: 18)
        let pieces = stride(from: 0, to: size, by: piece).map { Bytes(body[$0..<min($0 + piece, size)]) }
        let backend = try ScriptedBackend()
        try withProxy(to: backend) { proxy in
            let client = try proxy.connect()
            try client.send(head("PUT / HTTP/1.1", .length(size)))
            let up = Background { [client] in try client.send(pieces: pieces) }
            let (request, connection) = try backend.receiveRequest()
            #expect(request.body == body)
            try up.join()
            try connection.send("HTTP/1.1 200 OK\r\nContent-Length: \(size)\r\n\r\n")
            let down = Background { [connection] in try connection.send(pieces: pieces) }
            #expect(try client.receiveResponse().body == body)
            try down.join()
        }
    }

    @Test("after 413 the client can still read the answer, though it goes on sending")
    func boundedDrain() throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend, server: [.bodyMax(1_000)]) { proxy in
            let client = try proxy.connect()
            let size = 100_000
            try client.send(head("POST / HTTP/1.1", .length(size)))
            let sending = client.sendInBackground(BodyPattern.bytes(size, seed: 19))
            #expect(try client.receiveResponse().status == 413)
            try sending.join()
            client.finishSending()
            // An end in order: a reset could have thrown the answer away on its way.
            #expect(try client.receiveUntilEnd().isEmpty)
            try backend.expectNoRequest(for: .milliseconds(30))
        }
    }

    @Test("the drain after 413 has an end")
    func drainEnds() throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend, server: [.bodyMax(1_000)]) { proxy in
            let client = try proxy.connect()
            try client.send(head("POST / HTTP/1.1", .length(1_000_000_000)))
            #expect(try client.receiveResponse().status == 413)
            let sent = try client.sendWhatIsTaken(Bytes(repeating: 0x61, count: 60_000_000), deadline: Deadline(after: .seconds(8)))
            #expect(sent < 60_000_000)
        }
    }
}

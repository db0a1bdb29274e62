import TestSupport
import Testing

@Suite("Scripted peers, wired to each other without a proxy", .scenario)
struct ScriptedPeerTests {
    private func pair(_ address: PeerAddress = .ipv4(port: 0)) throws -> (ScriptedClient, ScriptedBackend) {
        let backend = try ScriptedBackend(on: address)
        return (try ScriptedClient(to: backend.address), backend)
    }

    @Test("a request sent in pieces arrives as one, with its fields in order")
    func requestInPieces() throws {
        let (client, backend) = try pair()
        try client.send(pieces: ["GE", "T /a?b HTTP/1.1\r\nHo", "st: x\r\nA: 1\r\na: 2\r\n", "\r\n"].map { Bytes($0) })
        let (request, connection) = try backend.receiveRequest()
        #expect(request.method == "GET")
        #expect(request.target == "/a?b")
        #expect(request.fields["A"] == ["1", "2"])
        #expect(connection.number == 1)
    }

    @Test("a response of known length is read and the next one stays for later")
    func responseOfKnownLength() throws {
        let (client, backend) = try pair()
        let connection = try backend.accept()
        try connection.send("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1 204 No Content\r\n\r\n")
        let first = try client.receiveResponse()
        #expect(first.interim.map(\.status) == [103])
        #expect(first.interim[0].fields["Link"] == ["x"])
        #expect(first.body == Bytes("abc"))
        #expect(try client.receiveResponse().status == 204)
    }

    @Test("chunks, extensions and trailers are read as they came")
    func chunks() throws {
        let (client, backend) = try pair()
        let connection = try backend.accept()
        try connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0A\r\n0123456789\r\n0\r\nT: 1\r\n\r\n")
        let response = try client.receiveResponse()
        #expect(response.content.chunkSizes == [3, 10])
        #expect(response.content.hadChunkExtensions)
        #expect(response.content.trailers["T"] == ["1"])
        #expect(response.body == Bytes("abc0123456789"))
    }

    @Test(
        "a body cut short is told from a whole one",
        arguments: ["Content-Length: 5\r\n\r\nab", "Transfer-Encoding: chunked\r\n\r\n5\r\nab", "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n"])
    func truncation(rest: String) throws {
        let (client, backend) = try pair()
        let connection = try backend.accept()
        try connection.send("HTTP/1.1 200 OK\r\n" + rest)
        connection.close()
        let response = try client.receiveTruncatedResponse()
        #expect(response.body == Bytes("ab"))
    }

    @Test(
        "a sloppy message is a failure, not a guess",
        arguments: [
            "HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200 OK\r\nA : 1\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxy\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "HTTP/2 200 OK\r\n\r\n",
        ])
    func sloppiness(message: String) throws {
        let (client, backend) = try pair()
        let connection = try backend.accept()
        try connection.send(message)
        #expect(throws: ScenarioFailure.self) { try client.receiveResponse() }
    }

    @Test("an end, a reset and silence are told apart")
    func endings() throws {
        let (client, backend) = try pair()
        let connection = try backend.accept()
        try client.expectSilence()
        connection.finishSending()
        try client.expectClosed()
        try client.send("x")
        #expect(try connection.receive(1) == Bytes("x"))

        let second = try ScriptedClient(to: backend.address)
        try backend.accept().reset()
        try second.expectReset()
        #expect(throws: ScenarioFailure.self) { try second.send("x") }
    }

    @Test("unexpected bytes break an expected silence and an expected end")
    func unexpectedBytes() throws {
        let (client, backend) = try pair()
        let connection = try backend.accept()
        try connection.send("x")
        #expect(throws: ScenarioFailure.self) { try client.expectSilence() }
        try client.send("y")
        #expect(throws: ScenarioFailure.self) { try backend.expectNoRequest() }
        connection.close()
        #expect(throws: ScenarioFailure.self) { try client.expectClosed() }
    }

    @Test("the connection with bytes is found among idle and ended ones")
    func activeConnection() throws {
        let backend = try ScriptedBackend()
        let clients = try (0..<4).map { _ in try ScriptedClient(to: backend.address) }
        try clients[0].send("GET / HTTP/1.1\r\n\r\n")
        #expect(try backend.receiveRequest().connection.number == 1)
        clients[1].close()
        try clients[3].send("GET / HTTP/1.1\r\n\r\n")
        #expect(try backend.receiveRequest().connection.number == 4)
        try backend.expectNoRequest()
    }

    @Test("large bodies pass in the background, byte for byte, over every family", arguments: ["4", "6", "unix"])
    func largeBodies(family: String) throws {
        let folder = try TemporaryFolder()
        let address: PeerAddress = family == "4" ? .ipv4(port: 0) : family == "6" ? .ipv6(port: 0) : .unix(path: folder.path("s"))
        let (client, backend) = try pair(address)
        let size = 20_000_000
        let sending = client.sendInBackground(BodyPattern.bytes(size, seed: 7))
        let received = try backend.accept().receive(size)
        #expect(try sending.join() == size)
        #expect(BodyPattern.firstDifference(received, seed: 7) == nil)
    }

    @Test("a lost, a doubled and a changed byte show in the pattern")
    func pattern() {
        let whole = BodyPattern.bytes(200_000, seed: 1)
        #expect(BodyPattern.firstDifference(whole, seed: 1) == nil)
        #expect(BodyPattern.bytes(100, seed: 1, from: 150_000) == Bytes(whole[150_000..<150_100]))
        #expect(BodyPattern.firstDifference(whole, seed: 2) != nil)
        var changed = whole
        changed[70_000] ^= 1
        #expect(BodyPattern.firstDifference(changed, seed: 1) == 70_000)
        changed = whole
        changed.remove(at: 5)
        #expect(BodyPattern.firstDifference(changed, seed: 1) != nil)
    }

    @Test("a handler answers by itself and counts")
    func handler() throws {
        let backend = try HandlerBackend.named("one")
        for _ in 0..<3 {
            let client = try ScriptedClient(to: backend.address)
            #expect(try client.get("/x").fields["X-Backend"] == ["one"])
            #expect(try client.get("/y").fields["X-Target"] == ["/y"])
        }
        #expect(backend.requestCount == 6)
        #expect(backend.connectionCount == 3)
        backend.close()
        #expect(throws: ScenarioFailure.self) { try ScriptedClient(to: backend.address).get() }
    }
}

import TestSupport
import Testing

@Suite("Upgrades and the tunnels that they become", .scenario)
struct TunnelTests {
    private static let request =
        "GET /chat HTTP/1.1\r\nHost: test\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    private static let answer =
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"

    /// A proxy with an open tunnel.
    private func withTunnel(server: [Setting] = [], _ body: (ProxyUnderTest, ScriptedBackend, ScriptedClient, BackendConnection) throws -> Void) throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend, server: server) { proxy in
            let client = try proxy.connect()
            try client.send(Self.request)
            let (_, connection) = try backend.receiveRequest()
            try connection.send(Self.answer)
            #expect(try client.receiveResponseHead().status == 101)
            try body(proxy, backend, client, connection)
        }
    }

    @Test("the upgrade is asked for and granted with all its fields")
    func handshake() throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend) { proxy in
            let client = try proxy.connect()
            try client.send(Self.request)
            let (request, connection) = try backend.receiveRequest()
            #expect(request.fields["Upgrade"] == ["websocket"])
            #expect(request.fields["Connection"].joined(separator: ",").lowercased().contains("upgrade"))
            #expect(request.fields["Sec-WebSocket-Key"] == ["dGhlIHNhbXBsZSBub25jZQ=="])
            try connection.send(Self.answer)
            let response = try client.receiveResponseHead()
            #expect(response.status == 101)
            #expect(response.fields["Upgrade"] == ["websocket"])
            #expect(response.fields["Connection"].joined(separator: ",").lowercased().contains("upgrade"))
            #expect(response.fields["Sec-WebSocket-Accept"] == ["s3pPLMBiTxaQ9kYGzzhZRbK+xOo="])
        }
    }

    @Test("bytes pass both ways as they are, HTTP or not")
    func bytesPass() throws {
        try withTunnel { proxy, _, client, connection in
            for round in 0..<20 {
                let up = Bytes([0, 255, UInt8(round)]) + Bytes("GET / HTTP/1.1\r\n\r\n")
                try client.send(up)
                #expect(try connection.receive(up.count) == up)
                let down = Bytes("HTTP/1.1 400 no\r\n\r\n") + [UInt8(round), 0]
                try connection.send(down)
                #expect(try client.receive(down.count) == down)
            }
            #expect(try proxy.counters().sum("tunnels") >= 1)
        }
    }

    @Test("bytes in the same segment as the 101 belong to the tunnel")
    func bytesBehindAnswer() throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend) { proxy in
            let client = try proxy.connect()
            try client.send(Self.request)
            let (_, connection) = try backend.receiveRequest()
            try connection.send(Self.answer + "early")
            #expect(try client.receiveResponseHead().status == 101)
            #expect(try client.receive(5) == Bytes("early"))
        }
    }

    @Test("bytes that the client sends before the 101 wait for it")
    func bytesBehindRequest() throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend) { proxy in
            let client = try proxy.connect()
            try client.send(Self.request + "eager")
            let (_, connection) = try backend.receiveRequest()
            try connection.expectSilence()
            try connection.send(Self.answer)
            #expect(try client.receiveResponseHead().status == 101)
            #expect(try connection.receive(5) == Bytes("eager"))
        }
    }

    @Test("a refused upgrade is an answer like any other", arguments: ["200 OK", "426 Upgrade Required"])
    func refused(status: String) throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend) { proxy in
            let client = try proxy.connect()
            try client.send(Self.request)
            let (_, connection) = try backend.receiveRequest()
            try connection.respond(status, body: "no")
            #expect(try client.receiveResponse().body == Bytes("no"))
            #expect(try client.get("/next", answeredBy: backend).status == 200)
        }
    }

    @Test("an end of one side is passed on, and the other side may go on")
    func halfClose() throws {
        try withTunnel { _, _, client, connection in
            client.finishSending()
            #expect(try connection.receiveUntilEnd().isEmpty)
            try connection.send("still here")
            #expect(try client.receive(10) == Bytes("still here"))
            connection.finishSending()
            try client.expectClosed()
        }
        try withTunnel { _, _, client, connection in
            try connection.send("bye")
            connection.finishSending()
            #expect(try client.receiveUntilEnd() == Bytes("bye"))
            try client.send("still here")
            #expect(try connection.receive(10) == Bytes("still here"))
            client.finishSending()
            try connection.expectClosed()
        }
    }

    @Test("a reset of one side ends the other", arguments: [true, false])
    func reset(byClient: Bool) throws {
        try withTunnel { _, _, client, connection in
            if byClient {
                client.reset()
                try connection.expectClosed()
            } else {
                connection.reset()
                try client.expectClosed()
            }
        }
    }

    @Test("a silent tunnel is closed on both sides after its time, one that is used is not")
    func idleTimer() throws {
        try withTunnel(server: [.tunnelTimeout(400)]) { _, _, client, connection in
            for _ in 0..<4 {
                try client.expectSilence(for: .milliseconds(150))
                try client.send("x")
                #expect(try connection.receive(1) == Bytes("x"))
            }
            let time = try elapsed {
                try client.send("x")
                #expect(try connection.receive(1) == Bytes("x"))
                try client.expectClosed()
                try connection.expectClosed()
            }
            #expect(expectedSpan(of: .milliseconds(400)).contains(time))
        }
    }

    @Test("megabytes pass both ways at once, byte for byte", arguments: [true, false])
    func large(splice: Bool) throws {
        let size = 5_000_000
        try withTunnel(server: [.splice(splice)]) { _, _, client, connection in
            let up = client.sendInBackground(BodyPattern.bytes(size, seed: 21))
            let down = connection.sendInBackground(BodyPattern.bytes(size, seed: 22))
            let receiving = Background { [client] in try client.receive(size, deadline: Deadline(after: .seconds(30))) }
            let atBackend = try connection.receive(size, deadline: Deadline(after: .seconds(30)))
            #expect(BodyPattern.firstDifference(atBackend, seed: 21) == nil)
            #expect(BodyPattern.firstDifference(try receiving.join(), seed: 22) == nil)
            try up.join()
            try down.join()
            client.finishSending()
            try connection.expectClosed()
        }
    }

    @Test("a side that does not read is not read for without limit")
    func watermark() throws {
        try withTunnel(server: [.highWatermark(65_536)]) { _, _, client, connection in
            let sent = try connection.sendWhatIsTaken(Bytes(repeating: 1, count: 100_000_000), deadline: Deadline(after: .seconds(2)))
            #expect(sent < 50_000_000)
            var left = sent
            while left > 0 {
                let count = min(left, 1_000_000)
                _ = try client.receive(count)
                left -= count
            }
            try client.send("alive")
            #expect(try connection.receive(5) == Bytes("alive"))
        }
    }

    @Test("a tunnel's backend connection serves nobody else, then or later")
    func ownConnection() throws {
        try withTunnel { proxy, backend, client, connection in
            let other = try proxy.connect()
            #expect(try other.get("/other", answeredBy: backend).status == 200)
            client.close()
            try connection.expectClosed()
            #expect(try other.get("/again", answeredBy: backend).status == 200)
            #expect(connection.received.firstOffset(of: Bytes("/other")) == nil)
        }
    }
}

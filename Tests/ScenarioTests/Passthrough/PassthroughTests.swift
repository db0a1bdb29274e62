import TestSupport
import Testing

@Suite("Rules that pass bytes through", .scenario)
struct PassthroughTests {
    private static let site =
        "vhost \"*\" { rule raw { uri-gmatch = \"/raw*\" downstreams = backend0 passthrough = true }\nrule rest { uri-gmatch = \"*\" downstreams = backend0 } }"

    /// A proxy with a client whose request has reached the backend, and the connection that it came on.
    private func withPipe(
        _ words: String = "", request: String = "GET /raw HTTP/1.1\r\nHost: test\r\n\r\n", accessLog: String? = nil,
        _ body: (ProxyUnderTest, ScriptedBackend, ScriptedClient, BackendConnection) throws -> Void
    ) throws {
        let backend = try ScriptedBackend()
        try withServer(words + "\n" + Self.site, accessLog: accessLog, backends: [backend]) { proxy in
            let client = try proxy.connect()
            try client.send(request)
            let connection = try backend.activeConnection()
            let head = try connection.receiveHead()
            #expect(head.startLine == request.split(separator: "\r\n")[0])
            try body(proxy, backend, client, connection)
        }
    }

    @Test("the head is changed like any other, and the connection is told to end with the answer")
    func head() throws {
        let backend = try ScriptedBackend()
        try withServer("headers { forwarded-for = replace }\n" + Self.site, backends: [backend]) { proxy in
            let client = try proxy.connect()
            try client.send("GET /raw?a HTTP/1.1\r\nHost: test\r\nX-Forwarded-For: 1.2.3.4\r\nConnection: keep-alive\r\n\r\n")
            let head = try backend.activeConnection().receiveHead()
            #expect(head.fields["X-Forwarded-For"] == ["127.0.0.1"])
            #expect(head.fields["Connection"] == ["close"])
            let upgrade = try proxy.connect()
            try upgrade.send("GET /raw HTTP/1.1\r\nHost: test\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
            let upgraded = try backend.activeConnection().receiveHead()
            #expect(upgraded.fields["Connection"] == ["Upgrade"] && upgraded.fields["Upgrade"] == ["websocket"])
            let old = try proxy.connect()
            try old.send("GET /raw HTTP/1.0\r\n\r\n")
            #expect(try backend.activeConnection().receiveHead().startLine == "GET /raw HTTP/1.0")
        }
    }

    @Test("the answer comes as it is, HTTP or not, and bytes go both ways after it", arguments: ["HTTP/1.1 200 OK\r\nX: y\r\n\r\n", "\u{0}not http\r\n"])
    func raw(answer: String) throws {
        try withPipe { proxy, _, client, connection in
            try connection.send(answer)
            #expect(try client.receive(Bytes(answer).count) == Bytes(answer))
            for round in 0..<10 {
                let up = Bytes([0, 255, UInt8(round)]) + Bytes("GET / HTTP/1.1\r\n\r\n")
                try client.send(up)
                #expect(try connection.receive(up.count) == up)
                try connection.send(up.reversed())
                #expect(try client.receive(up.count) == up.reversed())
            }
            #expect(try proxy.counters().sum("tunnels") == 1)
        }
    }

    @Test(
        "a body passes in the framing that the client chose",
        arguments: ["Content-Length: 11\r\n\r\nhello world", "Transfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nA: b\r\n\r\n"])
    func body(request: String) throws {
        let body = request.split(separator: "\r\n\r\n", maxSplits: 1)[1]
        try withPipe(request: "POST /raw HTTP/1.1\r\nHost: test\r\n" + request) { _, _, client, connection in
            #expect(try connection.receive(Bytes(String(body)).count) == Bytes(String(body)))
            try connection.send("HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")
            #expect(try client.receiveResponse().status == 201)
        }
    }

    @Test("bytes that came with the request wait for the backend and then go first")
    func early() throws {
        let backend = try ScriptedBackend()
        backend.stopListening()
        try withServer(Self.site, backends: [backend]) { proxy in
            let client = try proxy.connect()
            try client.send("GET /raw HTTP/1.1\r\nHost: test\r\n\r\nearly")
            try client.expectSilence(for: .milliseconds(50))
            try backend.listenAgain()
            let connection = try backend.activeConnection()
            _ = try connection.receiveHead()
            #expect(try connection.receive(5) == Bytes("early"))
        }
    }

    @Test("the end of one side is passed on, and the other side may go on")
    func halfClose() throws {
        try withPipe { _, _, client, connection in
            client.finishSending()
            #expect(try connection.receiveUntilEnd().isEmpty)
            try connection.send("still here")
            #expect(try client.receive(10) == Bytes("still here"))
            connection.finishSending()
            try client.expectClosed()
        }
        try withPipe { _, _, client, connection in
            try connection.send("bye")
            connection.finishSending()
            #expect(try client.receiveUntilEnd() == Bytes("bye"))
            try client.send("still here")
            #expect(try connection.receive(10) == Bytes("still here"))
            client.finishSending()
            try connection.expectClosed()
        }
    }

    @Test("above the high mark a slow reader pauses the other side, and goes on to the last byte once it reads", arguments: [true, false])
    func stall(splice: Bool) throws {
        // What the original did at its mark: reading stopped, and nothing ever started it again.
        let size = 30_000_000
        try withPipe("high-watermark = 32768 splice = \(splice)") { _, _, client, connection in
            let pattern = BodyPattern.bytes(size, seed: 51)
            for (sender, reader) in [(connection as ScriptedPeer, client as ScriptedPeer), (client, connection)] {
                let sent = try sender.sendWhatIsTaken(pattern, deadline: Deadline(after: .seconds(1)))
                #expect(sent < size)  // nobody reads, so neither does the proxy
                let rest = sender.sendInBackground(Bytes(pattern[sent...]))
                let received = try reader.receive(size, deadline: Deadline(after: .seconds(30)))
                #expect(BodyPattern.firstDifference(received, seed: 51) == nil)
                try rest.join()
            }
        }
    }

    @Test("a side that does not read is not read for without limit, in both directions")
    func watermark() throws {
        try withPipe("high-watermark = 65536") { _, _, client, connection in
            let down = try connection.sendWhatIsTaken(Bytes(repeating: 1, count: 100_000_000), deadline: Deadline(after: .seconds(1)))
            #expect(down < 50_000_000)
            let up = try client.sendWhatIsTaken(Bytes(repeating: 2, count: 100_000_000), deadline: Deadline(after: .seconds(1)))
            #expect(up < 50_000_000)
            for (reader, count) in [(client as ScriptedPeer, down), (connection, up)] {
                var left = count
                while left > 0 {
                    let piece = min(left, 1_000_000)
                    _ = try reader.receive(piece)
                    left -= piece
                }
            }
            try client.send("alive")
            #expect(try connection.receive(5) == Bytes("alive"))
        }
    }

    @Test("large streams pass both ways at once, byte for byte, through the kernel where that is allowed", arguments: [true, false])
    func large(splice: Bool) throws {
        let size = 5_000_000
        try withPipe("splice = \(splice)") { proxy, _, client, connection in
            let up = client.sendInBackground(BodyPattern.bytes(size, seed: 53))
            let down = connection.sendInBackground(BodyPattern.bytes(size, seed: 54))
            let receiving = Background { [client] in try client.receive(size, deadline: Deadline(after: .seconds(30))) }
            #expect(BodyPattern.firstDifference(try connection.receive(size, deadline: Deadline(after: .seconds(30))), seed: 53) == nil)
            #expect(BodyPattern.firstDifference(try receiving.join(), seed: 54) == nil)
            try up.join()
            try down.join()
            #expect((try proxy.counters().sum("splicedBytes") > 0) == splice)
        }
    }

    @Test("a silent pipe is closed after its time, one that is used is not")
    func idle() throws {
        try withPipe("tunnel-timeout = \"400ms\"") { _, _, client, connection in
            try connection.send("x")
            #expect(try client.receive(1) == Bytes("x"))
            for _ in 0..<4 {
                try client.expectSilence(for: .milliseconds(150))
                try client.send("y")
                #expect(try connection.receive(1) == Bytes("y"))
            }
            let time = try elapsed {
                try client.send("z")
                #expect(try connection.receive(1) == Bytes("z"))
                try client.expectClosed()
                try connection.expectClosed()
            }
            #expect(expectedSpan(of: .milliseconds(400)).contains(time))
        }
    }

    @Test("a backend that never says anything is answered for with 504")
    func silentBackend() throws {
        try withPipe("tunnel-timeout = \"300ms\"", accessLog: "{STATUS} {REASON}") { proxy, _, client, connection in
            let response = try client.receiveResponse()
            #expect(response.status == 504 && response.announcesClose)
            try client.expectClosed()
            try connection.expectClosed()
            #expect(try proxy.accessLog(lines: 1) == ["504 backend-read-timeout"])
        }
    }

    @Test("its backend connection serves nobody else, and what the client sends later is no request")
    func ownConnection() throws {
        try withPipe { proxy, backend, client, connection in
            try connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            #expect(try client.receiveResponse().body == Bytes("ok"))
            let other = try proxy.connect()
            #expect(try other.get("/other", answeredBy: backend).status == 200)
            // Not a request of ours: it passes as it is.
            try client.send("GET /other HTTP/1.1\r\n\r\n")
            #expect(try connection.receive(23) == Bytes("GET /other HTTP/1.1\r\n\r\n"))
            client.close()
            try connection.expectClosed()
            #expect(try other.get("/again", answeredBy: backend).status == 200)
        }
    }

    @Test("it is logged at its end, with the status that passed and the bytes of both directions")
    func logged() throws {
        try withPipe(accessLog: "{RULE} {STATUS} {BACKEND} {BODY_IN} {BODY_OUT} {REASON}") { proxy, _, client, connection in
            try connection.send("HTTP/1.1 206 Partial\r\n\r\n")
            _ = try client.receive(through: "\r\n\r\n")
            try client.send("12345")
            _ = try connection.receive(5)
            client.close()
            try connection.expectClosed()
            connection.close()
            #expect(try proxy.accessLog(lines: 1) == ["raw 206 backend0 5 24 -"])
        }
    }

    @Test("a backend that can't be reached is 503, one that closes without a byte 502")
    func failures() throws {
        let backend = try ScriptedBackend()
        try withServer("pending-timeout = \"300ms\"\n" + Self.site, accessLog: "{STATUS} {REASON}", backends: [backend]) { proxy in
            let client = try proxy.connect()
            try client.send("POST /raw HTTP/1.1\r\nHost: test\r\nContent-Length: 3\r\n\r\nabc")
            let connection = try backend.activeConnection()
            _ = try connection.receiveHead()
            _ = try connection.receive(3)
            connection.close()
            #expect(try client.receiveResponse().status == 502)
            try client.expectClosed()
            backend.stopListening()
            let late = try proxy.connect()
            try late.send("GET /raw HTTP/1.1\r\nHost: test\r\n\r\n")
            #expect(try late.receiveResponse().status == 503)
            #expect(try proxy.accessLog(lines: 2).map { $0.prefix(3) } == ["502", "503"])
        }
    }

    @Test("a used connection that was closed meanwhile is replaced without the client seeing it")
    func staleConnection() throws {
        let backend = try ScriptedBackend()
        try withServer(Self.site, accessLog: "{STATUS} {RETRIES}", backends: [backend]) { proxy in
            let client = try proxy.connect()
            #expect(try client.get("/", answeredBy: backend).status == 200)
            let used = backend.connections[0]
            try client.send("GET /raw HTTP/1.1\r\nHost: test\r\n\r\n")
            _ = try used.receiveHead()
            used.reset()
            let fresh = try backend.activeConnection()
            #expect(try fresh.receiveHead().startLine == "GET /raw HTTP/1.1")
            try client.send("more")
            #expect(try fresh.receive(4) == Bytes("more"))
            try fresh.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            #expect(try client.receiveResponse().status == 200)
            client.close()
            try fresh.expectClosed()
            fresh.close()
            #expect(try proxy.accessLog(lines: 2)[1] == "200 1")
        }
    }

    @Test("a reset of one side ends the other", arguments: [true, false])
    func reset(byClient: Bool) throws {
        try withPipe { _, _, client, connection in
            try connection.send("x")
            #expect(try client.receive(1) == Bytes("x"))
            if byClient {
                client.reset()
                try connection.expectClosed()
            } else {
                connection.reset()
                try client.expectClosed()
            }
        }
    }
}

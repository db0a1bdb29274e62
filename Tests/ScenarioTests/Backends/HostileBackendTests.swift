import TestSupport
import Testing

/// An answer that must not be believed.
struct HostileAnswer: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let bytes: Bytes
    let thenCloses: Bool

    init(_ name: String, _ text: String, thenCloses: Bool = false) { self.init(name, Bytes(text), thenCloses: thenCloses) }
    init(_ name: String, _ bytes: Bytes, thenCloses: Bool = false) {
        testDescription = name
        self.bytes = bytes
        self.thenCloses = thenCloses
    }
}

@Suite("Backends that answer wrongly", .scenario)
struct HostileBackendTests {
    static let unreadable: [HostileAnswer] = [
        .init("garbage", "hello, I am not HTTP\r\n\r\n"),
        .init("binary garbage", Bytes((0...255).map { UInt8($0) }) + Bytes("\r\n\r\n")),
        .init("HTTP/2", "HTTP/2 200 OK\r\nContent-Length: 0\r\n\r\n"),
        .init("a status of two digits", "HTTP/1.1 99 Short\r\nContent-Length: 0\r\n\r\n"),
        .init("a status of four digits", "HTTP/1.1 2000 Long\r\nContent-Length: 0\r\n\r\n"),
        .init("a status that is no number", "HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n"),
        .init("a status below 100", "HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n"),
        .init("a control byte in the reason", "HTTP/1.1 200 O\u{01}K\r\nContent-Length: 0\r\n\r\n"),
        .init("a bare CR in a value", "HTTP/1.1 200 OK\r\nA: 1\rB: 2\r\nContent-Length: 0\r\n\r\n"),
        .init("a NUL in a value", "HTTP/1.1 200 OK\r\nA: 1\u{00}2\r\nContent-Length: 0\r\n\r\n"),
        .init("a field without colon", "HTTP/1.1 200 OK\r\nA\r\nContent-Length: 0\r\n\r\n"),
        .init("an empty field name", "HTTP/1.1 200 OK\r\n: 1\r\nContent-Length: 0\r\n\r\n"),
        .init("both framings", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        .init("two lengths that differ", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
        .init("a list of lengths that differ", "HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\nab"),
        .init("a negative length", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"),
        .init("a length beyond 64 bits", "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n"),
        .init("an unknown transfer coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nab", thenCloses: true),
        .init("chunked twice", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"),
        .init("chunked in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        .init("101 that nobody asked for", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"),
        .init("an end before any byte", "", thenCloses: true),
        .init("an end within the status line", "HTTP/1.1 20", thenCloses: true),
        .init("an end within the head", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", thenCloses: true),
        .init("an end after an interim answer", "HTTP/1.1 103 Early Hints\r\nA: 1\r\n\r\n", thenCloses: true),
        .init("a head over the limit", "HTTP/1.1 200 OK\r\nA: \(String(repeating: "a", count: 40_000))\r\nContent-Length: 0\r\n\r\n"),
        .init("a head over the limit without end", "HTTP/1.1 200 OK\r\nA: \(String(repeating: "a", count: 70_000))"),
        .init("too many fields", "HTTP/1.1 200 OK\r\n\(String(repeating: "A: 1\r\n", count: 101))Content-Length: 0\r\n\r\n"),
    ]

    @Test("an answer that cannot be read becomes 502, and the connection it came on is not used again", arguments: unreadable)
    func unreadableAnswer(_ answer: HostileAnswer) throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend) { proxy in
            let client = try proxy.connect()
            // Not repeatable, so that an early end is not answered by a second try.
            try client.sendRequest("/first", method: "POST", body: Bytes("x"))
            let (_, connection) = try backend.receiveRequest()
            _ = try connection.sendWhatIsTaken(answer.bytes)
            if answer.thenCloses { connection.close() }
            #expect(try client.receiveResponse().status == 502)
            if !answer.thenCloses { try connection.expectClosed() }
            let next = try proxy.connect()
            #expect(try next.get("/next", answeredBy: backend).body == Bytes("ok"))
            #expect(backend.connections.count == 2)
        }
    }

    @Test("a reset instead of an answer becomes 502")
    func resetBeforeAnswer() throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend) { proxy in
            let client = try proxy.connect()
            try client.sendRequest("/", method: "POST", body: Bytes("x"))
            try backend.receiveRequest().connection.reset()
            #expect(try client.receiveResponse().status == 502)
            #expect(try client.get("/next", answeredBy: backend).body == Bytes("ok"))
        }
    }

    static let broken: [HostileAnswer] = [
        .init("a body shorter than its length", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", thenCloses: true),
        .init("chunks without end", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", thenCloses: true),
        .init("an end within a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc", thenCloses: true),
        .init("an end within the trailers", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nA: 1\r\n", thenCloses: true),
        .init("a bad chunk size", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nxyz\r\n"),
        .init("a chunk size beyond 64 bits", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nFFFFFFFFFFFFFFFFF\r\n"),
        .init("junk behind a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcdefg\r\n"),
        .init("a bad trailer", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nno colon\r\n\r\n"),
    ]

    @Test("an answer that breaks off after its head is cut off in a way that the client can tell", arguments: broken, [false, true])
    func brokenBody(_ answer: HostileAnswer, inTwoSteps: Bool) throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend) { proxy in
            let client = try proxy.connect()
            try client.sendRequest("/", method: "POST", body: Bytes("x"))
            let (_, connection) = try backend.receiveRequest()
            if inTwoSteps {
                // The head reaches the client before the trouble begins.
                let end = answer.bytes.firstOffset(of: Bytes("\r\n\r\n"))! + 4
                try connection.send(Bytes(answer.bytes[..<end]))
                _ = try client.receiveResponseHead()
                try connection.send(Bytes(answer.bytes[end...]))
            } else {
                try connection.send(answer.bytes)
            }
            if answer.thenCloses { connection.close() }
            if inTwoSteps {
                let rest = try client.receiveWhatComes(within: Patience.step)
                #expect(client.isOver)
                #expect(!rest.contains(text: "0\r\n\r\n"))
            } else {
                // Where nothing was sent yet, 502 is an answer as good.
                let response = try client.receiveResponsePart()
                #expect(response.status == 502 || !response.content.isComplete)
            }
            #expect(try proxy.connect().get("/next", answeredBy: backend).body == Bytes("ok"))
        }
    }

    @Test("a reset in the middle of a body cuts the client off")
    func resetInBody() throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend) { proxy in
            let client = try proxy.connect()
            try client.sendRequest("/")
            let (_, connection) = try backend.receiveRequest()
            try connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
            #expect(try client.receiveResponseHead().status == 200)
            #expect(try client.receive(3) == Bytes("abc"))
            connection.reset()
            try client.expectClosed()
        }
    }

    @Test("bytes behind an answer reach nobody, and their connection is not used again", arguments: ["X", "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nfoiled"], [false, true])
    func extraBytes(extra: String, later: Bool) throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend) { proxy in
            let client = try proxy.connect()
            try client.sendRequest("/first")
            let (_, connection) = try backend.receiveRequest()
            let answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst"
            try connection.send(later ? answer : answer + extra)
            #expect(try client.receiveResponse().body == Bytes("first"))
            if later { try connection.send(extra) }
            try connection.expectClosed()
            #expect(try client.get("/second", answeredBy: backend, body: Bytes("second")).body == Bytes("second"))
            #expect(try proxy.connect().get("/third", answeredBy: backend, body: Bytes("third")).body == Bytes("third"))
            #expect(connection.received.firstOffset(of: Bytes("/second")) == nil)
        }
    }

    @Test("bytes behind an answer without body reach nobody", arguments: ["HEAD", "GET"])
    func bodyWhereNoneMayBe(method: String) throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend) { proxy in
            let client = try proxy.connect()
            try client.sendRequest("/first", method: method)
            let (_, connection) = try backend.receiveRequest()
            try connection.send((method == "HEAD" ? "HTTP/1.1 200 OK" : "HTTP/1.1 304 Not Modified") + "\r\nContent-Length: 5\r\n\r\nhello")
            _ = try client.receiveResponse(to: method)
            try connection.expectClosed()
            #expect(try client.get("/second", answeredBy: backend, body: Bytes("second")).body == Bytes("second"))
        }
    }

    @Test("an answer in the middle of the request reaches the client at once")
    func earlyAnswer() throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend) { proxy in
            let client = try proxy.connect()
            try client.send("POST /up HTTP/1.1\r\nHost: test\r\nContent-Length: 100000\r\n\r\n" + String(repeating: "a", count: 1_000))
            let (_, connection) = try backend.receiveRequestHead()
            try connection.respond("403 Forbidden", body: "no")
            let response = try client.receiveResponse()
            #expect(response.status == 403)
            #expect(response.body == Bytes("no"))
            _ = try connection.receiveUntilEndOrReset()
            // The rest of the body belongs to nobody: the next request must not be preceded by it.
            #expect(try proxy.connect().get("/next", answeredBy: backend).body == Bytes("ok"))
        }
    }

    @Test("an answer and an end in the middle of a large request still reach the client")
    func earlyAnswerAndEnd() throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend) { proxy in
            let client = try proxy.connect()
            try client.send("POST /up HTTP/1.1\r\nHost: test\r\nContent-Length: 10000000\r\n\r\n")
            let sending = client.sendInBackground(Bytes(repeating: 0x61, count: 200_000))
            let (_, connection) = try backend.receiveRequestHead()
            try connection.respond("413 Content Too Large", body: "no", fields: "Connection: close\r\n")
            connection.finishSending()
            #expect(try client.receiveResponse().status == 413)
            client.close()
            _ = try? sending.join()
        }
    }

    @Test("an answer before any request ends the connection and reaches nobody")
    func answerBeforeRequest() throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend) { proxy in
            let client = try proxy.connect()
            #expect(try client.get("/warm", answeredBy: backend).status == 200)
            let connection = backend.connections[0]
            try connection.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nfoiled")
            try connection.expectClosed()
            #expect(try client.get("/next", answeredBy: backend, body: Bytes("mine")).body == Bytes("mine"))
            #expect(backend.connections.count == 2)
        }
    }

    @Test("a client that goes away leaves nothing behind for the next", arguments: [true, false])
    func clientGone(afterHead: Bool) throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend) { proxy in
            let client = try proxy.connect()
            try client.sendRequest("/gone")
            let (_, connection) = try backend.receiveRequest()
            if afterHead {
                try connection.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n\(String(repeating: "g", count: 50))")
                _ = try client.receiveResponseHead()
            }
            client.reset()
            let rest = String(repeating: "g", count: 50)
            _ = try connection.sendWhatIsTaken(Bytes(afterHead ? rest : "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n\(rest)"))
            for round in 0..<3 {
                #expect(try proxy.connect().get("/\(round)", answeredBy: backend, body: Bytes("mine \(round)")).body == Bytes("mine \(round)"))
            }
        }
    }

    @Test("a length in two equal instances is one length, or 502")
    func equalLengths() throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend) { proxy in
            let client = try proxy.connect()
            try client.sendRequest("/")
            try backend.receiveRequest().connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok")
            // The strict reader of the client refuses two instances itself.
            let response = try client.receiveResponse()
            #expect(response.status == 502 || response.body == Bytes("ok"))
        }
    }
}

import TestSupport
import Testing

@Suite("What a response looks like at the client", .scenario)
struct ResponseTests {
    /// Lets the backend answer a request with exactly these bytes and gives what the client read; the connection closes after them if asked.
    private func relayed(_ answer: String, method: String = "GET", version: String = "HTTP/1.1", fields: String = "", thenClose: Bool = false) throws -> ReceivedResponse {
        let backend = try ScriptedBackend()
        return try withProxy(to: backend) { proxy in
            let client = try proxy.connect()
            try client.send("\(method) / \(version)\r\nHost: test\r\n\(fields)\r\n")
            let (_, connection) = try backend.receiveRequest()
            try connection.send(answer)
            if thenClose { connection.close() }
            let response = try client.receiveResponse(to: method)
            if response.announcesClose || response.content.framing == .untilClose { try client.expectClosed() }
            return response
        }
    }

    @Test("status, fields and body pass, repeated fields in order")
    func passes() throws {
        let response = try relayed("HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\nSet-Cookie: a=1\r\nX-A: 1\r\nSet-Cookie: b=2\r\n\r\ngone")
        #expect(response.status == 404)
        #expect(response.version == "HTTP/1.1")
        #expect(response.fields["Set-Cookie"] == ["a=1", "b=2"])
        #expect(response.fields["Content-Length"] == ["4"])
        #expect(response.body == Bytes("gone"))
    }

    @Test("unusual statuses pass", arguments: [200, 206, 299, 301, 418, 451, 599])
    func statuses(status: Int) throws {
        #expect(try relayed("HTTP/1.1 \(status) Whatever\r\nContent-Length: 0\r\n\r\n").status == status)
    }

    @Test("a reason may be missing")
    func noReason() throws {
        #expect(try relayed("HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n").status == 200)
    }

    @Test("a chunked answer arrives with the same bytes, without extensions")
    func chunked() throws {
        let response = try relayed("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n1\r\n!\r\n0\r\n\r\n")
        #expect(response.content.framing == .chunked)
        #expect(response.body == Bytes("hello!"))
        #expect(!response.content.hadChunkExtensions)
    }

    @Test("trailers reach a client that asks for them, dangerous ones do not")
    func trailers() throws {
        let response = try relayed(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n1\r\na\r\n0\r\nX-Sum: 5\r\nContent-Length: 9\r\nSet-Cookie: a=b\r\n\r\n",
            fields: "TE: trailers\r\nConnection: TE\r\n")
        #expect(response.content.trailers["X-Sum"] == ["5"])
        #expect(!response.content.trailers.has("Content-Length"))
    }

    @Test("a body until the end of the connection becomes chunked")
    func untilClose() throws {
        let response = try relayed("HTTP/1.1 200 OK\r\nX-A: 1\r\n\r\nhello", thenClose: true)
        #expect(response.content.framing == .chunked)
        #expect(response.body == Bytes("hello"))
        #expect(!response.fields.has("Content-Length"))
    }

    @Test("an HTTP/1.0 backend is understood")
    func olderBackend() throws {
        let response = try relayed("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", thenClose: true)
        #expect(response.version == "HTTP/1.1")
        #expect(response.body == Bytes("ok"))
    }

    @Test("an HTTP/1.0 client never sees chunks")
    func olderClient() throws {
        let chunked = try relayed("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", version: "HTTP/1.0")
        #expect(chunked.body == Bytes("hello"))
        #expect(!chunked.fields.has("Transfer-Encoding"))
        let untilClose = try relayed("HTTP/1.1 200 OK\r\n\r\nhello", version: "HTTP/1.0", thenClose: true)
        #expect(untilClose.body == Bytes("hello"))
        #expect(!untilClose.fields.has("Transfer-Encoding"))
    }

    @Test("an HTTP/1.0 client that keeps alive is closed only where the end cannot be told otherwise")
    func olderClientKeepsAlive() throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend) { proxy in
            let client = try proxy.connect()
            let request = "GET / HTTP/1.0\r\nHost: test\r\nConnection: keep-alive\r\n\r\n"
            for _ in 0..<2 {
                try client.send(request)
                try backend.receiveRequest().connection.respond(body: "known")
                let response = try client.receiveResponse()
                #expect(response.body == Bytes("known"))
                #expect(response.fields["Connection"].map { $0.lowercased() } == ["keep-alive"])
            }
            try client.send(request)
            try backend.receiveRequest().connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n")
            let response = try client.receiveResponse()
            #expect(response.content.framing == .untilClose)
            #expect(response.body == Bytes("ab"))
        }
    }

    @Test("the answer to HEAD has no body, whatever its fields say", arguments: ["Content-Length: 5", "Transfer-Encoding: chunked", "X-Nothing: 1"])
    func head(field: String) throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend) { proxy in
            let client = try proxy.connect()
            try client.send("HEAD / HTTP/1.1\r\nHost: test\r\n\r\n")
            let (request, connection) = try backend.receiveRequest()
            #expect(request.method == "HEAD")
            try connection.send("HTTP/1.1 200 OK\r\n\(field)\r\n\r\n")
            let response = try client.receiveResponse(to: "HEAD")
            #expect(response.status == 200)
            if field.hasPrefix("Content-Length") { #expect(response.fields["Content-Length"] == ["5"]) }
            #expect(!response.announcesClose)
            #expect(try client.get("/next", answeredBy: backend).body == Bytes("ok"))
            #expect(backend.connections.count == 1)
        }
    }

    @Test("204 and 304 have no body, and the connections go on", arguments: ["204 No Content", "304 Not Modified"], ["", "ETag: \"x\"\r\n"])
    func bodiless(status: String, field: String) throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend) { proxy in
            let client = try proxy.connect()
            try client.sendRequest("/")
            let (_, connection) = try backend.receiveRequest()
            try connection.send("HTTP/1.1 \(status)\r\n\(field)\r\n")
            let response = try client.receiveResponse()
            #expect("\(response.status)" == status.prefix(3))
            #expect(try client.get("/next", answeredBy: backend).body == Bytes("ok"))
            #expect(backend.connections.count == 1)
        }
    }

    @Test("the length in a 304 is that of the body it stands for")
    func lengthOfNotModified() throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend) { proxy in
            let client = try proxy.connect()
            try client.sendRequest("/")
            try backend.receiveRequest().connection.send("HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\n\r\n")
            #expect(try client.receiveResponse().status == 304)
            #expect(try client.get("/next", answeredBy: backend).body == Bytes("ok"))
        }
    }

    @Test("fields between two hops end here")
    func hopByHop() throws {
        let response = try relayed(
            "HTTP/1.1 200 OK\r\nConnection: X-One, keep-alive\r\nX-One: 1\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nX-Two: 2\r\nContent-Length: 2\r\n\r\nok")
        for name in ["X-One", "Keep-Alive", "Proxy-Connection"] { #expect(!response.fields.has(name)) }
        #expect(response.fields["X-Two"] == ["2"])
        #expect(!response.announcesClose)
    }

    @Test("a backend that closes does not cost the client connection")
    func backendCloses() throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend) { proxy in
            let client = try proxy.connect()
            for round in 1...3 {
                try client.sendRequest("/\(round)")
                let (_, connection) = try backend.receiveRequest()
                #expect(connection.number == round)
                try connection.respond(body: "\(round)", fields: "Connection: close\r\n")
                connection.close()
                let response = try client.receiveResponse()
                #expect(response.body == Bytes("\(round)"))
                #expect(!response.announcesClose)
            }
        }
    }

    @Test(
        "a response that comes byte by byte arrives whole",
        arguments: ["Content-Length: 5\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX-T: 1\r\n\r\n"])
    func byteByByte(rest: String) throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend) { proxy in
            let client = try proxy.connect()
            try client.sendRequest("/")
            try backend.receiveRequest().connection.send(pieces: Bytes("HTTP/1.1 103 Early\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\n" + rest).map { [$0] })
            let response = try client.receiveResponse()
            #expect(response.interim.map(\.status) == [103])
            #expect(response.body == Bytes("hello"))
        }
    }
}

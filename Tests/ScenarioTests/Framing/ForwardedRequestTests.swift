import TestSupport
import Testing

@Suite("What a request looks like at the backend", .scenario)
struct ForwardedRequestTests {
    /// Sends a request and gives what the backend saw of it.
    private func forwarded(_ text: String, server: [Setting] = []) throws -> ReceivedRequest {
        let backend = try ScriptedBackend()
        return try withProxy(to: backend, server: server) { proxy in
            let client = try proxy.connect()
            try client.send(text)
            let (request, connection) = try backend.receiveRequest()
            try connection.respond(body: "ok")
            #expect(try client.receiveResponse(to: request.method).status == 200)
            return request
        }
    }

    @Test("method, target, Host and fields pass as they came, in order")
    func passesUnchanged() throws {
        let request = try forwarded(
            "GET /a//b/../%7e%2F?x=1&y=%20;z HTTP/1.1\r\nHost: Test.Example:8080\r\nAccept: a\r\nX-B: 1\r\naccept: b\r\nCookie: c=d; e=f\r\nX-Empty:\r\n\r\n")
        #expect(request.method == "GET")
        #expect(request.target == "/a//b/../%7e%2F?x=1&y=%20;z")
        #expect(request.version == "HTTP/1.1")
        #expect(request.fields["Host"] == ["Test.Example:8080"])
        #expect(request.fields["Accept"] == ["a", "b"])
        #expect(request.fields["Cookie"] == ["c=d; e=f"])
        #expect(request.fields["X-Empty"] == [""])
        let order = request.fields.lines.map { $0.name.lowercased() }.filter { ["accept", "x-b", "cookie"].contains($0) }
        #expect(order == ["accept", "x-b", "accept", "cookie"])
    }

    @Test("bytes beyond ASCII in a value pass as they are")
    func bytesBeyondASCII() throws {
        #expect(try forwarded("GET / HTTP/1.1\r\nHost: test\r\nX-Name: grün\r\n\r\n").fields["X-Name"] == ["grün"])
    }

    @Test("spaces around a value are dropped, spaces within stay")
    func spaces() throws {
        #expect(try forwarded("GET / HTTP/1.1\r\nHost: test\r\nX-A: \t a  b\t \r\n\r\n").fields["X-A"] == ["a  b"])
    }

    @Test("fields between two hops end here", arguments: ["Connection", "Keep-Alive", "Proxy-Connection", "TE", "Upgrade"])
    func hopByHop(name: String) throws {
        let value = name == "Connection" ? "keep-alive, X-Other" : name == "TE" ? "gzip;q=0.5" : name == "Upgrade" ? "h2c" : "timeout=5"
        let request = try forwarded("GET / HTTP/1.1\r\nHost: test\r\n\(name): \(value)\r\nX-Kept: 1\r\n\r\n")
        // The proxy may speak of its own connection, but never repeat the client's words about his.
        #expect(!request.fields[name].contains(value))
        #expect(request.fields["X-Kept"] == ["1"])
    }

    @Test("fields that Connection names end here, in any case and any instance")
    func connectionNamed() throws {
        let request = try forwarded(
            "GET / HTTP/1.1\r\nHost: test\r\nX-One: 1\r\nConnection: x-one , X-TWO\r\nx-two: 2\r\nConnection: X-Three\r\nX-Three: 3\r\nX-Four: 4\r\n\r\n")
        for name in ["X-One", "X-Two", "X-Three"] { #expect(!request.fields.has(name)) }
        #expect(request.fields["X-Four"] == ["4"])
    }

    @Test("Connection cannot take away what framing and routing stand on", arguments: ["Host", "Content-Length", "Transfer-Encoding"])
    func connectionCannotRemove(name: String) throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend) { proxy in
            let client = try proxy.connect()
            let framing = name == "Transfer-Encoding" ? "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n" : "Content-Length: 3\r\n\r\nabc"
            try client.send("POST / HTTP/1.1\r\nHost: test\r\nConnection: \(name)\r\n\(framing)")
            // Refusing is as good as keeping the field.
            guard let (request, connection) = try? backend.receiveRequest(deadline: Deadline(after: .seconds(1))) else {
                #expect(try client.receiveResponse().status == 400)
                return
            }
            #expect(request.fields["Host"] == ["test"])
            #expect(request.body == Bytes("abc"))
            try connection.respond()
            #expect(try client.receiveResponse().status == 200)
        }
    }

    @Test("a client that will close does not cost the backend connection")
    func clientCloses() throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend) { proxy in
            for round in 0..<3 {
                let client = try proxy.connect()
                let response = try client.get("/\(round)", fields: "Connection: close\r\n", answeredBy: backend)
                #expect(response.announcesClose)
                try client.expectClosed()
            }
            #expect(backend.connections.count == 1)
        }
    }

    @Test("an HTTP/1.0 request reaches the backend as HTTP/1.1 with a Host")
    func olderVersion() throws {
        let request = try forwarded("GET /old HTTP/1.0\r\nHost: test\r\n\r\n")
        #expect(request.version == "HTTP/1.1")
        #expect(request.fields["Host"] == ["test"])
        #expect(try forwarded("GET /older HTTP/1.0\r\n\r\n").fields["Host"].count == 1)
    }

    @Test("an absolute target is reduced to its path and its host agrees")
    func absoluteTarget() throws {
        let request = try forwarded("GET http://test:81/a?b HTTP/1.1\r\nHost: test:81\r\n\r\n")
        #expect(request.target == "/a?b")
        #expect(request.fields["Host"] == ["test:81"])
        #expect(try forwarded("GET http://test HTTP/1.1\r\nHost: test\r\n\r\n").target == "/")
        #expect(try forwarded("GET http://test?q HTTP/1.1\r\nHost: test\r\n\r\n").target == "/?q")
    }

    @Test("OPTIONS of the whole server and unknown methods pass")
    func methods() throws {
        #expect(try forwarded("OPTIONS * HTTP/1.1\r\nHost: test\r\n\r\n").target == "*")
        let request = try forwarded("M-SEARCH / HTTP/1.1\r\nHost: test\r\nContent-Length: 2\r\n\r\nhi")
        #expect(request.method == "M-SEARCH")
        #expect(request.body == Bytes("hi"))
        #expect(try forwarded("get / HTTP/1.1\r\nHost: test\r\n\r\n").method == "get")
    }

    @Test("a length with leading zeros means the same at the backend")
    func leadingZeros() throws {
        #expect(try forwarded("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 0003\r\n\r\nabc").body == Bytes("abc"))
    }

    @Test("TRACE passes once it is allowed")
    func trace() throws {
        #expect(try forwarded("TRACE / HTTP/1.1\r\nHost: test\r\n\r\n", server: [.allowTrace(true)]).method == "TRACE")
    }

    @Test("Via is added in both directions when it is configured, after those of others")
    func via() throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend, server: [.via("edge")]) { proxy in
            let client = try proxy.connect()
            try client.send("GET / HTTP/1.1\r\nHost: test\r\nVia: 1.0 before\r\n\r\n")
            let (request, connection) = try backend.receiveRequest()
            #expect(request.fields["Via"].joined(separator: ", ") == "1.0 before, 1.1 edge")
            try connection.respond(fields: "Via: 1.1 inner\r\n")
            #expect(try client.receiveResponse().fields["Via"].joined(separator: ", ") == "1.1 inner, 1.1 edge")
        }
        #expect(!(try forwarded("GET / HTTP/1.1\r\nHost: test\r\n\r\n").fields.has("Via")))
    }
}

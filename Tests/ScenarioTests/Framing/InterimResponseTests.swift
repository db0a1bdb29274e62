import TestSupport
import Testing

@Suite("Interim responses and Expect, RFC 9110 §15.2 and §10.1.1", .scenario)
struct InterimResponseTests {
    @Test("the backend's 100 is relayed and then the body is sent")
    func continues() throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend) { proxy in
            let client = try proxy.connect()
            try client.send("PUT / HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
            let (request, connection) = try backend.receiveRequestHead()
            #expect(request.fields["Expect"].map { $0.lowercased() } == ["100-continue"])
            try client.expectSilence()
            try connection.send("HTTP/1.1 100 Continue\r\n\r\n")
            #expect(try client.receiveInterim().status == 100)
            try client.send("hello")
            #expect(try connection.receiveBody(of: request).bytes == Bytes("hello"))
            try connection.respond("201 Created")
            #expect(try client.receiveResponse().status == 201)
        }
    }

    @Test("a client that does not wait for the 100 is served as well")
    func doesNotWait() throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend) { proxy in
            let client = try proxy.connect()
            try client.send("PUT / HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello")
            let (request, connection) = try backend.receiveRequest()
            #expect(request.body == Bytes("hello"))
            try connection.respond()
            #expect(try client.receiveResponse().status == 200)
            #expect(try client.get("/next", answeredBy: backend).status == 200)
        }
    }

    @Test("a final answer instead of the 100 reaches the client without a body being asked for", arguments: ["417 Expectation Failed", "401 Unauthorized", "200 OK"])
    func refusedExpectation(status: String) throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend) { proxy in
            let client = try proxy.connect()
            try client.send("PUT / HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
            let (_, connection) = try backend.receiveRequestHead()
            try connection.respond(status, body: "no")
            let response = try client.receiveResponse()
            #expect("\(response.status)" == status.prefix(3))
            #expect(response.body == Bytes("no"))
            // Whether the client's next bytes are the body or a request cannot be told, so the connection ends or takes the body.
            if !response.announcesClose { try client.send("hello") }
            let other = try proxy.connect()
            #expect(try other.get("/other", answeredBy: backend).body == Bytes("ok"))
        }
    }

    @Test("103 passes with its fields, several interim answers pass in order")
    func several() throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend) { proxy in
            let client = try proxy.connect()
            try client.sendRequest("/")
            let (_, connection) = try backend.receiveRequest()
            try connection.send("HTTP/1.1 102 Processing\r\n\r\n")
            #expect(try client.receiveInterim().status == 102)
            try connection.send("HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\nLink: </b>\r\n\r\n")
            let hints = try client.receiveInterim()
            #expect(hints.status == 103)
            #expect(hints.fields["Link"] == ["</a>; rel=preload", "</b>"])
            try connection.send("HTTP/1.1 103 Early Hints\r\nLink: </c>\r\n\r\n")
            try connection.respond(body: "done")
            let response = try client.receiveResponse()
            #expect(response.interim.map { $0.fields["Link"] } == [["</c>"]])
            #expect(response.body == Bytes("done"))
            #expect(try client.get("/next", answeredBy: backend).status == 200)
        }
    }

    @Test("interim answers and the final one in a single segment are told apart")
    func oneSegment() throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend) { proxy in
            let client = try proxy.connect()
            try client.sendRequest("/")
            try backend.receiveRequest().connection.send(
                "HTTP/1.1 103 A\r\nX: 1\r\n\r\nHTTP/1.1 103 B\r\nX: 2\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nz")
            let response = try client.receiveResponse()
            #expect(response.interim.map { $0.fields["X"] } == [["1"], ["2"]])
            #expect(response.body == Bytes("z"))
        }
    }

    @Test("an HTTP/1.0 client gets no interim answer")
    func olderClient() throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend) { proxy in
            let client = try proxy.connect()
            try client.send("GET / HTTP/1.0\r\nHost: test\r\n\r\n")
            try backend.receiveRequest().connection.send("HTTP/1.1 103 A\r\nX: 1\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nz")
            let response = try client.receiveResponse()
            #expect(response.interim.isEmpty)
            #expect(response.body == Bytes("z"))
        }
    }

    @Test("an endless row of interim answers is given up")
    func endless() throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend) { proxy in
            let client = try proxy.connect()
            try client.sendRequest("/")
            let (_, connection) = try backend.receiveRequest()
            let flood = connection.sendInBackground(Bytes(String(repeating: "HTTP/1.1 103 A\r\nX: 1\r\n\r\n", count: 200_000)))
            // Either an error after some of them or a connection that breaks off; never all of them.
            let response = try? client.receiveResponse()
            #expect(response == nil || response!.status == 502)
            connection.close()
            _ = try? flood.join()
        }
    }
}

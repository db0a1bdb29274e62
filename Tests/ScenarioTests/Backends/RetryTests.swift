import TestSupport
import Testing

@Suite("Backend connections that die, and what is tried again", .scenario)
struct RetryTests {
    /// A proxy whose pool holds one connection that has served before.
    private func withWarmPool(_ body: (ProxyUnderTest, ScriptedBackend, BackendConnection) throws -> Void) throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend) { proxy in
            #expect(try proxy.connect().get("/warm", answeredBy: backend).status == 200)
            try body(proxy, backend, backend.connections[0])
        }
    }

    @Test("a connection that ended while idle is replaced without anyone noticing", arguments: ["GET", "POST"], [false, true])
    func endedWhileIdle(method: String, byReset: Bool) throws {
        try withWarmPool { proxy, backend, connection in
            byReset ? connection.reset() : connection.close()
            let client = try proxy.connect()
            try client.sendRequest("/next", method: method, body: method == "POST" ? Bytes("x") : nil)
            guard let (request, second) = try? backend.receiveRequest() else {
                throw ScenarioFailure("no second connection; the client got: \(try client.receiveWhatComes(within: .milliseconds(10)).readable)")
            }
            #expect(request.target == "/next")
            #expect(second.number == 2)
            try second.respond(body: "ok")
            #expect(try client.receiveResponse().body == Bytes("ok"))
        }
    }

    @Test("an idempotent request is sent once more when a used connection dies under it", arguments: ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"], [false, true])
    func idempotentIsRetried(method: String, byReset: Bool) throws {
        try withWarmPool { proxy, backend, _ in
            let client = try proxy.connect()
            try client.sendRequest("/again", method: method)
            let (_, first) = try backend.receiveRequest()
            #expect(first.number == 1)
            byReset ? first.reset() : first.close()
            let (request, second) = try backend.receiveRequest()
            #expect(request.target == "/again")
            #expect(request.method == method)
            #expect(second.number == 2)
            try second.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" + (method == "HEAD" ? "" : "ok"))
            #expect(try client.receiveResponse(to: method).status == 200)
        }
    }

    @Test("a second death is answered 502")
    func onlyOnce() throws {
        try withWarmPool { proxy, backend, _ in
            let client = try proxy.connect()
            try client.sendRequest("/again")
            try backend.receiveRequest().connection.close()
            try backend.receiveRequest().connection.close()
            #expect(try client.receiveResponse().status == 502)
            try backend.expectNoRequest(for: .milliseconds(50))
        }
    }

    @Test("a POST that went out is never sent twice")
    func postIsNot() throws {
        try withWarmPool { proxy, backend, _ in
            let client = try proxy.connect()
            try client.sendRequest("/once", method: "POST", body: Bytes("x"))
            try backend.receiveRequest().connection.close()
            #expect(try client.receiveResponse().status == 502)
            try backend.expectNoRequest(for: .milliseconds(50))
        }
    }

    @Test("a request whose answer has begun is never sent twice")
    func begunAnswerIsNot() throws {
        try withWarmPool { proxy, backend, _ in
            let client = try proxy.connect()
            try client.sendRequest("/once")
            let (_, connection) = try backend.receiveRequest()
            try connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
            #expect(try client.receiveResponseHead().status == 200)
            connection.close()
            #expect(try client.receiveUntilEndOrReset() == Bytes("abc"))
            try backend.expectNoRequest(for: .milliseconds(50))
        }
    }

    @Test("a half answer from a used connection is not tried again with the half still in hand")
    func halfHead() throws {
        try withWarmPool { proxy, backend, _ in
            let client = try proxy.connect()
            try client.sendRequest("/half")
            let (_, connection) = try backend.receiveRequest()
            try connection.send("HTTP/1.1 200 OK\r\nX-Secret: half")
            connection.close()
            // Either 502 at once or one more try; in no case a field of the first.
            if let (_, second) = try? backend.receiveRequest(deadline: Deadline(after: .milliseconds(300))) {
                try second.respond(body: "whole")
                let response = try client.receiveResponse()
                #expect(response.body == Bytes("whole"))
                #expect(!response.fields.has("X-Secret"))
            } else {
                #expect(try client.receiveResponse().status == 502)
            }
        }
    }

    @Test("bytes that come on an idle connection end it")
    func unsolicited() throws {
        try withWarmPool { proxy, backend, connection in
            try connection.send("H")
            try connection.expectClosed()
            #expect(try proxy.connect().get("/next", answeredBy: backend).status == 200)
            #expect(backend.connections.count == 2)
        }
    }
}

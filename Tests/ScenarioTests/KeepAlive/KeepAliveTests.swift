import TestSupport
import Testing

@Suite("Several requests on one client connection", .scenario)
struct KeepAliveTests {
    @Test("one connection serves request after request, over one backend connection")
    func sequence() throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend) { proxy in
            let client = try proxy.connect()
            for round in 0..<20 {
                #expect(try client.get("/\(round)", answeredBy: backend, body: Bytes("body \(round)")).body == Bytes("body \(round)"))
            }
            #expect(backend.connections.count == 1)
        }
    }

    @Test("requests sent ahead are answered in order", arguments: [2, 10, 100])
    func pipelinedRequests(count: Int) throws {
        let backend = try HandlerBackend.named("one")
        try withProxy(to: backend) { proxy in
            let client = try proxy.connect()
            try client.send((0..<count).map { "GET /\($0) HTTP/1.1\r\nHost: test\r\n\r\n" }.joined())
            for number in 0..<count { #expect(try client.receiveResponse().fields["X-Target"] == ["/\(number)"]) }
        }
    }

    @Test("requests with bodies sent ahead keep their bodies")
    func pipelinedBodies() throws {
        let backend = try HandlerBackend.named("one")
        try withProxy(to: backend) { proxy in
            let client = try proxy.connect()
            var bytes: Bytes = []
            for number in 0..<10 {
                let body = BodyPattern.bytes(number * 700, seed: UInt64(number))
                bytes += Bytes("POST /\(number) HTTP/1.1\r\nHost: test\r\nContent-Length: \(body.count)\r\n\r\n") + body
            }
            let sending = client.sendInBackground(bytes)
            for number in 0..<10 {
                let response = try client.receiveResponse()
                #expect(response.fields["X-Target"] == ["/\(number)"])
                #expect(response.body == BodyPattern.bytes(number * 700, seed: UInt64(number)))
            }
            try sending.join()
        }
    }

    @Test("a slow answer holds back the later ones of its client and of nobody else")
    func slowFirst() throws {
        let released = Monitor(false)
        let backend = try HandlerBackend { request, _ in
            if request.target == "/slow" { _ = released.wait(until: .step) { $0 ? true : nil } }
            return .bytes(HandlerBackend.response(body: Bytes(request.target)))
        }
        try withProxy(to: backend) { proxy in
            let client = try proxy.connect()
            try client.send("GET /slow HTTP/1.1\r\nHost: test\r\n\r\nGET /quick HTTP/1.1\r\nHost: test\r\n\r\n")
            try eventually("the slow request is at the backend") { backend.requestCount >= 1 }
            #expect(try proxy.connect().get("/other").body == Bytes("/other"))
            try client.expectSilence()
            released.with { $0 = true }
            #expect(try client.receiveResponse().body == Bytes("/slow"))
            #expect(try client.receiveResponse().body == Bytes("/quick"))
        }
    }

    @Test("Connection: close ends the connection after the answer, and nothing behind it is served")
    func clientCloses() throws {
        let backend = try HandlerBackend.named("one")
        try withProxy(to: backend) { proxy in
            let client = try proxy.connect()
            try client.send(
                "GET /1 HTTP/1.1\r\nHost: test\r\n\r\nGET /2 HTTP/1.1\r\nHost: test\r\nConnection: Close\r\n\r\nGET /3 HTTP/1.1\r\nHost: test\r\n\r\n")
            #expect(!(try client.receiveResponse().announcesClose))
            #expect(try client.receiveResponse().announcesClose)
            client.finishSending()
            try client.expectClosed()
            #expect(backend.requestCount == 2)
        }
    }

    @Test("an HTTP/1.0 request without keep-alive ends the connection")
    func olderClient() throws {
        let backend = try HandlerBackend.named("one")
        try withProxy(to: backend) { proxy in
            let client = try proxy.connect()
            try client.send("GET /1 HTTP/1.0\r\nHost: test\r\n\r\n")
            #expect(try client.receiveResponse().status == 200)
            try client.expectClosed()
        }
    }

    @Test("a client that has said its last word still gets its answers")
    func halfClose() throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend) { proxy in
            let client = try proxy.connect()
            try client.send("GET /1 HTTP/1.1\r\nHost: test\r\n\r\n")
            client.finishSending()
            let (_, connection) = try backend.receiveRequest()
            try connection.respond(body: "late")
            #expect(try client.receiveResponse().body == Bytes("late"))
            try client.expectClosed()
        }
    }

    @Test("empty lines before a request are passed over, not endlessly")
    func emptyLines() throws {
        let backend = try HandlerBackend.named("one")
        try withProxy(to: backend) { proxy in
            let client = try proxy.connect()
            try client.send("\r\nGET /1 HTTP/1.1\r\nHost: test\r\n\r\n")
            #expect(try client.receiveResponse().fields["X-Target"] == ["/1"])
            try client.sendRequest("/2", method: "POST", body: Bytes("a"))
            try client.send("\r\nGET /3 HTTP/1.1\r\nHost: test\r\n\r\n")
            #expect(try client.receiveResponse().fields["X-Target"] == ["/2"])
            #expect(try client.receiveResponse().fields["X-Target"] == ["/3"])
            let flooder = try proxy.connect()
            let sent = try flooder.sendWhatIsTaken(Bytes(String(repeating: "\r\n", count: 10_000_000)), deadline: Deadline(after: .seconds(5)))
            #expect(sent < 20_000_000)
        }
    }

    @Test("the connection ends after as many requests as it is allowed")
    func requestLimit() throws {
        let backend = try HandlerBackend.named("one")
        try withProxy(to: backend, server: [.requestsPerConnectionMax(3)]) { proxy in
            let client = try proxy.connect()
            #expect(!(try client.get("/1").announcesClose))
            #expect(!(try client.get("/2").announcesClose))
            #expect(try client.get("/3").announcesClose)
            try client.expectClosed()
            #expect(try proxy.connect().get("/4").status == 200)
        }
    }

    @Test("a request cut at any byte is the same request", arguments: [1, 3, 5, 14, 15, 16, 17, 25, 33, 34, 35, 36, 37])
    func cutAnywhere(at cut: Int) throws {
        let bytes = Bytes("POST /a HTTP/1.1\r\nHost: test\r\nContent-Length: 3\r\n\r\nabc")
        let backend = try ScriptedBackend()
        try withProxy(to: backend) { proxy in
            let client = try proxy.connect()
            try client.send(Bytes(bytes[..<cut]))
            try client.expectSilence(for: .milliseconds(20))
            try client.send(Bytes(bytes[cut...]))
            let (request, connection) = try backend.receiveRequest()
            #expect(request.target == "/a")
            #expect(request.body == Bytes("abc"))
            try connection.respond()
            #expect(try client.receiveResponse().status == 200)
        }
    }
}

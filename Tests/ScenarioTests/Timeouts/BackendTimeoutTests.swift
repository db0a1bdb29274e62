import TestSupport
import Testing

@Suite("Backends that take too long", .scenario)
struct BackendTimeoutTests {
    private let setting = 300
    private var span: ClosedRange<Duration> { expectedSpan(of: .milliseconds(setting)) }

    @Test("silence instead of an answer becomes 504, and the connection is not used again", arguments: ["", "HTTP/1.1 200 OK\r\nContent-Le"])
    func silence(begun: String) throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend, downstream: [.readTimeout(setting)]) { proxy in
            let watch = Stopwatch()
            let client = try proxy.connect()
            try client.sendRequest("/")
            let (_, connection) = try backend.receiveRequest()
            try connection.send(begun)
            #expect(try client.receiveResponse().status == 504)
            #expect(span.contains(watch.time))
            try connection.expectClosed()
            #expect(try proxy.connect().get("/next", answeredBy: backend).status == 200)
            #expect(backend.connections.count == 2)
        }
    }

    @Test("a pause within the answer cuts the client off")
    func pauseInBody() throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend, downstream: [.readTimeout(setting)]) { proxy in
            let watch = Stopwatch()
            let client = try proxy.connect()
            try client.sendRequest("/")
            let (_, connection) = try backend.receiveRequest()
            try connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
            #expect(try client.receiveResponseHead().status == 200)
            #expect(try client.receiveUntilEndOrReset() == Bytes("abc"))
            #expect(span.contains(watch.time))
            try connection.expectClosed()
        }
    }

    @Test("an answer that keeps coming is not cut off, however long it takes")
    func steadyAnswer() throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend, downstream: [.readTimeout(400)]) { proxy in
            let client = try proxy.connect()
            try client.sendRequest("/")
            let (_, connection) = try backend.receiveRequest()
            try connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
            _ = try client.receiveResponseHead()
            for number in 0..<10 {
                try client.expectSilence(for: .milliseconds(100))
                try connection.send("\(number)")
                #expect(try client.receive(1) == Bytes("\(number)"))
            }
        }
    }

    @Test("the timer of answers does not run on idle connections")
    func idleIsNoSilence() throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend, downstream: [.readTimeout(200)]) { proxy in
            let client = try proxy.connect()
            #expect(try client.get("/", answeredBy: backend).status == 200)
            try backend.connections[0].expectSilence(for: .milliseconds(600))
            #expect(try client.get("/", answeredBy: backend).status == 200)
            #expect(backend.connections.count == 1)
        }
    }

    @Test("the timer of answers does not run while the request is still being sent")
    func uploadIsNoSilence() throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend, downstream: [.readTimeout(300)]) { proxy in
            let client = try proxy.connect()
            try client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 8\r\n\r\n")
            for _ in 0..<8 {
                try client.expectSilence(for: .milliseconds(100))
                try client.send("x")
            }
            let (request, connection) = try backend.receiveRequest()
            #expect(request.body.count == 8)
            try connection.respond()
            #expect(try client.receiveResponse().status == 200)
        }
    }

    @Test("a backend that takes nothing of a large request is given up")
    func doesNotRead() throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend, downstream: [.writeTimeout(setting)]) { proxy in
            let client = try proxy.connect()
            try client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 100000000\r\n\r\n")
            let sending = client.sendInBackground(Bytes(repeating: 0x61, count: 100_000_000))
            let connection = try backend.accept()
            connection.limitReceiveBuffer(to: 4_096)
            #expect([502, 503, 504].contains(try client.receiveResponse().status))
            client.close()
            _ = try? sending.join()
        }
    }

    @Test("a connect that gets no answer is given up after its time, and the request when it has waited long enough")
    func connect() throws {
        // A full accept queue drops further connects in silence.
        let backend = try ScriptedBackend(backlog: 0)
        let filler = try ScriptedClient(to: backend.address)
        defer { filler.close() }
        try withProxy(to: backend, server: [.pendingTimeout(1_000)], downstream: [.connectTimeout(setting)]) { proxy in
            let client = try proxy.connect()
            let (status, time) = try timed { try client.get("/").status }
            #expect([502, 503, 504].contains(status))
            #expect((.milliseconds(setting) * 0.8)...(.seconds(6) * Patience.factor) ~= time)
        }
    }
}

import TestSupport
import Testing

@Suite("Clients that take too long", .scenario)
struct ClientTimeoutTests {
    private let setting = 300
    private var span: ClosedRange<Duration> { expectedSpan(of: .milliseconds(setting)) }

    @Test("slow loris, first form: a head that does not end is answered 408 and cut off, others are served")
    func silentHead() throws {
        let backend = try HandlerBackend.named("one")
        try withProxy(to: backend, server: [.headerTimeout(setting)]) { proxy in
            let watch = Stopwatch()
            let client = try proxy.connect()
            try client.send("GET / HTTP/1.1\r\nHost: te")
            #expect(try proxy.connect().get("/other").status == 200)
            let response = try client.receiveResponse()
            #expect(response.status == 408)
            #expect(response.announcesClose)
            try client.expectClosed()
            #expect(span.contains(watch.time))
        }
    }

    @Test("slow loris, second form: a head that trickles in is cut off as well")
    func tricklingHead() throws {
        let backend = try HandlerBackend.named("one")
        try withProxy(to: backend, server: [.headerTimeout(setting)]) { proxy in
            let watch = Stopwatch()
            let client = try proxy.connect()
            try client.send("GET / HTTP/1.1\r\nHost: test\r\n")
            // A byte every 50 ms, until the proxy has something to say.
            while try client.receiveWhatComes(within: .milliseconds(50)).isEmpty, !client.isOver {
                _ = try client.sendWhatIsTaken(Bytes("A"))
            }
            #expect(span.contains(watch.time))
            #expect(client.received.starts(with: Bytes("HTTP/1.1 408 ")))
            #expect(backend.requestCount == 0)
        }
    }

    @Test("slow loris, third form: a body that stops is answered 408", arguments: ["Content-Length: 10\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n5\r\nab"])
    func silentBody(rest: String) throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend, server: [.bodyTimeout(setting)]) { proxy in
            let watch = Stopwatch()
            let client = try proxy.connect()
            try client.send("POST / HTTP/1.1\r\nHost: test\r\n" + rest)
            #expect(try client.receiveResponse().status == 408)
            try client.expectClosed()
            #expect(span.contains(watch.time))
            try backend.expectNoWholeRequest()
        }
    }

    @Test("a body slower than the least rate is cut off once the grace is over")
    func tricklingBody() throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend, server: [.rateMin(10_000), .rateGrace(setting)]) { proxy in
            let watch = Stopwatch()
            let client = try proxy.connect()
            try client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 1000000\r\n\r\n")
            while try client.receiveWhatComes(within: .milliseconds(20)).isEmpty, !client.isOver {
                _ = try client.sendWhatIsTaken(Bytes("0123456789"))
            }
            #expect((.milliseconds(setting) * 0.8)...(.seconds(6) * Patience.factor) ~= watch.time)
            try backend.expectNoWholeRequest()
        }
    }

    @Test("a body faster than the least rate is not")
    func steadyBody() throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend, server: [.rateMin(1_000), .rateGrace(200), .bodyTimeout(5_000)]) { proxy in
            let client = try proxy.connect()
            try client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 20000\r\n\r\n")
            for _ in 0..<20 {
                try client.expectSilence(for: .milliseconds(50))
                try client.send(Bytes(repeating: 0x61, count: 1_000))
            }
            let (request, connection) = try backend.receiveRequest()
            #expect(request.body.count == 20_000)
            try connection.respond()
            #expect(try client.receiveResponse().status == 200)
        }
    }

    @Test("a connection that waits for its next request is closed without a word")
    func idleBetween() throws {
        let backend = try HandlerBackend.named("one")
        try withProxy(to: backend, server: [.keepAliveTimeout(setting)]) { proxy in
            let watch = Stopwatch()
            let client = try proxy.connect()
            #expect(try client.get("/").status == 200)
            #expect(try client.receiveUntilEnd().isEmpty)
            #expect(span.contains(watch.time))
        }
    }

    @Test("a connection that never says anything is closed without a word", arguments: [true, false])
    func idleFromTheStart(byHeaderTimer: Bool) throws {
        let backend = try HandlerBackend.named("one")
        let timers: [Setting] = byHeaderTimer ? [.headerTimeout(setting)] : [.headerTimeout(setting), .keepAliveTimeout(setting)]
        try withProxy(to: backend, server: timers) { proxy in
            let watch = Stopwatch()
            let client = try proxy.connect()
            #expect(try client.receiveUntilEnd().isEmpty)
            #expect(span.contains(watch.time))
        }
    }

    @Test("requests in time keep the connection, however long it lives")
    func busyConnection() throws {
        let backend = try HandlerBackend.named("one")
        try withProxy(to: backend, server: [.keepAliveTimeout(setting), .headerTimeout(setting)]) { proxy in
            let client = try proxy.connect()
            for _ in 0..<6 {
                #expect(try client.get("/").status == 200)
                try client.expectSilence(for: .milliseconds(setting / 3))
            }
        }
    }

    @Test("the timers of clients do not run while the backend takes its time")
    func slowBackend() throws {
        let backend = try ScriptedBackend()
        let timers: [Setting] = [.headerTimeout(200), .bodyTimeout(200), .keepAliveTimeout(200), .writeTimeout(200), .rateMin(100_000), .rateGrace(100)]
        try withProxy(to: backend, server: timers) { proxy in
            let client = try proxy.connect()
            try client.sendRequest("/", method: "POST", body: Bytes("abc"))
            let (_, connection) = try backend.receiveRequest()
            try client.expectSilence(for: .milliseconds(700))
            try connection.respond(body: "late")
            #expect(try client.receiveResponse().body == Bytes("late"))
        }
    }

    @Test("a client that takes nothing of its answer is cut off, its backend connection too", arguments: [true, false])
    func doesNotRead(splice: Bool) throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend, server: [.writeTimeout(setting), .splice(splice)]) { proxy in
            let client = try proxy.connect(receiveBuffer: 4_096)
            try client.sendRequest("/")
            let (_, connection) = try backend.receiveRequest()
            try connection.send("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
            let time = try elapsed {
                // Ends when the proxy gives the exchange up.
                let sent = try connection.sendWhatIsTaken(Bytes(repeating: 0x61, count: 100_000_000))
                #expect(sent < 100_000_000)
            }
            #expect((.milliseconds(setting) * 0.8)...(.seconds(8) * Patience.factor) ~= time)
            #expect(try proxy.connect().get("/next", answeredBy: backend).status == 200)
            #expect(try client.receiveWhatComes(within: Patience.step).count < 100_000_000)
            #expect(client.isOver)
        }
    }

    @Test("to the kernel a shut window is unacknowledged data: tcp-user-timeout ends whom no timer of ours would", arguments: [true, false])
    func shutWindow(splice: Bool) throws {
        let backend = try ScriptedBackend()
        let server: [Setting] = [.writeTimeout(0), .rateMin(0), .userTimeout(1_000), .splice(splice)]
        try withProxy(to: backend, server: server, accessLog: "{STATUS} {REASON}") { proxy in
            let client = try proxy.connect(receiveBuffer: 4_096)
            try client.sendRequest("/")
            let (_, connection) = try backend.receiveRequest()
            try connection.send("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
            #expect(try connection.sendWhatIsTaken(Bytes(repeating: 0x61, count: 100_000_000), deadline: Deadline(after: Patience.step * 2)) < 100_000_000)
            #expect(try proxy.accessLog(lines: 1) == ["200 client-gone"])
        }
    }

    @Test("without a write timeout a client may keep its window shut")
    func mayPause() throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend, server: [.writeTimeout(0), .rateMin(0)]) { proxy in
            let client = try proxy.connect(receiveBuffer: 4_096)
            try client.sendRequest("/")
            let (_, connection) = try backend.receiveRequest()
            let sending = connection.sendInBackground(Bytes("HTTP/1.1 200 OK\r\nContent-Length: 20000000\r\n\r\n") + Bytes(repeating: 0x61, count: 20_000_000))
            // Longer than the kernel waited in the scenario above.
            #expect(Monitor(false).wait(until: Deadline(after: .seconds(3))) { $0 ? true : nil } == nil)
            #expect(!sending.isOver)
            #expect(try client.receiveResponse().body.count == 20_000_000)
            try sending.join()
        }
    }

    @Test("a client that reads slower than the least rate is cut off")
    func readsSlowly() throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend, server: [.rateMin(1_000_000), .rateGrace(setting), .writeTimeout(60_000)]) { proxy in
            let client = try proxy.connect(receiveBuffer: 4_096)
            try client.sendRequest("/")
            let (_, connection) = try backend.receiveRequest()
            try connection.send("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
            let sending = connection.sendInBackground(Bytes(repeating: 0x61, count: 100_000_000))
            let deadline = Deadline(after: Patience.step)
            while !sending.isOver, !deadline.isOver {
                _ = try? client.receive(1_000, deadline: Deadline(after: .milliseconds(100)))
                _ = Monitor(false).wait(until: Deadline(after: .milliseconds(20))) { $0 ? true : nil }
            }
            #expect(try sending.join() < 100_000_000)
        }
    }
}

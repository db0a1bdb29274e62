import TestSupport
import Testing

@Suite("Requests that wait for a backend connection", .scenario)
struct PendingTests {
    /// A proxy with one backend connection, which a first request occupies.
    private func withOccupied(
        server: [Setting] = [], downstream: [Setting] = [], accessLog: String? = nil,
        _ body: (ProxyUnderTest, ScriptedBackend, _ first: ScriptedClient, BackendConnection) throws -> Void
    ) throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend, server: server, downstream: [.connectionsMax(1)] + downstream, connections: 1, accessLog: accessLog) { proxy in
            let first = try proxy.connect()
            try first.sendRequest("/first")
            let (_, connection) = try backend.receiveRequest()
            try body(proxy, backend, first, connection)
        }
    }

    private func waiting(_ count: Int, at proxy: ProxyUnderTest) throws {
        try eventually("\(count) requests are pending") { try proxy.counters().sum("pendingNow") == count }
    }

    @Test("they are served first come, first served")
    func order() throws {
        try withOccupied { proxy, backend, first, connection in
            var clients: [ScriptedClient] = []
            for number in 0..<5 {
                clients.append(try proxy.connect())
                try clients[number].sendRequest("/\(number)")
                try waiting(number + 1, at: proxy)
            }
            try connection.respond(body: "first")
            #expect(try first.receiveResponse().body == Bytes("first"))
            for number in 0..<5 {
                let (request, again) = try backend.receiveRequest()
                #expect(request.target == "/\(number)")
                #expect(again.number == 1)
                try again.respond(body: request.target)
                #expect(try clients[number].receiveResponse().body == Bytes("/\(number)"))
            }
            #expect(try proxy.counters().sum("pendingNow") == 0)
        }
    }

    @Test("one that waits too long is answered 503, with Retry-After and a closed connection", arguments: ["server", "downstream"])
    func timeout(place: String) throws {
        let server: [Setting] = [.pendingTimeout(place == "server" ? 200 : 60_000)]
        try withOccupied(server: server, downstream: place == "server" ? [] : [.pendingTimeout(200)], accessLog: "{URI} {STATUS} {REASON}") {
            proxy, backend, first, connection in
            let second = try proxy.connect()
            let time = try elapsed {
                let response = try second.get("/late")
                #expect(response.status == 503)
                #expect(response.announcesClose)
                #expect(response.fields["Retry-After"].count == 1)
                #expect(Int(response.fields["Retry-After"].first ?? "") != nil)
            }
            #expect(expectedSpan(of: .milliseconds(200)).contains(time))
            try second.expectClosed()
            try connection.respond(body: "first")
            #expect(try first.receiveResponse().body == Bytes("first"))
            try backend.expectNoRequest(for: .milliseconds(30))
            #expect(try proxy.counters().sum("pendingTimeouts") == 1)
            let line = try #require(try proxy.accessLog(lines: 2).first { $0.hasPrefix("/late 503 ") })
            #expect(!["/late 503 ", "/late 503 -"].contains(line))
        }
    }

    @Test("those that time out do not take the others along")
    func staggered() throws {
        try withOccupied(server: [.pendingTimeout(Int(600 * Patience.factor))]) { proxy, backend, _, connection in
            let second = try proxy.connect()
            try second.sendRequest("/second")
            try waiting(1, at: proxy)
            try second.expectSilence(for: .milliseconds(300))
            let third = try proxy.connect()
            try third.sendRequest("/third")
            #expect(try second.receiveResponse().status == 503)
            try connection.respond(body: "first")
            let (request, again) = try backend.receiveRequest()
            #expect(request.target == "/third")
            try again.respond(body: "third")
            #expect(try third.receiveResponse().body == Bytes("third"))
        }
    }

    @Test("one more than may wait is answered 503 at once, on new and on kept connections", arguments: ["server", "downstream"], [false, true])
    func limit(place: String, kept: Bool) throws {
        let server: [Setting] = place == "server" ? [.pendingMax(2)] : []
        let backend = try ScriptedBackend()
        try withProxy(to: backend, server: server, downstream: [.connectionsMax(1)] + (place == "server" ? [] : [.pendingMax(2)]), connections: 1) { proxy in
            let extra = try proxy.connect()
            if kept { #expect(try extra.get("/warm", answeredBy: backend).status == 200) }
            let clients = try (0..<3).map { _ in try proxy.connect() }
            try clients[0].sendRequest("/0")
            let (_, connection) = try backend.receiveRequest()
            for number in 1...2 {
                try clients[number].sendRequest("/\(number)")
                try waiting(number, at: proxy)
            }
            let response = try extra.get("/extra")
            #expect(response.status == 503)
            #expect(response.fields.has("Retry-After"))
            #expect(try proxy.counters().sum("pendingRefused") == 1)
            try connection.respond(body: "/0")
            for _ in 1...2 {
                let (request, again) = try backend.receiveRequest()
                try again.respond(body: request.target)
            }
            for (number, client) in clients.enumerated() { #expect(try client.receiveResponse().body == Bytes("/\(number)")) }
        }
    }

    @Test("a client that gives up leaves the queue", arguments: [false, true])
    func clientGone(byReset: Bool) throws {
        try withOccupied { proxy, backend, first, connection in
            let second = try proxy.connect()
            try second.sendRequest("/gone")
            try waiting(1, at: proxy)
            let third = try proxy.connect()
            try third.sendRequest("/third")
            try waiting(2, at: proxy)
            byReset ? second.reset() : second.close()
            // A FIN alone may be a half-close, so only a reset has to be noticed while waiting.
            if byReset { try waiting(1, at: proxy) }
            try connection.respond(body: "first")
            #expect(try first.receiveResponse().body == Bytes("first"))
            var next = try backend.receiveRequest()
            if next.request.target == "/gone", !byReset {
                try next.connection.respond(body: "to nobody")
                next = try backend.receiveRequest()
            }
            #expect(next.request.target == "/third")
            try next.connection.respond(body: "third")
            #expect(try third.receiveResponse().body == Bytes("third"))
        }
    }

    @Test("a backend that goes away while requests wait does not strand them")
    func backendReturns() throws {
        try withOccupied(downstream: [.retry(20)]) { proxy, backend, first, connection in
            let second = try proxy.connect()
            try second.sendRequest("/second")
            try waiting(1, at: proxy)
            connection.reset()
            // The first was on a fresh connection, so it fails; the second goes out on a new one.
            #expect(try first.receiveResponse().status == 502)
            let (request, again) = try backend.receiveRequest()
            #expect(request.target == "/second")
            try again.respond(body: "second")
            #expect(try second.receiveResponse().body == Bytes("second"))
        }
    }
}

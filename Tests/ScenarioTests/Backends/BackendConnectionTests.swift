import TestSupport
import Testing

@Suite("Connections to backends", .scenario)
struct BackendConnectionTests {
    @Test("a backend is reached over every family", arguments: ["4", "6", "unix"])
    func families(family: String) throws {
        let folder = try TemporaryFolder()
        let address: PeerAddress = family == "4" ? .ipv4(port: 0) : family == "6" ? .ipv6(port: 0) : .unix(path: folder.path("s"))
        let backend = try HandlerBackend.named("one", on: address)
        try withProxy(to: backend) { proxy in
            let client = try proxy.connect()
            for _ in 0..<3 { #expect(try client.get("/x").fields["X-Backend"] == ["one"]) }
            #expect(backend.connectionCount == 1)
        }
    }

    @Test("a name from /etc/hosts is resolved")
    func hostName() throws {
        let backend = try HandlerBackend.named("one")
        let downstream = ProxyConfiguration.Downstream(at: backend.address, host: "localhost")
        try withProxy(ProxyConfiguration(servers: [.init(downstreams: [downstream])])) { proxy in
            defer { backend.close() }
            let client = try proxy.connect()
            #expect(try client.get("/x").fields["X-Backend"] == ["one"])
        }
    }

    @Test("nobody listens: requests wait for as long as they may and are answered 502 or 503; service as soon as somebody does")
    func refused() throws {
        let backend = try ScriptedBackend()
        backend.stopListening()
        try withProxy(to: backend, server: [.pendingTimeout(1_000)], downstream: [.retry(20), .retryMax(100)]) { proxy in
            let (status, time) = try timed { try proxy.connect().get("/").status }
            #expect([502, 503].contains(status))
            #expect(time < .seconds(5) * Patience.factor)
            try backend.listenAgain()
            #expect(try proxy.connect().get("/back", answeredBy: backend).status == 200)
        }
    }

    @Test("while one of two backends is down, the other serves everybody")
    func oneOfTwoDown() throws {
        let down = try ScriptedBackend()
        down.stopListening()
        let up = try HandlerBackend.named("up")
        try withProxy(to: down, up, server: [.balancing("roundrobin")]) { proxy in
            let client = try proxy.connect()
            for _ in 0..<8 { #expect(try client.get("/").status == 200) }
            #expect(up.requestCount == 8)
        }
    }

    @Test("a backend that is not enabled is not even connected to")
    func notEnabled() throws {
        let off = try ScriptedBackend()
        let on = try HandlerBackend.named("on")
        let downstreams = [ProxyConfiguration.Downstream(off, [.enabled(false)]), ProxyConfiguration.Downstream(on)]
        try withProxy(ProxyConfiguration(servers: [.init([.balancing("roundrobin")], downstreams: downstreams)])) { proxy in
            defer { on.close() }
            let client = try proxy.connect()
            for _ in 0..<6 { #expect(try client.get("/").fields["X-Backend"] == ["on"]) }
            try off.expectNoRequest(for: .milliseconds(20))
            #expect(off.connections.isEmpty)
        }
    }

    @Test(
        "a backend that does not keep alive is not asked twice on one connection",
        arguments: ["HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"])
    func noKeepAlive(answer: String) throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend) { proxy in
            let client = try proxy.connect()
            for round in 1...2 {
                try client.sendRequest("/\(round)")
                let (_, connection) = try backend.receiveRequest()
                #expect(connection.number == round)
                try connection.send(answer)
                #expect(try client.receiveResponse().body == Bytes("ok"))
                try connection.expectClosed()
            }
        }
    }

    @Test("an HTTP/1.0 backend that says keep-alive is asked again")
    func olderKeepAlive() throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend) { proxy in
            let client = try proxy.connect()
            for _ in 0..<3 {
                try client.sendRequest("/")
                try backend.receiveRequest().connection.send("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok")
                #expect(try client.receiveResponse().body == Bytes("ok"))
            }
            // Reuse is allowed here, not demanded.
            #expect(backend.connections.count <= 3)
        }
    }

    @Test("never more connections than allowed, and all of them used when needed")
    func connectionLimit() throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend, downstream: [.connectionsMax(3)], connections: 3) { proxy in
            let clients = try (0..<6).map { _ in try proxy.connect() }
            for (number, client) in clients.enumerated() { try client.sendRequest("/\(number)") }
            let held = try (0..<3).map { _ in try backend.receiveRequest() }
            try backend.expectNoRequest()
            #expect(backend.connections.count == 3)
            for (request, connection) in held { try connection.respond(body: request.target) }
            for _ in 0..<3 {
                let (request, connection) = try backend.receiveRequest()
                try connection.respond(body: request.target)
            }
            for (number, client) in clients.enumerated() { #expect(try client.receiveResponse().body == Bytes("/\(number)")) }
            #expect(backend.connections.count == 3)
        }
    }

    @Test("connections above those that are kept are closed after their idle time")
    func keptConnections() throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend, downstream: [.connectionsMax(4), .idleTimeout(200)], connections: 1) { proxy in
            let clients = try (0..<4).map { _ in try proxy.connect() }
            for client in clients { try client.sendRequest("/") }
            let held = try (0..<4).map { _ in try backend.receiveRequest() }
            for (_, connection) in held { try connection.respond(body: "ok") }
            for client in clients { #expect(try client.receiveResponse().body == Bytes("ok")) }
            try eventually("three of four connections have ended") {
                try backend.expectNoRequest(for: .milliseconds(5))
                return backend.connections.filter(\.isOver).count == 3
            }
        }
    }

    @Test("where none is kept, a connection that nobody needs is closed after its idle time")
    func idleTime() throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend, downstream: [.connectionsMax(8), .idleTimeout(200)], connections: 0) { proxy in
            let time = try elapsed {
                #expect(try proxy.connect().get("/", answeredBy: backend).status == 200)
                try backend.connections[0].expectClosed()
            }
            #expect(expectedSpan(of: .milliseconds(200)).contains(time))
            #expect(try proxy.connect().get("/", answeredBy: backend).status == 200)
        }
    }

    @Test("many clients and requests over few connections: every answer is the right one")
    func manyClients() throws {
        let backend = try HandlerBackend { request, _ in
            let number = UInt64(request.target.dropFirst()) ?? 0
            return .bytes(HandlerBackend.response(body: BodyPattern.bytes(request.target.utf8.count * 97, seed: number)))
        }
        try withProxy(to: backend, connections: 4) { proxy in
            let address = proxy.addresses[0]
            let workers = (0..<16).map { worker in
                Background {
                    let client = try ScriptedClient(to: address)
                    for round in 0..<25 {
                        let number = worker * 1_000 + round
                        let target = "/\(number)"
                        let response = try client.get(target)
                        guard response.body == BodyPattern.bytes(target.utf8.count * 97, seed: UInt64(number)) else {
                            throw ScenarioFailure("\(target) got a body of somebody else: \(response.body.readable)")
                        }
                    }
                }
            }
            for worker in workers { try worker.join() }
            #expect(backend.requestCount == 400)
            #expect(backend.connectionCount <= 4)
            #expect(try proxy.counters().sum("requests") == 400)
        }
    }
}

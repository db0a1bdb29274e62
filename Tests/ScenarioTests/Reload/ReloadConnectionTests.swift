import Glibc
import TestSupport
import Testing

@Suite("Reload: connections, pools and queues live on", .scenario)
struct ReloadConnectionTests {
    private func configuration(
        _ backends: [any TestBackend], via: String, server: [Setting] = [], downstream: [Setting] = [], connections: Int = 8
    ) -> ProxyConfiguration {
        ProxyConfiguration(servers: [
            .init([.via(via)] + server, downstreams: backends.map { .init($0, downstream, connections: connections) })
        ])
    }

    /// The configuration with sections named by the test, so that a backend keeps its name when another one goes.
    private func text(_ proxy: ProxyUnderTest, via: String, _ named: [(String, any TestBackend)]) throws -> String {
        var lines = ["workers = 1", "admin-socket = \"\(proxy.folder.path("admin"))\"", "server {", "  addr = \"127.0.0.1\"", "  port = 0", "  via = \"\(via)\""]
        for (name, backend) in named {
            lines.append("  downstream \(name) { connections = 8")
            switch backend.address {
            case .ipv4(let port): lines.append("    addr = \"127.0.0.1\"\n    port = \(port)")
            default: throw ScenarioFailure("this backend listens elsewhere")
            }
            lines.append("  }")
        }
        return lines.joined(separator: "\n") + "\n}\n"
    }

    @Test("a backend that stays keeps its connections")
    func backendStays() throws {
        let backend = try HandlerBackend.named("one")
        try withProxy(configuration([backend], via: "first")) { proxy in
            defer { backend.close() }
            let client = try proxy.connect()
            _ = try client.get("/")
            for round in 0..<10 {
                try proxy.reload(configuration([backend], via: "plan\(round)"))
                #expect(try client.get("/").fields["Via"] == ["1.1 plan\(round)"])
            }
            #expect(backend.connectionCount == 1)
        }
    }

    @Test("a backend that is added gets requests, one that is removed gets none but ends what it has")
    func backendsComeAndGo() throws {
        let stays = try ScriptedBackend()
        let goes = try ScriptedBackend()
        let proxy = try ProxyUnderTest(configuration([stays], via: "first"))
        do {
            try proxy.reload(text: try text(proxy, via: "second", [("backend0", stays), ("added", goes)]))
            // Both are asked: the one that is to go first holds its answer.
            let clients = try (0..<2).map { _ in try proxy.connect() }
            for client in clients { try client.sendRequest("/slow") }
            let (_, slow) = try goes.receiveRequest()
            let (_, other) = try stays.receiveRequest()
            try slow.send("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nslow")
            try other.respond(body: "other")
            try proxy.reload(text: try text(proxy, via: "third", [("backend0", stays)]))
            try slow.send("body")
            let bodies = try clients.map { try $0.receiveResponse().body.text }.sorted()
            #expect(bodies == ["other", "slowbody"])
            try slow.expectClosed()
            for _ in 0..<6 { #expect(try clients[0].get("/", answeredBy: stays).status == 200) }
            try goes.expectNoRequest(for: .milliseconds(30))
            #expect(try proxy.counters().backend("added", "requests") == 0)
            try proxy.stop()
        } catch {
            proxy.process.kill()
            throw error
        }
        stays.close()
        goes.close()
    }

    @Test("requests that wait for a connection of a backend that goes are sent to another one")
    func pendingMovesOn() throws {
        let stays = try ScriptedBackend()
        let goes = try ScriptedBackend()
        try withProxy(configuration([goes], via: "first", connections: 1)) { proxy in
            defer {
                stays.close()
                goes.close()
            }
            let busy = try proxy.connect()
            try busy.sendRequest("/busy")
            let (_, connection) = try goes.receiveRequest()
            let waiting = try proxy.connect()
            try waiting.sendRequest("/waits")
            try eventually("a request waits") { try proxy.counters().sum("pendingNow") == 1 }
            try proxy.reload(configuration([stays], via: "second", connections: 1))
            let (request, other) = try stays.receiveRequest()
            #expect(request.target == "/waits")
            try other.respond(body: "moved")
            #expect(try waiting.receiveResponse().body == Bytes("moved"))
            try connection.respond(body: "busy")
            #expect(try busy.receiveResponse().body == Bytes("busy"))
        }
    }

    @Test("a backend whose limits change has the new ones at once, on the connections it has")
    func limitsChange() throws {
        let backend = try ScriptedBackend()
        try withProxy(configuration([backend], via: "first", connections: 1)) { proxy in
            defer { backend.close() }
            let clients = try (0..<2).map { _ in try proxy.connect() }
            try clients[0].sendRequest("/1")
            let (_, first) = try backend.receiveRequest()
            try clients[1].sendRequest("/2")
            try eventually("the second waits") { try proxy.counters().sum("pendingNow") == 1 }
            try proxy.reload(configuration([backend], via: "second", connections: 2))
            let (_, second) = try backend.receiveRequest()
            #expect(second.number == 2)
            try second.respond(body: "two")
            #expect(try clients[1].receiveResponse().body == Bytes("two"))
            try first.respond(body: "one")
            #expect(try clients[0].receiveResponse().body == Bytes("one"))
        }
    }

    @Test("tunnels stay open over any number of reloads and hold no old configuration")
    func tunnels() throws {
        let backend = try ScriptedBackend()
        try withProxy(configuration([backend], via: "first")) { proxy in
            defer { backend.close() }
            let client = try proxy.connect()
            try client.send(
                "GET /chat HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
            let (_, connection) = try backend.receiveRequest()
            try connection.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
            #expect(try client.receiveResponseHead().status == 101)
            for round in 0..<5 {
                try proxy.reload(configuration([backend], via: "plan\(round)"))
                try client.send("up \(round)")
                #expect(try connection.receive(4) == Bytes("up \(round)"))
                try connection.send("down \(round)")
                #expect(try client.receive(6) == Bytes("down \(round)"))
            }
            try eventually("one configuration is in use") { try proxy.counters().generationsInUse == [6] }
            // The backend may even leave the configuration.
            let other = try HandlerBackend.named("other")
            defer { other.close() }
            try proxy.reload(configuration([other], via: "last"))
            try client.send("still")
            #expect(try connection.receive(5) == Bytes("still"))
            try eventually("one configuration is in use") { try proxy.counters().generationsInUse == [7] }
            client.finishSending()
            connection.close()
        }
    }

    @Test("an old configuration lives as long as an exchange that began under it, and no longer")
    func generationsInUse() throws {
        let backend = try ScriptedBackend()
        try withProxy(configuration([backend], via: "first")) { proxy in
            defer { backend.close() }
            let client = try proxy.connect()
            try client.sendRequest("/slow")
            let (_, connection) = try backend.receiveRequest()
            try proxy.reload(configuration([backend], via: "second"))
            #expect(try proxy.counters().generationsInUse == [1, 2])
            try connection.respond(body: "late")
            #expect(try client.receiveResponse().body == Bytes("late"))
            try eventually("the old one has gone") { try proxy.counters().generationsInUse == [2] }
        }
    }
}

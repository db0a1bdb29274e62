import TestSupport
import Testing

/// A rule whose backend may send requests on to anything on this machine.
private func site(_ words: String = "redirect-filter = \"*\" redirect-networks = { 127.0.0.0/8, \"::1\" }", server: String = "") -> String {
    "\(server)\nvhost \"*\" {\nrule open { uri-gmatch = \"/open*\" downstreams = backend0 allow-redirect = true \(words) }\nrule shut { uri-gmatch = \"*\" downstreams = backend0 } }"
}

extension BackendConnection {
    /// Asks for the request to be sent on.
    func sendOn(to target: String, fields: String = "", body: String = "") throws {
        try respond("377 Elsewhere", body: body, fields: "X-Internal-Redirect: \(target)\r\n\(fields)")
    }
}

extension ScriptedBackend {
    /// `host:port` as a backend would name it.
    var name: String {
        guard case .ipv4(let port) = address else { return "" }
        return "127.0.0.1:\(port)"
    }
}

@Suite("Requests that a backend sends on", .scenario)
struct DelegationTests {
    /// A proxy between a backend that sends on and a target.
    private func withTarget(
        _ words: String? = nil, server: String = "", accessLog: String? = nil,
        _ body: (ProxyUnderTest, ScriptedBackend, ScriptedBackend, ScriptedClient) throws -> Void
    ) throws {
        let backend = try ScriptedBackend()
        let target = try ScriptedBackend()
        let lines = words.map { site($0, server: server) } ?? site(server: server)
        try withServer(lines, accessLog: accessLog, backends: [backend]) { proxy in
            defer { target.close() }
            try body(proxy, backend, target, try proxy.connect())
        }
    }

    @Test("the target gets the same request, and its answer is the answer")
    func sentOn() throws {
        try withTarget(server: "headers { forwarded-for = replace }", accessLog: "{STATUS} {BACKEND_STATUS} {PROXY} {REASON}") { proxy, backend, target, client in
            try client.send("GET /open/a?b HTTP/1.1\r\nHost: test\r\nX-Own: 1\r\n\r\n")
            let (first, connection) = try backend.receiveRequest()
            #expect(!first.fields.has("X-Redirected-Via"))
            try connection.sendOn(to: target.name, fields: "X-First: 1\r\n", body: "not for the client")
            let (second, answering) = try target.receiveRequest()
            #expect(second.target == "/open/a?b" && second.method == "GET")
            #expect(second.fields["Host"] == ["test"] && second.fields["X-Own"] == ["1"] && second.fields["X-Forwarded-For"] == ["127.0.0.1"])
            #expect(second.fields["X-Redirected-Via"] == ["open"])
            try answering.respond("206 Partial Content", body: "from the target", fields: "X-Second: 2\r\n")
            let response = try client.receiveResponse()
            #expect(response.status == 206 && response.body == Bytes("from the target"))
            #expect(response.fields["X-Second"] == ["2"] && !response.fields.has("X-First") && !response.fields.has("X-Internal-Redirect"))
            #expect(try proxy.accessLog(lines: 1) == ["206 206 \(target.name) -"])
        }
    }

    @Test("the first backend's connection serves on, and so does the target's")
    func pooled() throws {
        try withTarget { proxy, backend, target, client in
            for round in 0..<5 {
                try client.send("GET /open HTTP/1.1\r\nHost: test\r\n\r\n")
                try backend.receiveRequest().connection.sendOn(to: target.name, body: String(repeating: "x", count: round * 5_000))
                try target.receiveRequest().connection.respond(body: "ok")
                #expect(try client.receiveResponse().body == Bytes("ok"))
            }
            #expect(backend.connections.count == 1 && target.connections.count == 1)
            #expect(try proxy.counters().sum("oddities") == 0)
        }
    }

    @Test("a first answer that is too long, chunked or ends with its connection is no hindrance", arguments: ["long", "chunked", "endless", "cut"])
    func firstAnswers(kind: String) throws {
        try withTarget { _, backend, target, client in
            try client.send("GET /open HTTP/1.1\r\nHost: test\r\n\r\n")
            let (_, connection) = try backend.receiveRequest()
            let head = "HTTP/1.1 377 Elsewhere\r\nX-Internal-Redirect: \(target.name)\r\n"
            switch kind {
            case "long":
                try connection.send(head + "Content-Length: 1000000000\r\n\r\n")
                _ = try connection.sendWhatIsTaken(Bytes(repeating: 1, count: 5_000_000), deadline: Deadline(after: .seconds(2)))
                try connection.expectClosed()
            case "chunked": try connection.send(head + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n\r\n")
            case "endless": try connection.send(head + "\r\nwhatever comes")
            default:
                try connection.send(head + "Content-Length: 100\r\n\r\nhello")
                connection.close()
            }
            try target.receiveRequest().connection.respond(body: "ok")
            #expect(try client.receiveResponse().body == Bytes("ok"))
        }
    }

    @Test(
        "a body is sent again, in the framing that it had",
        arguments: ["Content-Length: 11\r\n\r\nhello world", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"])
    func body(request: String) throws {
        try withTarget { _, backend, target, client in
            try client.send("POST /open HTTP/1.1\r\nHost: test\r\n" + request)
            let (first, connection) = try backend.receiveRequest()
            #expect(first.body == Bytes("hello world"))
            try connection.sendOn(to: target.name)
            let (second, answering) = try target.receiveRequest()
            #expect(second.method == "POST" && second.body == Bytes("hello world"))
            try answering.respond(body: "ok")
            #expect(try client.receiveResponse().body == Bytes("ok"))
            try client.send("GET /shut HTTP/1.1\r\nHost: test\r\n\r\n")
            try backend.receiveRequest().connection.respond(body: "next")
            #expect(try client.receiveResponse().body == Bytes("next"))
        }
    }

    @Test("a body that is still on its way goes on to the target")
    func bodyUnderway() throws {
        try withTarget { _, backend, target, client in
            try client.send("PUT /open HTTP/1.1\r\nHost: test\r\nContent-Length: 20\r\n\r\n0123456789")
            let (_, connection) = try backend.receiveRequestHead()
            _ = try connection.receive(10)
            try connection.sendOn(to: target.name)
            let (second, answering) = try target.receiveRequestHead()
            #expect(try answering.receive(10) == Bytes("0123456789"))
            try client.send("abcdefghij")
            #expect(try answering.receive(10) == Bytes("abcdefghij"))
            #expect(second.fields["Content-Length"] == ["20"])
            try answering.respond(body: "ok")
            #expect(try client.receiveResponse().body == Bytes("ok"))
        }
    }

    @Test("a body longer than what is kept is answered 502", arguments: [true, false])
    func longBody(isChunked: Bool) throws {
        try withTarget("redirect-filter = \"*\" redirect-networks = 127.0.0.1 redirect-body-max = 1000", accessLog: "{STATUS} {REASON}") { proxy, backend, target, client in
            let body = String(repeating: "x", count: 1_001)
            let framed = isChunked ? "Transfer-Encoding: chunked\r\n\r\n3e9\r\n\(body)\r\n0\r\n\r\n" : "Content-Length: 1001\r\n\r\n\(body)"
            try client.send("POST /open HTTP/1.1\r\nHost: test\r\n" + framed)
            try backend.receiveRequest().connection.sendOn(to: target.name)
            #expect(try client.receiveResponse().status == 502)
            try target.expectNoRequest(for: .milliseconds(50))
            #expect(try proxy.accessLog(lines: 1) == ["502 body-not-kept"])
        }
    }

    @Test("a name is resolved, off the path of other requests")
    func name() throws {
        try withTarget { _, backend, target, client in
            guard case .ipv4(let port) = target.address else { return }
            for _ in 0..<2 {
                try client.send("GET /open HTTP/1.1\r\nHost: test\r\n\r\n")
                try backend.receiveRequest().connection.sendOn(to: "LocalHost:\(port)")
                try target.receiveRequest().connection.respond(body: "ok")
                #expect(try client.receiveResponse().body == Bytes("ok"))
            }
        }
    }

    @Test("a name that nobody knows is 502, one that leads to an address that is not allowed 401")
    func badNames() throws {
        try withTarget("redirect-filter = \"*\"", accessLog: "{STATUS} {REASON}") { proxy, backend, target, client in
            try client.send("GET /open HTTP/1.1\r\nHost: test\r\n\r\n")
            try backend.receiveRequest().connection.sendOn(to: "localhost:80")
            #expect(try client.receiveResponse().status == 401)
            #expect(try proxy.accessLog(lines: 1) == ["401 redirect-refused"])
            try target.expectNoRequest(for: .milliseconds(20))
        }
    }

    // MARK: - What is not allowed

    @Test("what the filter does not name is answered 401 with the rest of the backend's answer")
    func filtered() throws {
        try withTarget("redirect-filter = { \"*.example.org\", \"127.0.0.1:1\" } redirect-networks = 127.0.0.0/8", accessLog: "{STATUS} {BACKEND_STATUS} {REASON}") {
            proxy, backend, target, client in
            try client.send("GET /open HTTP/1.1\r\nHost: test\r\n\r\n")
            try backend.receiveRequest().connection.sendOn(to: target.name, fields: "X-Rest: 1\r\n", body: "rest")
            let response = try client.receiveResponse()
            #expect(response.status == 401 && response.reason == "Unauthorized" && response.body == Bytes("rest"))
            #expect(response.fields["X-Rest"] == ["1"] && !response.fields.has("X-Internal-Redirect"))
            #expect(try proxy.accessLog(lines: 1) == ["401 377 redirect-refused"])
            try target.expectNoRequest(for: .milliseconds(20))
        }
    }

    @Test("without a filter nothing is allowed, and a filter alone allows no address that is not public", arguments: ["", "redirect-filter = \"*\""])
    func denied(words: String) throws {
        try withTarget(words) { _, backend, target, client in
            try client.send("GET /open HTTP/1.1\r\nHost: test\r\n\r\n")
            try backend.receiveRequest().connection.sendOn(to: target.name, body: "rest")
            #expect(try client.receiveResponse().status == 401)
            try target.expectNoRequest(for: .milliseconds(20))
        }
    }

    @Test("in a rule that does not allow it, 377 passes without the field; without the field it passes everywhere")
    func relayed() throws {
        try withTarget { _, backend, target, client in
            try client.send("GET /shut HTTP/1.1\r\nHost: test\r\n\r\n")
            try backend.receiveRequest().connection.sendOn(to: target.name, body: "as is")
            let shut = try client.receiveResponse()
            #expect(shut.status == 377 && shut.reason == "Elsewhere" && shut.body == Bytes("as is") && !shut.fields.has("X-Internal-Redirect"))
            try client.send("GET /open HTTP/1.1\r\nHost: test\r\n\r\n")
            try backend.receiveRequest().connection.respond("377 Nowhere", body: "as is")
            #expect(try client.receiveResponse().status == 377)
        }
    }

    @Test(
        "a target that is none is 502",
        arguments: [
            "X-Internal-Redirect: a b\r\n", "X-Internal-Redirect:\r\n", "X-Internal-Redirect: a:0\r\n", "X-Internal-Redirect: a:99999\r\n",
            "X-Internal-Redirect: a\r\nX-Internal-Redirect: b\r\n", "X-Internal-Redirect: http://a/\r\n",
        ])
    func invalid(fields: String) throws {
        try withTarget(accessLog: "{STATUS} {REASON}") { proxy, backend, _, client in
            try client.send("GET /open HTTP/1.1\r\nHost: test\r\n\r\n")
            try backend.receiveRequest().connection.respond("377 Elsewhere", body: "x", fields: fields)
            #expect(try client.receiveResponse().status == 502)
            #expect(try proxy.accessLog(lines: 1) == ["502 redirect-invalid"])
        }
    }

    @Test("an answer that names very much is no target either")
    func hugeField() throws {
        try withTarget(accessLog: "{STATUS} {REASON}") { proxy, backend, _, client in
            try client.send("GET /open HTTP/1.1\r\nHost: test\r\n\r\n")
            try backend.receiveRequest().connection.sendOn(to: String(repeating: "a", count: 20_000))
            #expect(try client.receiveResponse().status == 502)
            try client.send("GET /open HTTP/1.1\r\nHost: test\r\n\r\n")
            try backend.receiveRequest().connection.sendOn(to: String(repeating: "a", count: 60_000))
            #expect(try client.receiveResponse().status == 502)
            #expect(try proxy.accessLog(lines: 2) == ["502 redirect-invalid", "502 bad-answer"])
        }
    }

    // MARK: - Loops

    @Test("a target may send on itself, up to the limit")
    func loop() throws {
        try withTarget("redirect-filter = \"*\" redirect-networks = 127.0.0.1 redirect-max = 3", accessLog: "{STATUS} {REASON}") { proxy, backend, target, client in
            try client.send("GET /open HTTP/1.1\r\nHost: test\r\n\r\n")
            try backend.receiveRequest().connection.sendOn(to: target.name)
            for _ in 0..<3 {
                let (request, connection) = try target.receiveRequest()
                #expect(request.fields["X-Redirected-Via"] == ["open"])
                try connection.sendOn(to: target.name)
            }
            #expect(try client.receiveResponse().status == 502)
            #expect(try proxy.accessLog(lines: 1) == ["502 redirect-loop"])
            #expect(target.connections.count == 1)
        }
    }

    @Test("a request that was sent on already is not sent on again: it may have come from ourselves")
    func ownLoop() throws {
        let backend = try ScriptedBackend()
        try withServer(site(), accessLog: "{STATUS} {REASON}", backends: [backend]) { proxy in
            guard case .ipv4(let port) = proxy.addresses[0] else { return }
            let client = try proxy.connect()
            try client.send("GET /open HTTP/1.1\r\nHost: test\r\n\r\n")
            try backend.receiveRequest().connection.sendOn(to: "127.0.0.1:\(port)")
            let (again, connection) = try backend.receiveRequest()
            #expect(!again.fields.has("X-Redirected-Via"))  // a client's word, as far as this backend is concerned
            try connection.sendOn(to: "127.0.0.1:\(port)")
            #expect(try client.receiveResponse().status == 502)
            #expect(try proxy.accessLog(lines: 2) == ["502 redirect-loop", "502 -"])
        }
    }

    @Test("what a client says of having been sent on never reaches a backend")
    func stripped() throws {
        try withTarget { _, backend, target, client in
            try client.send("GET /open HTTP/1.1\r\nHost: test\r\nX-Redirected-Via: me\r\nx-redirected-via: too\r\n\r\n")
            let (request, connection) = try backend.receiveRequest()
            #expect(!request.fields.has("X-Redirected-Via"))
            try connection.respond(body: "ok")
            #expect(try client.receiveResponse().status == 200)
        }
    }

    // MARK: - Targets that fail

    @Test("a target that can't be reached is 502, one that answers nonsense or nothing too")
    func badTargets() throws {
        try withTarget(accessLog: "{STATUS} {REASON}") { proxy, backend, target, client in
            let gone = try ScriptedBackend()
            gone.close()
            try client.send("GET /open HTTP/1.1\r\nHost: test\r\n\r\n")
            try backend.receiveRequest().connection.sendOn(to: gone.name)
            #expect(try client.receiveResponse().status == 502)
            for answer in ["nonsense\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", ""] {
                try client.send("GET /open HTTP/1.1\r\nHost: test\r\n\r\n")
                try backend.receiveRequest().connection.sendOn(to: target.name)
                let (_, connection) = try target.receiveRequest()
                try connection.send(answer)
                if answer.isEmpty { connection.close() }
                #expect(try client.receiveResponse().status == 502)
            }
            #expect(try proxy.accessLog(lines: 4).map { $0.prefix(3) } == ["502", "502", "502", "502"])
            // And the rule goes on.
            try client.send("GET /open HTTP/1.1\r\nHost: test\r\n\r\n")
            try backend.receiveRequest().connection.sendOn(to: target.name)
            try target.receiveRequest().connection.respond(body: "ok")
            #expect(try client.receiveResponse().body == Bytes("ok"))
        }
    }

    @Test("a target's connection that has died meanwhile is replaced")
    func staleTarget() throws {
        try withTarget { _, backend, target, client in
            for round in 0..<2 {
                try client.send("GET /open HTTP/1.1\r\nHost: test\r\n\r\n")
                try backend.receiveRequest().connection.sendOn(to: target.name)
                let (_, connection) = try target.receiveRequest()
                if round == 1, connection.number == 1 {
                    connection.reset()
                    try target.receiveRequest().connection.respond(body: "again")
                    #expect(try client.receiveResponse().body == Bytes("again"))
                } else {
                    try connection.respond(body: "ok")
                    #expect(try client.receiveResponse().body == Bytes("ok"))
                }
            }
        }
    }

    @Test("a client that leaves takes its request with it, whatever it waits for")
    func clientLeaves() throws {
        try withTarget { proxy, backend, target, client in
            try client.send("GET /open HTTP/1.1\r\nHost: test\r\n\r\n")
            let (_, connection) = try backend.receiveRequest()
            try connection.send("HTTP/1.1 377 Elsewhere\r\nX-Internal-Redirect: \(target.name)\r\nContent-Length: 10\r\n\r\nhello")
            try client.expectSilence(for: .milliseconds(30))
            client.reset()
            try connection.expectClosed()
            let other = try proxy.connect()
            try other.send("GET /open HTTP/1.1\r\nHost: test\r\n\r\n")
            try backend.receiveRequest().connection.sendOn(to: target.name)
            let (_, answering) = try target.receiveRequest()
            other.reset()
            try answering.expectClosed()
            try eventually("nothing is left") { try proxy.counters().sum("exchangesOpen") == 0 }
        }
    }

    @Test("many clients at once are sent on through few connections, each with its own answer")
    func many() throws {
        try withTarget(server: "pending-timeout = \"10s\"") { proxy, backend, target, _ in
            let count = 20
            let clients = try (0..<count).map { _ in try proxy.connect() }
            for (number, client) in clients.enumerated() { try client.send("GET /open/\(number) HTTP/1.1\r\nHost: test\r\n\r\n") }
            for _ in 0..<count {
                let (_, connection) = try backend.receiveRequest()
                try connection.sendOn(to: target.name)
                let (request, answering) = try target.receiveRequest()
                try answering.respond(body: request.target)
            }
            for (number, client) in clients.enumerated() { #expect(try client.receiveResponse().body == Bytes("/open/\(number)")) }
            #expect(target.connections.count <= 8)
        }
    }

    @Test("more targets than are kept are served all the same")
    func manyTargets() throws {
        try withTarget { proxy, backend, _, client in
            for _ in 0..<70 {
                let target = try ScriptedBackend()
                try client.send("GET /open HTTP/1.1\r\nHost: test\r\n\r\n")
                try backend.receiveRequest().connection.sendOn(to: target.name)
                try target.receiveRequest().connection.respond(body: "ok")
                #expect(try client.receiveResponse().body == Bytes("ok"))
                target.stopListening()
            }
            #expect(try proxy.counters().sum("oddities") == 0)
        }
    }
}

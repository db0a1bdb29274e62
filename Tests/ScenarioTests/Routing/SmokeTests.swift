import TestSupport
import Testing

/// What RProxy tried on itself before a release, in a file of its second dialect: one connection, one thread, one
/// request that may wait.
@Suite("RProxy's smoke list", .scenario)
struct SmokeTests {
    private func file(_ backends: [any TestBackend], rule words: String = "", rules: String? = nil) -> String {
        let downstreams = backends.enumerated().map { index, backend in
            "downstream d\(index) { addr = 127.0.0.1 port = \(backend.address.port) connections = 1 }"
        }
        let names = backends.indices.map { "d\($0)" }.joined(separator: ", ")
        return """
            daemonize = false
            max-nofile = 1024
            server {
                addr = "127.0.0.1"
                port = 0
                threads = 1
                max-pending = 1
                backlog = 1024
                \(downstreams.joined(separator: "\n    "))
                vhost "localhost:*" {
                    aliases = { "127.0.0.1:*" }
                    \(rules ?? "rule site { uri-gmatch = '/site/*' downstreams = { \(names) } headers { x-forwarded-for = true } \(words) }")
                }
            }
            """
    }

    private func serve(_ backends: [any TestBackend], rule words: String = "", rules: String? = nil, _ body: (ScriptedClient, ProxyUnderTest) throws -> Void) throws {
        let proxy = try ProxyUnderTest(text: "workers = 1\n" + file(backends, rule: words, rules: rules), folder: try TemporaryFolder())
        defer { backends.forEach { $0.close() } }
        do {
            try body(try proxy.connect(), proxy)
            try proxy.stop()
        } catch {
            proxy.process.kill()
            throw ScenarioFailure("\(error)\n--- operator's log ---\n\(proxy.operatorLog)")
        }
    }

    private func ask(_ client: ScriptedClient, _ method: String, _ target: String, fields: String = "", body: Bytes? = nil) throws -> ReceivedResponse {
        let length = body.map { "Content-Length: \($0.count)\r\n" } ?? ""
        try client.send(Bytes("\(method) \(target) HTTP/1.1\r\nHost: localhost:8080\r\n\(length)\(fields)\r\n") + (body ?? []))
        return try client.receiveResponse(to: method)
    }

    @Test("GET, POST, PUT of a file and DELETE are answered 200, and bodies arrive", arguments: ["GET", "POST", "PUT", "DELETE"])
    func methods(method: String) throws {
        let backend = try HandlerBackend { request, _ in
            .bytes(HandlerBackend.response(fields: "X-Method: \(request.method)\r\n", body: request.body))
        }
        try serve([backend]) { client, _ in
            let body = method == "GET" ? nil : BodyPattern.bytes(method == "PUT" ? 300_000 : 30, seed: 1)
            let response = try ask(client, method, "/site/file", body: body)
            #expect(response.status == 200)
            #expect(response.fields.only("X-Method") == method)
            #expect(response.body == body ?? [])
        }
    }

    @Test("503 and 404 of a backend are relayed with their bodies", arguments: ["503 Service Unavailable", "404 Not Found"])
    func relayed(status: String) throws {
        let backend = try HandlerBackend { _, _ in .bytes(HandlerBackend.response(status, body: Bytes("the backend's own words"))) }
        try serve([backend]) { client, _ in
            let response = try ask(client, "GET", "/site/x")
            #expect("\(response.status)" == status.prefix(3))
            #expect(response.body == Bytes("the backend's own words"))
        }
    }

    @Test("an unknown path is answered 404, and the backend is not asked")
    func unknown() throws {
        let backend = try HandlerBackend.named("0")
        try serve([backend]) { client, _ in
            let statuses = try ["/elsewhere", "/site/x"].map { try ask(client, "GET", $0).status }
            #expect(statuses == [404, 200])
            #expect(backend.requestCount == 1)
        }
    }

    @Test("X-Forwarded-For has the client's address and port; User-Agent, Host with its port, and Accept arrive as they were sent")
    func fields() throws {
        let backend = try ScriptedBackend()
        try serve([backend]) { client, _ in
            let sent = "User-Agent: test/1.0 (a; b)\r\nAccept: text/html, */*;q=0.1\r\nX-Forwarded-For: 1.2.3.4\r\n"
            try client.send("GET /site/x HTTP/1.1\r\nHost: localhost:8080\r\n\(sent)\r\n")
            let (request, connection) = try backend.receiveRequest()
            #expect(request.fields["X-Forwarded-For"] == ["127.0.0.1:\(client.localPort)"])
            #expect(request.fields["User-Agent"] == ["test/1.0 (a; b)"])
            #expect(request.fields["Host"] == ["localhost:8080"])
            #expect(request.fields["Accept"] == ["text/html, */*;q=0.1"])
            try connection.respond()
            #expect(try client.receiveResponse().status == 200)
        }
    }

    @Test("a backend that sends one byte at a time is waited for, and each byte is passed on")
    func slow() throws {
        let backend = try ScriptedBackend()
        try serve([backend]) { client, _ in
            try client.send("GET /site/slow HTTP/1.1\r\nHost: localhost:8080\r\n\r\n")
            let (_, connection) = try backend.receiveRequest()
            try connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
            #expect(try client.receiveResponseHead().status == 200)
            for byte in "0123456789" {
                try connection.send(String(byte))
                #expect(try client.receive(1) == Bytes(String(byte)))
                try client.expectSilence(for: .milliseconds(20))
            }
        }
    }

    @Test(
        "an answer with broken chunks never looks whole: 502, or what came before and a cut; the next request is served",
        arguments: ["10\r\n", "5\r\nabcde\r\n"], [true, false])
    func brokenChunks(beginning: String, comesAtOnce: Bool) throws {
        let rest = beginning.hasPrefix("10") ? "0123456789\r\n0\r\n\r\n" : "junk\r\n5\r\nfghij\r\n0\r\n\r\n"
        let backend = try ScriptedBackend()
        try serve([backend]) { client, proxy in
            try client.send("GET /site/x HTTP/1.1\r\nHost: localhost:8080\r\nConnection: close\r\n\r\n")
            let (_, connection) = try backend.receiveRequest()
            let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\(beginning)"
            var answer: Bytes = []
            if comesAtOnce {
                try connection.send(head + rest)
            } else {
                try connection.send(head)
                answer = try client.receive(through: beginning.hasPrefix("10") ? "\r\n\r\n" : "abcde")
                #expect(answer.starts(with: Bytes("HTTP/1.1 200 ")))
                try connection.send(rest)
            }
            answer += try client.receiveUntilEndOrReset()
            let text = answer.text
            if comesAtOnce && text.hasPrefix("HTTP/1.1 502 ") {
                #expect(text.hasSuffix("502 Bad Gateway\n"))
            } else {
                #expect(text.hasPrefix("HTTP/1.1 200 ") && !text.hasSuffix("0\r\n\r\n") && !text.contains("fghij"))
            }
            try connection.expectClosed()
            let next = try proxy.connect()
            try next.send("GET /site/y HTTP/1.1\r\nHost: localhost:8080\r\n\r\n")
            let (_, second) = try backend.receiveRequest()
            try second.respond(body: "fine")
            #expect(try next.receiveResponse().body == Bytes("fine"))
        }
    }

    @Test("the first dialect: a rewritten path is answered 200 under its new name, one that no rewrite takes 404")
    func rewritten() throws {
        let backend = try HandlerBackend { request, _ in .bytes(HandlerBackend.response(body: Bytes(request.target))) }
        let text = """
            server {
                addr = "127.0.0.1"
                port = 0
                threads = 1
                max-pending = 1
                rewrite { src = "^(/dir/).*"  dst = "/derp/" }
                downstream { addr = "127.0.0.1"  port = \(backend.address.port)  connections = 1 }
            }
            """
        let proxy = try ProxyUnderTest(text: "workers = 1\n" + text, folder: try TemporaryFolder())
        defer { backend.close() }
        let client = try proxy.connect()
        let taken = try ask(client, "GET", "/dir/something/file.html?a=b")
        #expect(taken.status == 200 && taken.body == Bytes("/derp/something/file.html?a=b"))
        #expect(try ask(client, "GET", "/other/file.html").status == 404)
        #expect(backend.requestCount == 1)
        try proxy.stop()
    }

    @Test("eight requests in a row by roundrobin: four to each of two backends")
    func roundRobin() throws {
        let backends = [try HandlerBackend.named("0"), try HandlerBackend.named("1")]
        try serve(backends, rule: "lb-method = roundrobin") { client, _ in
            let statuses = try (0..<8).map { try ask(client, "GET", "/site/\($0)").status }
            #expect(statuses.allSatisfy { $0 == 200 })
            #expect(backends.map(\.requestCount) == [4, 4])
        }
    }

    @Test("one more than the request that may wait is answered 503")
    func maxPending() throws {
        let backend = try ScriptedBackend()
        try serve([backend]) { client, proxy in
            try client.send("GET /site/1 HTTP/1.1\r\nHost: localhost:1\r\n\r\n")
            let (_, held) = try backend.receiveRequest()
            let waiting = try proxy.connect()
            try waiting.send("GET /site/2 HTTP/1.1\r\nHost: localhost:1\r\n\r\n")
            try waiting.expectSilence(for: .milliseconds(100))
            let third = try proxy.connect()
            try third.send("GET /site/3 HTTP/1.1\r\nHost: localhost:1\r\n\r\n")
            #expect(try third.receiveResponse().status == 503)
            try held.respond(body: "1")
            #expect(try client.receiveResponse().body == Bytes("1"))
            let (_, next) = try backend.receiveRequest()
            try next.respond(body: "2")
            #expect(try waiting.receiveResponse().body == Bytes("2"))
        }
    }

    @Test("matchers of each kind and the order of rules, in the file's own words")
    func matchers() throws {
        let backends = [try HandlerBackend.named("0"), try HandlerBackend.named("1"), try HandlerBackend.named("2")]
        let rules = """
            rule "exact" { uri-match = "/site/a"  downstreams = { d0 } }
            rule regex { uri-rmatch = "^/site/[0-9]+\\\\.html$"  downstreams = { d1 } }
            rule rest { uri-gmatch = "/site/*"  downstreams = d2 }
            """
        try serve(backends, rules: rules) { client, _ in
            let answers = try ["/site/a", "/site/12.html", "/site/12xhtml", "/site/a/b"].map { try ask(client, "GET", $0).who }
            #expect(answers == ["0", "1", "2", "2"])
        }
    }
}

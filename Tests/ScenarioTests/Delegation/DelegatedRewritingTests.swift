import TestSupport
import Testing

@Suite("Requests that are sent on under a rule that rewrites", .scenario)
struct DelegatedRewritingTests {
    /// A rule with everything that changes heads, between a backend that sends on and a target.
    private func withRule(
        _ words: String = "", accessLog: String? = nil, _ body: (ProxyUnderTest, ScriptedBackend, ScriptedBackend, ScriptedClient) throws -> Void
    ) throws {
        let backend = try ScriptedBackend()
        let target = try ScriptedBackend()
        let site = """
            vhost "*" {
                rule app {
                    uri-gmatch = "/app/*"  downstreams = backend0
                    allow-redirect = true  redirect-filter = "*"  redirect-networks = 127.0.0.1
                    rewrite { prefix = "/app" with = "/inner" }
                    headers { forwarded-for = replace request-id = true }
                    strip-headers = { "X-Powered-By" }
                    request-headers { set = { "X-Edge: {RULE}" } remove = { "X-Debug" } }
                    response-headers { set = { "X-From: {STATUS} {DS_HDR}:'x-own'" } }
                    \(words)
                }
            }
            """
        try withServer(site, accessLog: accessLog, backends: [backend]) { proxy in
            defer { target.close() }
            try body(proxy, backend, target, try proxy.connect())
        }
    }

    @Test("the target gets the request as the rule makes it, as the first backend got it, and the mark of having been sent on")
    func request() throws {
        try withRule { _, backend, target, client in
            try client.send("GET /app/a?b HTTP/1.1\r\nHost: www.test\r\nX-Debug: 1\r\nX-Edge: mine\r\nX-Kept: 1\r\n\r\n")
            let (first, connection) = try backend.receiveRequest()
            try connection.sendOn(to: target.name)
            let (second, answering) = try target.receiveRequest()
            for request in [first, second] {
                #expect(request.target == "/inner/a?b" && request.fields["Host"] == ["www.test"] && request.fields["X-Kept"] == ["1"])
                #expect(request.fields["X-Edge"] == ["app"] && !request.fields.has("X-Debug") && request.fields["X-Forwarded-For"] == ["127.0.0.1"])
            }
            #expect(first.fields["X-Request-ID"] == second.fields["X-Request-ID"] && second.fields.has("X-Request-ID"))
            #expect(!first.fields.has("X-Redirected-Via") && second.fields["X-Redirected-Via"] == ["app"])
            try answering.respond()
            #expect(try client.receiveResponse().status == 200)
        }
    }

    @Test("the target's answer is changed by the rule; of the first answer nothing is left")
    func answer() throws {
        try withRule { _, backend, target, client in
            try client.sendRequest("/app/a")
            try backend.receiveRequest().connection.sendOn(to: target.name, fields: "X-Own: first\r\nX-First: 1\r\nX-Powered-By: first\r\n")
            try target.receiveRequest().connection.respond("201 Created", body: "ok", fields: "X-Own: second\r\nX-Powered-By: second\r\n")
            let response = try client.receiveResponse()
            #expect(response.status == 201 && response.body == Bytes("ok") && response.fields["X-From"] == ["201 second"])
            #expect(!response.fields.has("X-Powered-By") && !response.fields.has("X-First"))
        }
    }

    @Test("the target's own place is mapped back, as a path, by its address and by the Host it was sent; others are left alone")
    func places() throws {
        try withRule { _, backend, target, client in
            let places = [
                ("/inner/login", "/app/login"), ("http://\(target.name)/inner/login?x", "/app/login?x"), ("http://test/inner/login", "http://test/app/login"),
                ("http://127.0.0.1:1/inner/login", "http://127.0.0.1:1/inner/login"), ("http://\(backend.name)/inner/login", "/app/login"),
                ("login", "login"), ("http://\(target.name)/other", "http://\(target.name)/other"),
            ]
            for (said, read) in places {
                try client.sendRequest("/app/a")
                try backend.receiveRequest().connection.sendOn(to: target.name)
                try target.receiveRequest().connection.respond(
                    "302 Found", fields: "Location: \(said)\r\nRefresh: 1; url=\(said)\r\nSet-Cookie: a=b; Path=/inner; Domain=127.0.0.1\r\n")
                let response = try client.receiveResponse()
                #expect(response.fields["Location"] == [read] && response.fields["Refresh"] == ["1; url=\(read)"])
                #expect(response.fields["Set-Cookie"] == ["a=b; Path=/app"])
            }
        }
    }

    @Test("a host of the rule's choice is what the target is told: the client's, a name, or its own", arguments: ["client", "backend", "app.internal"])
    func host(choice: String) throws {
        let backend = try ScriptedBackend()
        let target = try ScriptedBackend()
        let rule = "uri-gmatch = \"*\" downstreams = backend0 allow-redirect = true redirect-filter = \"*\" redirect-networks = 127.0.0.1 rewrite { host = \"\(choice)\" }"
        try withServer("vhost \"*\" { rule all { \(rule) } }", backends: [backend]) { proxy in
            defer { target.close() }
            let client = try proxy.connect()
            try client.sendRequest("/")
            let (first, connection) = try backend.receiveRequest()
            try connection.sendOn(to: target.name)
            let (second, answering) = try target.receiveRequest()
            #expect(first.fields["Host"] == [choice == "client" ? "test" : choice == "backend" ? backend.name : choice])
            #expect(second.fields["Host"] == [choice == "client" ? "test" : choice == "backend" ? target.name : choice])
            try answering.respond()
            #expect(try client.receiveResponse().status == 200)
        }
    }

    @Test("every hop of a loop is the rewritten request, and the cap ends it with an answer of ours that has the rule's fields")
    func loop() throws {
        try withRule("redirect-max = 2", accessLog: "{STATUS} {URI} {REASON}") { proxy, backend, target, client in
            try client.sendRequest("/app/a")
            try backend.receiveRequest().connection.sendOn(to: target.name)
            for _ in 0..<2 {
                let (request, connection) = try target.receiveRequest()
                #expect(request.target == "/inner/a" && request.fields["X-Redirected-Via"] == ["app"])
                try connection.sendOn(to: target.name)
            }
            let response = try client.receiveResponse()
            #expect(response.status == 502 && response.fields["X-From"].first?.hasPrefix("502") == true)
            #expect(try proxy.accessLog(lines: 1) == ["502 /app/a redirect-loop"])
        }
    }

    @Test("a body within the bound is sent again to the byte, one beyond it is answered 502", arguments: [999, 1_000, 1_001], [true, false])
    func body(length: Int, isChunked: Bool) throws {
        try withRule("redirect-body-max = 1000", accessLog: "{STATUS} {REASON}") { proxy, backend, target, client in
            let body = String(repeating: "b", count: length)
            let framed =
                isChunked
                ? "Transfer-Encoding: chunked\r\n\r\n\(String(length, radix: 16))\r\n\(body)\r\n0\r\n\r\n" : "Content-Length: \(length)\r\n\r\n\(body)"
            try client.send("POST /app/a HTTP/1.1\r\nHost: test\r\n" + framed)
            let (first, connection) = try backend.receiveRequest()
            #expect(first.body == Bytes(body))
            try connection.sendOn(to: target.name)
            if length <= 1_000 {
                let (second, answering) = try target.receiveRequest()
                #expect(second.target == "/inner/a" && second.method == "POST" && second.body == Bytes(body))
                try answering.respond()
                #expect(try client.receiveResponse().status == 200)
            } else {
                #expect(try client.receiveResponse().status == 502)
                try target.expectNoRequest(for: .milliseconds(20))
                #expect(try proxy.accessLog(lines: 1) == ["502 body-not-kept"])
            }
        }
    }
}

import TestSupport
import Testing

/// A proxy whose only server has these lines.
func withServer<Result>(
    _ lines: String, accessLog: String? = nil, backends: [ScriptedBackend] = [], files: [String: String] = [:], _ body: (ProxyUnderTest) throws -> Result
) throws -> Result {
    let folder = try TemporaryFolder()
    for (name, content) in files { _ = try folder.write(name, content) }
    var text = "workers = 1\nadmin-socket = \"FOLDER/admin\"\nserver {\naddr = 127.0.0.1\nport = 0\n\(lines)\n"
    if let accessLog {
        text += "logging { request { enabled = true output = \"file:FOLDER/access.log\" format = '\(accessLog)' } }\n"
    }
    for (number, backend) in backends.enumerated() {
        guard case .ipv4(let port) = backend.address else { continue }
        text += "downstream backend\(number) { addr = 127.0.0.1 port = \(port) connections = 4 }\n"
    }
    let proxy = try ProxyUnderTest(text: text + "}\n", folder: folder)
    do {
        let result = try body(proxy)
        backends.forEach { $0.close() }
        if proxy.process.ending == nil { try proxy.stop() } else { try proxy.expectNoAlarm() }
        return result
    } catch {
        proxy.process.kill()
        let log = proxy.process.standardError
        throw ScenarioFailure("\(error)" + (log.isEmpty ? "" : "\n--- operator's log ---\n\(log.readable)"))
    }
}

@Suite("Redirects and fixed answers", .scenario)
struct OwnAnswerTests {
    @Test(
        "a redirect leads where its tokens say, with the query of the request",
        arguments: [
            ("redirect = { 308, \"https://{HOSTNAME}{URI}\" }", "/a/b?c=d&e", 308, "https://www.test/a/b?c=d&e"),
            ("redirect = { 301, \"https://other.example/\" }", "/a", 301, "https://other.example/"),
            ("redirect { to = \"/new?x=1\" status = 307 }", "/a?y=2", 307, "/new?x=1&y=2"),
            ("redirect { to = \"/new{URI}\" query = false }", "/a?y=2", 302, "/new/a"),
            ("redirect = { 302, \"http://{HOST}/?from={URI}&{QUERY}\" }", "/a?y", 302, "http://www.test:8080/?from=/a&y"),
            ("redirect = { 303, \"/by?m={METH}&u={UA}\" }", "/a", 303, "/by?m=GET&u=a%20%22b%22%5C"),
        ])
    func redirect(line: String, target: String, status: Int, location: String) throws {
        try withServer(line, accessLog: "{STATUS} {BODY_OUT} {REASON}") { proxy in
            let client = try proxy.connect()
            let response = try client.get(target, host: "www.test:8080", fields: "User-Agent: a \"b\"\\\r\n")
            #expect(response.status == status)
            #expect(response.fields.only("Location") == location)
            #expect(!response.announcesClose)
            // The connection goes on.
            #expect(try client.get(target, host: "www.test:8080").status == status)
            #expect(try proxy.accessLog(lines: 2) == Array(repeating: "\(status) \(response.body.count) -", count: 2))
            #expect(try proxy.counters().sum("ownAnswers") == 2)
        }
    }

    @Test("what a request brings can't end the line or leave the target")
    func injection() throws {
        try withServer("redirect = { 302, \"https://test{URI}?{US_HDR}:'X-A'\" }") { proxy in
            let response = try proxy.connect().get("/a%0d%0aX:1", fields: "X-A: b\tc <d>\"é\r\n")
            #expect(response.fields.only("Location") == "https://test/a%0d%0aX:1?b%09c%20%3Cd%3E%22%C3%A9")
        }
    }

    @Test("a target without tokens leads there from every form of a request")
    func forms() throws {
        try withServer("redirect = { 302, \"https://test{URI}\" }") { proxy in
            let client = try proxy.connect()
            try client.send("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(try client.receiveResponse().fields.only("Location") == "https://test/")
            try client.send("GET http://a?b HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(try client.receiveResponse().fields.only("Location") == "https://test/?b")
        }
    }

    @Test("a target that grows beyond what a head can hold is answered 414")
    func tooLong() throws {
        try withServer("request-line-max = 50000 request-head-max = 60000 redirect = { 302, \"/x{US_HDR}:'X-A'\" }", accessLog: "{STATUS} {REASON}") { proxy in
            let client = try proxy.connect()
            #expect(try client.get("/", fields: "X-A: \(String(repeating: "\"", count: 30_000))\r\n").status == 414)
            #expect(try client.get("/", fields: "X-A: \(String(repeating: "a", count: 30_000))\r\n").fields.only("Location")?.utf8.count == 30_002)
            #expect(try proxy.accessLog(lines: 2) == ["414 target-too-long", "302 -"])
        }
    }

    @Test("HEAD gets the fields without the body, HTTP/1.0 is told that its connection stays")
    func headAndOld() throws {
        try withServer("respond = { 200, hello }") { proxy in
            let client = try proxy.connect()
            try client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
            let head = try client.receiveResponse(to: "HEAD")
            #expect(head.fields.only("Content-Length") == "5")
            #expect(try client.get().body == Bytes("hello"))
            try client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            let old = try client.receiveResponse()
            #expect(old.fields.only("Connection")?.lowercased() == "keep-alive" && old.body == Bytes("hello"))
            try client.send("GET / HTTP/1.0\r\n\r\n")
            #expect(try client.receiveResponse().announcesClose)
            try client.expectClosed()
        }
    }

    @Test(
        "a fixed answer has its status, its body and its type",
        arguments: [
            ("respond = 204", 204, nil, nil), ("respond = 200", 200, "", nil), ("respond = { 403, no }", 403, "no", "text/plain; charset=utf-8"),
            ("respond { file = page.html status = 503 }", 503, "<p>page", "text/html; charset=utf-8"),
            ("respond { body = '{}' content-type = application/json }", 200, "{}", "application/json"),
            ("respond = 404 error-page 404 { text = mine content-type = a/b }", 404, "mine", "a/b"),
        ] as [(String, Int, String?, String?)])
    func respond(line: String, status: Int, body: String?, type: String?) throws {
        try withServer(line, files: ["page.html": "<p>page"]) { proxy in
            let client = try proxy.connect()
            for _ in 0..<2 {
                let response = try client.get("/any?thing")
                #expect(response.status == status)
                #expect(response.body == Bytes(body ?? ""))
                #expect(response.fields.only("Content-Type") == type)
                #expect(response.fields.only("Content-Length") == body.map { "\($0.utf8.count)" })
                #expect(response.fields.has("Date"))
            }
        }
    }

    @Test("a large body arrives whole, at a client that reads slowly too")
    func largeBody() throws {
        let page = String(repeating: "0123456789abcdef", count: 60_000)
        try withServer("respond { file = page.txt max-size = \"1m\" }", files: ["page.txt": page]) { proxy in
            let client = try proxy.connect(receiveBuffer: 4_096)
            for _ in 0..<3 { #expect(try client.get().body == Bytes(page)) }
        }
    }

    @Test("a request with a body is answered before its end, and its connection ends")
    func requestBody() throws {
        try withServer("redirect = { 308, \"/new\" }") { proxy in
            let client = try proxy.connect()
            try client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345")
            let response = try client.receiveResponse()
            #expect(response.status == 308 && response.announcesClose)
            try client.send("67890")
            try client.expectClosed()
        }
    }

    @Test("pipelined requests are answered in their order")
    func pipelined() throws {
        try withServer("redirect = { 302, \"/n{URI}\" }") { proxy in
            let client = try proxy.connect()
            try client.send((0..<20).map { "GET /\($0) HTTP/1.1\r\nHost: a\r\n\r\n" }.joined())
            for number in 0..<20 { #expect(try client.receiveResponse().fields.only("Location") == "/n/\(number)") }
        }
    }
}

@Suite("Answers of rules and virtual hosts", .scenario)
struct SiteAnswerTests {
    @Test("the nearest answer counts, and rules that name backends are served by them")
    func nearest() throws {
        let backend = try ScriptedBackend()
        let site = """
            respond = { 410, server }
            vhost a.test {
                redirect = { 302, "/host" }
                rule own { uri-match = /own respond = { 200, rule } }
                rule inherits { uri-match = /inherits }
                rule served { uri-match = /served downstreams = backend0 }
            }
            vhost b.test { rule served { uri-match = /served downstreams = backend0 } }
            """
        try withServer(site, accessLog: "{RULE} {STATUS}", backends: [backend]) { proxy in
            let client = try proxy.connect()
            #expect(try client.get("/own", host: "a.test").body == Bytes("rule"))
            #expect(try client.get("/inherits", host: "a.test").fields.only("Location") == "/host")
            #expect(try client.get("/nowhere", host: "a.test").fields.only("Location") == "/host")
            #expect(try client.get("/nowhere", host: "b.test").body == Bytes("server"))
            #expect(try client.get("/", host: "c.test").body == Bytes("server"))
            try client.send("GET /served HTTP/1.1\r\nHost: a.test\r\n\r\n")
            try backend.receiveRequest().connection.respond(body: "backend")
            #expect(try client.receiveResponse().body == Bytes("backend"))
            #expect(try proxy.accessLog(lines: 6)[0] == "own 200")
        }
    }

    @Test("without an answer for everything, what nobody takes is 404 with the nearest page")
    func notFound() throws {
        let site = """
            error-page 404 { text = "server's" }
            vhost a.test {
                error-page "404 410" { text = "host's" }
                rule own { uri-match = /own respond = 200 }
            }
            """
        try withServer(site) { proxy in
            let client = try proxy.connect()
            #expect(try client.get("/", host: "a.test").body == Bytes("host's"))
            #expect(try client.get("/", host: "b.test").body == Bytes("server's"))
        }
    }
}

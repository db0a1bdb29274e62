import TestSupport
import Testing

@Suite("Error pages", .scenario)
struct ErrorPageTests {
    private static let pages = "error-page \"400 431 502 503 504\" { file = down.html }\nerror-page 405 { text = \"{ \\\"no\\\": 1 }\" content-type = application/json }"
    private static let files = ["down.html": "<h1>down</h1>"]

    @Test("a backend that can't be reached, that answers nonsense or nothing, is covered by the page")
    func backendErrors() throws {
        let backend = try ScriptedBackend()
        try withServer(Self.pages + "\npending-timeout = \"300ms\"", accessLog: "{STATUS} {BODY_OUT} {REASON}", backends: [backend], files: Self.files) { proxy in
            let client = try proxy.connect()
            try client.sendRequest("/")
            let (_, connection) = try backend.receiveRequest()
            try connection.send("nonsense\r\n\r\n")
            let bad = try client.receiveResponse()
            #expect(bad.status == 502 && bad.body == Bytes("<h1>down</h1>"))
            #expect(bad.fields.only("Content-Type") == "text/html; charset=utf-8")
            backend.close()
            let refused = try client.get()
            #expect(refused.status == 503 && refused.body == Bytes("<h1>down</h1>"))
            #expect(refused.fields.only("Retry-After") == "1" && refused.announcesClose)
            #expect(try proxy.accessLog(lines: 2).map { $0.prefix(6) } == ["502 13", "503 13"])
        }
    }

    @Test("a refused head has the page too, before any rule is known, and is logged with its bytes")
    func refusedHead() throws {
        try withServer(Self.pages + "\nrespond = 200", accessLog: "{STATUS} {BODY_OUT}", files: Self.files) { proxy in
            let client = try proxy.connect()
            try client.send("nonsense\r\n\r\n")
            let response = try client.receiveResponse()
            #expect(response.status == 400 && response.body == Bytes("<h1>down</h1>") && response.announcesClose)
            try client.expectClosed()
            let long = try proxy.connect()
            try long.send("GET / HTTP/1.1\r\nHost: a\r\n" + String(repeating: "A: b\r\n", count: 200))
            #expect(try long.receiveResponse().status == 431)
            #expect(try proxy.accessLog(lines: 2) == ["400 13", "431 13"])
        }
    }

    @Test("what the status must say besides stays")
    func fields() throws {
        try withServer(Self.pages + "\nrespond = 200", files: Self.files) { proxy in
            let client = try proxy.connect()
            try client.send("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n")
            let response = try client.receiveResponse()
            #expect(response.status == 405 && response.body == Bytes("{ \"no\": 1 }"))
            #expect(response.fields.only("Allow")?.contains("GET") == true)
            #expect(response.fields.only("Content-Type") == "application/json")
        }
    }

    @Test("answers of backends are never replaced")
    func backendsOwn() throws {
        let backend = try ScriptedBackend()
        try withServer(Self.pages, backends: [backend], files: Self.files) { proxy in
            let client = try proxy.connect()
            try client.sendRequest("/")
            try backend.receiveRequest().connection.respond("502 Bad Gateway", body: "backend's")
            #expect(try client.receiveResponse().body == Bytes("backend's"))
        }
    }

    @Test("HEAD gets no page, but its length")
    func head() throws {
        let backend = try ScriptedBackend()
        try withServer(Self.pages, accessLog: "{STATUS} {BODY_OUT}", backends: [backend], files: Self.files) { proxy in
            let client = try proxy.connect()
            try client.sendRequest("/", method: "HEAD")
            try backend.receiveRequest().connection.send("nonsense\r\n\r\n")
            let response = try client.receiveResponse(to: "HEAD")
            #expect(response.status == 502 && response.fields.only("Content-Length") == "13")
            #expect(try client.get("/next", answeredBy: backend).status == 200)
            #expect(try proxy.accessLog(lines: 2) == ["502 0", "200 2"])
        }
    }

    @Test("a page that is missing or too large keeps the proxy from starting, with the place of the word")
    func missing() throws {
        let folder = try TemporaryFolder()
        _ = try folder.write("big.html", String(repeating: "x", count: 70_000))
        for (line, sentence) in [("file = none.html", "cannot read"), ("file = big.html", "more than 'max-size' (64k)")] {
            let file = try folder.write("weir.conf", "server { port = 0 respond = 200\nerror-page 502 { \(line) }\n}\n")
            let run = try ChildProcess.run([try ProxyUnderTest.binaryPath(), "check", file])
            #expect(run.ending != .exit(0))
            #expect((run.output + run.errors).contains(text: "weir.conf:2:") && (run.output + run.errors).contains(text: sentence))
        }
    }
}

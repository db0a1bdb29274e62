import TestSupport
import Testing

@Suite("The access log", .scenario)
struct AccessLogTests {
    @Test("RProxy's tokens say what they say")
    func tokens() throws {
        let format = "{SRC}|{PROXY}|{UA}|{HOST}|{REF}|{METH}|{PROTO}|{URI}|{STATUS}|{US_HDR}:'X-Ask'|{DS_HDR}:'X-Say'|{US_SPORT}|{DS_SPORT}|{RULE}"
        let backend = try ScriptedBackend()
        try withProxy(to: backend, accessLog: format) { proxy in
            let client = try proxy.connect()
            let port = client.localPort
            _ = try client.get(
                "/a/b?c=d", fields: "User-Agent: me/1\r\nReferer: http://from/\r\nX-Ask: 1\r\n", answeredBy: backend, responseFields: "X-Say: 2\r\n")
            let parts = try proxy.accessLog(lines: 1)[0].split(separator: "|", omittingEmptySubsequences: false).map(String.init)
            try #require(parts.count == 14)
            #expect(
                Array(parts.prefix(12)) == [
                    "127.0.0.1", "\(backend.address)", "me/1", "test", "http://from/", "GET", "HTTP/1.1", "/a/b", "200", "1", "2", "\(port)",
                ])
            #expect((Int(parts[12]) ?? 0) > 0)
            #expect(parts[13] == "-")
        }
    }

    @Test("what is not there is a dash")
    func missing() throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend, accessLog: "{UA} {REF} {US_HDR}:'X-No' {DS_HDR}:'X-No' {QUERY}") { proxy in
            _ = try proxy.connect().get("/", answeredBy: backend)
            #expect(try proxy.accessLog(lines: 1) == ["- - - - -"])
        }
    }

    @Test("the time is that of Apache, of now")
    func time() throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend, accessLog: "{TS}") { proxy in
            _ = try proxy.connect().get("/", answeredBy: backend)
            let line = try proxy.accessLog(lines: 1)[0]
            #expect(line.wholeMatch(of: /\d\d\/[A-Z][a-z][a-z]\/20\d\d:\d\d:\d\d:\d\d [+-]\d{4}/) != nil)
        }
    }

    @Test("IPv6 clients and backends have their addresses")
    func addresses() throws {
        let backend = try ScriptedBackend(on: .ipv6(port: 0))
        let server = ProxyConfiguration.Server(address: "::1", accessLog: "{SRC} {PROXY}", downstreams: [.init(backend)])
        try withProxy(ProxyConfiguration(servers: [server])) { proxy in
            defer { backend.close() }
            _ = try proxy.connect().get("/", answeredBy: backend)
            #expect(try proxy.accessLog(lines: 1) == ["::1 \(backend.address)"])
        }
    }

    @Test("sizes and durations are those of the exchange")
    func amounts() throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend, accessLog: "{BODY_IN} {BODY_OUT} {BYTES_IN} {BYTES_OUT} {DURATION} {REQUEST_NUMBER} {REUSED} {RETRIES}") { proxy in
            let client = try proxy.connect()
            for number in 1...2 {
                let before = client.received.count
                let head = "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 1000\r\n\r\n"
                try client.send(head + String(repeating: "a", count: 1_000))
                let (_, connection) = try backend.receiveRequest()
                try connection.expectSilence(for: .milliseconds(60))
                try connection.respond(body: String(repeating: "b", count: 2_345))
                _ = try client.receiveResponse()
                let words = try proxy.accessLog(lines: number)[number - 1].split(separator: " ").map(String.init)
                try #require(words.count == 8)
                #expect(Array(words[0..<4]) == ["1000", "2345", "\(head.utf8.count + 1_000)", "\(client.received.count - before)"])
                #expect(try #require(Double(words[4])) >= 50)
                #expect(Array(words[5...]) == ["\(number)", "\(number - 1)", "0"])
            }
        }
    }

    @Test("every answer is logged, the proxy's own ones with a reason")
    func ownAnswers() throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend, downstream: [.readTimeout(150)], accessLog: "{STATUS} {URI} {REASON}") { proxy in
            let bad = try proxy.connect()
            try bad.send("GET /bad HTTP/1.1\r\n\r\n")
            #expect(try bad.receiveResponse().status == 400)

            let late = try proxy.connect()
            try late.sendRequest("/late")
            _ = try backend.receiveRequest()
            #expect(try late.receiveResponse().status == 504)

            let lost = try proxy.connect()
            try lost.sendRequest("/lost", method: "POST", body: Bytes("x"))
            try backend.receiveRequest().connection.send("nonsense\r\n\r\n")
            #expect(try lost.receiveResponse().status == 502)

            _ = try proxy.connect().get("/good", answeredBy: backend)
            let lines = try proxy.accessLog(lines: 4)
            for (line, start) in zip(lines, ["400 ", "504 /late ", "502 /lost ", "200 /good "]) {
                #expect(line.hasPrefix(start))
                #expect(line.hasSuffix(" -") == (start == "200 /good "))
            }
        }
    }

    @Test("what could not be parsed at all is logged as well")
    func garbage() throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend, accessLog: "{STATUS} {METH} {URI}") { proxy in
            let client = try proxy.connect()
            try client.send("\u{01}\u{02}\u{03}\r\n\r\n")
            _ = try client.receiveResponse()
            #expect(try proxy.accessLog(lines: 1)[0].hasPrefix("400 "))
        }
    }

    @Test("an exchange that breaks off is logged with the status that was sent")
    func brokenOff() throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend, accessLog: "{STATUS} {REASON}") { proxy in
            let client = try proxy.connect()
            try client.sendRequest("/")
            let (_, connection) = try backend.receiveRequest()
            try connection.send("HTTP/1.1 203 OK\r\nContent-Length: 10\r\n\r\nabc")
            _ = try client.receiveResponseHead()
            connection.close()
            let line = try proxy.accessLog(lines: 1)[0]
            #expect(line.hasPrefix("203 "))
            #expect(line != "203 -")
        }
    }

    @Test("no byte of a request can forge a line or command a terminal", arguments: ["{US_HDR}:'X-A'|end", "{UA}|end", "{HOST} {URI} {UA}|end"])
    func escaping(format: String) throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend, accessLog: format) { proxy in
            let client = try proxy.connect()
            let nasty = Bytes("a\"b\\c") + [0x80, 0xFF, 0x9B] + Bytes("grün\td")
            try client.send(Bytes("GET /x HTTP/1.1\r\nHost: test\r\nUser-Agent: ") + nasty + Bytes("\r\nX-A: ") + nasty + Bytes("\r\n\r\n"))
            try backend.receiveRequest().connection.respond()
            _ = try client.receiveResponse()
            _ = try proxy.accessLog(lines: 1)
            let content = try #require(FileContent.read(proxy.folder.path("access.log")))
            #expect(content.filter { $0 == 0x0A }.count == 1)
            #expect(content.dropLast().allSatisfy { (0x20..<0x7F).contains($0) })
            #expect(content.contains(text: "|end\n"))
        }
    }

    @Test("a line of format json is JSON, whatever the client sends")
    func json() throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend, accessLog: "json") { proxy in
            let client = try proxy.connect()
            try client.send(Bytes("GET /a\"b?c HTTP/1.1\r\nHost: test\r\nUser-Agent: \"\\") + [0xFF, 0xC3] + Bytes("ü\t\r\n\r\n"))
            try backend.receiveRequest().connection.respond("404 Not Found", body: "gone")
            _ = try client.receiveResponse()
            let bad = try proxy.connect()
            try bad.send("BAD\r\n\r\n")
            _ = try bad.receiveResponse()
            let lines = try proxy.accessLog(lines: 2)
            let first = try JSONValue(Bytes(lines[0]))
            #expect(first["status"] == .number(404))
            #expect(first["method"] == .string("GET"))
            #expect(first["path"] == .string("/a\"b"))
            #expect(first["query"] == .string("c"))
            #expect(first["body_out"] == .number(4))
            #expect(try JSONValue(Bytes(lines[1]))["status"] == .number(400))
        }
    }

    @Test("SIGUSR1 opens the file anew, and no line is lost")
    func reopen() throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend, accessLog: "{URI}") { proxy in
            let client = try proxy.connect()
            _ = try client.get("/before", answeredBy: backend)
            #expect(try proxy.accessLog(lines: 1) == ["/before"])
            try FileContent.move(proxy.folder.path("access.log"), to: proxy.folder.path("access.log.1"))
            proxy.process.signal(10)
            try eventually("the file is there again") { FileContent.read(proxy.folder.path("access.log")) != nil }
            _ = try client.get("/after", answeredBy: backend)
            try eventually("both lines are written") { proxy.accessLog("access.log.1").count + proxy.accessLog().count == 2 }
            #expect(proxy.accessLog("access.log.1") + proxy.accessLog() == ["/before", "/after"])
        }
    }

    @Test("the last lines are written before the process ends")
    func flushedAtEnd() throws {
        let backend = try HandlerBackend.named("one")
        let server = ProxyConfiguration.Server(accessLog: "{URI}", downstreams: [.init(backend)])
        let proxy = try ProxyUnderTest(ProxyConfiguration(servers: [server]))
        let client = try proxy.connect()
        for number in 0..<50 { _ = try client.get("/\(number)") }
        try proxy.stop()
        #expect(proxy.accessLog() == (0..<50).map { "/\($0)" })
        backend.close()
    }

    @Test("requests at the client, in the log, in the counters and at the backend are as many, in every worker")
    func counts() throws {
        let backend = try HandlerBackend.named("one")
        let server = ProxyConfiguration.Server(accessLog: "{STATUS}", downstreams: [.init(backend)])
        try withProxy(ProxyConfiguration(workers: 2, servers: [server])) { proxy in
            defer { backend.close() }
            let address = proxy.addresses[0]
            let workers = (0..<8).map { _ in
                Background {
                    for _ in 0..<5 {
                        let client = try ScriptedClient(to: address)
                        for _ in 0..<10 { _ = try client.get() }
                    }
                }
            }
            for worker in workers { try worker.join() }
            #expect(try proxy.accessLog(lines: 400).count == 400)
            #expect(try proxy.counters().sum("requests") == 400)
            #expect(try proxy.counters().sum("responses2xx") == 400)
            #expect(backend.requestCount == 400)
        }
    }

    @Test("R1's flat words and R2's sections both give a log", arguments: [1, 2])
    func dialects(version: Int) throws {
        let logging =
            version == 1
            ? "logging { enabled = true\n type = file\n filename = \"FOLDER/access.log\"\n format = \"{METH} {URI}\" }"
            : "logging { request { enabled = true\n output = \"file:FOLDER/access.log\"\n format = \"{METH} {URI}\" } }"
        let backend = try ScriptedBackend()
        let folder = try TemporaryFolder()
        let text = "server {\n addr = 127.0.0.1\n port = 0\n \(logging)\n downstream \(version == 1 ? "" : "b") {\n addr = 127.0.0.1\n port = \(backend.address.port)\n }\n}\n"
        let proxy = try ProxyUnderTest(text: text, folder: folder)
        _ = try proxy.connect().get("/x", answeredBy: backend)
        #expect(try proxy.accessLog(lines: 1) == ["GET /x"])
        backend.close()
        try proxy.stop()
    }
}

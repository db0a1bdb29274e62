import Glibc
import TestSupport
import Testing

@Suite("Where logs go", .scenario)
struct LogPlaceTests {
    private func logging(_ path: String, format: String = "{WORKER} {URI}", more: String = "") -> String {
        "  logging { request { enabled = true\n output = \"file:\(path)\"\n format = \"\(format)\"\n \(more) } }"
    }

    @Test("{WORKER} in the path gives each worker a file of its own, also after SIGUSR1 and after a crash")
    func perWorker() throws {
        let backend = try HandlerBackend.named("one")
        let folder = try TemporaryFolder()
        let server = ProxyConfiguration.Server(sections: [logging(folder.path("w{worker}.log"))], downstreams: [.init(backend)])
        try withProxy(ProxyConfiguration(workers: 2, servers: [server])) { proxy in
            defer { backend.close() }
            func lines(_ name: String) -> [String] {
                (FileContent.read(folder.path(name))?.text ?? "").split(separator: "\n").map(String.init)
            }
            func serve(_ uri: String) throws {
                for _ in 0..<40 { #expect(try proxy.connect().get(uri).status == 200) }
            }
            try serve("/1")
            try eventually("all lines are there") { lines("w0.log").count + lines("w1.log").count == 40 }
            for name in ["w0.log", "w1.log"] { try FileContent.move(folder.path(name), to: folder.path("old-" + name)) }
            proxy.process.signal(SIGUSR1)
            try eventually("both files are there again") { ["w0.log", "w1.log"].allSatisfy { FileContent.read(folder.path($0)) != nil } }
            try serve("/2")
            let all = ["w0.log", "w1.log", "old-w0.log", "old-w1.log"]
            try eventually("all lines are there") { all.reduce(0) { $0 + lines($1).count } == 80 }
            kill(try proxy.serverProcess(), SIGKILL)
            try eventually("requests are answered again") { (try? proxy.connect().get("/3").status) == 200 }
            try eventually("the last line is there") { (lines("w0.log") + lines("w1.log")).contains { $0.hasSuffix(" /3") } }
            for name in all {
                let worker = name.contains("w0") ? "0 " : "1 "
                #expect(lines(name).count > 0 && lines(name).allSatisfy { $0.hasPrefix(worker) })
            }
        }
    }

    @Test("bytes that a printf would obey stand in a line as they came", arguments: ["{URI} %s%n%x {US_HDR}:'X-A'"])
    func percent(format: String) throws {
        let backend = try ScriptedBackend()
        let folder = try TemporaryFolder()
        let sections = [
            """
              logging { request { enabled = true
               output = "file:\(folder.path("a.log"))"
               format = "\(format)" } error { enabled = true
               output = "file:\(folder.path("e.log"))"
               format = "\(format)" } }
            """
        ]
        try withProxy(to: backend, sections: sections) { proxy in
            let client = try proxy.connect()
            try client.send("GET /%25n%25s?%n HTTP/1.1\r\nHost: test\r\nX-A: %n%n%s%p%99999d\r\n\r\n")
            let (_, connection) = try backend.receiveRequest()
            try connection.send("nonsense\r\n\r\n")
            #expect(try client.receiveResponse().status == 502)
            let line = "/%25n%25s %s%n%x %n%n%s%p%99999d"
            try eventually("both lines are there") {
                FileContent.read(folder.path("a.log"))?.text == line + "\n"
                    && FileContent.read(folder.path("e.log"))?.text.hasPrefix(line + ", ") == true
            }
        }
    }

    @Test("general of a server is the operator's log, and its level rules", arguments: [("notice", true), ("error", false), ("nonsense", false)])
    func general(level: String, tells: Bool) throws {
        let backend = try HandlerBackend.named("one")
        let folder = try TemporaryFolder()
        let general = "  logging { general { enabled = true\n output = \"file:\(folder.path("general.log"))\"\n level = \(level) } }"
        let proxy = try ProxyUnderTest(
            ProxyConfiguration(servers: [.init(sections: [general], downstreams: [.init(backend)])]))
        defer { backend.close() }
        #expect(try proxy.connect().get("/").status == 200)
        try proxy.stop()
        #expect(FileContent.read(folder.path("general.log"))?.contains(text: "notice: stopping") == tells)
        #expect(!proxy.operatorLog.contains("notice: stopping"))
    }

    @Test("only emerg hides the lines of requests, and an unknown level is taken for it, as ever", arguments: [("alert", 1), ("emerg", 0), ("loud", 0)])
    func level(word: String, lines: Int) throws {
        let backend = try HandlerBackend.named("one")
        let folder = try TemporaryFolder()
        let server = ProxyConfiguration.Server(sections: [logging(folder.path("a.log"), more: "level = \(word)")], downstreams: [.init(backend)])
        let proxy = try ProxyUnderTest(ProxyConfiguration(servers: [server]))
        defer { backend.close() }
        #expect(try proxy.connect().get("/x").status == 200)
        try proxy.stop()
        #expect((FileContent.read(folder.path("a.log"))?.text ?? "").split(separator: "\n").count == lines)
    }

    @Test("a virtual host's log takes the place of its server's, a rule's that of its host's; who has none writes to the next level's")
    func levels() throws {
        let backend = try HandlerBackend.named("one")
        let folder = try TemporaryFolder()
        func log(_ name: String) -> String {
            "logging { request { enabled = true\n output = \"file:\(folder.path(name))\"\n format = \"{HOST} {URI}\" } }"
        }
        func rule(_ name: String, _ pattern: String, _ more: String = "") -> String {
            "rule \(name) { uri-gmatch = \"\(pattern)\"\n downstreams = backend0\n \(more) }"
        }
        let sections = [
            "  \(log("server.log"))",
            "  vhost own { \(log("host.log"))\n \(rule("own", "/rule*", log("rule.log")))\n \(rule("rest", "*")) }",
            "  vhost plain { \(rule("all", "*")) }",
            """
              vhost silent { logging { request { enabled = false } general { enabled = true
               output = "file:\(folder.path("general.log"))" } }
               \(rule("all", "*")) }
            """,
        ]
        let proxy = try ProxyUnderTest(ProxyConfiguration(servers: [.init(sections: sections, downstreams: [.init(backend)])]))
        defer { backend.close() }
        let client = try proxy.connect()
        for (host, path) in [("own", "/a"), ("own", "/rule"), ("plain", "/b"), ("silent", "/c")] {
            try client.send("GET \(path) HTTP/1.1\r\nHost: \(host)\r\n\r\n")
            #expect(try client.receiveResponse().status == 200)
        }
        try proxy.stop()
        func content(_ name: String) -> String { FileContent.read(folder.path(name))?.text ?? "" }
        #expect(content("host.log") == "own /a\n")
        #expect(content("rule.log") == "own /rule\n")
        #expect(content("server.log") == "plain /b\n")
        #expect(content("general.log").contains("stopping"))
    }
}

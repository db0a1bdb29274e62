import TestSupport
import Testing

@Suite("What target and host a backend gets", .scenario)
struct TargetTests {
    /// The targets, and the Host, that the backend of one rule sees for what clients ask.
    private func seen(_ targets: [String], matching pattern: String = "*", _ sections: String..., server: [Setting] = []) throws -> [String] {
        let backend = try HandlerBackend { request, _ in
            .bytes(HandlerBackend.response(fields: "X-Seen: \(request.target)\r\nX-Host: \(request.fields.only("Host") ?? "none")\r\n", body: []))
        }
        let site = virtualHost("*", rules: [rule("all", [.glob(pattern)], sections: sections, to: 0)])
        let proxied = ProxyConfiguration.Server(server, sections: [site], downstreams: [.init(backend)])
        return try withProxy(ProxyConfiguration(servers: [proxied])) { proxy in
            defer { backend.close() }
            return try targets.map { target in
                let response = try proxy.connect().get(target)
                return response.fields.only("X-Seen").map { "\($0) \(response.fields.only("X-Host") ?? "")" } ?? "\(response.status)"
            }
        }
    }

    @Test("RProxy 1's rewrite chooses and changes: the text, what stands behind the last group, the query")
    func rproxy1() throws {
        let backend = try HandlerBackend.named("one")
        let text = """
            server {
              addr = 127.0.0.1  port = 0
              rewrite { src = "^(/dir/).*"  dst = "/derp/" }
              rewrite { src = "^(/test)" dst = "/rewritten" }
              downstream { addr = 127.0.0.1  port = \(backend.address.port) }
            }
            """
        let proxy = try ProxyUnderTest(text: text, folder: try TemporaryFolder())
        defer {
            proxy.process.kill()
            backend.close()
        }
        do {
            let client = try proxy.connect()
            #expect(try client.get("/dir/something/file.html?x=/dir/").fields.only("X-Target") == "/derp/something/file.html?x=/dir/")
            #expect(try client.get("/test/1").fields.only("X-Target") == "/rewritten/1")
            #expect(try client.get("/a/%2e%2E/test%2D1").fields.only("X-Target") == "/rewritten-1")
            #expect(try client.get("/other").status == 404)
        }
    }

    @Test("references, with the query kept, dropped, replaced and appended to")
    func references() throws {
        let targets = ["/user/ann/f?x=1", "/none?x"]
        func rewrite(_ query: String) -> String { "rewrite { src = '^/user/([^/]+)/(.*)$' to = '/u/$2/$1' query = '\(query)' }" }
        #expect(try seen(targets, rewrite("keep")) == ["/u/f/ann?x=1 test", "/none?x test"])
        #expect(try seen(targets, rewrite("drop")) == ["/u/f/ann test", "/none test"])
        #expect(try seen(targets, rewrite("replace:name=$1&$$")) == ["/u/f/ann?name=ann&$ test", "/none?name=&$ test"])
        #expect(try seen(targets, rewrite("append:name=$1")) == ["/u/f/ann?x=1&name=ann test", "/none?x&name= test"])
    }

    @Test("a prefix is taken off, or replaced")
    func prefix() throws {
        let targets = ["/app/x?y", "/app", "/apple", "/app//x", "/app/a/../b", "http://test/app/z"]
        #expect(
            try seen(targets, "rewrite { prefix = '/app' with = '/' }") == ["/x?y test", "/ test", "/apple test", "//x test", "/b test", "/z test"])
        #expect(try seen(["/app/x"], matching: "/app/*", "rewrite { prefix = '/app/' with = '/v1/' }") == ["/v1/x test"])
    }

    @Test("the host is the client's, the backend's or a name")
    func host() throws {
        #expect(try seen(["/"], "rewrite { host = client query = drop }") == ["/ test"])
        #expect(try seen(["/?a"], "rewrite { host = 'app.internal:81' }") == ["/?a app.internal:81"])
        let own = try #require(try seen(["/"], "rewrite { host = backend }").first)
        #expect(own.hasPrefix("/ 127.0.0.1:"))
    }

    @Test("a target that becomes too long is 414, one with dot segments 400, and neither reaches the backend")
    func refused() throws {
        let long = String(repeating: "a", count: 80)
        #expect(
            try seen(["/a/x", "/a/\(long)"], "rewrite { prefix = '/a' with = '/\(String(repeating: "b", count: 40))' }", server: [.requestLineMax(120)])
                == ["/\(String(repeating: "b", count: 40))/x test", "414"])
        #expect(try seen(["/files../etc", "/filesx"], "rewrite { src = '^/files(.*)$' to = '/data/$1' }") == ["400", "/data/x test"])
    }

    @Test("where the search for src takes too many steps, the answer is 500, soon")
    func explosive() throws {
        #expect(try seen(["/" + String(repeating: "a", count: 60) + "b", "/aaa"], "rewrite { src = '^/(a|aa)+$' to = '/x' }") == ["500", "/x test"])
    }

    @Test("a rewritten request is sent again as it was sent first")
    func retry() throws {
        let backend = try ScriptedBackend()
        let rules = [rule("all", [.everything], sections: ["rewrite { prefix = '/a' with = '/b' }", "request-headers { set = { 'X-Set: {URI}' } }"], to: 0)]
        let server = ProxyConfiguration.Server(sections: [virtualHost("*", rules: rules)], downstreams: [.init(backend, connections: 1)])
        try withProxy(ProxyConfiguration(servers: [server])) { proxy in
            defer { backend.close() }
            let client = try proxy.connect()
            try client.sendRequest("/a/1")
            let (_, first) = try backend.receiveRequest()
            try first.respond()
            #expect(try client.receiveResponse().status == 200)
            try client.sendRequest("/a/2?q", fields: "X-Set: client\r\n")
            let (lost, connection) = try backend.receiveRequest()
            connection.close()
            let (again, second) = try backend.receiveRequest()
            #expect(again.target == "/b/2?q" && again.target == lost.target)
            #expect(again.fields["X-Set"] == ["/a/2"] && again.fields == lost.fields)
            try second.respond()
            #expect(try client.receiveResponse().status == 200)
        }
    }

    @Test("OPTIONS of the server as a whole keeps its star")
    func star() throws {
        let backend = try ScriptedBackend()
        let rules = [rule("all", [.everything], sections: ["rewrite { prefix = '/' with = '/b' }"], to: 0)]
        let server = ProxyConfiguration.Server(sections: [virtualHost("*", rules: rules)], downstreams: [.init(backend)])
        try withProxy(ProxyConfiguration(servers: [server])) { proxy in
            defer { backend.close() }
            let client = try proxy.connect()
            try client.send("OPTIONS * HTTP/1.1\r\nHost: test\r\n\r\n")
            let (request, connection) = try backend.receiveRequest()
            #expect(request.target == "*")
            try connection.respond()
            #expect(try client.receiveResponse().status == 200)
        }
    }
}

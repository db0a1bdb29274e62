import TestSupport
import Testing

@Suite("Fields of answers of our own", .scenario)
struct OwnAnswerEditTests {
    private let transportSecurity = "Strict-Transport-Security"

    @Test("what response-headers says is on every answer: redirects, fixed ones, refusals, errors, health and those of backends")
    func everywhere() throws {
        let gone = try ScriptedBackend()
        let port = gone.address.port
        gone.close()
        let backend = try ScriptedBackend()
        let site = """
            health-path = /healthz
            pending-timeout = "50ms"
            response-headers { set = { "Strict-Transport-Security: max-age=63072000" } add = { "X-Add: 1", "X-Add: 2" } }
            downstream gone { addr = 127.0.0.1 port = \(port) retry = "20ms" }
            vhost test {
                rule go { uri-match = /go redirect = { 308, "https://{HOSTNAME}{URI}" } }
                rule say { uri-match = /say respond = { 200, "hello" } }
                rule nothing { uri-match = /nothing respond = 204 }
                rule work { uri-match = /work maintenance = true downstreams = backend0 }
                rule deny { uri-match = /deny access { deny = all } downstreams = backend0 }
                rule gone { uri-match = /gone downstreams = gone }
                rule pass { uri-match = /pass downstreams = backend0 }
            }
            """
        try withServer(site, backends: [backend]) { proxy in
            func check(_ answer: ReceivedResponse, _ status: Int) {
                #expect(answer.status == status)
                #expect(answer.fields[transportSecurity] == ["max-age=63072000"], "\(status)")
                #expect(answer.fields["X-Add"] == ["1", "2"], "\(status)")
            }
            let expected = [
                ("/go", 308), ("/say", 200), ("/nothing", 204), ("/work", 503), ("/deny", 403), ("/gone", 503), ("/none", 404), ("/healthz", 200),
                ("/%zz", 400),
            ]
            for (target, status) in expected { check(try proxy.connect().get(target), status) }
            check(try proxy.connect().get("/say", host: "nobody"), 404)
            let refused = try proxy.connect()
            try refused.send("nonsense\r\n\r\n")
            check(try refused.receiveResponse(), 400)
            let head = try proxy.connect()
            try head.send("HEAD /say HTTP/1.1\r\nHost: test\r\n\r\n")
            check(try head.receiveResponse(to: "HEAD"), 200)
            let client = try proxy.connect()
            try client.sendRequest("/pass")
            try backend.receiveRequest().connection.respond(fields: "strict-transport-security: max-age=1\r\n")
            check(try client.receiveResponse(), 200)
            #expect(try proxy.counters().sum("oddities") == 0)
        }
    }

    @Test("own fields can be taken out or replaced, those that frame the answer stay")
    func ownFields() throws {
        let site = """
            strip-headers = { server }
            response-headers { set = { "Content-Type: text/html", "Retry-After: 77" } remove = { date, allow } }
            vhost test { rule say { uri-match = /say respond = { 503, "hello" } } }
            """
        try withServer(site) { proxy in
            let answer = try proxy.connect().get("/say")
            #expect(answer.status == 503 && answer.body == Bytes("hello"))
            #expect(answer.fields["Content-Type"] == ["text/html"] && answer.fields["Retry-After"] == ["77"])
            #expect(answer.fields["Content-Length"] == ["5"] && !answer.fields.has("Server") && !answer.fields.has("Date"))
            let refused = try proxy.connect()
            try refused.send("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n")
            let method = try refused.receiveResponse()
            #expect(method.status == 405 && !method.fields.has("Allow"))
        }
    }

    @Test("how long an answer may be kept is not said of errors of our own")
    func caching() throws {
        let site = """
            response-headers { set = { "Cache-Control: public, max-age=31536000", "expires: Thu, 01 Jan 2037 00:00:00 GMT", "X-Other: 1" } }
            vhost test {
                rule go { uri-match = /go redirect = { 301, "/elsewhere" } }
                rule pass { uri-match = /pass downstreams = backend0 }
            }
            """
        let backend = try ScriptedBackend()
        try withServer(site, backends: [backend]) { proxy in
            let client = try proxy.connect()
            let moved = try client.get("/go")
            #expect(moved.status == 301 && moved.fields.has("Cache-Control") && moved.fields.has("Expires"))
            let missing = try client.get("/missing")
            #expect(missing.status == 404 && missing.fields.has("X-Other"))
            #expect(!missing.fields.has("Cache-Control") && !missing.fields.has("Expires"))
            // What a backend calls an error is its own affair.
            try client.sendRequest("/pass")
            try backend.receiveRequest().connection.respond("404 Not Found")
            #expect(try client.receiveResponse().fields.has("Cache-Control"))
        }
    }

    @Test("own-answers = false leaves them as they are, but for what strip-headers takes out")
    func switchedOff() throws {
        let site = """
            strip-headers = { server }
            response-headers { own-answers = false set = { "X-Set: 1" } remove = { date } }
            respond = 200
            """
        try withServer(site) { proxy in
            let answer = try proxy.connect().get()
            #expect(!answer.fields.has("X-Set") && answer.fields.has("Date") && !answer.fields.has("Server"))
        }
    }

    @Test("values tell of the answer as it is; what only a backend could say is left out")
    func values() throws {
        let site = """
            response-headers { set = { "X-Was: {STATUS} {METH} {URI} {RULE}", "X-Whose: {DS_HDR}:'server'", "X-Client: {US_HDR}:'x-me'" } }
            vhost test { rule say { uri-match = /say respond = 202 } }
            """
        try withServer(site) { proxy in
            let client = try proxy.connect()
            let answer = try client.get("/say", fields: "X-Me: a\r\n")
            #expect(answer.fields["X-Was"] == ["202 GET /say say"] && answer.fields["X-Client"] == ["a"] && !answer.fields.has("X-Whose"))
            #expect(try client.get("/none").fields["X-Was"].first?.hasPrefix("404 GET /none") == true)
            try client.send("nonsense\r\n\r\n")
            let refused = try client.receiveResponse()
            #expect(refused.status == 400 && refused.fields["X-Was"].first?.hasPrefix("400") == true && !refused.fields.has("X-Client"))
        }
    }

    @Test("the nearest section counts as a whole, for the answers of a host and of a rule")
    func levels() throws {
        let site = """
            response-headers { set = "X-Level: server" }
            vhost test {
                response-headers { set = "X-Level: host" }
                rule say { uri-match = /say respond = 200 response-headers { set = "X-Level: rule" } }
            }
            """
        try withServer(site) { proxy in
            let client = try proxy.connect()
            #expect(try client.get("/say").fields["X-Level"] == ["rule"])
            #expect(try client.get("/none").fields["X-Level"] == ["host"])
            #expect(try client.get("/say", host: "nobody").fields["X-Level"] == ["server"])
        }
    }

    @Test("the identifier that is echoed is the one in the log, on errors and on refused heads too")
    func identifier() throws {
        try withServer("headers { request-id = true request-id-echo = true }\nvhost test { rule say { uri-match = /say respond = 200 } }", accessLog: "{STATUS} {REQUEST_ID}") {
            proxy in
            let client = try proxy.connect()
            var said: [String] = []
            for target in ["/say", "/none"] {
                let answer = try client.get(target)
                said.append("\(answer.status) \(answer.fields.only("X-Request-ID") ?? "-")")
            }
            try client.send("nonsense\r\n\r\n")
            let refused = try client.receiveResponse()
            said.append("\(refused.status) \(refused.fields.only("X-Request-ID") ?? "-")")
            #expect(try proxy.accessLog(lines: 3) == said)
        }
    }

    @Test("a redirect whose target would not fit beside them is answered 414, never cut off")
    func longTarget() throws {
        let value = String(repeating: "v", count: 2_000)
        let lines = (0..<4).map { "\"X-Long-\($0): \(value)\"" }.joined(separator: ", ")
        let site = """
            request-line-max = 60000
            request-head-max = 60000
            response-headers { set = { \(lines), "X-Uri: {METH}" } }
            redirect = { 302, "https://test{URI}" }
            """
        try withServer(site) { proxy in
            for length in [100, 20_000, 30_000, 40_000, 50_000, 55_000] {
                let answer = try proxy.connect().get("/" + String(repeating: "a", count: length))
                #expect(answer.fields["X-Long-3"] == [value])
                #expect(answer.status == 302 && answer.fields.only("Location")?.count == 13 + length || answer.status == 414, "\(length): \(answer.status)")
                #expect(length > 20_000 || answer.status == 302)
            }
        }
    }
}

import TestSupport
import Testing

@Suite("Which rule takes a request", .scenario)
struct RuleTests {
    private func site(_ rules: String...) -> [String] { [virtualHost("*", rules: rules)] }

    private func asked(_ proxy: ProxyUnderTest, _ targets: [String]) throws -> [String] {
        try targets.map { try proxy.connect().get($0).who }
    }

    @Test("the first rule that matches, whatever its kind, sends the request to its backends; no rule, 404")
    func firstMatch() throws {
        let rules = site(
            rule("exact", [.path("/a")], to: 0), rule("glob", [.glob("/images/*.png")], to: 1), rule("pattern", [.pattern("^/[0-9]+/(x|y)$")], to: 2),
            rule("anywhere", [.pattern("secret")], to: 3), rule("late", [.glob("/images/*")], to: 0))
        try withSites(backends: 4, rules) { proxy, _ in
            let targets = ["/a", "/images/1/2.png", "/42/y", "/images/secret.png", "/b/secret/c", "/images/x.gif", "/a/", "/A", "/42/z", "/"]
            let answers = try asked(proxy, targets)
            #expect(answers == ["0", "1", "2", "1", "3", "0", "404", "404", "404", "404"])
        }
    }

    @Test("a path is tried once, and not again as the folder that it is in")
    func noSecondPass() throws {
        try withSites(backends: 2, site(rule("folder", [.pattern("^/dir/$")], to: 0), rule("rest", [.glob("/other/*")], to: 1))) { proxy, _ in
            let answers = try asked(proxy, ["/dir/", "/dir/file.html", "/dir", "/other/"])
            #expect(answers == ["0", "404", "404", "1"])
        }
    }

    @Test("the query is not part of what is matched, and arrives as it was sent")
    func query() throws {
        try withSites(backends: 2, site(rule("a", [.path("/a")], to: 0), rule("rest", [.everything], to: 1))) { proxy, _ in
            let client = try proxy.connect()
            let response = try client.get("/a?b=/c&%61")
            #expect(response.who == "0" && response.fields.only("X-Target") == "/a?b=/c&%61")
            #expect(try client.get("/?/a").who == "1")
        }
    }

    @Test(
        "no way of writing a path leads around a rule",
        arguments: ["/admin/x", "/%61dmin/x", "/%61%64%6D%69%6e/x", "/./admin/x", "/public/../admin/x", "/public/%2e%2E/admin/x", "/admin/./y/../x", "/a/b/../../admin/x"])
    func noWayAround(target: String) throws {
        try withSites(backends: 2, site(rule("admin", [.glob("/admin/*")], to: 0), rule("rest", [.everything], to: 1))) { proxy, _ in
            let answers = try asked(proxy, [target, "/public/x"])
            #expect(answers == ["0", "1"])
        }
    }

    @Test(
        "a path that readers understand differently is refused, where a rule looks at paths",
        arguments: ["/public%2f..%2fadmin", "/admin%5cx", "/%00", "/a/%0a", "/../admin", "/a/..;/admin", "/%", "/%zz", "/a\\..\\admin"])
    func ambiguous(target: String) throws {
        try withSites(
            backends: 2, accessLog: "{STATUS} {REASON}",
            site(rule("admin", [.glob("/admin/*")], to: 0), rule("rest", [.everything], to: 1))
        ) { proxy, backends in
            let answers = try asked(proxy, [target])
            #expect(answers == ["400"])
            #expect(backends.allSatisfy { $0.requestCount == 0 })
            #expect(try proxy.accessLog(lines: 1)[0].hasPrefix("400 "))
        }
    }

    @Test("where no rule looks at paths, they pass as they came", arguments: ["/a%2fb", "/a/../b", "/%61"])
    func untouched(target: String) throws {
        try withSites(backends: 1, site(rule("all", [.everything], to: 0))) { proxy, _ in
            let response = try proxy.connect().get(target)
            #expect(response.who == "0" && response.fields.only("X-Target") == target)
        }
    }

    @Test("what is matched in normal form is sent as it came")
    func asItCame() throws {
        try withSites(backends: 1, site(rule("a", [.glob("/a/*")], to: 0))) { proxy, _ in
            let answer = try proxy.connect().get("/x/../%61/b?c").fields.only("X-Target")
            #expect(answer == "/x/../%61/b?c")
        }
    }

    @Test("a pattern that explodes costs bounded time, counts as not matching, and is named to the operator")
    func explosion() throws {
        let rules = site(rule("greedy", [.pattern("^/(a+)+$")], to: 0), rule("rest", [.glob("/a*")], to: 1))
        try withSites(backends: 2, rules) { proxy, _ in
            let hostile = "/" + String(repeating: "a", count: 3_000) + "!"
            let client = try proxy.connect()
            for _ in 0..<20 {
                let (response, time) = try timed { try client.get(hostile) }
                #expect(response.who == "1")
                #expect(time < .seconds(1) * Patience.factor * Patience.factor)
            }
            #expect(try client.get("/aaa").who == "0")
            try proxy.waitForOperatorLog(containing: "rule 'greedy', pattern '^/(a+)+$'")
            // So many in a second.
            if !Patience.isStretched { #expect(proxy.operatorLog.split(separator: "\n").filter { $0.contains("greedy") }.count <= 6) }
        }
    }

    @Test("match-limit decides how soon a pattern gives up")
    func matchLimit() throws {
        let rules = site(rule("some", [.pattern("^/(a+)+$")], to: 0), rule("rest", [.everything], to: 1))
        // 16 letters take some 2¹⁶ steps until it is sure that they do not match; a search without end would find the same.
        let target = "/" + String(repeating: "a", count: 10) + "!"
        for (limit, isTold) in [(1_000_000, false), (1_000, true)] {
            try withSites(backends: 2, global: [.matchLimit(limit)], rules) { proxy, _ in
                #expect(try asked(proxy, [target]) == ["1"])
                if isTold { try proxy.waitForOperatorLog(containing: "rule 'some'") }
                try proxy.stop()
                #expect(proxy.operatorLog.contains("rule 'some'") == isTold)
            }
        }
    }

    @Test("OPTIONS of the server as a whole goes where * goes")
    func asterisk() throws {
        try withSites(backends: 2, site(rule("slash", [.glob("/*")], to: 0), rule("star", [.path("*")], to: 1))) { proxy, _ in
            let client = try proxy.connect()
            try client.send("OPTIONS * HTTP/1.1\r\nHost: test\r\n\r\n")
            #expect(try client.receiveResponse(to: "OPTIONS").who == "1")
            try client.send("OPTIONS http://test HTTP/1.1\r\nHost: test\r\n\r\n")
            #expect(try client.receiveResponse(to: "OPTIONS").who == "1")
            try client.send("OPTIONS / HTTP/1.1\r\nHost: test\r\n\r\n")
            #expect(try client.receiveResponse(to: "OPTIONS").who == "0")
        }
    }

    @Test("lb-method is the rule's own, else the server's")
    func balancing() throws {
        let rules = site(
            rule("turns", [.glob("/turns*"), .balancing("roundrobin")], to: 0, 1), rule("one", [.glob("/one*")], to: 1, 0),
            rule("others", [.everything, .balancing("roundrobin")], to: 2, 1))
        try withSites(backends: 3, server: [.balancing("first")], rules) { proxy, _ in
            let client = try proxy.connect()
            func counts(_ target: String) throws -> [String: Int] {
                try (0..<8).reduce(into: [:]) { counts, _ in counts[try client.get(target).who, default: 0] += 1 }
            }
            #expect(try counts("/turns") == ["0": 4, "1": 4])
            #expect(try counts("/one") == ["1": 8])
            #expect(try counts("/else") == ["1": 4, "2": 4])
            #expect(try counts("/turns") == ["0": 4, "1": 4])
        }
    }

    @Test("stickiness and hashing are the rule's own")
    func sticky() throws {
        let rules = site(
            rule("sticky", [.glob("/sticky*"), .balancing("roundrobin"), .stickyCookie("where")], to: 0, 1),
            rule("hash", [.everything, .balancing("hash"), .hashKey("uri")], to: 0, 1))
        try withSites(backends: 2, rules) { proxy, _ in
            let client = try proxy.connect()
            let first = try client.get("/sticky")
            let cookie = try #require(first.fields.only("Set-Cookie")).split(separator: ";")[0]
            for _ in 0..<4 { #expect(try client.get("/sticky", fields: "Cookie: \(cookie)\r\n").who == first.who) }
            let hashed = try client.get("/x")
            #expect(!hashed.fields.has("Set-Cookie"))
            for _ in 0..<4 { #expect(try client.get("/x").who == hashed.who) }
        }
    }

    @Test("requests that wait for one rule's backends do not hold up those of another")
    func queues() throws {
        let busy = try ScriptedBackend()
        let free = try ScriptedBackend()
        let rules = site(rule("busy", [.glob("/busy*")], to: 0), rule("free", [.everything], to: 1))
        try withProxy(to: busy, free, downstream: [.connectionsMax(1)], connections: 1, sections: rules) { proxy in
            let holding = try proxy.connect()
            try holding.sendRequest("/busy/1")
            let (_, held) = try busy.receiveRequest()
            let waiting = try proxy.connect()
            try waiting.sendRequest("/busy/2")
            #expect(try proxy.connect().get("/free", answeredBy: free).status == 200)
            try held.respond(body: "1")
            #expect(try holding.receiveResponse().body == Bytes("1"))
            let (request, next) = try busy.receiveRequest()
            #expect(request.target == "/busy/2")
            try next.respond(body: "2")
            #expect(try waiting.receiveResponse().body == Bytes("2"))
        }
    }

    @Test("rules that share a backend share its connections")
    func sharedConnections() throws {
        let rules = site(rule("a", [.glob("/a*")], to: 0), rule("b", [.glob("/b*"), .balancing("roundrobin")], to: 0))
        try withSites(backends: 1, rules) { proxy, backends in
            let client = try proxy.connect()
            for target in ["/a", "/b", "/a", "/b"] { #expect(try client.get(target).who == "0") }
            #expect(backends[0].connectionCount == 1)
        }
    }

    @Test("a rule's read timeout is for its requests only; the next one has the server's again")
    func readTimeout() throws {
        let rules = site(rule("short", [.glob("/short*"), .ruleReadTimeout(200)], to: 0), rule("rest", [.everything], to: 0))
        let backend = try ScriptedBackend()
        try withProxy(to: backend, server: [.bodyTimeout(20_000)], sections: rules) { proxy in
            let client = try proxy.connect()
            #expect(try client.get("/short", answeredBy: backend).status == 200)
            // The same connection, another rule: a pause of more than 200 ms is nothing.
            try client.send("POST /long HTTP/1.1\r\nHost: test\r\nContent-Length: 2\r\n\r\na")
            let (_, connection) = try backend.receiveRequestHead()
            try client.expectSilence(for: .milliseconds(500))
            try client.send("b")
            _ = try connection.receive(through: "ab")
            try connection.respond(body: "whole")
            #expect(try client.receiveResponse().body == Bytes("whole"))
            try client.send("POST /short HTTP/1.1\r\nHost: test\r\nContent-Length: 2\r\n\r\na")
            let (response, time) = try timed { try client.receiveResponsePart() }
            #expect(response.status == 408)
            #expect(time > .milliseconds(150) && time < .seconds(10))
        }
    }

    @Test("a rule's headers stand in place of its site's, and those in place of the server's")
    func headers() throws {
        let backend = try HandlerBackend { request, _ in
            .bytes(HandlerBackend.response(fields: "X-Seen: \(request.fields.only("X-Forwarded-For") ?? "none")\r\n", body: []))
        }
        let sections =
            [forwarding("append")]
            + [
                virtualHost(
                    "site.test", sections: [forwarding("replace")],
                    rules: [rule("own", [.path("/own")], sections: [forwarding("off")], to: 0), rule("rest", [.everything], to: 0)]),
                virtualHost("*", rules: [rule("rest", [.everything], to: 0)]),
            ]
        try withProxy(to: backend, server: [Setting("trusted-peers", "127.0.0.0/8")], sections: sections) { proxy in
            let client = try proxy.connect()
            func forwarded(_ target: String, _ host: String) throws -> String? {
                try client.get(target, host: host, fields: "X-Forwarded-For: 1.2.3.4\r\n").fields.only("X-Seen")
            }
            #expect(try forwarded("/", "other.test") == "1.2.3.4, 127.0.0.1")
            #expect(try forwarded("/", "site.test") == "127.0.0.1")
            #expect(try forwarded("/own", "site.test") == "1.2.3.4")
        }
    }

    @Test("the log names the rule, and each site can have its own log")
    func logs() throws {
        let own = "logging { request { enabled = true output = 'file:FOLDER/own.log' format = 'own {RULE} {URI}' } }"
        let sections = [
            virtualHost("own.test", sections: [own], rules: [rule("inner", [.glob("/x*")], to: 0)]),
            virtualHost("*", rules: [rule("first", [.path("/a")], to: 0), rule("second", [.glob("/b*")], to: 0)]),
        ]
        try withSites(backends: 1, accessLog: "{RULE} {STATUS} {URI}", sections) { proxy, _ in
            let client = try proxy.connect()
            for target in ["/a", "/b/c", "/nowhere"] { _ = try client.get(target) }
            for target in ["/x", "/none"] { _ = try client.get(target, host: "own.test") }
            #expect(try proxy.accessLog(lines: 3) == ["first 200 /a", "second 200 /b/c", "- 404 /nowhere"])
            #expect(try proxy.accessLog(lines: 2, "own.log") == ["own inner /x", "own - /none"])
        }
    }
}

private func forwarding(_ form: String) -> String { "headers { forwarded-for = \(form) }" }

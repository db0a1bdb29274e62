import Testing

@testable import Proxy

@Suite("Configuration of virtual hosts and rules")
struct RoutingSettingsTests {
    /// A server with two backends and some words.
    private func site(_ words: String, rules: String = "rule r { uri-gmatch = '*' downstreams = a }") -> ConfigurationFixture {
        ConfigurationFixture(
            "server {\nlb-method = most-idle downstream a { addr = ::1 port = 1 } downstream B { addr = ::1 port = 2 }\nvhost v { \(words)\n\(rules)\n}\n}\n")
    }

    private func rule(_ words: String) -> RuleSettings? {
        site("", rules: "rule r { \(words) }").load().settings?.servers.first?.virtualHosts.first?.rules.first
    }

    @Test("a virtual host has its title, its aliases and its rules in the order of the file")
    func virtualHost() throws {
        let fixture = site("aliases = { b, \"*.c\" } default = true", rules: "rule x { uri-match = /x downstreams = a } rule y { uri-gmatch = \"/y*\" downstreams = { b, a } }")
        #expect(fixture.messages == [])
        let host = try #require(fixture.load().settings?.servers.first?.virtualHosts.first)
        #expect(host.name == "v" && host.aliases == ["b", "*.c"] && host.isDefault)
        #expect(host.rules.map(\.name) == ["x", "y"])
        #expect(host.rules.map(\.matcher) == [.exact("/x"), .glob("/y*")])
        #expect(host.rules.map(\.backends) == [[0], [1, 0]])
        #expect(host.location.line == 3)
    }

    @Test("a rule inherits what it does not say")
    func inherits() throws {
        let plain = try #require(rule("uri-rmatch = '^/a' downstreams = a"))
        #expect(plain.matcher == .pattern("^/a"))
        #expect(plain.balancing == nil && plain.bodyGapMilliseconds == nil && plain.writeProgressMilliseconds == nil)
        #expect(plain.scope.forwarded == nil && plain.scope.accessLog == nil && plain.scope.errorLog == nil)
    }

    @Test("what a rule says of balancing counts, the rest is the server's")
    func balancing() throws {
        #expect(rule("uri-match = /a downstreams = a lb-method = roundrobin")?.balancing == BalancingSettings(method: .roundrobin))
        #expect(rule("uri-match = /a downstreams = a sticky-cookie = c")?.balancing == BalancingSettings(method: .mostIdle, stickyCookie: "c"))
        #expect(
            rule("uri-match = /a downstreams = a lb-method = hash hash-key = uri hash-load-percent = 200")?.balancing
                == BalancingSettings(method: .hash, hashKey: .uri, hashLoadPercentMax: 200))
        #expect(
            site("", rules: "rule r { uri-match = /a downstreams = a hash-key = uri }").messages
                == ["4:1: error: 'hash-key' of rule 'r' needs 'lb-method = hash', not most-idle"])
    }

    @Test("timers, logs and headers of a rule are its own")
    func own() throws {
        let own = try #require(
            rule(
                "uri-match = /a downstreams = a upstream-read-timeout = { 1, 500000 } upstream-write-timeout = 3 headers { forwarded-for = append } logging { request { enabled = true } }"
            ))
        #expect(own.bodyGapMilliseconds == 1500 && own.writeProgressMilliseconds == 3000)
        #expect(own.scope.forwarded == ForwardingSettings(forwardedFor: .append, certificate: .init(pem: true)))
        #expect(own.scope.accessLog?.enabled == true)
    }

    @Test(
        "what is wrong with a rule is said with its name",
        arguments: [
            ("downstreams = a", "4:1: error: rule 'r' has no matcher: it needs uri-match, uri-gmatch or uri-rmatch; uri-gmatch = \"*\" takes every request"),
            ("uri-match = /a", "4:1: error: rule 'r' has no 'downstreams', 'redirect' or 'respond': nothing answers what it takes"),
            ("uri-match = /a downstreams = { a, bb }", "4:44: error: 'downstreams' names 'bb', but this 'server' has no such downstream; did you mean 'B'?"),
            ("uri-match = /a downstreams = { a, unknown }", "4:44: error: 'downstreams' names 'unknown', but this 'server' has no such downstream"),
            ("uri-match = /a downstreams = {}", "4:25: error: 'downstreams' names no downstream"),
            ("uri-match = /a downstreams = { b, B }", "4:44: warning: 'downstreams' names 'B' twice"),
            ("uri-rmatch = '(a' downstreams = a", "4:10: error: 'uri-rmatch' is no regular expression: missing closing parenthesis, at character 3"),
            ("uri-match = /a uri-gmatch = '/b*' downstreams = a", "4:25: warning: rule 'r' has several matchers; 'uri-match' counts, as in RProxy"),
            ("uri-match = a downstreams = a", "4:10: warning: 'uri-match' matches nothing: every path begins with '/'"),
            ("uri-gmatch = '/a?b*' downstreams = a", "4:10: warning: 'uri-gmatch' has a '?', but paths are compared without their query: it matches nothing"),
        ])
    func wrong(_ words: String, _ message: String) {
        let fixture = site("", rules: "rule r { \(words) }")
        let messages = loadConfiguration(path: "main.conf", environment: [:], foreign: .ofTheProduct, read: fixture.read).diagnostics
            .map { $0.description.replacing("main.conf:", with: "") }
        #expect(messages == [message])
    }

    @Test("of several matchers RProxy's order decides")
    func precedence() {
        #expect(rule("uri-rmatch = c uri-gmatch = '/b*' uri-match = /a downstreams = a")?.matcher == .exact("/a"))
        #expect(rule("uri-rmatch = c uri-gmatch = '/b*' downstreams = a")?.matcher == .glob("/b*"))
    }

    @Test("an untitled backend is named by its address and port")
    func untitled() {
        let text = "server { downstream { port = 81 } vhost v { rule r { uri-match = /a downstreams = '127.0.0.1:81' } } }"
        #expect(firstServer(text)?.virtualHosts.first?.rules.first?.backends == [0])
    }

    @Test("rules that are never reached are warned of")
    func unreachable() {
        let rules = "rule one { uri-gmatch = '*' downstreams = a }\nrule two { uri-match = /b downstreams = a }\nrule three { uri-match = /c downstreams = a }"
        #expect(site("", rules: rules).messages == ["5:1: warning: rule 'two' and one more are never reached: 'one' (line 4) takes every request before"])
        let same = "rule one { uri-match = /a downstreams = a }\nrule two { uri-match = /a downstreams = b }"
        #expect(site("", rules: same).messages == ["5:1: warning: rule 'two' is never reached: 'one' (line 4) looks for the same"])
    }

    @Test("a virtual host without a rule is warned of")
    func noRule() {
        #expect(site("", rules: "").messages == ["3:1: warning: vhost 'v' has no 'rule': all its requests will be answered 404"])
    }

    @Test("a rule whose backends are all disabled is warned of")
    func disabled() {
        let text = "server { downstream a { addr = ::1 port = 1 enabled = false } downstream b { addr = ::1 port = 2 }\nvhost v { rule r { uri-match = /a downstreams = a } } }"
        #expect(
            ConfigurationFixture(text).messages
                == ["2:11: warning: every downstream of rule 'r' is disabled; what it takes will be answered 503"])
    }

    private func hosts(_ titles: String...) -> [String] {
        ConfigurationFixture(
            "server { downstream a { addr = ::1 port = 1 }\n"
                + titles.map { "vhost \($0) rule r { uri-gmatch = '*' downstreams = a } }" }.joined(separator: "\n") + "\n}"
        ).messages
    }

    @Test("names that two virtual hosts have are warned of, whatever their case and port")
    func names() {
        #expect(
            hosts("a.b {", "c { aliases = { 'A.B:8080' }")
                == ["3:23: warning: vhost 'c': requests for 'a.b' go to 'a.b' (line 2), which has that name already; ports are not compared"])
        #expect(hosts("a {", "A {").first?.contains("a second 'vhost' with the title 'A'") == true)
        #expect(hosts("a { aliases = { a, 'a:80' }") == [])
    }

    @Test("names that no host has are warned of")
    func badNames() {
        #expect(hosts("'a b' {") == ["2:7: warning: vhost 'a b': the name 'a b' has ' ', which no name of a host has; it matches nothing"])
        #expect(
            hosts("'müller.example' {")
                == ["2:7: warning: vhost 'müller.example': the name 'müller.example' has letters outside ASCII; write the name as it is sent, in its xn-- form; it matches nothing"]
        )
    }

    @Test("there is one default, and it comes before *")
    func defaults() {
        #expect(hosts("a { default = true", "b { default = true") == ["3:1: warning: vhost 'b' is a second default; 'a' (line 2) stays it"])
        #expect(hosts("a { default = true", "'*' {") == ["3:1: warning: '*' of vhost '*' matches nothing: names that nobody has go to the default, 'a' (line 2)"])
        #expect(hosts("'*' { default = true") == [])
    }

    @Test("match-limit is the process's")
    func matchLimit() {
        #expect(ConfigurationFixture("match-limit = 5000 server { downstream { } }").load().settings?.matchStepsMax == 5_000)
        #expect(ConfigurationFixture("match-limit = 10 server { downstream { } }").load().settings == nil)
    }
}

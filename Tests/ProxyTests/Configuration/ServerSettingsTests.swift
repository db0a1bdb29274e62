import Testing

@testable import Proxy

@Suite("Configuration of servers")
struct ServerSettingsTests {
    @Test("a file with one backend and nothing else is enough")
    func smallest() throws {
        let loaded = ConfigurationFixture("server { downstream { } }").load()
        #expect(loaded.diagnostics == [])
        let server = try #require(loaded.settings?.servers.first)
        #expect(server.addresses == [.ipv4("127.0.0.1", port: 8080)])
        #expect(server.threads == nil)
        #expect(server.backlog == 1024)
        #expect(server.timers == ClientTimers())
        #expect(server.pending == PendingSettings())
        #expect(server.watermark == Watermark())
        #expect(server.tcp == SocketSettings())
        #expect(!server.accessLog.enabled)
        #expect(server.location == SourceLocation(file: "main.conf", line: 1, column: 1))
    }

    @Test(
        "tcp-user-timeout spares whom write-timeout spares, unless it is written",
        arguments: [
            ("", 30_000), ("write-timeout = \"10s\"", 30_000), ("write-timeout = \"45s\"", 45_000), ("write-timeout = 0", 0),
            ("write-timeout = 0 tcp-user-timeout = \"5s\"", 5_000), ("tcp-user-timeout = 0", 0),
        ])
    func userTimeout(_ words: String, _ milliseconds: Int) {
        #expect(firstServer(server(words))?.tcp.userTimeoutMilliseconds == milliseconds)
        #expect(backend("addr = 127.0.0.1 port = 1 " + words)?.tcp.userTimeoutMilliseconds == milliseconds)
    }

    @Test("a tcp-user-timeout that is shorter than write-timeout is said")
    func shortUserTimeout() {
        #expect(
            ConfigurationFixture(server("tcp-user-timeout = \"5s\" write-timeout = \"9s\"")).messages == [
                "2:1: warning: 'tcp-user-timeout' (5s) ends a peer that takes nothing earlier than 'write-timeout' would (9s)"
            ])
        #expect(ConfigurationFixture(server("write-timeout = \"5s\" tcp-user-timeout = \"5s\"")).messages == [])
    }

    @Test("names and words do not care about case")
    func caseInsensitive() {
        #expect(firstServer("SERVER { Port = 9 DownStream A { ADDR = 127.0.0.1 PORT = 1 } LB-Method = RoundRobin }")?.balancing.method == .roundrobin)
    }

    @Test(
        "addresses are literals of every family",
        arguments: [
            ("addr = 0.0.0.0", [ListenAddress.ipv4("0.0.0.0", port: 80)]), ("addr = \"ipv4:10.0.0.1\"", [.ipv4("10.0.0.1", port: 80)]),
            ("addr = \"ipv6:::1\"", [.ipv6("::1", port: 80)]), ("addr = \"[::1]\"", [.ipv6("::1", port: 80)]), ("addr = ::1", [.ipv6("::1", port: 80)]),
            ("addr = unix:/run/x", [.unix("/run/x")]), ("addr = { 127.0.0.1, ::1 }", [.ipv4("127.0.0.1", port: 80), .ipv6("::1", port: 80)]),
        ])
    func addresses(_ words: String, _ addresses: [ListenAddress]) {
        #expect(firstServer(server("port = 80 \(words)"))?.addresses == addresses)
    }

    @Test(
        "a listener takes no names and no broken addresses",
        arguments: ["localhost", "300.1.1.1", "\"unix:\"", "\"ipv6:1.2.3.4\"", "{ }", "\"\"", "{ ::1, ::1 }", "\"unix:/\(String(repeating: "x", count: 110))\""])
    func badAddresses(_ text: String) {
        #expect(firstServer(server("addr = \(text)")) == nil)
    }

    @Test("two servers cannot listen on one address, unless the system picks the port")
    func twins() {
        let one = "server { port = 80 downstream { } }\n"
        #expect(ConfigurationFixture(one + one).messages == ["2:1: error: 'server' listens on 127.0.0.1:80, as the one at line 1 does already"])
        let free = "server { port = 0 downstream { } }\n"
        #expect(ConfigurationFixture(free + free).load().settings?.servers.count == 2)
    }

    @Test("read-timeout sets the pause in bodies and the idle time, and finer words win wherever they stand")
    func readTimeout() {
        let coarse = firstServer(server("read-timeout = 7"))?.timers
        #expect(coarse?.bodyGapMilliseconds == 7000 && coarse?.keepAliveIdleMilliseconds == 7000)
        #expect(coarse?.headMilliseconds == ClientTimers().headMilliseconds)
        let fine = firstServer(server("idle-timeout = \"90s\" read-timeout = 7"))?.timers
        #expect(fine?.bodyGapMilliseconds == 7000 && fine?.keepAliveIdleMilliseconds == 90_000)
    }

    @Test(
        "0 turns a limit off with a warning",
        arguments: ["read-timeout = 0", "write-timeout = { 0, 0 }", "pending-timeout = \"0s\"", "max-pending = 0", "min-rate = 0", "tunnel-timeout = 0"])
    func zeroIsOff(_ words: String) {
        let fixture = ConfigurationFixture(server(words))
        #expect(fixture.load().settings != nil)
        #expect(fixture.messages.count == 1)
        #expect(fixture.messages.first?.contains("warning") == true && fixture.messages.first?.contains("there is no limit") == true)
    }

    @Test("a limit that is off is 0 in the settings")
    func off() {
        #expect(firstServer(server("pending-timeout = 0 max-pending = 0"))?.pending == PendingSettings(timeoutMilliseconds: 0, countMax: 0))
        #expect(firstServer(server("read-timeout = { 0, 0 }"))?.timers.keepAliveIdleMilliseconds == 0)
    }

    @Test("0 does not turn off the header timer, the watermark or the backlog", arguments: ["header-timeout", "high-watermark", "backlog"])
    func zeroKeepsDefault(_ word: String) {
        let loaded = ConfigurationFixture(server("\(word) = 0")).load()
        #expect(loaded.settings?.servers.first?.timers == ClientTimers())
        #expect(loaded.settings?.servers.first?.watermark == Watermark())
        #expect(loaded.settings?.servers.first?.backlog == 1024)
        #expect(loaded.diagnostics.map(\.severity) == [.warning])
    }

    @Test(
        "values out of range are errors at the value",
        arguments: [
            ("port = -5", "2:8: error: 'port' must be between 0 and 65535, not -5"), ("port = 65536", "2:8: error: 'port' must be between 0 and 65535, not 65536"),
            ("port = 8080;", "2:8: error: 'port' takes a whole number, not '8080;'"), ("port = 2k", "2:8: error: 'port' takes a plain number, without a unit"),
            ("port = { 1, 2 }", "2:10: error: 'port' takes one value without braces"),
            ("high-watermark = 64k", "2:18: error: 'high-watermark' takes a size with a unit in quotes: \"64k\""),
            ("trace = 1", "2:9: error: 'trace' takes true, on, yes, false, off or no, not '1'"),
            ("request-head-max = \"64k\"", "2:20: error: 'request-head-max' must be between 256 and 60000, not 64k"),
            ("request-fields-max = 257", "2:22: error: 'request-fields-max' must be between 1 and 256, not 257"),
            ("via = 'a b'", "2:7: error: 'via' must be a name without spaces or separators, not 'a b'"),
            ("port += 1", "2:1: error: '+=' is for lists; 'port' is none"),
        ])
    func ranges(_ words: String, _ message: String) {
        #expect(ConfigurationFixture(server(words)).messages == [message])
    }

    @Test("a method that is unknown is taken as rtt, as RProxy did, but not in silence")
    func unknownMethod() {
        let fixture = ConfigurationFixture(server("lb-method = p2"))
        #expect(fixture.load().settings?.servers.first?.balancing.method == .rtt)
        #expect(
            fixture.messages == [
                "2:13: warning: 'lb-method' takes one of rtt, roundrobin, most-idle, random, none, p2c, hash, first, not 'p2'; did you mean 'p2c'?; it is taken as rtt, as RProxy took it"
            ])
    }

    @Test(
        "settings that contradict each other are errors",
        arguments: [
            ("low-watermark = \"512k\"", "low-watermark"), ("high-watermark = 1000 low-watermark = 1001", "low-watermark"),
            ("hash-key = uri", "hash-key"), ("lb-method = p2c hash-load-percent = 150", "hash-load-percent"),
            ("request-line-max = 5000 request-head-max = 4999", "request-line-max"), ("request-head-max = 500", "request-head-max"),
        ])
    func relations(_ words: String, _ blamed: String) {
        let diagnostics = ConfigurationFixture(server(words)).load().diagnostics
        #expect(diagnostics.map(\.severity) == [.error])
        #expect(diagnostics.first?.message.contains("'\(blamed)'") == true)
    }

    @Test("the low mark follows the high mark")
    func lowMark() {
        #expect(firstServer(server("high-watermark = \"1m\""))?.watermark == Watermark(highBytes: 1 << 20, lowBytes: 1 << 18))
        #expect(firstServer(server("high-watermark = 1000 low-watermark = 1000"))?.watermark == Watermark(highBytes: 1000, lowBytes: 1000))
    }

    @Test(
        "hashing has four kinds of keys",
        arguments: [
            ("source", BalancingSettings.HashKey.source), ("URI", .uri), ("header:X-User", .header("X-User")), ("\"cookie:id\"", .cookie("id")),
        ])
    func hashKeys(_ text: String, _ key: BalancingSettings.HashKey) {
        #expect(firstServer(server("lb-method = hash hash-key = \(text)"))?.balancing.hashKey == key)
    }

    @Test("a hash key without a name, or unknown, is an error", arguments: ["header", "header:", "cookie:a=b", "ip", "source:x"])
    func badHashKeys(_ text: String) {
        #expect(firstServer(server("lb-method = hash hash-key = '\(text)'")) == nil)
    }

    @Test("Nagle's algorithm is off unless a file asks for it and nothing contradicts")
    func nagle() {
        #expect(firstServer(server("disable-client-nagle = false"))?.tcp.noDelay == false)
        #expect(firstServer(server("disable-client-nagle = false disable-server-nagle = true"))?.tcp.noDelay == true)
        #expect(firstServer(server("disable-downstream-nagle = false"))?.backends.first?.tcp.noDelay == false)
        #expect(firstServer(server("disable-downstream-nagle = false", backend: "addr = ::1 port = 1 tcp-nodelay = true"))?.backends.first?.tcp.noDelay == true)
        #expect(firstServer(server(""))?.backends.first?.tcp.noDelay == true)
    }

    @Test("a server without a backend is an error, one whose backends are all disabled a warning")
    func noBackend() {
        #expect(ConfigurationFixture("server { }").messages == ["1:1: error: this 'server' has no 'downstream', so nowhere to send a request"])
        let disabled = ConfigurationFixture("server { downstream a { addr = ::1 port = 1 enabled = false } }")
        #expect(disabled.load().settings?.servers.first?.backends.first?.enabled == false)
        #expect(disabled.messages.count == 1)
    }

    @Test("a file without a server is an error")
    func noServer() {
        #expect(ConfigurationFixture("workers = 1").messages == ["1:1: error: there is no 'server', so nothing to listen on"])
    }

    @Test("more threads than workers are all workers, with a warning")
    func threads() {
        #expect(ConfigurationFixture("workers = 2\n" + server("threads = 3")).messages.count == 1)
        #expect(ConfigurationFixture("workers = 2\n" + server("threads = 2")).messages == [])
    }
}

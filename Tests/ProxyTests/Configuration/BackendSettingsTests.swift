import Testing

@testable import Proxy

@Suite("Configuration of backends")
struct BackendSettingsTests {
    @Test("without a title a backend has the defaults of RProxy 1, with one those of RProxy 2")
    func dialects() throws {
        let one = try #require(firstServer("server { downstream { } }")?.backends.first)
        #expect(one.address == .ipv4("127.0.0.1") && one.port == 80 && one.connections == 8 && one.connectionsMax == 8)
        #expect(one.retryMilliseconds == 1000 && one.name == "127.0.0.1:80")
        let two = try #require(backend("addr = 127.0.0.1 port = 3000"))
        #expect(two.connections == 1 && two.connectionsMax == 1 && two.retryMilliseconds == 50 && two.name == "a")
        #expect(two.readMilliseconds == 60_000 && two.writeMilliseconds == 30_000 && two.connectMilliseconds == 3_000)
    }

    @Test("a backend with a title needs an address and a port, each missing one an error where it begins")
    func required() {
        #expect(
            ConfigurationFixture("server {\ndownstream x { } }").messages
                == ["2:1: error: this downstream has no 'addr'", "2:1: error: this downstream has no 'port'"])
    }

    @Test(
        "addresses are literals, unix paths and names",
        arguments: [
            ("10.0.0.1", BackendAddress.ipv4("10.0.0.1")), ("\"::1\"", .ipv6("::1")), ("\"ipv6:[::1]\"", .ipv6("::1")), ("App.Internal", .name("app.internal")),
            ("localhost.", .name("localhost.")), ("my_app-1", .name("my_app-1")),
        ])
    func addresses(_ text: String, _ address: BackendAddress) {
        #expect(backend("addr = \(text) port = 1")?.address == address)
    }

    @Test("what is neither address nor name is an error", arguments: ["1.2.3", "300.1.1.1", "a..b", "'a b'", "-a", "a:1", "\"\"", "http://x"])
    func badAddresses(_ text: String) {
        #expect(backend("addr = \(text) port = 1") == nil)
    }

    @Test("a unix socket has no port")
    func unix() {
        #expect(backend("addr = unix:/run/app.sock")?.address == .unix("/run/app.sock"))
        #expect(ConfigurationFixture(server("", backend: "addr = unix:/run/app.sock port = 1")).messages.count == 1)
    }

    @Test("port 0 is none for a backend")
    func portZero() {
        #expect(backend("addr = ::1 port = 0") == nil)
    }

    @Test("connections-max is connections unless it is written, and never less")
    func connections() {
        #expect(backend("addr = ::1 port = 1 connections = 5")?.connectionsMax == 5)
        #expect(backend("addr = ::1 port = 1 connections = 5 connections-max = 9")?.connectionsMax == 9)
        #expect(backend("addr = ::1 port = 1 connections = 0")?.connectionsMax == 256)
        #expect(backend("addr = ::1 port = 1 connections = 5 connections-max = 4") == nil)
    }

    @Test("retry is written as a duration or as RProxy 1's section")
    func retry() {
        #expect(backend("addr = ::1 port = 1 retry = { 0, 5000 }")?.retryMilliseconds == 5)
        #expect(backend("addr = ::1 port = 1 retry = \"2s\"")?.retryMilliseconds == 2000)
        #expect(firstServer("server { downstream { retry { seconds = 0 useconds = 5000 } } }")?.backends.first?.retryMilliseconds == 5)
        #expect(firstServer("server { downstream { retry { } } }")?.backends.first?.retryMilliseconds == 1000)
        #expect(backend("addr = ::1 port = 1 retry = 0")?.retryMilliseconds == 50)
    }

    @Test("the longest pause is never shorter than the first")
    func retryMax() {
        #expect(backend("addr = ::1 port = 1 retry = 10")?.retryMillisecondsMax == 10_000)
        #expect(backend("addr = ::1 port = 1 retry = 10 retry-max = 9") == nil)
    }

    @Test("pending words of a backend leave the other one to the server")
    func pending() {
        let both = firstServer(server("pending-timeout = 4 max-pending = 7", backend: "addr = ::1 port = 1 max-pending = 3"))
        #expect(both?.backends.first?.pending == PendingSettings(timeoutMilliseconds: 4000, countMax: 3))
        #expect(backend("addr = ::1 port = 1")?.pending == nil)
    }

    @Test("names are unique without regard to case, and backends without one are told apart")
    func names() {
        let twins = "server { downstream a { addr = ::1 port = 1 }\ndownstream A { addr = ::1 port = 2 } }"
        #expect(ConfigurationFixture(twins).messages == ["2:12: error: a second 'downstream' with the title 'A'; the first is at line 1"])
        #expect(firstServer("server { downstream { } downstream { } }")?.backends.map(\.name) == ["127.0.0.1:80", "127.0.0.1:80#2"])
    }
}

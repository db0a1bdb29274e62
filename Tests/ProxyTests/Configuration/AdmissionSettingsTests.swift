import Testing

@testable import Proxy

@Suite("Configuration of limits and access")
struct AdmissionSettingsTests {
    @Test("rate-limit has numbers for everybody and for each client")
    func limits() throws {
        let scope = try #require(
            firstServer(
                server(
                    "rate-limit { read = \"1m\" write = 5000 requests = 100 requests-burst = 20 connections = 50 client { requests = 5 connections = 2 write = \"64k\" } }"
                ))?.scope)
        #expect(
            scope.limits.all
                == RateSettings(
                    requestsPerSecond: 100, requestsBurst: 20, readBytesPerSecond: 1 << 20, writeBytesPerSecond: 5000, connectionsMax: 50))
        #expect(scope.limits.client == RateSettings(requestsPerSecond: 5, writeBytesPerSecond: 65_536, connectionsMax: 2))
    }

    @Test("a burst without a rate is an error")
    func burst() {
        #expect(firstServer(server("rate-limit { requests-burst = 5 }")) == nil)
        #expect(firstServer(server("rate-limit { requests = 5 client { requests-burst = 5 } }")) == nil)
    }

    @Test("access has lists of addresses and blocks, and says how others are refused")
    func access() throws {
        let access = try #require(firstServer(server("access { allow = { 10.0.0.0/8, \"::1\", unix } deny = 10.1.0.0/16 refuse = close }"))?.scope.access)
        #expect(access.allow.map(\.description) == ["10.0.0.0/8", "0:0:0:0:0:0:0:1", "unix"])
        #expect(access.deny.map(\.description) == ["10.1.0.0/16"] && access.refusal == .close)
    }

    @Test("a bad block is told at its own line and column")
    func place() {
        let text = "server { access {\nallow = { 10.0.0.0/8,\n  10.0.0.1/8 } }\ndownstream { } }"
        #expect(
            ConfigurationFixture(text).messages == [
                "3:3: error: 'allow' '10.0.0.1/8' has bits behind its prefix of 8; write the first address of the block"
            ])
    }

    @Test("one block cannot be both allowed and denied")
    func both() {
        #expect(firstServer(server("access { allow = { 10.0.0.0/8 } deny = { 10.0.0.0/8 } }")) == nil)
        #expect(firstServer(server("access { allow = { 10.0.0.0/8 } deny = { 10.0.0.0/9 } }")) != nil)
    }

    @Test("proxy-protocol needs to know whom to believe")
    func proxyProtocol() throws {
        #expect(firstServer(server("proxy-protocol = require")) == nil)
        let settings = try #require(firstServer(server("proxy-protocol = accept proxy-protocol-from = 127.0.0.1 proxy-protocol-others = ignore"))?.proxyProtocol)
        #expect(settings.mode == .accept && settings.others == .ignore && settings.from.map(\.description) == ["127.0.0.1"])
    }

    @Test("send-proxy-protocol and sharing of connections exclude one another")
    func send() {
        #expect(backend("addr = ::1 port = 1 send-proxy-protocol = v2")?.proxyHead == .v2)
        #expect(backend("addr = ::1 port = 1 send-proxy-protocol = v1 pipeline = 4") == nil)
    }
}

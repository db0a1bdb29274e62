import Testing

@testable import Proxy

@Suite("Quick mode")
struct QuickSettingsTests {
    @Test("an address and a backend make a whole reverse proxy")
    func whole() throws {
        let quick = GlobalSettings.quick(listen: ["127.0.0.1:8080"], to: ["127.0.0.1:3000"])
        #expect(quick.diagnostics == [])
        let server = try #require(quick.settings?.servers.first)
        #expect(server.addresses == [.ipv4("127.0.0.1", port: 8080)])
        #expect(server.forwarded == ForwardingSettings(forwardedFor: .append, proto: true, host: true))
        #expect(server.accessLog.enabled && server.accessLog.output == .stdout)
        let backend = try #require(server.backends.first)
        #expect(backend.address == .ipv4("127.0.0.1") && backend.port == 3000)
        #expect(backend.connections == 0 && backend.connectionsMax == 256)
    }

    @Test(
        "listeners are written in four ways",
        arguments: [
            ("[::1]:0", ListenAddress.ipv6("::1", port: 0)), (":80", .ipv4("0.0.0.0", port: 80)), ("unix:/run/w", .unix("/run/w")),
            ("localhost:80", .ipv4("127.0.0.1", port: 80)),
        ])
    func listeners(_ text: String, _ address: ListenAddress) {
        #expect(GlobalSettings.quick(listen: [text], to: [":1"]).settings?.servers.first?.addresses == [address])
    }

    @Test(
        "backends may be names too",
        arguments: [("app.internal:80", BackendAddress.name("app.internal")), ("[::1]:80", .ipv6("::1")), (":80", .ipv4("127.0.0.1")), ("unix:/a", .unix("/a"))])
    func backends(_ text: String, _ address: BackendAddress) {
        #expect(GlobalSettings.quick(listen: [":0"], to: [text]).settings?.servers.first?.backends.first?.address == address)
    }

    @Test(
        "what is wrong is said about the option it stands in",
        arguments: [
            ("127.0.0.1", ":1", "--listen: error: '127.0.0.1' has no port; write HOST:PORT, [v6]:PORT, :PORT or unix:/path"),
            ("::1:80", ":1", "--listen: error: '::1:80' is an IPv6 address without brackets; write [::1]:80"),
            ("app:80", ":1", "--listen: error: 'app:80' 'app' is a name; a listener needs an address"),
            (":80", ":0", "--to: error: ':0' has the port 0; a backend has a port of 1 … 65535"),
            (":80", ":70000", "--to: error: ':70000' has the port '70000'; a port is 0 … 65535"),
            (":80", ":-1", "--to: error: ':-1' has the port '-1'; a port is 0 … 65535"),
            (":80", "unix:", "--to: error: 'unix:' names no path after 'unix:'"),
        ])
    func errors(_ listen: String, _ to: String, _ message: String) {
        let quick = GlobalSettings.quick(listen: [listen], to: [to])
        #expect(quick.settings == nil)
        #expect(quick.diagnostics.map(\.description) == [message])
    }

    @Test("nothing to listen on and nowhere to send are errors")
    func empty() {
        #expect(GlobalSettings.quick(listen: [], to: []).diagnostics.count == 2)
    }

    @Test("an address given twice is an error, port 0 is not")
    func twice() {
        #expect(GlobalSettings.quick(listen: [":80", ":80"], to: [":1"]).settings == nil)
        #expect(GlobalSettings.quick(listen: [":0", ":0"], to: [":1"]).settings != nil)
        #expect(GlobalSettings.quick(listen: [":0"], to: [":1", ":1"]).settings == nil)
    }
}

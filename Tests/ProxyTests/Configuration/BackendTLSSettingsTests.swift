import Testing

@testable import Proxy

@Suite("Settings of TLS toward backends, and of what they are told about client certificates")
struct BackendTLSSettingsTests {
    private func fixture(_ words: String, address: String = "addr = app.internal port = 3443") -> ConfigurationFixture {
        var fixture = ConfigurationFixture(
            server("", backend: "\(address) ssl { enabled = true \(words) }"),
            including: [
                "ca.pem": FakeMaterial.certificate, "me.pem": FakeMaterial.pem("CERTIFICATE", "PRIVATE KEY"),
                TLSSettings.systemAuthorities: FakeMaterial.certificate,
            ])
        fixture.foreign.isTLSServed = true
        return fixture
    }

    private func settings(_ words: String, address: String = "addr = app.internal port = 3443") -> BackendTLSSettings? {
        fixture(words, address: address).load().settings?.servers.first?.backends.first?.tls
    }

    @Test("a backend with a name is verified by it, with the authorities of the system")
    func named() throws {
        let tls = try #require(settings(""))
        #expect(tls.name == .name("app.internal") && tls.verifies && tls.authorities.map(\.path) == [TLSSettings.systemAuthorities])
        #expect(tls.reusesSessions && tls.identity == nil && tls.ciphers == TLSSettings.Policy.intermediate.ciphers)
        #expect(backend("")?.tls == nil && backend("ssl { enabled = no ca = nowhere }")?.tls == nil)
    }

    @Test("an address is verified as an address, unless a name is given")
    func addressed() {
        #expect(settings("ca = ca.pem", address: "addr = 10.0.0.1 port = 1")?.name == .address)
        #expect(settings("ca = ca.pem name = WWW.Example.org", address: "addr = 10.0.0.1 port = 1")?.name == .name("www.example.org"))
        #expect(settings("ca = ca.pem name = a.b", address: "addr = unix:/s")?.name == .name("a.b"))
        #expect(
            fixture("ca = ca.pem", address: "addr = unix:/s").load().diagnostics.map(\.message)
                == ["'ssl' to a unix socket needs a 'name' that must stand in the certificate, or 'verify = false'"])
        #expect(fixture("name = 10.0.0.1").load().diagnostics.map(\.message) == ["'name' takes a host name, not '10.0.0.1'"])
    }

    @Test("not verifying is allowed, and never silent")
    func unverified() throws {
        let loaded = fixture("verify = no ca = nowhere.pem").load()
        #expect(loaded.settings?.servers.first?.backends.first?.tls?.authorities == [])
        #expect(
            loaded.diagnostics.map(\.message) == [
                "'verify' is false: whoever stands between can read and change what this backend is sent", "'ca' has no effect: 'verify' is false",
            ])
    }

    @Test("this proxy shows one certificate with one key")
    func identity() throws {
        let tls = try #require(settings("cert = me.pem ca = ca.pem session-reuse = no"))
        #expect(tls.identity?.certificate.path == "me.pem" && tls.identity?.key.path == "me.pem" && !tls.reusesSessions)
        #expect(fixture("cert = { me.pem, me.pem }").load().diagnostics.map(\.message) == ["a backend is shown one certificate with one key"])
        #expect(fixture("key = me.pem").load().diagnostics.map(\.message) == ["'key' needs 'cert' beside it"])
    }

    @Test("a system without authorities is told at the section")
    func noAuthorities() {
        var fixture = fixture("")
        fixture.files[TLSSettings.systemAuthorities] = nil
        #expect(fixture.messages == ["3:48: error: 'ca': cannot read '\(TLSSettings.systemAuthorities)': No such file or directory"])
    }

    @Test("extensions of certificates get a field each, and nobody else may say it, on any server")
    func extensions() throws {
        let text = server("headers { x509-extension { name = X-Role oid = 1.2.840.1 } x509-extension { name = X-Site oid = '2.5.29.17' } }")
        let settings = try #require(ConfigurationFixture(text + "server { port = 1 respond = 404 }").load().settings)
        #expect(settings.servers[0].forwarded.certificate.extensions.map(\.oid) == ["1.2.840.1", "2.5.29.17"])
        #expect(settings.extensionFieldNames == ["X-Role", "X-Site"])
        let plan = try ServingPlan(settings)
        for server in plan.servers {
            let rewriting = server.fallback.pointee.rewriting.pointee
            #expect(rewriting.dropped.contains("x_role") && rewriting.dropped.contains("X-Site") && rewriting.managed.contains("X-Role"))
        }
    }

    @Test(
        "an extension needs a field that may be written and an identifier in numbers",
        arguments: [
            ("name = X-A", "'x509-extension' needs 'oid'"), ("oid = 1.2", "'x509-extension' needs 'name'"),
            ("name = Host oid = 1.2", "'name' names 'Host'; 'host' in a 'rewrite' section sets what backends get"),
            ("name = X-A oid = 1.40", "'oid' takes numbers with dots between, as 1.3.6.1.4.1.99999.1, not '1.40'"),
            ("name = X-A oid = subjectAltName", "'oid' takes numbers with dots between, as 1.3.6.1.4.1.99999.1, not 'subjectAltName'"),
            ("name = X-A oid = 1.2 } x509-extension { name = x_a oid = 1.3", "two 'x509-extension' give the field 'x_a'"),
        ])
    func badExtension(_ words: String, _ sentence: String) {
        #expect(ConfigurationFixture(server("headers { x509-extension { \(words) } }")).load().diagnostics.map(\.message) == [sentence])
    }
}

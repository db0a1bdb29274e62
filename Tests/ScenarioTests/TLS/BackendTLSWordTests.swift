import TestSupport
import Testing

@Suite("TLS to backends, as the words of their 'ssl' say", .scenario)
struct BackendTLSWordTests {
    /// A server of Python's that answers with what it was asked for and what was agreed upon: the name of SNI, version and cipher.
    private func withBackend(
        _ files: TLSFiles, certificate: String = "ecdsa", version: String = "1.3", words: String, host: String? = nil, global: [Setting] = [],
        server: [Setting] = [], _ body: (ProxyUnderTest) throws -> Void
    ) throws {
        let backend = try files.startPython(
            #"""
            c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            c.load_cert_chain(FILES + "/" + ARGS[0] + ".pem", FILES + "/" + ARGS[0] + ".key")
            c.maximum_version = VERSIONS[ARGS[1]]
            def on_name(s, name, _): s.asked = name
            c.sni_callback = on_name
            listener = socket.create_server(("127.0.0.1", 0), backlog=64)
            def serve(raw):
                try:
                    s = c.wrap_socket(raw, server_side=True)
                    rest = b""
                    while True:
                        rest = head(s, rest)[1]
                        told = ("%s %s %s" % (getattr(s, "asked", None), s.version(), s.cipher()[0])).encode()
                        s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(told) + told)
                except Exception: raw.close()
            print("port %d" % listener.getsockname()[1])
            while True: threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
            """#, port: 0, [certificate, version])
        defer { backend.kill() }
        let port = try TLSFiles.port(of: backend)
        let section = Setting("ssl { enabled", "true\n \(files.replacing(words)) }")
        let downstream = ProxyConfiguration.Downstream(at: .ipv4(port: port), host: host, [section], connections: 1)
        try withProxy(ProxyConfiguration(global: global, servers: [.init(server, downstreams: [downstream])]), body)
    }

    /// What the backend tells of one request.
    private func told(_ proxy: ProxyUnderTest) throws -> [String] {
        let answer = try proxy.connect().get("/")
        guard answer.status == 200 else { throw ScenarioFailure("\(answer.status): \(answer.body.readable)") }
        return answer.body.text.split(separator: " ").map(String.init)
    }

    private func expectRefusal(_ proxy: ProxyUnderTest) throws {
        let status = try proxy.connect().get("/").status
        #expect([502, 503].contains(status))
        try proxy.waitForOperatorLog(containing: "TLS with a backend fails")
    }

    static let names = [
        ("name = a.example.com\n ca = \"FILES/ca.pem\"", "a.example.com"), ("name = nobody.example.net\n verify = false", "nobody.example.net"),
        ("ca = \"FILES/ca.pem\"", "None"),
    ]

    @Test("a backend is asked for its 'name', verified or not; for none where it has an address alone", arguments: names)
    func name(words: String, asked: String) throws {
        let files = try TLSFiles()
        try withBackend(files, words: words) { proxy throws in
            #expect(try told(proxy).first == asked)
        }
    }

    @Test("a backend whose 'addr' is a name is asked for that name")
    func namedAddress() throws {
        let files = try TLSFiles()
        let resolver = NameServer()
        defer { resolver.close() }
        resolver.setAddresses("backend.example.com", ["127.0.0.1"])
        try withBackend(files, words: "ca = \"FILES/ca.pem\"", host: "backend.example.com", global: [.resolvers([resolver.address])]) { proxy throws in
            #expect(try told(proxy).first == "backend.example.com")
        }
    }

    @Test("with 'verify = false' any certificate does, and a warning says so", arguments: ["stranger", "other", "expired"])
    func unverified(certificate: String) throws {
        let files = try TLSFiles()
        try withBackend(files, certificate: certificate, words: "verify = false") { proxy throws in
            #expect(try told(proxy).count == 3)
            #expect(proxy.operatorLog.contains("'verify' is false"))
        }
    }

    @Test("every file of a 'capath' is trusted, and nobody else")
    func capath() throws {
        let files = try TLSFiles()
        let made = TestCertificates.shared
        for (name, authority) in [("known", made.authority), ("strange", made.stranger)] {
            try FileContent.write(try files.folder.makeFolder(name) + "/one", Bytes(authority.pem))
        }
        try withBackend(files, words: "capath = \"FILES/known\"") { proxy throws in
            #expect(try told(proxy).count == 3)
        }
        try withBackend(files, words: "capath = \"FILES/strange\"", server: [.pendingTimeout(1_000)]) { proxy throws in
            try expectRefusal(proxy)
        }
    }

    @Test("a backend is offered the ciphers of 'ciphers' alone with TLS 1.2", arguments: ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"])
    func ciphers(name: String) throws {
        let files = try TLSFiles()
        try withBackend(files, version: "1.2", words: "ca = \"FILES/ca.pem\"\n ciphers = \"\(name)\"") { proxy throws in
            #expect(try told(proxy) == ["None", "TLSv1.2", name])
        }
    }

    @Test("a backend is offered the suites of 'cipher-suites' alone with TLS 1.3", arguments: ["TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256"])
    func suites(name: String) throws {
        let files = try TLSFiles()
        try withBackend(files, words: "ca = \"FILES/ca.pem\"\n cipher-suites = \"\(name)\"") { proxy throws in
            #expect(try told(proxy) == ["None", "TLSv1.3", name])
        }
    }
}

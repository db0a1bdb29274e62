import TestSupport
import Testing

@Suite("TLS to backends", .scenario)
struct BackendTLSScenarioTests {
    /// A server of Python's that tells what it saw of each connection.
    private func withTLSBackend(
        _ files: TLSFiles, certificate: String = "ecdsa", words: String, settings: [Setting] = [], server: [Setting] = [], readsHead: Bool = false,
        _ body: (ProxyUnderTest) throws -> Void
    ) throws {
        let backend = try files.startPython(
            """
            c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            c.load_cert_chain(FILES + "/" + ARGS[0] + ".pem", FILES + "/" + ARGS[0] + ".key")
            c.load_verify_locations(FILES + "/ca.pem")
            c.verify_mode = ssl.CERT_OPTIONAL
            listener = socket.create_server(("127.0.0.1", 0), backlog=64)
            def serve(raw):
                try:
                    line = b""
                    while ARGS[1] == "True" and not line.endswith(b"\\r\\n"): line += raw.recv(1)
                    s = c.wrap_socket(raw, server_side=True)
                    rest = b""
                    while True:
                        start, rest = head(s, rest)
                        told = "%s %s %s" % (common(s) if s.getpeercert() else None, s.session_reused, line.decode().split(" ")[:3])
                        told = told.encode()
                        ending = b"Connection: close\\r\\n" if " /close " in start else b""
                        s.sendall(b"HTTP/1.1 200 OK\\r\\n" + ending + b"Content-Length: %d\\r\\n\\r\\n" % len(told) + told)
                        if ending:
                            s.unwrap()
                            s.close()
                            return
                except Exception: raw.close()
            print("port %d" % listener.getsockname()[1])
            while True: threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
            """, port: 0, [certificate, readsHead ? "True" : "False"])
        defer { backend.kill() }
        let port = try TLSFiles.port(of: backend)
        let section = Setting("ssl { enabled", "true\n ca = \"\(files.path("ca.pem"))\"\n \(files.replacing(words)) }")
        let server = ProxyConfiguration.Server(
            server, accessLog: "{STATUS} {REASON}", downstreams: [.init(at: .ipv4(port: port), settings + [section], connections: 1)])
        try withProxy(ProxyConfiguration(servers: [server]), body)
    }

    @Test("a backend is verified by the name that is written, or by its address", arguments: ["name = example.com", "name = a.example.com", ""])
    func verified(words: String) throws {
        let files = try TLSFiles()
        try withTLSBackend(files, words: words) { proxy throws in
            #expect(try proxy.connect().get("/").body == Bytes("None False ['']"))
        }
    }

    @Test("a backend whose certificate is for another name, past its time or from somebody unknown is no backend", arguments: ["other", "expired", "stranger"])
    func refused(certificate: String) throws {
        let files = try TLSFiles()
        try withTLSBackend(files, certificate: certificate, words: "name = example.com", server: [.pendingTimeout(1_000)]) { proxy in
            let status = try proxy.connect().get("/").status
            #expect([502, 503].contains(status))
            try proxy.waitForOperatorLog(containing: "TLS with a backend fails")
        }
    }

    @Test("a backend is shown the client certificate")
    func clientCertificate() throws {
        let files = try TLSFiles()
        let words = "name = example.com\n cert = \"FILES/client.pem\"\n key = \"FILES/client.key\"\n"
        try withTLSBackend(files, words: words) { proxy throws in
            #expect(try proxy.connect().get("/").body == Bytes("client False ['']"))
        }
    }

    @Test("the next connection resumes the session of the one before, unless it must not", arguments: [true, false])
    func sessions(reuses: Bool) throws {
        let files = try TLSFiles()
        try withTLSBackend(files, words: "name = example.com\n session-reuse = \(reuses)\n") { proxy in
            let client = try proxy.connect()
            #expect(try client.get("/close").body == Bytes("None False ['']"))
            #expect(try client.get("/").body == Bytes("None \(reuses ? "True" : "False") ['']"))
        }
    }

    @Test("a PROXY head stands before the handshake")
    func proxyHead() throws {
        let files = try TLSFiles()
        try withTLSBackend(files, words: "name = example.com", settings: [Setting("send-proxy-protocol", "v1")], readsHead: true) { proxy throws in
            let answer = try proxy.connect().get("/")
            #expect(answer.status == 200, "\(answer.body.readable) \(proxy.accessLog()) \(proxy.operatorLog)")
            #expect(answer.body == Bytes("None False ['PROXY', 'TCP4', '127.0.0.1']"))
        }
    }
}

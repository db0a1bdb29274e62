import TestSupport
import Testing

@Suite("Names and client certificates: who gets what, and who comes in", .scenario)
struct ClientCertificateScenarioTests {
    private func sites(_ files: TLSFiles) -> [String] {
        let rules = [rule("all", [.everything], to: 0)]
        return [
            virtualHost("example.com", [.isDefault], rules: rules),
            virtualHost("other.example.net", sections: [files.section("other")], rules: rules),
            virtualHost("secret.example.com", sections: [files.section("ecdsa", words: TLSFiles.demanding)], rules: rules),
        ]
    }

    @Test("the name that a client asks for picks the certificate; an unknown name and none get the server's", arguments: ["1.2", "1.3"])
    func serverName(version: String) throws {
        let files = try TLSFiles()
        try withTLS(files, to: try HandlerBackend.named("one"), certificates: ["rsa"], sections: sites(files)) { proxy in
            let lines = try files.python(
                """
                c = context(ARGS[0])
                c.check_hostname = False
                for name in ("example.com", "other.example.net", "OTHER.example.NET", "unknown.example.org", None):
                    s = connect(c, name=name)
                    print(common(s), get(s)[0])
                """, proxy, [version])
            #expect(lines == ["rsa.example.com 200", "other.example.net 200", "other.example.net 200", "rsa.example.com 200", "rsa.example.com 200"])
        }
    }

    @Test("a host that asks for certificates is 421 on a connection that was not asked, and served on one that was", arguments: ["1.2", "1.3"])
    func misdirected(version: String) throws {
        let files = try TLSFiles()
        try withTLS(files, to: try HandlerBackend.named("one"), certificates: ["rsa"], accessLog: "{STATUS} {REASON}", sections: sites(files)) { proxy in
            let lines = try files.python(
                """
                s = connect(context(ARGS[0], cert="client"))
                print(get(s, host="example.com")[0])
                print(get(s, host="secret.example.com")[0])
                s = connect(context(ARGS[0], cert="client"), name="secret.example.com")
                print(get(s, host="secret.example.com")[0])
                """, proxy, [version])
            #expect(lines == ["200", "421", "200"])
            #expect(try proxy.accessLog(lines: 3)[1] == "421 misdirected")
        }
    }

    /// Name of the client's certificate, whether certificates are demanded, whether the client comes in, the log's word otherwise.
    static let clients: [(name: String, words: String, word: String?)] = [
        ("", TLSFiles.asking, nil), ("client", TLSFiles.asking, nil), ("", TLSFiles.demanding, "no-certificate"), ("client", TLSFiles.demanding, nil),
        ("expired-client", TLSFiles.demanding, "certificate-expired"), ("stranger-client", TLSFiles.demanding, "unknown-ca"),
        ("revoked-client", TLSFiles.demanding + "crl { file = \"FILES/revoked.crl\" }\n", "certificate-revoked"),
        ("revoked-client", TLSFiles.demanding + "crl { file = \"FILES/empty.crl\" }\n", nil),
        ("client", TLSFiles.demanding + "crl { file = \"FILES/revoked.crl\" missing = refuse expired = refuse }\n", nil),
        ("client", TLSFiles.demanding + "crl { missing = refuse }\n", "no-revocation-list"),
    ]

    @Test("clients come in with and without certificates as they are asked to", arguments: clients, ["1.2", "1.3"])
    func demands(client: (name: String, words: String, word: String?), version: String) throws {
        let files = try TLSFiles()
        let backend = try HandlerBackend.named("one")
        try withTLS(files, to: backend, words: client.words, accessLog: "{STATUS} {REASON}") { proxy in
            let lines = try files.python(
                """
                try: print(get(connect(context(ARGS[0], cert=ARGS[1])))[0])
                except (ssl.SSLError, ConnectionError) as error: print("alert" if "ALERT" in str(error).upper() else error)
                """, proxy, [version, client.name])
            #expect(lines == [client.word == nil ? "200" : "alert"])
            #expect(try proxy.accessLog(lines: 1) == [client.word.map { "- \($0)" } ?? "200 -"])
            #expect(backend.requestCount == (client.word == nil ? 1 : 0))
        }
    }

    private static let headers = """
        headers {
          x-ssl-subject = true x-ssl-issuer = true x-ssl-notbefore = true x-ssl-notafter = true x-ssl-serial = true x-ssl-sha1 = true
          x-ssl-cipher = true x-ssl-certificate = true client-cert = true
          x509-extension { name = X-Role oid = "\(TestCertificates.extensionID)" }
        }
        """
    private static let forged = [
        "X-SSL-Subject", "X-SSL-Issuer", "X-SSL-Notbefore", "X-SSL-Notafter", "X-SSL-Serial", "X-SSL-Sha1", "X-SSL-Cipher", "X-SSL-Certificate", "Client-Cert", "X-Role",
        "x_ssl_subject",
    ]
    .flatMap { ["--header", "\($0): forged"] }

    @Test("backends are told of the certificate, and of nothing that the client says of it")
    func fields() throws {
        let files = try TLSFiles()
        try withTLS(files, to: try HandlerBackend.tellingFields(), words: TLSFiles.asking, sections: [Self.headers]) { proxy in
            let told = try files.curl(proxy, files.asClient("client") + Self.forged).text.split(separator: "\n").map(String.init)
            func value(_ name: String) -> String? {
                let all = told.filter { $0.lowercased().hasPrefix(name.lowercased() + ": ") }.map { String($0.dropFirst(name.count + 2)) }
                return all.count == 1 ? all[0] : nil
            }
            #expect(!told.contains { $0.contains("forged") })
            #expect(value("X-SSL-Subject") == "/C=US/O=Weir tests/CN=client")
            #expect(value("X-SSL-Issuer") == "/C=US/O=Weir tests/CN=Weir test issuer")
            #expect(value("X-SSL-Serial") == "0ABC" || value("X-SSL-Serial") == "ABC")
            #expect(value("X-SSL-Notbefore")?.hasSuffix(" GMT") == true)
            #expect(value("X-SSL-Notafter")?.hasSuffix(" GMT") == true)
            #expect(value("X-SSL-Cipher")?.hasPrefix("TLS_") == true)
            #expect(value("X-SSL-Sha1")?.split(separator: ":").count == 20)
            #expect(value("X-SSL-Certificate")?.contains("BEGIN") == true)
            let pem = TestCertificates.shared.client.pem.split(separator: "\n").dropFirst().dropLast().joined()
            #expect(value("Client-Cert") == ":\(pem):")
            #expect(value("X-Role") == TestCertificates.extensionText)
            let none = try files.curl(proxy, Self.forged).text
            #expect(!none.contains("forged"))
            #expect(!none.contains("X-SSL-Subject"))
            #expect(none.contains("X-SSL-Cipher: TLS_"))
        }
    }

    @Test("a plain listener passes none of these fields on either")
    func plainListener() throws {
        try withProxy(to: try HandlerBackend.tellingFields(), sections: [Self.headers]) { proxy in
            let told = try RealClient.curl(Self.forged + [proxy.url]).text
            #expect(!told.contains("forged"))
            #expect(!told.lowercased().contains("x-ssl"))
        }
    }
}

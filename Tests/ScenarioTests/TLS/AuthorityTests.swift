import TestSupport
import Testing

@Suite("What authorities say: staples and directories", .scenario)
struct AuthorityTests {
    @Test("a staple goes with its certificate to who asks for it, and to nobody else", arguments: ["-tls1_2", "-tls1_3"])
    func staple(version: String) throws {
        let files = try TLSFiles()
        let made = TestCertificates.shared
        try files.folder.write("rsa.ocsp", made.intermediate.staple(about: made.rsa))
        let words = "staple = { \"FILES/rsa.ocsp\", \"\" }\n"
        try withTLS(files, to: try HandlerBackend.named("one"), words: words) { proxy in
            func status(_ arguments: [String]) throws -> String {
                let command = ["openssl", "s_client", "-connect", "\(proxy.addresses[0])", "-servername", "example.com", "-CAfile", files.path("ca.pem"), version]
                return try ChildProcess.run(command + arguments).output.text
            }
            let rsa = version == "-tls1_2" ? ["-cipher", "ECDHE-RSA-AES128-GCM-SHA256"] : ["-sigalgs", "rsa_pss_rsae_sha256"]
            let ecdsa = version == "-tls1_2" ? ["-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"] : ["-sigalgs", "ecdsa_secp256r1_sha256"]
            let told = try status(["-status"] + rsa)
            #expect(told.contains("OCSP Response Status: successful"), "\(told)")
            #expect(told.contains("Cert Status: good"))
            #expect(try status(["-status"] + ecdsa).contains("OCSP response: no response sent"))
            #expect(try !status(rsa).contains("OCSP Response Status"))
        }
    }

    /// A folder with files whose names say nothing, and one that begins with a dot.
    private func folder(_ files: TLSFiles, _ name: String, _ contents: [String: String]) throws -> String {
        let path = try files.folder.makeFolder(name)
        for (file, content) in contents { try FileContent.write(path + "/" + file, Bytes(content)) }
        return path
    }

    private func outcome(_ files: TLSFiles, _ proxy: ProxyUnderTest, _ client: String) throws -> String {
        try files.python(
            """
            try: print(get(connect(context(cert=ARGS[0])))[0])
            except (ssl.SSLError, ConnectionError): print("refused")
            """, proxy, [client])[0]
    }

    @Test("every file of a capath is trusted, whatever its name, but for those that begin with a dot")
    func capath() throws {
        let files = try TLSFiles()
        let made = TestCertificates.shared
        let path = try folder(files, "authorities", ["one": made.authority.pem, ".two": made.stranger.pem])
        try withTLS(files, to: try HandlerBackend.named("one"), words: "enforce-peer-cert = true\n capath = \"\(path)\"\n reload = \"100ms\"\n") { proxy in
            #expect(try outcome(files, proxy, "client") == "200")
            #expect(try outcome(files, proxy, "stranger-client") == "refused")
            // A file that is put there counts from the next look on.
            try FileContent.move(path + "/.two", to: path + "/two")
            try proxy.waitForNextGeneration()
            #expect(try outcome(files, proxy, "stranger-client") == "200")
            #expect(try outcome(files, proxy, "client") == "200")
        }
    }

    @Test("a client that is connected stays while authorities and lists change")
    func connected() throws {
        let files = try TLSFiles()
        let made = TestCertificates.shared
        let path = try folder(files, "lists", [:])
        let words = TLSFiles.demanding + "crl { dir = \"\(path)\" }\n reload = \"100ms\"\n"
        func put(_ text: String, at target: String) throws {
            try FileContent.write(path + "/.new", Bytes(text))
            try FileContent.move(path + "/.new", to: target)
        }
        try withTLS(files, to: try HandlerBackend.named("one"), words: words) { proxy in
            let client = try files.startPython(
                """
                s = connect(context(cert="client"))
                print(get(s)[0])
                print("open")
                wait_for("authority")
                print(get(s)[0])
                print("authority")
                wait_for("list")
                print(get(s)[0])
                """, port: proxy.addresses[0].port)
            try files.waitForLine("open", of: client)
            try put(made.authority.pem + made.stranger.pem, at: files.path("ca.pem"))
            try proxy.waitForNextGeneration()
            try files.folder.write("authority", "")
            try files.waitForLine("authority", of: client)
            try put(made.intermediate.revocationList([made.revokedClient]), at: path + "/issuer")
            try proxy.waitForNextGeneration()
            try files.folder.write("list", "")
            #expect(try files.end(client) == ["200", "open", "200", "authority", "200"])
            #expect(try outcome(files, proxy, "revoked-client") == "refused")
        }
    }

    @Test("a list that is emptied lets no revoked client in: the lists before it stay in use")
    func emptiedList() throws {
        let files = try TLSFiles()
        let made = TestCertificates.shared
        let path = try folder(
            files, "lists", ["root": made.authority.revocationList([]), "issuer": made.intermediate.revocationList([made.revokedClient])])
        let words = TLSFiles.demanding + "crl { dir = \"\(path)\" }\n reload = \"100ms\"\n"
        try withTLS(files, to: try HandlerBackend.named("one"), words: words) { proxy in
            #expect(try outcome(files, proxy, "revoked-client") == "refused")
            try FileContent.write(path + "/.new", [])
            try FileContent.move(path + "/.new", to: path + "/issuer")
            try proxy.waitForOperatorLog(containing: "configuration 1 stays in use")
            #expect(proxy.operatorLog.contains("\(path)/issuer' is empty"))
            #expect(try outcome(files, proxy, "revoked-client") == "refused")
            #expect(try outcome(files, proxy, "client") == "200")
        }
    }

    @Test("the lists of a directory count together, and a new one from the next look on")
    func crlFolder() throws {
        let files = try TLSFiles()
        let made = TestCertificates.shared
        let path = try folder(files, "lists", ["root": made.authority.revocationList([]), "issuer": made.intermediate.revocationList([])])
        let words = TLSFiles.demanding + "crl { dir = \"\(path)\" missing = refuse expired = refuse }\n reload = \"100ms\"\n"
        try withTLS(files, to: try HandlerBackend.named("one"), words: words, accessLog: "{STATUS} {REASON}") { proxy in
            #expect(try outcome(files, proxy, "client") == "200")
            #expect(try outcome(files, proxy, "revoked-client") == "200")
            try FileContent.write(path + "/.new", Bytes(made.intermediate.revocationList([made.revokedClient])))
            try FileContent.move(path + "/.new", to: path + "/issuer")
            try proxy.waitForNextGeneration()
            #expect(try outcome(files, proxy, "revoked-client") == "refused")
            #expect(try outcome(files, proxy, "client") == "200")
            #expect(try proxy.accessLog(lines: 4).contains("- certificate-revoked"))
        }
    }
}

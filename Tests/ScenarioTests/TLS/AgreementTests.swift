import TestSupport
import Testing

@Suite("What is agreed upon with clients, as the words of 'ssl' say", .scenario)
struct AgreementTests {
    struct Versions: Sendable {
        let words: String
        let speaks12: Bool
        let speaks13: Bool
    }

    static let spoken = [
        Versions(words: "", speaks12: true, speaks13: true),
        Versions(words: "policy = intermediate", speaks12: true, speaks13: true),
        Versions(words: "policy = modern", speaks12: false, speaks13: true),
        Versions(words: "protocols-on = \"TLSv1.2\"", speaks12: true, speaks13: false),
        Versions(words: "protocols-on = \"TLSv1.3\"", speaks12: false, speaks13: true),
        Versions(words: "protocols-on = \"ALL\"", speaks12: true, speaks13: true),
        Versions(words: "protocols-off = \"TLSv1.2\"", speaks12: false, speaks13: true),
        Versions(words: "protocols-off = \"TLSv1.3\"", speaks12: true, speaks13: false),
        Versions(words: "policy = modern\n protocols-on = { \"TLSv1.2\", \"TLSv1.3\" }", speaks12: true, speaks13: true),
        Versions(words: "protocols-on = \"ALL\"\n protocols-off = \"TLSv1.3\"", speaks12: true, speaks13: false),
    ]

    @Test("versions are those of 'policy', 'protocols-on' and 'protocols-off'; others get the alert for that", arguments: spoken)
    func versions(expected: Versions) throws {
        let files = try TLSFiles()
        try withTLS(files, to: try HandlerBackend.named("one"), words: expected.words + "\n", accessLog: "{STATUS} {REASON}") { proxy throws in
            for (version, isSpoken) in [("-tls1_2", expected.speaks12), ("-tls1_3", expected.speaks13)] {
                let told = try files.openSSL(proxy, [version])
                #expect(told.contains("HTTP/1.1 200") == isSpoken, "\(version): \(told)")
                #expect(told.contains("alert protocol version") == !isSpoken, "\(version): \(told)")
            }
            let lines = [expected.speaks12, expected.speaks13].map { $0 ? "200 -" : "- protocol-version" }
            #expect(try proxy.accessLog(lines: 2) == lines)
        }
    }

    struct Groups: Sendable {
        let words: String
        /// What the client can do, preferred first.
        let offered: String
        /// How the line about the server's key ends; nil = there is none in common.
        let chosen: String?
    }

    static let groups = [
        Groups(words: "", offered: "secp384r1", chosen: "384 bits"),
        Groups(words: "", offered: "secp521r1", chosen: nil),
        Groups(words: "curves = \"X25519:prime256v1\"", offered: "X25519", chosen: "X25519, 253 bits"),
        Groups(words: "curves = \"X25519:prime256v1\"", offered: "secp384r1:prime256v1", chosen: "256 bits"),
        Groups(words: "curves = \"X25519:prime256v1\"", offered: "secp384r1", chosen: nil),
        Groups(words: "named-curve = \"secp384r1\"", offered: "X25519:secp384r1", chosen: "384 bits"),
        Groups(words: "named-curve = \"secp384r1\"", offered: "X25519", chosen: nil),
    ]

    @Test("keys are exchanged in the groups of 'curves' or 'named-curve', and in no other", arguments: groups, ["-tls1_2", "-tls1_3"])
    func curves(expected: Groups, version: String) throws {
        let files = try TLSFiles()
        try withTLS(files, to: try HandlerBackend.named("one"), words: expected.words + "\n", accessLog: "{STATUS} {REASON}") { proxy throws in
            let told = try files.openSSL(proxy, [version, "-curves", expected.offered])
            let lines = try proxy.accessLog(lines: 1)
            if let chosen = expected.chosen {
                #expect(told.contains("HTTP/1.1 200"), "\(told)")
                let line = told.split(separator: "\n").first { $0.hasPrefix("Server Temp Key: ") }
                #expect(line?.hasSuffix(chosen) == true, "\(told)")
                #expect(lines == ["200 -"])
            } else {
                #expect(told.contains("alert handshake failure"), "\(told)")
                #expect(!told.contains("HTTP/1.1 200"), "\(told)")
                #expect(lines == [version == "-tls1_3" ? "- no-shared-curve" : "- no-shared-cipher"])
            }
        }
    }

    @Test("with TLS 1.2 the group is the first of 'curves' that the client has too", arguments: [("secp384r1:X25519", "384 bits"), ("X25519:secp384r1", "253 bits")])
    func curveOrder(order: String, chosen: String) throws {
        let files = try TLSFiles()
        try withTLS(files, to: try HandlerBackend.named("one"), words: "curves = \"\(order)\"\n") { proxy throws in
            for offered in ["X25519:secp384r1", "secp384r1:X25519"] {
                let told = try files.openSSL(proxy, ["-tls1_2", "-curves", offered])
                let line = told.split(separator: "\n").first { $0.hasPrefix("Server Temp Key: ") }
                #expect(line?.hasSuffix(chosen) == true, "\(offered): \(told)")
            }
        }
    }

    /// Words, and the cipher that a client gets which likes the other one more.
    static let orders = [
        ("", "ECDHE-RSA-AES256-GCM-SHA384"), ("prefer-server-ciphers = true", "ECDHE-RSA-AES256-GCM-SHA384"),
        ("prefer-server-ciphers = false", "ECDHE-RSA-AES128-GCM-SHA256"),
    ]

    @Test("the server's order of ciphers counts, or the client's where 'prefer-server-ciphers' is false", arguments: orders)
    func cipherOrder(words: String, chosen: String) throws {
        let files = try TLSFiles()
        let ciphers = "ciphers = \"ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256\"\n"
        try withTLS(files, to: try HandlerBackend.named("one"), words: ciphers + words + "\n", accessLog: "{STATUS} {TLS_CIPHER}") { proxy throws in
            let told = try files.openSSL(proxy, ["-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384"])
            #expect(told.contains("New, TLSv1.2, Cipher is \(chosen)"), "\(told)")
            #expect(try proxy.accessLog(lines: 1) == ["200 \(chosen)"])
        }
    }

    @Test("suites of TLS 1.3 are those of 'cipher-suites', in its order; a client that has none of them is refused")
    func suites() throws {
        let files = try TLSFiles()
        let words = "cipher-suites = \"TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384\"\n"
        try withTLS(files, to: try HandlerBackend.named("one"), words: words, accessLog: "{STATUS} {REASON}") { proxy throws in
            let offers = [
                ("TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256", "TLS_CHACHA20_POLY1305_SHA256"),
                ("TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384", "TLS_AES_256_GCM_SHA384"),
            ]
            for (offered, chosen) in offers {
                let told = try files.openSSL(proxy, ["-tls1_3", "-ciphersuites", offered])
                #expect(told.contains("New, TLSv1.3, Cipher is \(chosen)"), "\(offered): \(told)")
                #expect(told.contains("HTTP/1.1 200"), "\(offered): \(told)")
            }
            let refused = try files.openSSL(proxy, ["-tls1_3", "-ciphersuites", "TLS_AES_128_GCM_SHA256"])
            #expect(refused.contains("alert handshake failure"), "\(refused)")
            #expect(try proxy.accessLog(lines: 3) == ["200 -", "200 -", "- no-shared-cipher"])
        }
    }

    @Test("of the protocols that a client offers HTTP/1.1 is taken; one that offers others alone is refused", arguments: ["-tls1_2", "-tls1_3"])
    func applicationProtocols(version: String) throws {
        let files = try TLSFiles()
        try withTLS(files, to: try HandlerBackend.named("one"), accessLog: "{STATUS} {REASON}") { proxy throws in
            for offered in ["h2,http/1.1", "http/1.1"] {
                let told = try files.openSSL(proxy, [version, "-alpn", offered])
                #expect(told.contains("ALPN protocol: http/1.1"), "\(offered): \(told)")
                #expect(told.contains("HTTP/1.1 200"), "\(offered): \(told)")
            }
            let silent = try files.openSSL(proxy, [version])
            #expect(silent.contains("No ALPN negotiated"), "\(silent)")
            #expect(silent.contains("HTTP/1.1 200"), "\(silent)")
            let refused = try files.openSSL(proxy, [version, "-alpn", "h2"])
            // no_application_protocol, for which OpenSSL 3.0 has no text.
            #expect(refused.contains("SSL alert number 120"), "\(refused)")
            #expect(!refused.contains("HTTP/1.1 200"), "\(refused)")
            #expect(try proxy.accessLog(lines: 4) == ["200 -", "200 -", "200 -", "- no-application-protocol"])
        }
    }
}

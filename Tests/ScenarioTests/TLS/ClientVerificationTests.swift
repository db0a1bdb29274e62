import TestSupport
import Testing

@Suite("Client certificates: alerts, depths and lists", .scenario)
struct ClientVerificationTests {
    struct Refusal: Sendable {
        /// Name of the certificate that is shown; empty = none.
        let client: String
        var words = TLSFiles.demanding
        let alert: String
        /// Where TLS 1.2 has no alert of that name.
        var alertOf12: String?
    }

    static let refusals = [
        Refusal(client: "", alert: "alert certificate required", alertOf12: "alert handshake failure"),
        Refusal(client: "revoked-client", words: TLSFiles.demanding + "crl { file = \"FILES/revoked.crl\" }\n", alert: "alert certificate revoked"),
        Refusal(client: "expired-client", alert: "alert certificate expired"),
        Refusal(client: "stranger-client", alert: "alert unknown ca"),
    ]

    @Test("a client that is refused is told why", arguments: refusals, ["-tls1_2", "-tls1_3"])
    func alerts(refusal: Refusal, version: String) throws {
        let files = try TLSFiles()
        let backend = try HandlerBackend.named("one")
        try withTLS(files, to: backend, words: refusal.words) { proxy throws in
            let told = try files.openSSL(proxy, files.shown(refusal.client) + [version])
            let alert = version == "-tls1_2" ? refusal.alertOf12 ?? refusal.alert : refusal.alert
            #expect(told.contains(alert), "\(told)")
            #expect(!told.contains("HTTP/1.1 200"), "\(told)")
            #expect(backend.requestCount == 0)
        }
    }

    @Test("more authorities between a client and the root than 'verify-depth' are too many", arguments: [1, 2])
    func depth(most: Int) throws {
        let files = try TLSFiles()
        let below = CertificateMaker.make("Weir test issuer below", for: .authority, by: TestCertificates.shared.intermediate, serial: 40)
        let deep = CertificateMaker.make("deep client", for: .client, by: below, serial: 41)
        try files.folder.write("deep-client.pem", deep.chainPEM)
        try files.folder.write("deep-client.key", deep.keyPEM)
        let words = TLSFiles.demanding + "verify-depth = \(most)\n"
        try withTLS(files, to: try HandlerBackend.named("one"), words: words, accessLog: "{STATUS} {REASON}") { proxy throws in
            let near = try files.openSSL(proxy, files.shown("client"))
            #expect(near.contains("HTTP/1.1 200"), "\(near)")
            let far = try files.openSSL(proxy, files.shown("deep-client"))
            #expect(far.contains("HTTP/1.1 200") == (most == 2), "\(far)")
            #expect(try proxy.accessLog(lines: 2) == ["200 -", most == 2 ? "200 -" : "- chain-too-long"])
        }
    }

    @Test("lists are looked at as often as 'crl' says; who is named from then on fails the next full handshake")
    func listReload() throws {
        let files = try TLSFiles()
        try files.folder.write("now.crl", TestCertificates.shared.emptyRevocationList)
        let words = TLSFiles.demanding + "reload = \"1h\"\n crl { file = \"FILES/now.crl\" reload = \"100ms\" }\n"
        try withTLS(files, to: try HandlerBackend.named("one"), words: words) { proxy throws in
            let before = try files.openSSL(proxy, files.shown("revoked-client"))
            #expect(before.contains("HTTP/1.1 200"), "\(before)")
            try files.folder.write("now.crl.new", TestCertificates.shared.revocationList)
            try FileContent.move(files.path("now.crl.new"), to: files.path("now.crl"))
            try proxy.waitForNextGeneration()
            let after = try files.openSSL(proxy, files.shown("revoked-client"))
            #expect(after.contains("alert certificate revoked"), "\(after)")
            #expect(!after.contains("HTTP/1.1 200"), "\(after)")
        }
    }

    /// A word about lists past their time, and what the log says of a client whom such a list does not name.
    static let expired = [("", "- revocation-list-expired"), ("expired = refuse", "- revocation-list-expired"), ("expired = accept", "200 -")]

    @Test("a list past its time refuses everybody, or, with 'expired = accept', those alone whom it names", arguments: expired)
    func expiredList(word: String, line: String) throws {
        let files = try TLSFiles()
        let made = TestCertificates.shared
        try files.folder.write("old.crl", made.authority.revocationList([]) + made.intermediate.revocationList([made.revokedClient], untilDays: -1))
        let words = TLSFiles.demanding + "crl { file = \"FILES/old.crl\" \(word) }\n"
        try withTLS(files, to: try HandlerBackend.named("one"), words: words, accessLog: "{STATUS} {REASON}") { proxy throws in
            let good = try files.openSSL(proxy, files.shown("client"))
            #expect(good.contains("HTTP/1.1 200") == (word == "expired = accept"), "\(good)")
            let revoked = try files.openSSL(proxy, files.shown("revoked-client"))
            #expect(!revoked.contains("HTTP/1.1 200"), "\(revoked)")
            let lines = try proxy.accessLog(lines: 2)
            #expect(lines[0] == line)
            // Which of both reasons OpenSSL tells of a revoked one is its own affair, unless only one is left.
            if word == "expired = accept" { #expect(lines[1] == "- certificate-revoked") }
        }
    }
}

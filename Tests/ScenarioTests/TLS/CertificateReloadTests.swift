import TestSupport
import Testing

@Suite("Certificates and SIGHUP", .scenario)
struct CertificateReloadTests {
    /// A file that is put in place of a good one.
    enum Broken: String, CaseIterable, Sendable {
        /// Good in itself, but for another key.
        case certificate = "now.pem"
        case key = "now.key"
        case list = "now.crl"
        case ticketKey = "now.ticket"

        var content: Bytes {
            switch self {
            case .certificate: Bytes(TestCertificates.shared.ecdsa.chainPEM)
            case .key: Bytes("no key at all\n")
            case .list: Bytes("no list at all\n")
            case .ticketKey: BodyPattern.bytes(79, seed: 5)
            }
        }
    }

    /// The files are in place; nothing but SIGHUP looks at them.
    private func prepared(_ files: TLSFiles, _ backend: any TestBackend) throws -> ProxyConfiguration {
        let made = TestCertificates.shared
        try files.folder.write("now.pem", made.rsa.chainPEM)
        try files.folder.write("now.key", made.rsa.keyPEM)
        try files.folder.write("now.crl", made.revocationList)
        try files.folder.write("now.ticket", BodyPattern.bytes(80, seed: 4))
        let words =
            "cert = \"FILES/now.pem\"\n key = \"FILES/now.key\"\n ticket-keys = \"FILES/now.ticket\"\n reload = \"1h\"\n" + TLSFiles.asking
            + "crl { file = \"FILES/now.crl\" reload = \"1h\" }\n"
        return ProxyConfiguration(servers: [.init(sections: [files.section(words: words)], downstreams: [.init(backend)])])
    }

    private func put(_ files: TLSFiles, _ name: String, _ content: Bytes) throws {
        try files.folder.write("new", content)
        try FileContent.move(files.path("new"), to: files.path(name))
    }

    @Test("a certificate and its key that were replaced are shown from SIGHUP on, and not before")
    func replaced() throws {
        let files = try TLSFiles()
        let backend = try HandlerBackend.named("one")
        defer { backend.close() }
        let configuration = try prepared(files, backend)
        try withProxy(configuration) { proxy throws in
            try put(files, "now.pem", Bytes(TestCertificates.shared.ecdsa.chainPEM))
            try put(files, "now.key", Bytes(TestCertificates.shared.ecdsa.keyPEM))
            let before = try files.openSSL(proxy)
            #expect(before.contains("CN = rsa.example.com"), "\(before)")
            try proxy.reload(configuration)
            let after = try files.openSSL(proxy)
            #expect(after.contains("CN = ecdsa.example.com"), "\(after)")
            #expect(after.contains("HTTP/1.1 200"), "\(after)")
        }
    }

    @Test("files that cannot be used change nothing: certificate, list and ticket key stay, and the log names the file", arguments: Broken.allCases)
    func broken(file: Broken) throws {
        let files = try TLSFiles()
        let backend = try HandlerBackend.named("one")
        defer { backend.close() }
        let configuration = try prepared(files, backend)
        try withProxy(configuration) { proxy throws in
            #expect(try !files.isResumed(at: proxy.addresses[0], "session", keeps: true))
            #expect(!proxy.operatorLog.contains(files.path(file.rawValue)))
            try put(files, file.rawValue, file.content)
            let lines = try proxy.reloadInVain(text: try proxy.text(of: configuration))
            #expect(lines.contains { $0.hasSuffix("configuration 1 stays in use") })
            #expect(lines.contains { $0.contains(files.path(file.rawValue)) }, "\(lines)")
            #expect(try proxy.counters().generation == 1)
            let after = try files.openSSL(proxy)
            #expect(after.contains("CN = rsa.example.com"), "\(after)")
            #expect(after.contains("HTTP/1.1 200"), "\(after)")
            #expect(try files.isResumed(at: proxy.addresses[0], "session"))
            let revoked = try files.openSSL(proxy, files.shown("revoked-client"))
            #expect(revoked.contains("alert certificate revoked"), "\(revoked)")
        }
    }
}

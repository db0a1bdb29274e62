import TestSupport
import Testing

@Suite("TLS of virtual hosts: what is theirs alone", .scenario)
struct VirtualHostTLSTests {
    private static let rules = [rule("all", [.everything], to: 0)]
    private static let defaultHost = virtualHost("main.example.net", [.isDefault], rules: rules)

    @Test("a host's pattern picks its certificate, as a title and as an alias; other names get the default's", arguments: ["-tls1_2", "-tls1_3"], [true, false])
    func pattern(version: String, isTitle: Bool) throws {
        let files = try TLSFiles()
        let own = [files.section("ecdsa")]
        let wild =
            isTitle
            ? virtualHost("*.example.com", sections: own, rules: Self.rules)
            : virtualHost("wild.example.net", aliases: ["*.example.com"], sections: own, rules: Self.rules)
        let names = [
            ("deep.example.com", "ecdsa"), ("DEEP.Example.com", "ecdsa"), ("very.deep.example.com", "ecdsa"), ("example.com", "rsa"),
            ("main.example.net", "rsa"), ("deep.example.org", "rsa"),
        ]
        try withTLS(files, to: try HandlerBackend.named("one"), certificates: ["rsa"], sections: [Self.defaultHost, wild]) { proxy throws in
            for (name, certificate) in names {
                let told = try files.openSSL(proxy, name: name, [version])
                #expect(told.contains("CN = \(certificate).example.com"), "\(name): \(told)")
                #expect(told.contains("HTTP/1.1 200"), "\(name): \(told)")
            }
        }
    }

    @Test("a client that one host's list names is refused there, and comes in at the host beside it", arguments: ["-tls1_2", "-tls1_3"])
    func ownList(version: String) throws {
        let files = try TLSFiles()
        func host(_ name: String, list: String) -> String {
            let words = TLSFiles.demanding + "crl { file = \"FILES/\(list).crl\" }\n"
            return virtualHost(name, sections: [files.section("ecdsa", words: words)], rules: Self.rules)
        }
        let hosts = [Self.defaultHost, host("one.example.com", list: "revoked"), host("two.example.com", list: "empty")]
        try withTLS(files, to: try HandlerBackend.named("one"), accessLog: "{STATUS} {REASON}", sections: hosts) { proxy throws in
            let refused = try files.openSSL(proxy, name: "one.example.com", files.shown("revoked-client") + [version])
            #expect(refused.contains("alert certificate revoked"), "\(refused)")
            #expect(!refused.contains("HTTP/1.1 200"), "\(refused)")
            let beside = try files.openSSL(proxy, name: "two.example.com", files.shown("revoked-client") + [version])
            #expect(beside.contains("HTTP/1.1 200"), "\(beside)")
            let other = try files.openSSL(proxy, name: "one.example.com", files.shown("client") + [version])
            #expect(other.contains("HTTP/1.1 200"), "\(other)")
            #expect(try proxy.accessLog(lines: 3) == ["- certificate-revoked", "200 -", "200 -"])
        }
    }
}

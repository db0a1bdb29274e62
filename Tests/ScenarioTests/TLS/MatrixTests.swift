import TestSupport
import Testing

@Suite("Every combination of version, key, resumption and client certificate, with openssl s_client", .scenario)
struct MatrixTests {
    /// A kind of client certificate, and whether it comes in.
    static let clients: [(name: String, comesIn: Bool)] = [("none", true), ("client", true), ("stranger-client", false), ("revoked-client", false)]
    static let versions = ["1.2", "1.3"]
    /// Certificates of a server, and which of them a client that takes any is shown.
    private static let keys: [(certificates: [String], shown: String)] = [(["rsa"], "rsa"), (["ecdsa"], "ecdsa"), (["rsa", "ecdsa"], "ecdsa")]
    /// Words of the way in which sessions are resumed, and whether they are.
    private static let resumptions: [(words: String, resumes: Bool)] = [
        ("tickets = true", true), ("tickets = false", true), ("tickets = false\n cache-enabled = false", false),
    ]

    @Test("nine servers each", arguments: versions, clients)
    func combinations(version: String, client: (name: String, comesIn: Bool)) throws {
        let files = try TLSFiles()
        let backend = try HandlerBackend.named("one")
        defer { backend.close() }
        let expected = Self.keys.flatMap { key in Self.resumptions.map { (key: key, resumption: $0) } }
        let servers = expected.map { one in
            let list = { (ending: String) in one.key.certificates.map { "\"FILES/\($0)\(ending)\"" }.joined(separator: ", ") }
            let words = "cert = { \(list(".pem")) }\n key = { \(list(".key")) }\n \(one.resumption.words)\n" + TLSFiles.asking + "crl { file = \"FILES/revoked.crl\" }\n"
            return ProxyConfiguration.Server(
                accessLog: "{STATUS} {TLS_VERSION} {TLS_RESUMED} {CLIENT_SERIAL}", sections: [files.section(words: words)], downstreams: [.init(backend)])
        }
        try withProxy(ProxyConfiguration(workers: 2, servers: servers)) { proxy in
            // One shell for all, two connections to each server: the second offers the session of the first, if it was given one.
            let shown = client.name == "none" ? "" : "-cert \(files.path(client.name)).pem -cert_chain \(files.path(client.name)).pem -key \(files.path(client.name)).key"
            let common = "-ign_eof -servername example.com -CAfile \(files.path("ca.pem")) -verify_return_error -tls\(version == "1.2" ? "1_2" : "1_3") \(shown)"
            let ports = proxy.addresses.map { "\($0.port)" }.joined(separator: " ")
            let script = """
                ask() { printf 'GET / HTTP/1.1\\r\\nHost: example.com\\r\\nConnection: close\\r\\n\\r\\n' | openssl s_client \(common) "$@" 2>/dev/null; }
                for port in \(ports); do
                    ask -connect 127.0.0.1:$port -sess_out \(files.path("session")).$port
                    echo %next%
                    ask -connect 127.0.0.1:$port $([ -s \(files.path("session")).$port ] && echo -sess_in \(files.path("session")).$port)
                    echo %next%
                done
                """
            let outputs = try ChildProcess.run(["sh", "-c", script]).output.text.split(separator: "%next%\n", omittingEmptySubsequences: false).map(String.init)
            try #require(outputs.count == 2 * expected.count + 1)
            for (number, one) in expected.enumerated() {
                let first = outputs[2 * number]
                let second = outputs[2 * number + 1]
                let what = Comment("\(one.key.certificates) \(one.resumption.words): \(first) \(second)")
                #expect(first.contains("HTTP/1.1 200") == client.comesIn, what)
                // A session of a connection that was refused must not open the door.
                #expect(second.contains("HTTP/1.1 200") == client.comesIn, what)
                guard client.comesIn else { continue }
                #expect(first.contains("CN = \(one.key.shown).example.com"), what)
                #expect(first.contains("New, TLSv\(version)"), what)
                #expect(second.contains("Reused, TLSv\(version)") == one.resumption.resumes, what)
            }
            #expect(backend.requestCount == (client.comesIn ? 2 * expected.count : 0))
            guard client.comesIn else { return }
            for (number, one) in expected.enumerated() {
                let serial = client.name == "none" ? "-" : "0ABC"
                let lines = try proxy.accessLog(lines: 2, number == 0 ? "access.log" : "access\(number).log")
                let wanted = ["200 TLSv\(version) 0 \(serial)", "200 TLSv\(version) \(one.resumption.resumes ? 1 : 0) \(serial)"]
                // Two workers write them, each when it comes to it; which came first is seen above.
                #expect(lines.sorted() == wanted.sorted(), "\(one.key.certificates) \(one.resumption.words)")
            }
        }
    }
}

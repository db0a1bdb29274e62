import TestSupport
import Testing

@Suite("Records of real clients: curl and openssl s_client", .scenario)
struct RecordScenarioTests {
    static let suites = [
        ("1.2", "ECDHE-ECDSA-AES128-GCM-SHA256"), ("1.2", "ECDHE-RSA-AES256-GCM-SHA384"), ("1.2", "ECDHE-RSA-CHACHA20-POLY1305"),
        ("1.2", "ECDHE-ECDSA-AES256-CCM"), ("1.2", "ECDHE-RSA-AES128-SHA256"), ("1.3", "TLS_AES_128_GCM_SHA256"),
        ("1.3", "TLS_AES_256_GCM_SHA384"), ("1.3", "TLS_CHACHA20_POLY1305_SHA256"),
    ]

    @Test("every suite carries two megabytes up and back", arguments: suites)
    func suite(version: String, name: String) throws {
        let files = try TLSFiles()
        let size = 2_000_000
        let body = try files.folder.write("body", BodyPattern.bytes(size, seed: 7))
        // As an operator would allow more suites than the policy has.
        let words = "ciphers = \"ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AESCCM:ECDHE-RSA-AES128-SHA256\"\n"
        try withTLS(files, to: try HandlerBackend.named("one"), words: words, accessLog: "{STATUS} {BODY_IN} {BODY_OUT} {TLS_CIPHER}") { proxy in
            let only = ["--tlsv\(version)", "--tls-max", version, version == "1.3" ? "--tls13-ciphers" : "--ciphers", name]
            let echo = try files.curl(proxy, only + ["--header", "Expect:", "--data-binary", "@\(body)"])
            #expect(BodyPattern.firstDifference(echo, seed: 7) == nil && echo.count == size)
            #expect(try proxy.accessLog(lines: 1) == ["200 \(size) \(size) \(name)"])
        }
    }

    /// `openssl s_client`, driven step by step.
    private static let driver = #"""
        import subprocess
        def start(*arguments):
            return subprocess.Popen(["openssl", "s_client", "-connect", "127.0.0.1:%d" % PORT, "-servername", "example.com", "-CAfile",
                FILES + "/ca.pem"] + list(arguments), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0)
        def until(client, word, seen=b""):
            while word not in seen:
                piece = client.stdout.read(65536)
                if not piece: raise Exception("ended before %r: %r" % (word, seen[-2000:]))
                seen += piece
            return seen
        def order(client, letter, word):
            client.stdin.write(letter + b"\n")
            return until(client, word)

        """#

    @Test("key updates of a client, with and without an answer, change nothing for requests", arguments: ["TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256"])
    func keyUpdates(suite: String) throws {
        let files = try TLSFiles()
        try withTLS(files, to: try HandlerBackend { request, _ in .bytes(HandlerBackend.response(body: Bytes("answer to " + request.target + "."))) }) { proxy in
            let lines = try files.python(
                Self.driver + """
                    client = start("-tls1_3", "-ciphersuites", ARGS[0])
                    until(client, b"Verification: OK")
                    for number in range(6):
                        order(client, (b"K", b"k")[number % 2], b"KEYUPDATE")
                        client.stdin.write(b"GET /%d HTTP/1.1\\r\\nHost: example.com\\r\\n\\r\\n" % number)
                        until(client, b"answer to /%d." % number)
                    client.kill()
                    client.wait()
                    print("through")
                    """, proxy, [suite])
            #expect(lines == ["through"])
        }
    }

    @Test("a client that wants to shake hands again is declined, and others are served")
    func renegotiation() throws {
        let files = try TLSFiles()
        try withTLS(files, to: try HandlerBackend.named("one"), accessLog: "{STATUS} {REASON}") { proxy in
            let lines = try files.python(
                Self.driver + """
                    client = start("-tls1_2")
                    until(client, b"Verify return code: 0")
                    seen = order(client, b"R", b"RENEGOTIATING")
                    print(b"no renegotiation" in until(client, b"renegotiation:", seen))
                    client.wait()
                    print(*get(connect()))
                    """, proxy)
            #expect(lines == ["True", "200 b''"])
        }
    }
}

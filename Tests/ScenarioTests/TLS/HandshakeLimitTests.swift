import TestSupport
import Testing

@Suite("Handshakes: heads before them, how many at once, how long", .scenario)
struct HandshakeLimitTests {
    @Test("a PROXY head of either version stands before the handshake, in one segment with it or byte by byte", arguments: [1, 2])
    func proxyHead(version: Int) throws {
        let files = try TLSFiles()
        let head = version == 1 ? SentHead.text("198.51.100.7") : SentHead.binary([198, 51, 100, 7], fields: [3, 0, 4, 1, 2, 3, 4])
        try files.folder.write("head", head)
        let backend = try HandlerBackend { request, _ in .bytes(HandlerBackend.response(body: Bytes(request.fields["X-Forwarded-For"].joined()))) }
        let settings = [Setting("proxy-protocol", "require"), Setting("proxy-protocol-from", "{ 127.0.0.1 }")]
        try withTLS(files, to: backend, server: settings, accessLog: "{SRC} {STATUS} {TLS_VERSION}", sections: ["headers { forwarded-for = replace }"]) { proxy in
            let lines = try files.python(
                """
                first = open(FILES + "/head", "rb").read()
                print(get(Half(context("1.2"), before=first))[1])
                raw = tcp()
                raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for place in range(len(first)): raw.sendall(first[place:place + 1])
                print(get(connect(context("1.3"), raw=raw))[1])
                """, proxy)
            #expect(lines == Array(repeating: "b'198.51.100.7'", count: 2))
            let log = try proxy.accessLog(lines: 2).map { $0.split(separator: " ").dropFirst().joined(separator: " ") }
            #expect(log == ["200 TLSv1.2", "200 TLSv1.3"])
            #expect(proxy.accessLog().allSatisfy { $0.hasPrefix("198.51.100.7") })
        }
    }

    @Test("who is not believed and comes with a head gets no handshake")
    func strangeHead() throws {
        let files = try TLSFiles()
        let settings = [Setting("proxy-protocol", "accept"), Setting("proxy-protocol-from", "{ 192.0.2.0/24 }")]
        let backend = try HandlerBackend.named("one")
        try withTLS(files, to: backend, server: settings) { proxy in
            let client = try proxy.connect()
            try client.send(SentHead.text("198.51.100.7"))
            _ = try client.receiveUntilEndOrReset()
            #expect(backend.requestCount == 0)
            #expect(try files.curl(proxy, ["--output", "/dev/null", "--write-out", "%{http_code}"]) == Bytes("200"))
        }
    }

    /// Sends a whole hello and reads what the server says to it, and nothing more.
    private static let hangers = """
        def hang():
            out = ssl.MemoryBIO()
            hello = context("1.3").wrap_bio(ssl.MemoryBIO(), out, server_hostname="example.com")
            try: hello.do_handshake()
            except ssl.SSLWantReadError: pass
            raw = tcp()
            raw.sendall(out.read())
            return raw
        hanging = [hang() for _ in range(2)]
        for raw in hanging: raw.recv(1)

        """

    @Test("with handshakes-max under way the next client waits, and has its turn when one of them is gone")
    func handshakesMax() throws {
        let files = try TLSFiles()
        try withTLS(files, to: try HandlerBackend.named("one"), words: "handshakes-max = 2\n") { proxy in
            let lines = try files.python(
                Self.hangers + """
                    third = hang()
                    print(select.select([third], [], [], 0.2)[0])
                    # A hello that is not whole keeps nobody out, and none of this touches who is in.
                    piece = tcp()
                    piece.sendall(b"\\x16\\x03\\x01")
                    hanging[0].close()
                    print(len(third.recv(1)))
                    third.close()
                    print(get(connect())[0])
                    """, proxy)
            #expect(lines == ["[]", "1", "200"])
        }
    }

    @Test("who hangs in a handshake is gone after handshake-timeout, with its word in the log, and the next has its turn")
    func timeoutWord() throws {
        let files = try TLSFiles()
        let words = "handshakes-max = 2\n handshake-timeout = \"400ms\"\n"
        try withTLS(files, to: try HandlerBackend.named("one"), words: words, accessLog: "{STATUS} {REASON}") { proxy in
            let lines = try files.python(
                Self.hangers + """
                    # Within its own 400 ms the third may see the others' end or its own.
                    def late():
                        try: return get(connect())[0]
                        except (OSError, ssl.SSLError): return 0
                    while (status := late()) != 200: pass
                    print(status)
                    for raw in hanging:
                        while raw.recv(65536): pass
                    print("gone")
                    """, proxy)
            #expect(lines == ["200", "gone"])
            try eventually("both are in the log") { proxy.accessLog().filter { $0 == "- handshake-timeout" }.count >= 2 }
            #expect(try proxy.counters().sum("tlsFailures") >= 2)
        }
    }

    @Test("who connects and never says a word is closed in the same time and leaves no line")
    func silent() throws {
        let files = try TLSFiles()
        try withTLS(files, to: try HandlerBackend.named("one"), words: "handshake-timeout = \"200ms\"\n", accessLog: "{STATUS} {REASON}") { proxy in
            let client = try proxy.connect()
            try client.expectClosed()
            #expect(try files.curl(proxy, ["--output", "/dev/null", "--write-out", "%{http_code}"]) == Bytes("200"))
            #expect(try proxy.accessLog(lines: 1) == ["200 -"])
        }
    }
}

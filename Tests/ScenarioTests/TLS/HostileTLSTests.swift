import TestSupport
import Testing

@Suite("Clients that speak no TLS, or not to its end", .scenario)
struct HostileTLSTests {
    @Test("plain HTTP at a port of TLS is told so in plain text")
    func plainHTTP() throws {
        let files = try TLSFiles()
        try withTLS(files, to: try HandlerBackend.named("one"), accessLog: "{STATUS} {REASON}") { proxy in
            let client = try proxy.connect()
            let response = try client.get("/")
            #expect(response.status == 400)
            #expect(response.announcesClose)
            try client.expectClosed()
            #expect(try proxy.accessLog(lines: 1) == ["400 plain-http"])
            #expect(try files.curl(proxy, ["--output", "/dev/null", "--write-out", "%{http_code}"]) == Bytes("200"))
        }
    }

    @Test("a handshake that does not end is cut off in its time", arguments: [Bytes(), [0x16, 0x03, 0x01, 0x02, 0x00, 0x01]])
    func handshakeTimeout(beginning: Bytes) throws {
        let files = try TLSFiles()
        let words = "handshake-timeout = \"300ms\"\n"
        try withTLS(files, to: try HandlerBackend.named("one"), words: words, accessLog: "{STATUS} {REASON}") { proxy in
            let time = try elapsed {
                let client = try proxy.connect()
                if !beginning.isEmpty { try client.send(beginning) }
                _ = try client.receiveUntilEndOrReset()
            }
            #expect(expectedSpan(of: .milliseconds(300)).contains(time))
        }
    }

    @Test("garbage is answered with an alert and has its word in the log")
    func garbage() throws {
        let files = try TLSFiles()
        try withTLS(files, to: try HandlerBackend.named("one"), accessLog: "{STATUS} {REASON}") { proxy in
            let client = try proxy.connect()
            // A handshake record with a ClientHello that is none.
            try client.send(Bytes([0x16, 0x03, 0x01, 0x00, 0x08, 0x01, 0x00, 0x00, 0x04, 0xFF, 0xFF, 0xFF, 0xFF]))
            let answer = try client.receiveUntilEndOrReset()
            #expect(answer.first == 0x15)
            let line = try proxy.accessLog(lines: 1)[0]
            #expect(line.hasPrefix("- "))
            #expect(line != "- -")
        }
    }

    @Test("a few hundred broken hellos do not keep anybody else from being served")
    func besideOthers() throws {
        let files = try TLSFiles()
        try withTLS(files, to: try HandlerBackend.named("one")) { proxy in
            let lines = try files.python(
                """
                failures, over = [], threading.Event()
                hello = b"\\x16\\x03\\x01\\x02\\x00\\x01\\x00\\x01\\xfc\\x03\\x03" + b"x" * 40
                def hostile(number):
                    kept = []
                    while not over.is_set():
                        try:
                            s = tcp()
                            s.sendall((hello, os.urandom(600), hello[:6] + os.urandom(600), b"")[len(kept) % 4])
                            kept.append(s)
                            if len(kept) > 50: kept.pop(0).close()
                        except OSError: pass
                        over.wait(0.01)
                def normal():
                    try:
                        c = context()
                        for _ in range(30):
                            s = connect(c)
                            for _ in range(3): assert get(s)[0] == 200
                            s.close()
                    except Exception as error: failures.append(error)
                bad = [threading.Thread(target=hostile, args=(n,)) for n in range(3)]
                good = [threading.Thread(target=normal) for n in range(3)]
                for t in bad + good: t.start()
                for t in good: t.join()
                over.set()
                for t in bad: t.join()
                print(failures)
                """, proxy)
            #expect(lines == ["[]"])
        }
    }
}

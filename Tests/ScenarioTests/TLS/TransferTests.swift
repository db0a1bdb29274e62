import TestSupport
import Testing

@Suite("Exchanges over TLS, by curl and by Python's client", .scenario)
struct TransferTests {
    static let kinds = [("1.2", "rsa"), ("1.2", "ecdsa"), ("1.3", "rsa"), ("1.3", "ecdsa")]

    @Test("20 MB go up and come back byte for byte, by length and in chunks", arguments: kinds)
    func large(version: String, kind: String) throws {
        let files = try TLSFiles()
        let size = 20_000_000
        let body = try files.folder.write("body", BodyPattern.bytes(size, seed: 61))
        try withTLS(files, to: try HandlerBackend.named("one"), certificates: [kind], accessLog: "{STATUS} {BODY_IN} {BODY_OUT} {TLS_VERSION}") { proxy in
            let only = ["--tlsv\(version)", "--tls-max", version, "--header", "Expect:", "--data-binary", "@\(body)"]
            for extra in [[], ["--header", "Transfer-Encoding: chunked"]] {
                let echo = try files.curl(proxy, only + extra)
                #expect(echo.count == size)
                #expect(BodyPattern.firstDifference(echo, seed: 61) == nil)
            }
            for line in try proxy.accessLog(lines: 2) {
                #expect(line == "200 \(size) \(size) TLSv\(version)")
            }
        }
    }

    @Test("both certificates at one listener: each client gets the kind it can verify", arguments: [("RSA", "rsa"), ("ECDSA", "ecdsa")])
    func kindsSideBySide(authentication: String, kind: String) throws {
        let files = try TLSFiles()
        try withTLS(files, to: try HandlerBackend.named("one")) { proxy in
            let lines = try files.python(
                """
                c = context("1.2")
                c.set_ciphers("ECDHE-%s-AES128-GCM-SHA256" % ARGS[0])
                s = connect(c)
                print(common(s), s.cipher()[0])
                """, proxy, [authentication])
            #expect(lines == ["\(kind).example.com ECDHE-\(authentication)-AES128-GCM-SHA256"])
        }
    }

    @Test("HEAD has no body, several requests take one connection, Connection: close ends it with close_notify", arguments: ["1.2", "1.3"])
    func keepAlive(version: String) throws {
        let files = try TLSFiles()
        try withTLS(files, to: try HandlerBackend.named("one")) { proxy in
            let lines = try files.python(
                """
                s = connect(context(ARGS[0]))
                for number in range(5):
                    s.sendall(b"POST /%d HTTP/1.1\\r\\nHost: example.com\\r\\nContent-Length: 5\\r\\n\\r\\nhell%d" % (number, number))
                    print(*answer(s)[:2])
                s.sendall(b"HEAD / HTTP/1.1\\r\\nHost: example.com\\r\\n\\r\\n")
                print(head(s)[1])
                print(*get(s, fields="Connection: close\\r\\n"))
                print(s.recv(100))
                """, proxy, [version])
            #expect(lines == (0..<5).map { "200 b'hell\($0)'" } + ["b''", "200 b''", "b''"])
            #expect(try proxy.counters().sum("clientsAccepted") <= 1)
        }
    }

    @Test("pipelined requests are answered in order, also those in one record and those cut anywhere", arguments: ["1.2", "1.3"])
    func pipelined(version: String) throws {
        let files = try TLSFiles()
        let backend = try HandlerBackend { request, _ in .bytes(HandlerBackend.response(body: Bytes(request.target))) }
        try withTLS(files, to: backend) { proxy in
            let lines = try files.python(
                """
                s = connect(context(ARGS[0]))
                for size in (100000, 7, 61):
                    asked = b"".join(b"GET /%d HTTP/1.1\\r\\nHost: example.com\\r\\n\\r\\n" % n for n in range(50))
                    for start in range(0, len(asked), size): s.sendall(asked[start:start + size])
                    rest, told = b"", []
                    for _ in range(50):
                        status, body, rest = answer(s, rest)
                        told.append(body.decode())
                    print(told == ["/%d" % n for n in range(50)], rest)
                """, proxy, [version])
            #expect(lines == Array(repeating: "True b''", count: 3))
        }
    }

    @Test("a client that does not read is not read for without limit, and loses nothing", arguments: ["1.2", "1.3"])
    func slowReader(version: String) throws {
        let files = try TLSFiles()
        let backend = try ScriptedBackend()
        try withTLS(files, to: backend, server: [.highWatermark(65_536)]) { proxy in
            let size = 60_000_000
            let client = try files.startPython(
                """
                import hashlib
                s = connect(context(ARGS[0]))
                s.sendall(b"GET / HTTP/1.1\\r\\nHost: example.com\\r\\n\\r\\n")
                start, rest = head(s)
                print("head")
                wait_for("go")
                sum, left = hashlib.sha256(rest), \(size) - len(rest)
                while left > 0:
                    piece = s.recv(65536)
                    left -= len(piece)
                    sum.update(piece)
                print(left, sum.hexdigest())
                """, port: proxy.addresses[0].port, [version])
            let (_, connection) = try backend.receiveRequest()
            let body = BodyPattern.bytes(size, seed: 62)
            try connection.send("HTTP/1.1 200 OK\r\nContent-Length: \(size)\r\n\r\n")
            let sent = try connection.sendWhatIsTaken(body, deadline: Deadline(after: .seconds(2)))
            #expect(sent < size)
            try files.waitForLine("head", of: client)
            try files.folder.write("go", "")
            try connection.send(Bytes(body[sent...]), deadline: Deadline(after: Patience.step * 3))
            let wanted = try ChildProcess.run(["sha256sum", files.folder.write("wanted", body)]).output.text.split(separator: " ")[0]
            #expect(try files.end(client) == ["head", "0 \(wanted)"])
        }
    }

    @Test("a log line tells version, cipher, name and whether the session was resumed")
    func logFields() throws {
        let files = try TLSFiles()
        try withTLS(files, to: try HandlerBackend.named("one"), accessLog: "{TLS_VERSION} {TLS_CIPHER} {TLS_SNI} {TLS_RESUMED}") { proxy in
            _ = try files.python(
                """
                c = context("1.3")
                s = connect(c)
                get(s)
                get(connect(c, session=s.session))
                """, proxy)
            let lines = try proxy.accessLog(lines: 2).map { $0.split(separator: " ").map(String.init) }
            for line in lines {
                try #require(line.count == 4)
                #expect(line[0] == "TLSv1.3")
                #expect(line[1].hasPrefix("TLS_"))
                #expect(line[2] == "example.com")
            }
            #expect(lines.map { $0[3] } == ["0", "1"])
        }
    }

    @Test("clients that do not read cost their watermark and no more, however much their backend has for them")
    func boundOfSlowReaders() throws {
        let files = try TLSFiles()
        let clients = 40
        let body = BodyPattern.bytes(30_000_000, seed: 63)
        let backend = try HandlerBackend { _, _ in .bytes(HandlerBackend.response(body: body)) }
        try withTLS(files, to: backend, server: [.highWatermark(65_536)], downstream: [.connectionsMax(clients)]) { proxy in
            func memory() throws -> Int {
                let lines = FileContent.read("/proc/\(try proxy.serverProcess())/smaps_rollup")?.text.split(separator: "\n") ?? []
                return lines.first { $0.hasPrefix("Pss:") }?.split(separator: " ").compactMap { Int($0) }.first ?? 0
            }
            let client = try files.startPython(
                """
                kept = []
                for _ in range(\(clients)):
                    s = connect()
                    kept.append(s)
                print("connected")
                wait_for("ask")
                for s in kept: s.sendall(b"GET / HTTP/1.1\\r\\nHost: example.com\\r\\n\\r\\n")
                print("asked")
                wait_for("end")
                """, port: proxy.addresses[0].port)
            try files.waitForLine("connected", of: client)
            let before = try memory()
            try files.folder.write("ask", "")
            try files.waitForLine("asked", of: client)
            var sent = -1
            var same = 0
            try eventually("nothing moves any more") {
                let now = try proxy.counters().sum("clientBytesSent")
                same = now == sent && backend.requestCount == clients ? same + 1 : 0
                sent = now
                return same == 20
            }
            let perClient = (try memory() - before) / clients
            // The watermark, what becomes records of it, and a helping that was on its way.
            if !Patience.isStretched { #expect(perClient < 256, "\(perClient) KiB each") }
            #expect(sent < clients * body.count / 2)
            try files.folder.write("end", "")
            _ = try files.end(client)
        }
    }
}

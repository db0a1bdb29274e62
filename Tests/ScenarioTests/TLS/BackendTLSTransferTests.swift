import TestSupport
import Testing

@Suite("Bodies to and from backends under TLS", .scenario)
struct BackendTLSTransferTests {
    /// A server of Python's that gives each body back: with a length, in chunks, until close_notify, or cut off before it.
    private func withEcho(_ files: TLSFiles, version: String, settings: [Setting] = [], headBytes: Bool = false, _ body: (ProxyUnderTest) throws -> Void) throws {
        let backend = try files.startPython(
            #"""
            c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            c.load_cert_chain(FILES + "/ecdsa.pem", FILES + "/ecdsa.key")
            c.minimum_version = c.maximum_version = VERSIONS[ARGS[0]]
            listener = socket.create_server(("127.0.0.1", 0), backlog=64)
            def exactly(raw, count):
                got = b""
                while len(got) < count: got += raw.recv(count - len(got))
                return got
            def binary(raw):
                start = exactly(raw, 16)
                return (start + exactly(raw, start[14] * 256 + start[15])).hex().encode()
            def serve(raw):
                try:
                    before = binary(raw) if ARGS[1] == "True" else b""
                    s = c.wrap_socket(raw, server_side=True)
                    f = s.makefile("rb")
                    while True:
                        target, fields = f.readline().split()[1], {}
                        while line := f.readline().strip():
                            name, value = line.split(b":", 1)
                            fields[name.lower()] = value.strip()
                        pieces = []
                        if b"transfer-encoding" in fields:
                            while count := int(f.readline(), 16):
                                pieces.append(f.read(count))
                                f.readline()
                            f.readline()
                        else: pieces.append(f.read(int(fields.get(b"content-length", 0))))
                        whole = before or b"".join(pieces)
                        if target == b"/length": s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(whole) + whole)
                        elif target == b"/chunks":
                            s.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                            for n in range(0, len(whole), 77777):
                                piece = whole[n:n + 77777]
                                s.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
                            s.sendall(b"0\r\n\r\n")
                        else:
                            s.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + whole)
                            if target == b"/end": s.unwrap()
                            raw = socket.socket(fileno=s.detach())
                            raw.shutdown(socket.SHUT_RDWR)
                            raw.close()
                            return
                except Exception: raw.close()
            print("port %d" % listener.getsockname()[1])
            while True: threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
            """#, port: 0, [version, headBytes ? "True" : "False"])
        defer { backend.kill() }
        let port = try TLSFiles.port(of: backend)
        let section = Setting("ssl { enabled", "true\n ca = \"\(files.path("ca.pem"))\"\n name = example.com\n }")
        func server(_ sections: [String]) -> ProxyConfiguration.Server {
            .init(accessLog: "{STATUS} {REASON}", sections: sections, downstreams: [.init(at: .ipv4(port: port), settings + [section])])
        }
        try withProxy(ProxyConfiguration(servers: [server([]), server([files.section("ecdsa")])]), body)
    }

    @Test("12 MB go to a backend and come back byte for byte, by length, in chunks and until the end, from clients with TLS and without", arguments: ["1.2", "1.3"])
    func bothWays(version: String) throws {
        let files = try TLSFiles()
        let size = 12_000_000
        let body = try files.folder.write("body", BodyPattern.bytes(size, seed: 91))
        try withEcho(files, version: version) { proxy in
            let chunked = ["--header", "Transfer-Encoding: chunked"]
            for (target, extra) in [("/length", []), ("/chunks", chunked), ("/end", []), ("/length", chunked)] {
                let arguments = ["--header", "Expect:", "--data-binary", "@\(body)"] + extra
                let plain = try RealClient.curl(arguments + [proxy.url + target])
                let sealed = try files.curl(proxy, server: 1, arguments, target: target)
                for echo in [plain, sealed] {
                    #expect(echo.count == size, "\(target) \(extra)")
                    #expect(BodyPattern.firstDifference(echo, seed: 91) == nil, "\(target) \(extra)")
                }
            }
        }
    }

    @Test("a body until the end that ends without close_notify may have been cut, and the client can tell", arguments: ["1.2", "1.3"])
    func cut(version: String) throws {
        let files = try TLSFiles()
        try withEcho(files, version: version) { proxy in
            let client = try proxy.connect()
            try client.send("POST /cut HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello")
            #expect(try client.receiveTruncatedResponse().status == 200)
            #expect(try proxy.accessLog(lines: 1) == ["200 answer-too-short"])
        }
    }

    @Test("a binary PROXY head stands before the handshake")
    func binaryHead() throws {
        let files = try TLSFiles()
        try withEcho(files, version: "1.3", settings: [Setting("send-proxy-protocol", "v2")], headBytes: true) { proxy in
            for server in 0...1 {
                let told = try server == 0 ? RealClient.curl([proxy.url + "/length"]) : files.curl(proxy, server: 1, target: "/length")
                let text = told.text
                // Signature, version 2 and PROXY, TCP over IPv4, twelve bytes and more, our address twice.
                #expect(text.hasPrefix("0d0a0d0a000d0a515549540a2111"), "\(text)")
                #expect(text.dropFirst(32).hasPrefix("7f0000017f000001"), "\(text)")
            }
        }
    }
}

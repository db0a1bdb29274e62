import TestSupport
import Testing

@Suite("Tunnels under TLS", .scenario)
struct TLSTunnelTests {
    private static let begin =
        #"""
        h = Half(context(ARGS[0]))
        h.sendall(b"GET /chat HTTP/1.1\r\nHost: example.com\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
        start, rest = head(h)
        print(start.split(" ")[1])

        """#

    /// Plays the backend of a tunnel that a Python client opens; what the client printed behind the 101.
    private func withTunnel(_ version: String, _ script: String, _ backendPart: (BackendConnection) throws -> Void) throws -> [String] {
        let files = try TLSFiles()
        let backend = try ScriptedBackend()
        return try withTLS(files, to: backend, accessLog: "{STATUS} {REASON}") { proxy in
            let client = try files.startPython(Self.begin + script, port: proxy.addresses[0].port, [version])
            let (request, connection) = try backend.receiveRequest()
            #expect(request.fields["Upgrade"] == ["echo"])
            try connection.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
            try backendPart(connection)
            let lines = try files.end(client)
            #expect(lines.first == "101")
            #expect(try proxy.accessLog(lines: 1) == ["101 -"])
            return Array(lines.dropFirst())
        }
    }

    @Test("the client's close_notify is the backend's FIN, and what the backend says after it still comes", arguments: ["1.2", "1.3"])
    func clientEndsFirst(version: String) throws {
        let lines = try withTunnel(
            version,
            """
            h.sendall(b"up")
            h.end()
            print(h.rest(rest))
            """
        ) { connection throws in
            #expect(try connection.receiveUntilEnd() == Bytes("up"))
            try connection.send("down behind the end")
            connection.finishSending()
        }
        #expect(lines == ["b'down behind the end'"])
    }

    @Test("the backend's FIN is a close_notify to the client, which may still speak", arguments: ["1.2", "1.3"])
    func backendEndsFirst(version: String) throws {
        let lines = try withTunnel(
            version,
            """
            print(h.rest(rest))
            h.sendall(b"up behind the end")
            h.end()
            """
        ) { connection throws in
            try connection.send("down")
            connection.finishSending()
            #expect(try connection.receiveUntilEnd() == Bytes("up behind the end"))
        }
        #expect(lines == ["b'down'"])
    }

    @Test("megabytes pass both ways, each direction to its own end", arguments: ["1.2", "1.3"])
    func large(version: String) throws {
        // A sanitizer makes this side slow, too.
        let size = Patience.isStretched ? 300_000 : 3_000_000
        let down = BodyPattern.bytes(size, seed: 81)
        let lines = try withTunnel(
            version,
            """
            import hashlib
            up = bytes(n * 7 % 251 for n in range(\(size)))
            for place in range(0, len(up), 50000): h.sendall(up[place:place + 50000])
            h.end()
            got = h.rest(rest)
            print(len(got), hashlib.sha256(got).hexdigest())
            """
        ) { connection throws in
            let up = try connection.receiveUntilEnd(deadline: Deadline(after: Patience.step * 3))
            #expect(up.count == size)
            let period = Bytes((0..<251).map { UInt8($0 * 7 % 251) })
            #expect(stride(from: 0, to: up.count, by: 251).allSatisfy { up[$0...].prefix(251).elementsEqual(period.prefix(up.count - $0)) })
            try connection.send(down, deadline: Deadline(after: Patience.step * 3))
            connection.finishSending()
        }
        let folder = try TemporaryFolder()
        let wanted = try ChildProcess.run(["sha256sum", folder.write("wanted", down)]).output.text.split(separator: " ")[0]
        #expect(lines == ["\(size) \(wanted)"])
    }

    @Test("a client that is cut off without close_notify takes its tunnel along")
    func cut() throws {
        let files = try TLSFiles()
        let backend = try ScriptedBackend()
        try withTLS(files, to: backend) { proxy in
            let client = try files.startPython(Self.begin + "h.raw.close()\n", port: proxy.addresses[0].port, ["1.3"])
            let (_, connection) = try backend.receiveRequest()
            try connection.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
            #expect(try files.end(client) == ["101"])
            _ = try connection.receiveUntilEndOrReset()
        }
    }
}

import TestSupport
import Testing

@Suite("Errors that the load generator tells apart", .scenario)
struct LoadErrorTests {
    /// Answers every request of every connection with the same bytes, and closes then if told to.
    private func backend(_ answer: String, closes: Bool = true) throws -> HandlerBackend {
        try HandlerBackend { _, _ in closes ? .bytesThenClose(Bytes(answer)) : .bytes(Bytes(answer)) }
    }

    @Test(
        "what is no answer, or not all of one, is an error of its kind",
        arguments: [
            ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345", "wrong_length"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n", "wrong_length"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", "bad_answer"),
            ("SSH-2.0-OpenSSH_9.6\r\n", "bad_answer"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n1", "bad_answer"),
            ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "bad_answer"),
            ("HTTP/1.1 200 OK\r\nContent-Le", "reset"),
            ("", "reset"),
        ])
    func kinds(answer: String, kind: String) throws {
        let backend = try backend(answer)
        defer { backend.close() }
        let run = try LoadRun(["http://\(backend.address)/", "--rate", "100", "--requests", "5", "--connections", "5"])
        #expect(run.exitCode == 1)
        #expect(try run.number("errors", kind) == 5, "\(run.json)")
        #expect(try run.number("requests", "started") == 5)
        #expect(try run.addsUp)
    }

    @Test("nobody there is one sentence and 1")
    func nobody() throws {
        let backend = try ScriptedBackend()
        let address = backend.address
        backend.close()
        let run = try LoadRun(["http://\(address)/", "--closed", "--requests", "5"])
        #expect(run.exitCode == 1)
        #expect(run.errors.contains("Connection refused"))
        let churn = try LoadRun(["http://\(address)/", "--rate", "100", "--requests", "5", "--close"])
        #expect(churn.exitCode == 1)
        #expect(try churn.number("errors", "connect") == 5)
        #expect(try churn.addsUp)
    }

    /// All of them one after the other, 256 at a time, would take ten seconds.
    @Test("when none of the first connections can be opened, the others are not waited for")
    func nobodyListens() throws {
        let backend = try ScriptedBackend(backlog: 4_096)
        defer { backend.close() }
        // Nothing is ever said there, so that no handshake of TLS ends.
        let watch = Stopwatch()
        let run = try LoadRun(["https://\(backend.address)/", "--insecure", "--closed", "--connections", "2560", "--timeout", "1s"])
        #expect(run.exitCode == 1)
        #expect(run.errors.contains("cannot open a connection"), "\(run.errors)")
        #expect(watch.time < .seconds(6) * Patience.factor)
    }

    @Test("silence is a timeout, and the run ends")
    func silence() throws {
        let backend = try ScriptedBackend()
        defer { backend.close() }
        let run = try LoadRun(["http://\(backend.address)/", "--rate", "100", "--requests", "6", "--connections", "3", "--timeout", "300ms"])
        #expect(run.exitCode == 1)
        #expect(try run.number("errors", "timeout") + run.number("errors", "dropped") == 6, "\(run.json)")
        #expect(try run.number("errors", "timeout") >= 3)
        #expect(try run.addsUp)
    }

    @Test("bytes that nobody asked for end the connection, and belong to no later request")
    func unasked() throws {
        let backend = try backend("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n2", closes: false)
        defer { backend.close() }
        let run = try LoadRun(["http://\(backend.address)/", "--closed", "--requests", "4", "--connections", "1"])
        #expect(try run.number("requests", "answered") == 4, "\(run.json)")
        #expect(try run.number("connections", "opened") == 4)
    }

    @Test("faults of the origin arrive as what they are")
    func faults() throws {
        let origin = try OriginUnderTest(["--fault", "reset:0.1,truncate:0.1,503:0.1", "--seed", "2"])
        let run = try LoadRun([origin.url(), "--rate", "2000", "--requests", "1000", "--allow-failures", "50%"])
        #expect(run.exitCode == 0, "\(run.json)")
        for kind in ["reset", "wrong_length"] { #expect(try (50...150).contains(run.number("errors", kind)), "\(kind): \(run.json)") }
        #expect(try (50...150).contains(run.number("responses", "5xx")))
        #expect(try run.number("errors", "bad_answer") == 0)
        #expect(try run.addsUp)
    }
}

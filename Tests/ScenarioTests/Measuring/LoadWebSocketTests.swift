import TestSupport
import Testing

@Suite("Load generator over WebSocket", .scenario)
struct LoadWebSocketTests {
    private func unmasked(_ frame: Bytes) -> Bytes { frame.dropFirst(6).enumerated().map { $1 ^ frame[2 + $0 % 4] } }

    @Test("a ping is answered with its own bytes, and the messages go on around it")
    func ping() throws {
        let backend = try ScriptedBackend()
        defer { backend.close() }
        let options = ["--websocket", "--closed", "--requests", "2", "--connections", "1", "--body-size", "5"]
        let process = try ChildProcess(
            [try ProxyUnderTest.binaryPath(), "load", "http://\(backend.address)/"] + options + ["--json", "-", "--report-anyway"])
        let connection = try backend.receiveRequestHead().connection
        try connection.send(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                + "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
        for _ in 0..<2 {
            let message = try connection.receive(11)
            #expect(message.prefix(2) == [0x82, 0x85])
            try connection.send([0x89, 2, 0x68, 0x69])
            let pong = try connection.receive(8)
            #expect(pong.prefix(2) == [0x8A, 0x82])
            #expect(unmasked(pong) == Bytes("hi"))
            try connection.send([0x82, 5] + unmasked(message))
        }
        let run = try LoadRun(of: process)
        #expect(run.exitCode == 0, "\(run.json) \(run.errors)")
        #expect(try run.number("requests", "answered") == 2)
    }
}

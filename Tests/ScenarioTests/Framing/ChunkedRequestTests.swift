import TestSupport
import Testing

@Suite("Chunked requests, RFC 9112 §7.1", .scenario)
struct ChunkedRequestTests {
    private let head = "POST /up HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"

    @Test(
        "every way to cut a chunked body gives the backend the same body, without extensions",
        arguments: [
            "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", "B\r\nhello world\r\n0\r\n\r\n", "b\r\nhello world\r\n0\r\n\r\n", "000000b\r\nhello world\r\n000\r\n\r\n",
            "5;name=value\r\nhello\r\n6;a;b=\"c;d\"\r\n world\r\n0;last\r\n\r\n",
            "1\r\nh\r\n1\r\ne\r\n1\r\nl\r\n1\r\nl\r\n1\r\no\r\n6\r\n world\r\n0\r\n\r\n",
        ])
    func sameBody(chunks: String) throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend) { proxy in
            let client = try proxy.connect()
            try client.send(head + chunks)
            let (request, connection) = try backend.receiveRequest()
            #expect(request.body == Bytes("hello world"))
            #expect(!request.content.hadChunkExtensions)
            try connection.respond(body: "ok")
            #expect(try client.receiveResponse().body == Bytes("ok"))
            #expect(try client.get("/next", answeredBy: backend).status == 200)
        }
    }

    @Test("a chunked body that comes byte by byte arrives whole")
    func byteByByte() throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend) { proxy in
            let client = try proxy.connect()
            try client.send(pieces: Bytes(head + "5;x=y\r\nhello\r\nA\r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\n").map { [$0] })
            let (request, connection) = try backend.receiveRequest()
            #expect(request.body == Bytes("hello0123456789"))
            try connection.respond()
            #expect(try client.receiveResponse().status == 200)
        }
    }

    @Test("an empty chunked body stays a body")
    func empty() throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend) { proxy in
            let client = try proxy.connect()
            try client.send(head + "0\r\n\r\n")
            let (request, connection) = try backend.receiveRequest()
            #expect(request.body.isEmpty)
            #expect(request.content.framing == .chunked || request.content.framing == .length(0))
            try connection.respond()
            #expect(try client.receiveResponse().status == 200)
        }
    }

    @Test("trailers reach the backend, those that would change framing or routing do not")
    func trailers() throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend) { proxy in
            let client = try proxy.connect()
            try client.send(head + "1\r\na\r\n0\r\nX-Sum: 99\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nHost: other\r\n\r\n")
            let (request, connection) = try backend.receiveRequest()
            #expect(request.content.trailers["X-Sum"] == ["99"])
            for name in ["Content-Length", "Transfer-Encoding", "Host"] { #expect(!request.content.trailers.has(name)) }
            try connection.respond()
            #expect(try client.receiveResponse().status == 200)
        }
    }

    @Test("what follows the last chunk is the next request")
    func nextRequest() throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend) { proxy in
            let client = try proxy.connect()
            try client.send(head + "1\r\na\r\n0\r\n\r\nGET /second HTTP/1.1\r\nHost: test\r\n\r\n")
            let (first, connection) = try backend.receiveRequest()
            #expect(first.body == Bytes("a"))
            try connection.respond(body: "1")
            let (second, again) = try backend.receiveRequest()
            #expect(second.target == "/second")
            try again.respond(body: "2")
            #expect(try client.receiveResponse().body == Bytes("1"))
            #expect(try client.receiveResponse().body == Bytes("2"))
        }
    }

    @Test(
        "a chunk that cannot be read is answered 400, and the backend never sees the end of the request",
        arguments: [
            "xyz\r\n", "\r\n", " 5\r\nhello\r\n", "-5\r\nhello\r\n", "+5\r\nhello\r\n", "0x5\r\nhello\r\n", "5\nhello\r\n", "5\r\nhello0\r\n\r\n",
            "5\r\nhelloXX0\r\n\r\n", "5\r\nhello\n0\r\n\r\n", "10000000000000000\r\nhello", "FFFFFFFFFFFFFFFF1\r\nhello", "5;a\u{00}b\r\nhello\r\n0\r\n\r\n",
            "5;a\nb\r\nhello\r\n0\r\n\r\n", "5;a\rb\r\nhello\r\n0\r\n\r\n", "5\r\nhello\r\n0\r\nbad trailer\r\n\r\n", "5\r\nhello\r\n0\r\nA : 1\r\n\r\n",
            "5\r\nhello\r\n0\r\nA: 1\nB: 2\r\n\r\n", "5 \r\nhello\r\n0\r\n\r\n",
        ])
    func unreadableChunk(chunks: String) throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend) { proxy in
            let client = try proxy.connect()
            try client.send(head + chunks)
            let response = try client.receiveResponse()
            #expect(response.status == 400)
            #expect(response.announcesClose)
            client.finishSending()
            try client.expectClosed()
            // The backend has seen nothing, or a request that breaks off.
            try backend.expectNoWholeRequest()
        }
    }

    @Test("an endless chunk extension is refused")
    func endlessExtension() throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend) { proxy in
            let client = try proxy.connect()
            let sending = client.sendInBackground(Bytes(head + "5;" + String(repeating: "a", count: 2_000_000)))
            let response = try client.receiveResponse()
            #expect([400, 413, 431].contains(response.status))
            client.close()
            _ = try sending.join()
            try backend.expectNoWholeRequest()
        }
    }

    @Test("chunks that add up to more than the body limit are answered 413")
    func tooMuch() throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend, server: [.bodyMax(1_000)]) { proxy in
            let client = try proxy.connect()
            try client.send(head + "258\r\n\(String(repeating: "a", count: 600))\r\n258\r\n\(String(repeating: "b", count: 600))\r\n0\r\n\r\n")
            let response = try client.receiveResponse()
            #expect(response.status == 413)
            #expect(response.announcesClose)
            try backend.expectNoWholeRequest()
        }
    }
}

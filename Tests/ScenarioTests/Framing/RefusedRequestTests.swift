import TestSupport
import Testing

/// One request that must not pass, and how it may be answered.
struct RefusedRequest: Sendable, CustomTestStringConvertible {
    let name: String
    let bytes: Bytes
    let statuses: Set<Int>

    init(_ name: String, _ text: String, _ statuses: Int...) { self.init(name, Bytes(text), Set(statuses)) }
    init(_ name: String, _ bytes: Bytes, _ statuses: Set<Int>) {
        self.name = name
        self.bytes = bytes
        self.statuses = statuses.isEmpty ? [400] : statuses
    }

    var testDescription: String { name }

    /// A request of one field beside Host.
    static func field(_ name: String, _ line: String, body: String = "", _ statuses: Int...) -> RefusedRequest {
        RefusedRequest(name, Bytes("POST / HTTP/1.1\r\nHost: test\r\n\(line)\r\n\r\n\(body)"), Set(statuses))
    }
}

@Suite("Requests that must not pass: answered, closed, and no byte of them at the backend", .scenario)
struct RefusedRequestTests {
    private func check(_ refused: RefusedRequest, server: [Setting] = []) throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend, server: server) { proxy in
            let client = try proxy.connect()
            try client.send(refused.bytes)
            let response = try client.receiveResponse(to: refused.bytes.starts(with: "HEAD".utf8) ? "HEAD" : "GET")
            #expect(refused.statuses.contains(response.status), "answered \(response.status)")
            #expect(response.announcesClose)
            client.finishSending()
            try client.expectClosed()
            try backend.expectNoRequest(for: .milliseconds(30))
        }
    }

    static let framing: [RefusedRequest] = [
        .field("Content-Length beside Transfer-Encoding", "Content-Length: 5\r\nTransfer-Encoding: chunked", body: "0\r\n\r\n"),
        .field("Transfer-Encoding beside Content-Length", "Transfer-Encoding: chunked\r\nContent-Length: 5", body: "0\r\n\r\n"),
        .field("two lengths that differ", "Content-Length: 5\r\nContent-Length: 6", body: "abcdef"),
        .field("two equal lengths", "Content-Length: 1\r\nContent-Length: 1", body: "a"),
        .field("a list of lengths", "Content-Length: 1, 1", body: "a"),
        .field("a length with a plus", "Content-Length: +1", body: "a"),
        .field("a negative length", "Content-Length: -1"),
        .field("a hexadecimal length", "Content-Length: 0x1", body: "a"),
        .field("a length with a fraction", "Content-Length: 1.0", body: "a"),
        .field("an empty length", "Content-Length:"),
        .field("a length with a space inside", "Content-Length: 1 0", body: "0123456789"),
        .field("a length beyond 64 bits", "Content-Length: 99999999999999999999", 400, 413),
        .field("a length of exactly 2^64", "Content-Length: 18446744073709551616", 400, 413),
        .field("Transfer-Encoding: identity", "Transfer-Encoding: identity", 400, 501),
        .field("Transfer-Encoding: gzip alone", "Transfer-Encoding: gzip", 400, 501),
        .field("gzip before chunked", "Transfer-Encoding: gzip, chunked", body: "0\r\n\r\n", 400, 501),
        .field("chunked before gzip", "Transfer-Encoding: chunked, gzip", body: "0\r\n\r\n", 400, 501),
        .field("chunked twice in one field", "Transfer-Encoding: chunked, chunked", body: "0\r\n\r\n", 400, 501),
        .field("chunked in two fields", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", body: "0\r\n\r\n", 400, 501),
        .field("chunked and identity in two fields", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", body: "0\r\n\r\n", 400, 501),
        .field("almost chunked", "Transfer-Encoding: xchunked", body: "0\r\n\r\n", 400, 501),
        .field("quoted chunked", "Transfer-Encoding: \"chunked\"", body: "0\r\n\r\n", 400, 501),
        .field("chunked after a vertical tab", "Transfer-Encoding: \u{0B}chunked", body: "0\r\n\r\n", 400, 501),
        .field("chunked with a parameter", "Transfer-Encoding: chunked;q=1", body: "0\r\n\r\n", 400, 501),
        .field("an empty Transfer-Encoding", "Transfer-Encoding:", 400, 501),
        .init("chunked from HTTP/1.0", "POST / HTTP/1.0\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ]

    @Test("a body whose end could be read in two ways", arguments: framing)
    func ambiguousFraming(_ refused: RefusedRequest) throws { try check(refused) }

    static let lines: [RefusedRequest] = [
        .init("a bare LF after the request line", "GET / HTTP/1.1\nHost: test\r\n\r\n"),
        .init("bare LFs everywhere", "GET / HTTP/1.1\nHost: test\n\n"),
        .init("a bare CR in the request line", "GET /\r HTTP/1.1\r\nHost: test\r\n\r\n"),
        .field("a bare LF between fields", "A: 1\nB: 2"),
        .field("a bare CR in a value", "A: 1\rB: 2"),
        .field("a folded field", "A: 1\r\n B: 2"),
        .field("a folded field, by a tab", "A: 1\r\n\tB: 2"),
        .init("a folded first field", "GET / HTTP/1.1\r\n Host: test\r\n\r\n"),
        .field("a NUL in a value", "A: 1\u{00}2"),
        .field("a control byte in a value", "A: 1\u{01}2"),
        .field("a DEL in a value", "A: 1\u{7F}2"),
        .field("a space before the colon", "A : 1"),
        .field("a space before the colon of Content-Length", "Content-Length : 1", body: "a"),
        .field("a tab before the colon", "Transfer-Encoding\t: chunked", body: "0\r\n\r\n"),
        .field("a field without name", ": 1"),
        .field("a field without colon", "A"),
        .field("a name that is no token", "A(B): 1"),
        .field("a name with a NUL", "A\u{00}: 1"),
        .init("a name beyond ASCII", Bytes("GET / HTTP/1.1\r\nHost: test\r\n") + [0xC3, 0xA4] + Bytes(": 1\r\n\r\n"), [400]),
    ]

    @Test("a head whose lines could be read in two ways", arguments: lines)
    func ambiguousLines(_ refused: RefusedRequest) throws { try check(refused) }

    static let starts: [RefusedRequest] = [
        .init("no Host", "GET / HTTP/1.1\r\n\r\n"),
        .init("two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
        .init("two equal Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"),
        .init("a Host with a space", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n"),
        .init("a Host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
        .init("a Host with user information", "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n"),
        .init("a Host with a port that is no number", "GET / HTTP/1.1\r\nHost: a:b\r\n\r\n"),
        .init("a list of Hosts", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"),
        .init("a target of another host", "GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n", 400, 421),
        .init("a target of another port", "GET http://a:1/ HTTP/1.1\r\nHost: a:2\r\n\r\n", 400, 421),
        .init("HTTP/2.0", "GET / HTTP/2.0\r\nHost: test\r\n\r\n", 505),
        .init("the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, 505),
        .init("a version of two digits", "GET / HTTP/1.10\r\nHost: test\r\n\r\n", 400, 505),
        .init("a version in lower case", "GET / http/1.1\r\nHost: test\r\n\r\n", 400, 505),
        .init("no version", "GET /\r\nHost: test\r\n\r\n", 400, 505),
        .init("an empty version", "GET / \r\nHost: test\r\n\r\n", 400, 505),
        .init("two spaces before the target", "GET  / HTTP/1.1\r\nHost: test\r\n\r\n"),
        .init("two spaces before the version", "GET /  HTTP/1.1\r\nHost: test\r\n\r\n", 400, 505),
        .init("a space at the end of the line", "GET / HTTP/1.1 \r\nHost: test\r\n\r\n", 400, 505),
        .init("a tab as separator", "GET\t/\tHTTP/1.1\r\nHost: test\r\n\r\n"),
        .init("a space in the target", "GET /a b HTTP/1.1\r\nHost: test\r\n\r\n", 400, 505),
        .init("a control byte in the target", "GET /a\u{01} HTTP/1.1\r\nHost: test\r\n\r\n"),
        .init("a fragment in the target", "GET /a#b HTTP/1.1\r\nHost: test\r\n\r\n"),
        .init("a target without slash", "GET a HTTP/1.1\r\nHost: test\r\n\r\n"),
        .init("a star for a method other than OPTIONS", "GET * HTTP/1.1\r\nHost: test\r\n\r\n"),
        .init("an authority as target", "GET test:80 HTTP/1.1\r\nHost: test\r\n\r\n"),
        .init("a method that is no token", "GE(T / HTTP/1.1\r\nHost: test\r\n\r\n"),
        .init("no method", " / HTTP/1.1\r\nHost: test\r\n\r\n"),
        .init("bytes of TLS", [0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xFC, 0x03, 0x03] + Bytes(repeating: 7, count: 60) + Bytes("\r\n\r\n"), [400]),
        .init("an expectation nobody knows", "POST / HTTP/1.1\r\nHost: test\r\nExpect: the-unexpected\r\nContent-Length: 0\r\n\r\n", 417),
    ]

    @Test("a start that is wrong or says more than one thing", arguments: starts)
    func wrongStarts(_ refused: RefusedRequest) throws { try check(refused) }

    @Test("methods that would reach behind the proxy", arguments: ["TRACE /", "CONNECT test:80"])
    func methods(start: String) throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend) { proxy in
            let client = try proxy.connect()
            try client.send("\(start) HTTP/1.1\r\nHost: test:80\r\n\r\n")
            // Nothing is wrong with the message, so the connection may live on.
            #expect([403, 405, 501].contains(try client.receiveResponse().status))
            try backend.expectNoRequest(for: .milliseconds(30))
        }
    }

    static let sizes: [RefusedRequest] = [
        .init("a request line over its limit", "GET /\(String(repeating: "a", count: 1_100)) HTTP/1.1\r\nHost: test\r\n\r\n", 414),
        .init("a request line over its limit that does not end", "GET /\(String(repeating: "a", count: 20_000))", 414),
        .init("one field over the limit", "GET / HTTP/1.1\r\nHost: test\r\nA: \(String(repeating: "a", count: 4_200))\r\n\r\n", 431),
        .init("a field over the limit that does not end", "GET / HTTP/1.1\r\nHost: test\r\nA: \(String(repeating: "a", count: 20_000))", 431),
        .init("many fields over the byte limit", "GET / HTTP/1.1\r\nHost: test\r\n\(String(repeating: "A: \(String(repeating: "a", count: 490))\r\n", count: 9))\r\n", 431),
        .init("one field too many", "GET / HTTP/1.1\r\nHost: test\r\n\(String(repeating: "A: 1\r\n", count: 20))\r\n", 431),
        .init("a body that announces too much", "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 10001\r\n\r\n", 413),
    ]

    @Test("more than the limits allow", arguments: sizes)
    func tooMuch(_ refused: RefusedRequest) throws {
        try check(refused, server: [.requestLineMax(1_024), .headMax(4_096), .fieldsMax(20), .bodyMax(10_000)])
    }

    @Test("what the limits just allow passes")
    func justEnough() throws {
        let backend = try HandlerBackend.named("one")
        try withProxy(to: backend, server: [.requestLineMax(1_024), .headMax(4_096), .fieldsMax(20), .bodyMax(10_000)]) { proxy in
            let client = try proxy.connect()
            let target = "/" + String(repeating: "a", count: 900)
            #expect(try client.get(target).fields["X-Target"] == [target])
            #expect(try client.get(fields: String(repeating: "A: 1\r\n", count: 19)).status == 200)
            #expect(try client.get(fields: "A: \(String(repeating: "a", count: 3_500))\r\n").status == 200)
            try client.send(Bytes("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 10000\r\n\r\n") + BodyPattern.bytes(10_000, seed: 3))
            #expect(BodyPattern.firstDifference(try client.receiveResponse().body, seed: 3) == nil)
        }
    }

    @Test("a refused request takes the ones behind it along, but not the one before it")
    func pipelinedBehindRefusal() throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend) { proxy in
            let client = try proxy.connect()
            try client.send(
                "GET /good HTTP/1.1\r\nHost: test\r\n\r\n" + "GET /bad HTTP/1.1\r\nHost : test\r\n\r\n" + "GET /never HTTP/1.1\r\nHost: test\r\n\r\n")
            let (request, connection) = try backend.receiveRequest()
            #expect(request.target == "/good")
            try connection.respond(body: "good")
            #expect(try client.receiveResponse().body == Bytes("good"))
            #expect(try client.receiveResponse().status == 400)
            client.finishSending()
            try client.expectClosed()
            try backend.expectNoRequest(for: .milliseconds(30))
        }
    }
}

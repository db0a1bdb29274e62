import Testing

@testable import Proxy

@Suite("Request line, RFC 9112 §3")
struct RequestLineTests {
    @Test("method, target and version come out as ranges over the bytes")
    func parts() {
        let request = ParsedRequest("PATCH /a/b?c=d&e HTTP/1.1\r\nHost: x\r\n\r\nbody")
        #expect(request.parse == .complete)
        #expect(request.head.method == .patch && request.method == "PATCH")
        #expect(request.target == "/a/b?c=d&e" && request.path == "/a/b" && request.query == "c=d&e")
        #expect(request.head.hasQuery && request.head.versionMinor == 1)
        #expect(request.head.headLength == request.bytes.count - 4)
        #expect(request.head.fieldsStart == 27 && request.head.fieldCount == 1)
    }

    @Test("an empty query is a query, and none is none")
    func emptyQuery() {
        let with = ParsedRequest("GET /? HTTP/1.0\r\n\r\n")
        #expect(with.head.hasQuery && with.head.queryLength == 0 && with.path == "/")
        let without = ParsedRequest("GET / HTTP/1.0\r\n\r\n")
        #expect(!without.head.hasQuery && without.head.queryLength == 0)
    }

    @Test("a method in small letters is a different method", arguments: ["get", "Get", "GETS", "M-SEARCH", "X"])
    func otherMethods(method: String) {
        let request = ParsedRequest("\(method) / HTTP/1.0\r\n\r\n")
        #expect(request.parse == .complete && request.head.method == .other && request.method == method)
    }

    @Test("every known method is recognised and written as it is read", arguments: Method.allCases)
    func knownMethods(method: Proxy.Method) {
        guard method != .other && method != .connect else { return }
        let target = method == .options ? "*" : "/"
        let request = ParsedRequest("\(method.text) \(target) HTTP/1.0\r\n\r\n")
        #expect(request.parse == .complete && request.head.method == method)
        if method.isSafe { #expect(method.isIdempotent) }
    }

    @Test(
        "a request line that is not exactly METHOD SP TARGET SP VERSION CRLF is refused",
        arguments: [
            ("GET / HTTP/1.1 \r\n", ParseFailure.versionInvalid), ("GET  / HTTP/1.1\r\n", .targetInvalid),
            ("GET /  HTTP/1.1\r\n", .versionInvalid), (" GET / HTTP/1.1\r\n", .methodInvalid),
            ("GET\t/ HTTP/1.1\r\n", .methodInvalid), ("GET /\tHTTP/1.1\r\n", .targetInvalid),
            ("GET /\r\n", .versionInvalid), ("GET\r\n", .methodInvalid), ("GET \r\n", .targetInvalid),
            ("G@T / HTTP/1.1\r\n", .methodInvalid), ("GET / HTTP/1.1\n", .bareLineFeed),
            ("GET /\n", .bareLineFeed), ("GET / HTTP/1.1\rX", .bareCarriageReturn), ("\n", .bareLineFeed),
            ("GET /a b HTTP/1.1\r\n", .versionInvalid), ("GET / http/1.1\r\n", .versionInvalid),
            ("GET / HTTP/11\r\n", .versionInvalid), ("GET / HTTP/1.1.1\r\n", .versionInvalid),
            ("GET / HTTP/1.2\r\n", .versionUnsupported), ("GET / HTTP/2.0\r\n", .versionUnsupported),
            ("GET / HTTP/0.9\r\n", .versionUnsupported), ("PRI * HTTP/2.0\r\n", .versionUnsupported),
            ("GET /\u{0} HTTP/1.1\r\n", .targetInvalid), ("GET /\u{7f} HTTP/1.1\r\n", .targetInvalid),
            ("GET /é HTTP/1.1\r\n", .targetInvalid), ("GET /a#b HTTP/1.1\r\n", .targetInvalid),
        ])
    func odd(line: String, failure: ParseFailure) {
        #expect(ParsedRequest(line + "Host: x\r\n\r\n").parse == .failed(failure))
    }

    @Test(
        "a first byte that begins no method fails at once", arguments: [0x16, 0x00, 0x80, 0x0a, 0x20, 0x28] as [UInt8])
    func wrongProtocol(first: UInt8) {
        let request = ParsedRequest([first])
        #expect(request.parse == .failed(first == 0x0a ? .bareLineFeed : .methodInvalid))
    }

    @Test("a few empty lines before the request line are skipped, many are refused")
    func emptyLines() {
        for count in 0...emptyLinesMax {
            let request = ParsedRequest(String(repeating: "\r\n", count: count) + "GET / HTTP/1.0\r\n\r\n")
            #expect(request.parse == .complete && request.head.headLength == request.bytes.count)
        }
        let many = ParsedRequest(String(repeating: "\r\n", count: emptyLinesMax) + "\r")
        #expect(many.parse == .failed(.tooManyEmptyLines))
        #expect(ParsedRequest("\r\r").parse == .failed(.bareCarriageReturn))
        #expect(ParsedRequest("\r").parse == .incomplete)
    }
}

@Suite("Request target, RFC 9112 §3.2")
struct RequestTargetTests {
    @Test("an absolute target gives host, port, path and query")
    func absolute() {
        let request = ParsedRequest("GET HTTPS://Example.org:8443/p?q HTTP/1.1\r\nHost: example.ORG:8443\r\n\r\n")
        #expect(request.parse == .complete && request.head.form == .absolute && request.head.isSecureTarget)
        #expect(request.host == "Example.org:8443" && request.hostName == "Example.org" && request.head.port == 8_443)
        #expect(request.path == "/p" && request.query == "q" && request.head.hostField == 0)
    }

    @Test("an absolute target may lack a path", arguments: ["http://a", "http://a?x"])
    func absoluteWithoutPath(target: String) {
        let request = ParsedRequest("GET \(target) HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(request.parse == .complete && request.path == "" && request.head.hasQuery == target.contains("?"))
    }

    @Test("a default port that is said equals one that is not")
    func defaultPort() {
        #expect(ParsedRequest("GET http://a:80/ HTTP/1.1\r\nHost: a\r\n\r\n").parse == .complete)
        #expect(ParsedRequest("GET https://a/ HTTP/1.1\r\nHost: a:443\r\n\r\n").parse == .complete)
        #expect(ParsedRequest("GET https://a/ HTTP/1.1\r\nHost: a:80\r\n\r\n").parse == .failed(.hostDisagrees))
        #expect(ParsedRequest("GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n").parse == .failed(.hostDisagrees))
        #expect(ParsedRequest("GET http://a/ HTTP/1.1\r\nHost: \r\n\r\n").parse == .failed(.hostDisagrees))
    }

    @Test(
        "forms that do not fit the method, and odd authorities, are refused",
        arguments: [
            ("GET *", ParseFailure.targetFormInvalid), ("OPTIONS **", .targetFormInvalid),
            ("GET a", .targetFormInvalid),
            ("GET ?a", .targetFormInvalid), ("GET a:80", .targetSchemeInvalid), ("GET ftp://a/", .targetSchemeInvalid),
            ("GET http:/a", .targetAuthorityInvalid), ("GET http:", .targetAuthorityInvalid),
            ("GET http://", .targetAuthorityInvalid), ("GET http:///a", .targetAuthorityInvalid),
            ("GET http://u@a/", .targetAuthorityInvalid), ("GET http://a:/b:c@d", .hostDisagrees),
            ("GET http://a:65536/", .targetAuthorityInvalid), ("GET http://a:8a/", .targetAuthorityInvalid),
            ("GET http://a:000080/", .targetAuthorityInvalid), ("GET http://a\\b/", .targetAuthorityInvalid),
            ("CONNECT /", .targetFormInvalid), ("CONNECT *", .targetFormInvalid),
            ("CONNECT x", .targetAuthorityInvalid),
            ("CONNECT x:", .targetAuthorityInvalid), ("CONNECT http://x:1/", .targetAuthorityInvalid),
        ])
    func refused(start: String, failure: ParseFailure) {
        #expect(ParsedRequest("\(start) HTTP/1.1\r\nHost: x\r\n\r\n").parse == .failed(failure))
    }

    @Test("CONNECT names host and port, and Host says the same")
    func connect() {
        let request = ParsedRequest("CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\n\r\n")
        #expect(request.parse == .complete && request.head.form == .authority)
        #expect(request.hostName == "[::1]" && request.head.port == 443)
        #expect(ParsedRequest("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n").parse == .failed(.hostDisagrees))
    }

    @Test("OPTIONS * may come with an empty Host, other requests may not")
    func asterisk() {
        let request = ParsedRequest("OPTIONS * HTTP/1.1\r\nHost:\r\n\r\n")
        #expect(request.parse == .complete && request.head.form == .asterisk && request.head.hostLength == 0)
        #expect(ParsedRequest("GET / HTTP/1.1\r\nHost:\r\n\r\n").parse == .failed(.hostInvalid))
        #expect(ParsedRequest("GET / HTTP/1.0\r\nHost:\r\n\r\n").parse == .complete)
    }
}

@Suite("Host, RFC 9112 §3.2")
struct HostTests {
    @Test(
        "names, addresses and ports are accepted",
        arguments: [
            "a", "A.b-c_d.example", "127.0.0.1:8080", "[::1]", "[2001:db8::1]:65535", "a:", "a:0",
            "xn--bcher-kva.example.",
            "a-name-that-is-longer-than-sixteen-bytes.example.org:12345",
        ])
    func accepted(host: String) {
        let request = ParsedRequest("GET / HTTP/1.1\r\nHost: \(host)\r\n\r\n")
        #expect(request.parse == .complete && request.host == host)
    }

    @Test(
        "anything else is refused",
        arguments: [
            "a b", "a,b", "u@a", "a/b", "a:b", "a:65536", "a:123456", ":80", "[", "[]", "[::1", "[::1]x", "[g::1]",
            "a%41",
            "http://a", "é", "a;b", "a'", "a\\b", "a?b", "[::1%25lo]", "a:1:2", "a:-1", "a: 1", "?", "a\tb",
        ])
    func refused(host: String) {
        #expect(ParsedRequest("GET / HTTP/1.1\r\nHost: \(host)\r\n\r\n").parse == .failed(.hostInvalid))
        #expect(ParsedRequest("GET / HTTP/1.0\r\nHost: \(host)\r\n\r\n").parse == .failed(.hostInvalid))
    }

    @Test("HTTP/1.1 needs it once, HTTP/1.0 may lack it, twice is refused")
    func count() {
        #expect(ParsedRequest("GET / HTTP/1.1\r\n\r\n").parse == .failed(.hostMissing))
        #expect(ParsedRequest("GET http://a/ HTTP/1.1\r\n\r\n").parse == .failed(.hostMissing))
        let old = ParsedRequest("GET / HTTP/1.0\r\n\r\n")
        #expect(old.parse == .complete && old.head.hostLength == 0 && old.head.hostField == -1)
        #expect(ParsedRequest("GET / HTTP/1.1\r\nHost: a\r\nhOST: a\r\n\r\n").parse == .failed(.hostRepeated))
        #expect(ParsedRequest("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n").parse == .failed(.hostRepeated))
    }
}

@Suite("Framing of requests, RFC 9112 §6")
struct RequestFramingTests {
    private func parse(_ fields: String, version: String = "1.1", method: String = "POST") -> ParsedRequest {
        ParsedRequest("\(method) / HTTP/\(version)\r\nHost: a\r\n\(fields)\r\n")
    }

    @Test(
        "one Content-Length gives the length",
        arguments: [
            ("0", 0), ("5", 5), ("007", 7), ("9223372036854775807", UInt64(Int64.max)),
        ] as [(String, UInt64)])
    func length(text: String, value: UInt64) {
        let request = parse("Content-Length: \(text)\r\n")
        #expect(request.head.framing == .length(value) && request.head.framing.hasBody == (value > 0))
    }

    @Test(
        "any other Content-Length is refused",
        arguments: [
            "", "+5", "-1", "5 5", "5, 5", "5,", "0x5", "5.0", "1e3", "9223372036854775808", "18446744073709551616",
            "00000000000000000005", "99999999999999999999999999999999999999", "five", "٥", "5;a",
        ])
    func lengthRefused(text: String) {
        #expect(parse("Content-Length: \(text)\r\n").parse == .failed(.contentLengthInvalid))
    }

    @Test("Content-Length twice is refused, equal or not")
    func lengthTwice() {
        #expect(parse("Content-Length: 5\r\nContent-Length: 6\r\n").parse == .failed(.contentLengthRepeated))
        #expect(parse("Content-Length: 5\r\nX: y\r\ncontent-length: 5\r\n").parse == .failed(.contentLengthRepeated))
    }

    @Test("chunked alone frames the body", arguments: ["chunked", "Chunked", "CHUNKED", " chunked\t"])
    func chunked(value: String) { #expect(parse("Transfer-Encoding:\(value)\r\n").head.framing == .chunked) }

    @Test(
        "any other Transfer-Encoding is refused with 501",
        arguments: [
            "", "identity", "gzip", "gzip, chunked", "chunked, gzip", "chunked, chunked", "chunked,", ",chunked",
            "xchunked",
            "chunked;q=1", "chunked chunked", "\"chunked\"", "chunke", "chunkedd",
        ])
    func codingRefused(value: String) {
        let request = parse("Transfer-Encoding: \(value)\r\n")
        #expect(request.parse == .failed(.transferCodingUnsupported))
        #expect(ParseFailure.transferCodingUnsupported.status == 501)
    }

    @Test("Transfer-Encoding twice is refused")
    func codingTwice() {
        let twice = parse("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n")
        #expect(twice.parse == .failed(.transferCodingUnsupported))
        let other = parse("Transfer-Encoding: chunked\r\nTransfer-encoding: identity\r\n")
        #expect(other.parse == .failed(.transferCodingUnsupported))
    }

    @Test("Content-Length beside Transfer-Encoding is refused in either order")
    func conflict() {
        #expect(parse("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n").parse == .failed(.framingConflict))
        #expect(parse("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n").parse == .failed(.framingConflict))
    }

    @Test("Transfer-Encoding in HTTP/1.0 is refused with 400")
    func oldVersion() {
        let request = parse("Transfer-Encoding: chunked\r\n", version: "1.0")
        #expect(request.parse == .failed(.transferCodingMisplaced))
        #expect(ParseFailure.transferCodingMisplaced.status == 400)
    }

    @Test("without either field there is no body")
    func none() { #expect(parse("").head.framing == .none) }

    @Test("CONNECT and TRACE carry no content")
    func noContent() {
        #expect(parse("Content-Length: 1\r\n", method: "TRACE").parse == .failed(.contentNotAllowed))
        #expect(parse("Content-Length: 0\r\n", method: "TRACE").parse == .complete)
        let connect = ParsedRequest("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nTransfer-Encoding: chunked\r\n\r\n")
        #expect(connect.parse == .failed(.contentNotAllowed))
    }

    @Test("100-continue is heard in HTTP/1.1 with a body, and other expectations answered with 417")
    func expectation() {
        #expect(parse("Expect: 100-Continue\r\nContent-Length: 1\r\n").head.expectsContinue)
        #expect(!parse("Expect: 100-continue\r\n").head.expectsContinue)
        #expect(!parse("Expect: 100-continue\r\nContent-Length: 1\r\n", version: "1.0").head.expectsContinue)
        #expect(parse("Expect: 200-ok\r\n").parse == .failed(.expectationUnsupported))
        #expect(parse("Expect: 200-ok\r\n", version: "1.0").parse == .complete)
    }
}

@Suite("Connection of requests, RFC 9110 §7.6.1, §7.8")
struct RequestConnectionTests {
    private func parse(_ fields: String, version: String = "1.1") -> ParsedRequest {
        ParsedRequest("GET / HTTP/\(version)\r\nHost: a\r\n\(fields)\r\n")
    }

    @Test("the connection persists by version and option")
    func keepAlive() {
        #expect(parse("").head.keepAlive)
        #expect(!parse("Connection: close\r\n").head.keepAlive)
        #expect(!parse("Connection: keep-alive, CLOSE\r\n").head.keepAlive)
        #expect(!parse("Connection: keep-alive\r\nConnection: x,close\r\n").head.keepAlive)
        #expect(!parse("", version: "1.0").head.keepAlive)
        #expect(parse("Connection: , Keep-Alive\r\n", version: "1.0").head.keepAlive)
        #expect(!parse("Connection: keep-alive, close\r\n", version: "1.0").head.keepAlive)
    }

    @Test("an upgrade is wanted only with both fields, in HTTP/1.1")
    func upgrade() {
        let both = "Connection: Upgrade\r\nUpgrade: websocket\r\n"
        #expect(parse(both).head.wantsUpgrade && parse(both).head.upgradeField == 2)
        #expect(!parse(both, version: "1.0").head.wantsUpgrade)
        #expect(!parse("Upgrade: websocket\r\n").head.wantsUpgrade)
        #expect(!parse("Connection: upgrade\r\n").head.wantsUpgrade)
        #expect(!parse("Connection: upgrade\r\nUpgrade:\r\n").head.wantsUpgrade)
    }

    @Test("trailers are accepted when TE says so")
    func trailers() {
        #expect(parse("TE: trailers\r\n").head.acceptsTrailers)
        #expect(parse("TE: deflate;q=0.5, Trailers ;q=1\r\n").head.acceptsTrailers)
        #expect(!parse("TE: gzip\r\n").head.acceptsTrailers)
    }

    @Test("hop-by-hop fields are not forwarded, and neither is what Connection names")
    func nominated() {
        let request = parse(
            "X-One: 1\r\nConnection: x-one, keep-alive,x-TWO\r\nKeep-Alive: 5\r\nX-Two: 2\r\nX-Three: 3\r\n"
                + "TE: trailers\r\nUpgrade: h2c\r\nProxy-Connection: a\r\nProxy-Authorization: b\r\nHTTP2-Settings: c\r\n"
                + "Trailer: X-Sum\r\nX-Two: 4\r\n")
        #expect(request.kept == "Host: a\r\nX-Three: 3\r\nTrailer: X-Sum\r\n")
    }

    @Test(
        "Connection cannot name away what frames, routes or vouches for the message",
        arguments: [
            "Host: a", "Content-Length: 0", "Authorization: x", "Cookie: x", "X-Forwarded-For: 1.2.3.4",
            "Cache-Control: x",
        ])
    func notNominated(line: String) {
        let name = line.split(separator: ":")[0]
        let fields = (line.hasPrefix("Host") ? "" : "Host: a\r\n") + line + "\r\n"
        let request = ParsedRequest("POST / HTTP/1.1\r\nConnection: \(name)\r\n\(fields)\r\n")
        #expect(request.kept == fields)
    }

    @Test("more options than anyone needs are refused")
    func manyOptions() {
        let most = Array(repeating: "a", count: connectionOptionsMax).joined(separator: ",")
        #expect(parse("Connection: \(most)\r\n").parse == .complete)
        #expect(parse("Connection: \(most),a\r\n").parse == .failed(.tooManyConnectionOptions))
        #expect(parse("Connection: \(most)\r\nConnection: a\r\n").parse == .failed(.tooManyConnectionOptions))
    }
}

import Testing

@testable import Proxy

@Suite("Status line, RFC 9112 §4")
struct StatusLineTests {
    @Test("status, version and reason come out")
    func parts() {
        let response = ParsedResponse("HTTP/1.0 404 Not \u{e9}\tfound\r\nA: b\r\n\r\nbody")
        #expect(response.parse == .complete && response.head.status == 404 && response.head.versionMinor == 0)
        #expect(response.reason == "Not \u{e9}\tfound" && response.head.headLength == response.bytes.count - 4)
        #expect(response.head.fieldCount == 1 && response.kept == "A: b\r\n")
    }

    @Test(
        "the reason may be empty, or missing with its space",
        arguments: ["HTTP/1.1 200 \r\n\r\n", "HTTP/1.1 200\r\n\r\n"])
    func noReason(text: String) {
        let response = ParsedResponse(text)
        #expect(response.parse == .complete && response.reason.isEmpty)
    }

    @Test("the first and the last status pass", arguments: [100, 199, 200, 599])
    func range(status: Int) { #expect(ParsedResponse("HTTP/1.1 \(status) x\r\n\r\n").parse == .complete) }

    @Test(
        "anything else is a named failure",
        arguments: [
            ("HTTP/1.1 600 x", ParseFailure.statusInvalid), ("HTTP/1.1 099 x", .statusInvalid),
            ("HTTP/1.1 000 x", .statusInvalid),
            ("HTTP/1.1 20 x", .statusInvalid), ("HTTP/1.1 2000 x", .statusInvalid), ("HTTP/1.1 +20 x", .statusInvalid),
            ("HTTP/1.1 2x0 x", .statusInvalid), ("HTTP/1.1  200 x", .statusInvalid),
            ("HTTP/1.1\t200 x", .versionInvalid),
            ("HTTP/1.1 200\tx", .statusInvalid), ("HTTP/2.0 200 x", .versionUnsupported),
            ("HTTP/1.1200 x", .versionInvalid),
            ("ICY 200 OK", .versionInvalid), ("http/1.1 200 x", .versionInvalid),
            ("\r\nHTTP/1.1 200 x", .versionInvalid),
            ("HTTP/1.1 200 a\u{0}b", .reasonInvalid), ("HTTP/1.1 200 a\nb", .bareLineFeed),
            ("HTTP/1.1 200\n", .bareLineFeed),
            ("HTTP/1.1 200 a\rb", .bareCarriageReturn), ("HTTP/1.1\n", .bareLineFeed),
            (" HTTP/1.1 200 x", .versionInvalid),
            ("<html>", .versionInvalid), ("HTTP/1.x 200 OK", .versionInvalid),
        ])
    func refused(line: String, failure: ParseFailure) {
        #expect(ParsedResponse(line + "\r\n\r\n").parse == .failed(failure))
    }

    @Test("an endless status line and an endless head fail before their end")
    func limits() {
        let limits = HeadLimits(lineBytesMax: 30, headBytesMax: 60, fieldsMax: 2)
        let line = "HTTP/1.1 200 " + String(repeating: "x", count: 17)
        #expect(ParsedResponse(line + "\r\n\r\n", limits: limits).parse == .complete)
        #expect(ParsedResponse(line + "xx", limits: limits).parse == .failed(.statusLineTooLong))
        #expect(
            ParsedResponse(line + "\r\nA: " + String(repeating: "b", count: 40), limits: limits).parse
                == .failed(.headTooLarge))
        #expect(ParsedResponse("HTTP/1.1 200 x\r\na:\r\nb:\r\nc", limits: limits).parse == .failed(.tooManyFields))
    }
}

@Suite("Framing of responses, RFC 9112 §6.3")
struct ResponseFramingTests {
    private func parse(
        _ status: Int, _ fields: String = "", to method: Proxy.Method = .get, version: String = "1.1"
    ) -> ParsedResponse {
        ParsedResponse("HTTP/\(version) \(status) x\r\n\(fields)\r\n", to: method)
    }

    @Test("length, chunks or the close end a body")
    func kinds() {
        let length = parse(200, "Content-Length: 7\r\n")
        #expect(length.head.framing == .length(7) && length.head.keepAlive && length.head.contentLengthIndex == 0)
        let chunked = parse(200, "Transfer-Encoding: chunked\r\n")
        #expect(chunked.head.framing == .chunked && chunked.head.keepAlive && chunked.kept.isEmpty)
        let close = parse(200)
        #expect(close.head.framing == .untilClose && !close.head.keepAlive)
    }

    @Test("HEAD and 304 have no body but keep the length they speak of")
    func described() {
        for response in [parse(200, "Content-Length: 7\r\n", to: .head), parse(304, "Content-Length: 7\r\n")] {
            #expect(response.head.framing == .none && response.head.contentLength == 7 && response.head.keepAlive)
            #expect(response.kept == "Content-Length: 7\r\n")
        }
        #expect(parse(200, "Transfer-Encoding: chunked\r\n", to: .head).head.framing == .none)
        #expect(parse(200, to: .head).head.keepAlive)
    }

    @Test("204 and 1xx have no body, and no length that could be passed on")
    func bodiless() {
        let none = parse(204, "Content-Length: 0\r\n")
        #expect(none.head.framing == .none && none.kept.isEmpty && none.head.keepAlive && !none.head.isInterim)
        let announced = parse(204, "Content-Length: 5\r\n")
        #expect(announced.head.framing == .none && announced.kept.isEmpty && !announced.head.keepAlive)
        #expect(parse(204, "Transfer-Encoding: chunked\r\n").parse == .failed(.transferCodingMisplaced))
        #expect(parse(100).head.isInterim && parse(103, "Link: </a>\r\n").kept == "Link: </a>\r\n")
        #expect(parse(103, "Transfer-Encoding: chunked\r\n").parse == .failed(.transferCodingMisplaced))
    }

    @Test("101 ends HTTP when it names a protocol, and is refused when it does not")
    func switching() {
        let response = parse(101, "Connection: upgrade\r\nUpgrade: websocket\r\n")
        #expect(response.head.isSwitch && !response.head.isInterim && !response.head.keepAlive)
        #expect(response.head.framing == .none && response.head.upgradeField == 1)
        #expect(parse(101).parse == .failed(.switchInvalid))
        #expect(parse(101, "Upgrade:\r\n").parse == .failed(.switchInvalid))
        #expect(parse(101, "Upgrade: a\r\nContent-Length: 0\r\n").parse == .failed(.switchInvalid))
        #expect(parse(101, "Upgrade: a\r\n", version: "1.0").parse == .failed(.switchInvalid))
    }

    @Test("2xx to CONNECT opens a tunnel whatever it says of a length; a refusal has a body")
    func connect() {
        let open = parse(200, "Content-Length: 5\r\nA: b\r\n", to: .connect)
        #expect(open.head.isSwitch && open.head.framing == .none && open.kept == "A: b\r\n")
        #expect(parse(200, "Transfer-Encoding: chunked\r\n", to: .connect).head.isSwitch)
        #expect(parse(403, "Content-Length: 5\r\n", to: .connect).head.framing == .length(5))
    }

    @Test(
        "hostile framing is a named failure",
        arguments: [
            ("Content-Length: 5\r\nContent-Length: 5\r\n", ParseFailure.contentLengthRepeated),
            ("Content-Length: 5, 5\r\n", .contentLengthInvalid), ("Content-Length: -5\r\n", .contentLengthInvalid),
            ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", .framingConflict),
            ("Transfer-Encoding: gzip, chunked\r\n", .transferCodingUnsupported),
            ("Transfer-Encoding: identity\r\n", .transferCodingUnsupported),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", .transferCodingUnsupported),
            ("A: b\r\n c\r\n", .foldedLine), ("A : b\r\n", .spaceBeforeColon), ("A: \u{0}\r\n", .fieldValueInvalid),
        ])
    func hostile(fields: String, failure: ParseFailure) {
        for method in [Proxy.Method.get, .head] { #expect(parse(200, fields, to: method).parse == .failed(failure)) }
    }

    @Test("Transfer-Encoding in HTTP/1.0 is a failure")
    func oldVersion() {
        #expect(parse(200, "Transfer-Encoding: chunked\r\n", version: "1.0").parse == .failed(.transferCodingMisplaced))
    }

    @Test("the connection persists by version and option")
    func keepAlive() {
        let length = "Content-Length: 0\r\n"
        #expect(parse(200, length).head.keepAlive && !parse(200, length, version: "1.0").head.keepAlive)
        #expect(!parse(200, length + "Connection: close\r\n").head.keepAlive)
        #expect(parse(200, length + "Connection: keep-alive\r\n", version: "1.0").head.keepAlive)
    }

    @Test("fields that Connection names, and Host twice, which means nothing here")
    func fields() {
        #expect(parse(200, "Connection: x-a\r\nX-A: 1\r\nX-B: 2\r\nKeep-Alive: 5\r\n").kept == "X-B: 2\r\n")
    }
}

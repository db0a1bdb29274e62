import Testing

@testable import Proxy

@Suite("Log format: tokens")
struct LogFormatTests {
    @Test(
        "each of RProxy's tokens prints what RProxy meant",
        arguments: [
            ("{SRC}", "192.0.2.7"), ("{PROXY}", "10.0.0.1:3000"), ("{HOST}", "example.org"), ("{METH}", "GET"),
            ("{PROTO}", "HTTP/1.1"), ("{URI}", "/a/b"), ("{STATUS}", "502"), ("{DS_SPORT}", "51000"),
            ("{US_SPORT}", "40001"), ("{RULE}", "images"), ("{src} {Uri}", "192.0.2.7 /a/b"),
            ("{SRC} {HOST} {URI} {HOST}", "192.0.2.7 example.org /a/b example.org"),
        ])
    func classicToken(format: String, expected: String) throws {
        #expect(try printed(format, sampleRecord()) == expected)
    }

    @Test(
        "each of our own tokens prints its value",
        arguments: [
            ("{QUERY}", "x=1&y=2"), ("{TARGET}", "/a/b?x=1&y=2"), ("{REQUEST}", "GET /a/b?x=1&y=2 HTTP/1.1"),
            ("{BACKEND}", "web"), ("{BACKEND_STATUS}", "200"), ("{BYTES_IN}", "101"), ("{BYTES_OUT}", "202"),
            ("{BODY_OUT}", "303"), ("{BODY_IN}", "404"), ("{BACKEND_BYTES_IN}", "505"), ("{BACKEND_BYTES_OUT}", "606"),
            ("{SPLICED}", "707"), ("{DURATION}", "12.345"), ("{WAIT}", "1.500"), ("{FIRST_BYTE}", "7.000"),
            ("{CONNECT}", "0.250"), ("{REUSED}", "1"), ("{PIPELINED}", "1"), ("{REQUEST_NUMBER}", "9"),
            ("{RETRIES}", "1"), ("{WORKER}", "3"), ("{BATCH}", "17"), ("{REQUEST_ID}", "0000000000000abc"),
            ("{REASON}", "backend-short-body"), ("{EPOCH}", "1756292759.123"),
        ])
    func ownToken(format: String, expected: String) throws {
        #expect(try printed(format, sampleRecord()) == expected)
    }

    @Test("every token of the manual compiles, is spelt differently and has a sentence of its own")
    func manual() throws {
        let manual = LogFormat.manual
        #expect(manual.count == LogFormat.tokens.count)
        #expect(Set(manual.map(\.token)).count == manual.count)
        #expect(Set(manual.map(\.meaning)).count == manual.count)
        for entry in manual { try LogFormat.compile(entry.token).get().release() }
    }

    @Test("the time is that of strftime, also across seconds and minutes", arguments: [0, 1, 36, 37, 3_600, 86_400 * 200])
    func time(later: Int) throws {
        var record = sampleRecord()
        let seconds = 1_756_292_759 + later
        record.endNanoseconds = UInt64(seconds) * 1_000_000_000 + 5_000_000
        #expect(try printed("{TS}", record) == strftimeText("%d/%b/%Y:%H:%M:%S %z", seconds))
        let iso = strftimeText("%Y-%m-%dT%H:%M:%S.005%z", seconds)
        #expect(try printed("{TIME}", record) == "\(iso.dropLast(2)):\(iso.suffix(2))")
    }

    @Test("one clock keeps its text right while seconds and minutes pass")
    func runningClock() {
        var clock = LogClock()
        for seconds in stride(from: 1_756_292_700, to: 1_756_296_500, by: 7) {
            var text = [UInt8](repeating: 0, count: LogClock.commonBytes)
            text.withUnsafeMutableBufferPointer { clock.writeCommon(UInt64(seconds) * 1_000_000_000, to: $0.baseAddress!) }
            #expect(String(decoding: text, as: UTF8.self) == strftimeText("%d/%b/%Y:%H:%M:%S %z", seconds))
        }
    }

    @Test("what is not known is a dash, and an empty value too")
    func missingValues() throws {
        var record = LogRecord()
        let all = LogField.allCases.filter { $0.token.hasPrefix("BYTES") == false }.map { "{\($0.token)}" }
        let line = try printed("{SRC} {PROXY} {UA} {HOST} {REF} {METH} {PROTO} {URI} {STATUS} {DS_SPORT} {US_SPORT} {RULE}", record)
        #expect(line == "- - - - - - - - - - - -")
        #expect(try printed("{WAIT} {CONNECT} {REUSED} {REASON} {BACKEND_STATUS} {REQUEST} {QUERY}", record) == "- - - - - - -")
        record.host = ByteSlice("")
        #expect(try printed("{HOST}", record) == "-")
        #expect(try !printed(all.joined(separator: " "), record).isEmpty)
    }

    @Test("named fields are captured once each, in lower case, in the order of their first use")
    func capturedFields() throws {
        let format = try LogFormat.compile("{US_HDR}:'X-A' {UA} {ds_hdr}:'Server' {REF} {US_HDR}:'x-a' {US_HDR}:'User-Agent'").get()
        defer { format.release() }
        #expect(format.requestFieldNames.map(text) == ["x-a", "user-agent", "referer"])
        #expect(format.responseFieldNames.map(text) == ["server"])
        var record = LogRecord()
        record.capturedRequestFields[0] = ByteSlice("one")
        record.capturedRequestFields[1] = ByteSlice("curl/8")
        record.capturedRequestFields[2] = ByteSlice("http://there/")
        record.capturedResponseFields[0] = ByteSlice("nginx")
        var buffer = LogBuffer(framing: .stream, style: format.style)
        format.append(record, to: &buffer)
        #expect(drainText(&buffer) == "one curl/8 nginx http://there/ one curl/8\n")
    }

    @Test("a format compiled after another keeps the places of its fields")
    func sharedCapture() throws {
        let first = try LogFormat.compile("{REF}").get()
        let second = try LogFormat.compile("{UA} {REF} {DS_HDR}:'Age'", after: first).get()
        #expect(first.requestFieldNames.map(text) == ["referer"])
        #expect(second.requestFieldNames.map(text) == ["referer", "user-agent"])
        #expect(second.responseFieldNames.map(text) == ["age"])
        first.release()
        second.release()
    }

    @Test(
        "addresses are printed by RFC 5952, and IPv4 in IPv6 as IPv4",
        arguments: [
            ("1.20.255.0", "1.20.255.0"), ("::1", "::1"), ("::", "::"), ("2001:db8::1", "2001:db8::1"), ("fe80::", "fe80::"),
            ("2001:db8:0:1:0:0:0:1", "2001:db8:0:1::1"), ("2001:0:0:1::1:0", "2001::1:0:0:1:0"),
            ("1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"), ("1:0:3:4:5:6:7:8", "1:0:3:4:5:6:7:8"),
            ("ABCD:00ef:0:0:1::", "abcd:ef:0:0:1::"), ("::ffff:10.1.2.3", "10.1.2.3"), ("::fffe:1:2", "::fffe:1:2"),
        ])
    func address(literal: String, expected: String) throws {
        #expect(try printed("{SRC} {US_SPORT}", sampleRecord(client: literal, port: 65_535)) == "\(expected) 65535")
    }

    @Test("a client on a unix socket has no address and no port")
    func unixClient() throws {
        var address = SocketAddress(unixPath: "/run/x")!
        let line = try withUnsafePointer(to: &address) { client in
            var record = LogRecord()
            record.client = client
            return try printed("{SRC} {US_SPORT}", record)
        }
        #expect(line == "unix -")
    }

    @Test("braces that no letter follows are text", arguments: ["{", "}", "{}", "{ }", "{\"a\":1}", "{1}", "a{"])
    func bracesAsText(format: String) throws {
        #expect(try printed(format, LogRecord()) == format)
    }

    @Test("a token within braces is still a token")
    func tokenWithinBraces() throws {
        #expect(try printed("{{METH}}", sampleRecord()) == "{GET}")
    }

    @Test("the ready format combined is Apache's")
    func combined() throws {
        let line = try printed("Combined", sampleRecord())
        let time = strftimeText("%d/%b/%Y:%H:%M:%S %z", 1_756_292_759)
        #expect(line == #"192.0.2.7 - - [\#(time)] "GET /a/b?x=1&y=2 HTTP/1.1" 502 303 "-" "-""#)
    }
}

private func text(_ slice: ByteSlice) -> String {
    String(decoding: UnsafeRawBufferPointer(start: slice.start, count: slice.count), as: UTF8.self)
}

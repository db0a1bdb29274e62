import Testing

@testable import Proxy

@Suite("Log format: what cannot be compiled")
struct LogCompileTests {
    private func compileFailure(_ format: String) -> LogFormatFailure? {
        switch LogFormat.compile(format) {
        case .success(let compiled):
            compiled.release()
            return nil
        case .failure(let failure): return failure
        }
    }

    @Test(
        "an unknown token is an error at its brace, with the nearest known one",
        arguments: [
            ("{SRC} {STATSU}", 6, "STATUS"), ("{UIR}", 0, "URI"), ("a{US_HRD}:'x'", 1, "US_HDR"), ("{RULES}", 0, "RULE"),
            ("{DURATON}", 0, "DURATION"), ("{Backend_Bytes}", 0, "BACKEND_BYTES_IN"), ("{XYZZY}", 0, nil), ("{Q}", 0, nil),
        ] as [(String, Int, String?)])
    func unknownToken(format: String, offset: Int, suggestion: String?) throws {
        let failure = try #require(compileFailure(format))
        #expect(failure.offset == offset)
        #expect(failure.problem.hasPrefix("unknown token {"))
        #expect(failure.suggestion == suggestion)
    }

    @Test("the message names column, token and suggestion")
    func message() {
        #expect(compileFailure("{SRC} {STATSU}")?.description == "log format, column 7: unknown token {STATSU}; did you mean {STATUS}?")
    }

    @Test(
        "a token that does not end, a header without a name and a control character are errors at their place",
        arguments: [
            ("{SRC", 0), ("x {SRC {HOST}", 2), ("{US_HDR}", 8), ("{US_HDR} x", 8), ("{US_HDR}:x", 8), ("{US_HDR}:''", 10),
            ("{DS_HDR}:'a b'", 10), ("{DS_HDR}:'abc", 9), ("{SRC}\n", 5), ("\u{1}", 0), ("a\u{7f}", 1), ("{a-b}", 0),
        ])
    func malformed(format: String, offset: Int) throws {
        #expect(try #require(compileFailure(format)).offset == offset)
    }

    @Test("a tab is text")
    func tab() { #expect(compileFailure("{SRC}\t{URI}") == nil) }

    @Test("eight different fields of a side fit, a ninth does not")
    func fieldCount() throws {
        let eight = (1...8).map { "{US_HDR}:'x-\($0)'" }.joined()
        #expect(compileFailure(eight) == nil)
        #expect(compileFailure(eight + "{US_HDR}:'X-1'") == nil)
        let ninth = try #require(compileFailure(eight + "{UA}"))
        #expect(ninth.offset == eight.utf8.count)
    }

    @Test("a format longer than a line can hold is refused")
    func tooLong() {
        #expect(compileFailure(String(repeating: "x", count: 2_048)) == nil)
        #expect(compileFailure(String(repeating: "x", count: 2_049)) != nil)
        #expect(compileFailure(String(repeating: "{SRC}", count: 48)) == nil)
        #expect(compileFailure(String(repeating: "{SRC}", count: 49)) != nil)
    }

    @Test("an empty format prints empty lines")
    func empty() throws { #expect(try printed("", LogRecord()) == "") }
}

@Suite("Log format: json")
struct LogJSONTests {
    private func object(_ record: borrowing LogRecord) throws -> JSONValue { try parseJSON(Array(try printed("json", record).utf8)) }

    @Test("a full record becomes an object with a member for each value")
    func full() throws {
        let object = try object(sampleRecord())
        guard case .object(let members) = object else { return #expect(Bool(false), "not an object") }
        #expect(Set(members.keys) == Set(LogFormat.jsonMembers.map(\.key)))
        #expect(object["client"] == .text("192.0.2.7"))
        #expect(object["client_port"] == .number("40001"))
        #expect(object["id"] == .text("0000000000000abc"))
        #expect(object["status"] == .number("502"))
        #expect(object["reason"] == .text("backend-short-body"))
        #expect(object["duration_ms"] == .number("12.345"))
        #expect(object["backend_reused"] == .flag(true))
        #expect(object["path"] == .text("/a/b"))
        #expect(object["user_agent"] == .null)
    }

    @Test("an unknown value is null, an empty one is an empty string")
    func missing() throws {
        var record = LogRecord()
        record.query = ByteSlice("")
        let object = try object(record)
        #expect(object["query"] == .text(""))
        for key in ["client", "client_port", "method", "status", "reason", "wait_ms", "backend_reused", "rule"] {
            #expect(object[key] == .null, "\(key)")
        }
    }

    @Test("an error line is the same object with two members more")
    func error() throws {
        let format = try LogFormat.compile("json").get()
        defer { format.release() }
        var buffer = LogBuffer(framing: .stream, style: format.style)
        format.appendError(sampleRecord(), message: "cannot connect", detail: ByteSlice("a \"b\"\n"), to: &buffer)
        let object = try parseJSON(Array(drain(&buffer).dropLast()))
        #expect(object["error"] == .text("cannot connect"))
        #expect(object["detail"] == .text("a \"b\"\n"))
        #expect(object["status"] == .number("502"))
    }

    @Test("an error line of text is the line, a comma, a space and the message")
    func errorText() throws {
        let format = try LogFormat.compile("{SRC} {URI}").get()
        defer { format.release() }
        var buffer = LogBuffer(framing: .stream, style: format.style)
        format.appendError(sampleRecord(), message: "cannot connect", to: &buffer)
        format.appendError(sampleRecord(), message: "cannot connect", detail: ByteSlice("%n\n"), to: &buffer)
        #expect(drainText(&buffer) == "192.0.2.7 /a/b, cannot connect\n192.0.2.7 /a/b, cannot connect: %n\\x0a\n")
    }
}

import Testing

@testable import Proxy

@Suite("Values made of text and tokens")
struct ValueFormatTests {
    /// Prints a value for a request of `GET /a b?x=1` with the given host; nil when it does not fit.
    private func printed(_ text: String, style: LogStyle, host: String = "test:8080", path: String = "/a", room: Int = 4096) throws -> String? {
        let format = try ValueFormat.compile(text, style: style).get()
        defer { format.release() }
        var record = LogRecord()
        var clock = LogClock()
        var output = [UInt8](repeating: 0, count: room)
        let hostBytes = Array(host.utf8)
        let pathBytes = Array(path.utf8)
        return hostBytes.withUnsafeBytes { hostMemory in
            pathBytes.withUnsafeBytes { pathMemory in
                record.host = ByteSlice(start: hostMemory.baseAddress, count: hostMemory.count)
                record.hostName = ByteSlice(start: hostMemory.baseAddress, count: host.prefix { $0 != ":" }.utf8.count)
                record.path = ByteSlice(start: pathMemory.baseAddress, count: pathMemory.count)
                record.query = ByteSlice("x=1")
                record.method = ByteSlice("GET")
                let count = output.withUnsafeMutableBytes { format.write(record, to: $0.baseAddress!, room: room, clock: &clock) }
                return count.map { String(decoding: output[..<$0], as: UTF8.self) }
            }
        }
    }

    @Test("text stays, tokens are replaced, unknown values are empty")
    func tokens() throws {
        #expect(try printed("https://{HOSTNAME}{URI}?{QUERY}", style: .target) == "https://test/a?x=1")
        #expect(try printed("[{host}] {METH} <{RULE}{STATUS}>", style: .value) == "[test:8080] GET <>")
    }

    @Test("the words that name ready formats of logs are plain text here", arguments: ["json", "combined"])
    func readyNames(_ word: String) throws {
        #expect(try printed(word, style: .value) == word)
    }

    @Test("what may not stand in a URI is percent-encoded; a percent sign is left as it is")
    func encoded() throws {
        #expect(try printed("{URI}", style: .target, path: "/a b\"<>\\^`{|}\u{7f}é%41") == "/a%20b%22%3C%3E%5C%5E%60%7B%7C%7D%7F%C3%A9%41")
    }

    @Test("a field's value keeps its bytes and loses control bytes")
    func raw() throws {
        #expect(try printed("{URI}", style: .value, path: "/a\r\nX: y\u{0}\t\"é\u{7f}") == "/aX: y\t\"é")
    }

    @Test("a long value of a peer is never shortened: it fits or there is none")
    func long() throws {
        let path = "/" + String(repeating: "a", count: 6_000)
        #expect(try printed("{URI}", style: .target, path: path, room: 8_192) == path)
        #expect(try printed("{URI}", style: .target, path: path, room: 6_000) == nil)
        #expect(try printed("{URI}", style: .target, room: 10) == nil)
    }

    @Test("a control character in the text is refused")
    func control() {
        #expect(throws: LogFormatFailure.self) { try ValueFormat.compile("a\r\nb", style: .value).get() }
    }

    @Test("it is known whether a value prints the query", arguments: [("{URI}", false), ("{QUERY}", true), ("x{TARGET}", true)])
    func query(_ text: String, _ expected: Bool) throws {
        let format = try ValueFormat.compile(text, style: .target).get()
        defer { format.release() }
        #expect(format.namesQuery == expected)
    }
}

import Testing

@testable import Proxy

@Suite("Log lines: escaping and bounds")
struct LogEscapingTests {
    /// Escapes the slow way, to compare with.
    private func expectedText(_ bytes: [UInt8]) -> String {
        bytes.map { byte in
            let isPlain = byte >= 0x20 && byte < 0x7f && byte != 0x22 && byte != 0x5c
            let digits = String(byte, radix: 16)
            return isPlain ? String(UnicodeScalar(byte)) : "\\x\(digits.count < 2 ? "0" : "")\(digits)"
        }.joined()
    }

    private func escaped(_ bytes: [UInt8], room: Int = 1_000, style: LogStyle) -> (text: [UInt8], taken: Int) {
        var target = [UInt8](repeating: 0xaa, count: room + 16)
        let (taken, written) = bytes.withUnsafeBytes { source in
            target.withUnsafeMutableBufferPointer { target in
                escape(source.baseAddress ?? UnsafeRawPointer(target.baseAddress!), count: source.count, into: target.baseAddress!, room: room, style: style)
            }
        }
        #expect(target[room...].allSatisfy { $0 == 0xaa }, "wrote past its room")
        return (Array(target[..<written]), taken)
    }

    @Test("every byte at every place of a value is escaped or kept as it must", arguments: [0, 1, 15, 16, 17, 33])
    func everyByte(before: Int) {
        for byte in UInt8.min...UInt8.max {
            var isRight = true
            for after in [0, 1, 15, 16] {
                let bytes = Array(repeating: UInt8(ascii: "a"), count: before) + [byte] + Array(repeating: UInt8(ascii: "z"), count: after)
                let (text, taken) = escaped(bytes, style: .text)
                let json = escaped(bytes, style: .json).text
                isRight = isRight && String(decoding: text, as: UTF8.self) == expectedText(bytes) && taken == bytes.count
                isRight = isRight && (try? parseJSON([0x22] + json + [0x22])) != nil && !text.contains(10) && !json.contains(10)
            }
            #expect(isRight, "byte \(byte)")
        }
    }

    @Test("JSON keeps well-formed text and marks stray bytes, cut sequences, surrogates and overlong forms")
    func jsonText() throws {
        let cases: [([UInt8], String)] = [
            (Array("grüße €😀".utf8), "grüße €😀"), ([0x61, 0xff, 0x62], "a\\xffb"), ([0xe2, 0x82], "\\xe2\\x82"),
            ([0xed, 0xa0, 0x80], "\\xed\\xa0\\x80"), ([0xc0, 0xaf], "\\xc0\\xaf"), ([0xe0, 0x80, 0xaf], "\\xe0\\x80\\xaf"),
            ([0xf4, 0x90, 0x80, 0x80], "\\xf4\\x90\\x80\\x80"), ([0xf0, 0x8f, 0x80, 0x80], "\\xf0\\x8f\\x80\\x80"),
            ([0x00, 0x1f, 0x7f], "\u{0}\u{1f}\u{7f}"), ([0xc2, 0x9b], "\u{9b}"), (Array(#"q" b\ /"#.utf8), #"q" b\ /"#),
        ]
        for (bytes, expected) in cases {
            let json = escaped(bytes, style: .json).text
            #expect(try parseJSON([0x22] + json + [0x22]) == .text(expected))
        }
        // What a terminal could obey never stands in the line itself.
        #expect(String(decoding: escaped([0xc2, 0x9b, 0x7f], style: .json).text, as: UTF8.self) == #"\u009b\u007f"#)
    }

    @Test("random bytes never break a JSON string", arguments: [1, 2, 3, 4, 5] as [UInt64])
    func randomBytes(seed: UInt64) throws {
        var random = SplitMix(seed: seed)
        for _ in 0..<500 {
            let bytes = (0..<Int.random(in: 0...80, using: &random)).map { _ -> UInt8 in
                Bool.random(using: &random) ? UInt8.random(in: 0...255, using: &random) : UInt8.random(in: 0xc0...0xf5, using: &random)
            }
            let json = escaped(bytes, style: .json).text
            #expect(throws: Never.self, "seed \(seed), \(bytes)") { try parseJSON([0x22] + json + [0x22]) }
        }
    }

    @Test("no room is ever exceeded, and no escape is cut in two", arguments: [LogStyle.text, .json])
    func room(style: LogStyle) {
        let bytes = Array("plain \"quoted\" \u{1} grüße, and a long plain end".utf8) + [0xff, 0x00]
        for room in 0...200 {
            let (text, taken) = escaped(bytes, room: room, style: style)
            #expect(text.count <= room)
            #expect(text == escaped(Array(bytes[..<taken]), style: style).text)
            if room >= 6 { #expect(taken > 0) }
        }
    }

    @Test("a line break, a quote or an escape sequence from a peer stays within its value")
    func injection() throws {
        var record = sampleRecord()
        let line = try withSlice(Array("evil\r\n127.0.0.1 \"GET / HTTP/1.1\" \u{1b}[31m".utf8)) { evil in
            record.host = evil
            record.path = evil
            return try printed("{HOST} {URI}", record)
        }
        let escaped = #"evil\x0d\x0a127.0.0.1 \x22GET / HTTP/1.1\x22 \x1b[31m"#
        #expect(line == "\(escaped) \(escaped)")
    }

    @Test("long values are cut and marked, each kind at its own limit")
    func longValues() throws {
        var record = sampleRecord()
        try withSlice(Array(repeating: UInt8(ascii: "a"), count: 5_000)) { (long) throws in
            record.host = long
            record.target = long
            record.capturedRequestFields[0] = long
            #expect(try printed("{HOST}", record) == String(repeating: "a", count: 1_024) + "...")
            #expect(try printed("{UA}", record) == String(repeating: "a", count: 1_024) + "...")
            #expect(try printed("{TARGET}", record) == String(repeating: "a", count: 4_096) + "...")
        }
    }

    @Test("the worst values of all together still make one line of valid JSON", arguments: [LogFraming.stream, .syslog(SyslogHeader(.local0, .informational))])
    func worstLine(framing: LogFraming) throws {
        let format = try LogFormat.compile("json").get()
        defer { format.release() }
        var record = sampleRecord(client: "2001:db8:1111:2222:3333:4444:5555:6666")
        try withSlice(Array(repeating: 1, count: 60_000)) { (long) throws in
            record.backendName = long
            record.backendAddress = long
            record.ruleName = long
            record.method = long
            record.target = long
            record.path = long
            record.query = long
            record.host = long
            record.protocolName = long
            for index in 0..<LogRecord.capturedMax {
                record.capturedRequestFields[index] = long
                record.capturedResponseFields[index] = long
            }
            var buffer = LogBuffer(framing: framing, style: format.style)
            #expect(format.append(record, to: &buffer) == true)
            #expect(format.appendError(record, message: "backend closed", detail: long, to: &buffer) == true)
            while let (start, count) = buffer.takeForWrite() {
                var lines = [UInt8](UnsafeRawBufferPointer(start: start, count: count))
                buffer.onWritten(Int32(count))
                if framing.isDatagram { lines = Array(lines[lines.firstIndex(of: UInt8(ascii: "{"))!...]) }
                for line in lines.split(separator: 10) {
                    #expect(line.count <= buffer.lineBytesMax)
                    #expect(throws: Never.self) { try parseJSON(Array(line)) }
                }
            }
            #expect(buffer.writtenLines == 2)
        }
    }
}

/// A small seeded generator, so that a failure can be repeated.
struct SplitMix: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}

import Testing

@testable import Proxy

@Suite("Head writer")
struct HeadWriterTests {
    @Test(
        "numbers are written without leading zeros",
        arguments: [0, 1, 9, 10, 15, 16, 99, 100, 255, 256, 4_096, .max] as [UInt64])
    func numbers(value: UInt64) {
        #expect(written { $0.append(decimal: value) } == String(value))
        #expect(written { $0.append(hex: value) } == String(value, radix: 16))
    }

    @Test("every power of two has as many digits as it needs", arguments: 0..<64)
    func powers(shift: Int) {
        for value in [UInt64(1) << UInt64(shift), (UInt64(1) << UInt64(shift)) - 1] {
            #expect(written { $0.append(decimal: value) } == String(value))
            #expect(written { $0.appendChunkHead(length: value) } == String(value, radix: 16) + "\r\n")
        }
    }

    @Test("what does not fit is left out, and everything after it too")
    func overflow() {
        let text = written(capacity: 8) { writer in
            writer.append("12345")
            #expect(!writer.overflowed)
            writer.append("6789")
            #expect(writer.overflowed && writer.count == 5)
            writer.append(UInt8(ascii: "6"))
            writer.append(decimal: 6)
            writer.append(hex: 6)
            writer.append(Array("6".utf8).span)
        }
        #expect(text == "12345")
        #expect(written(capacity: 0) { $0.append(UInt8(0)) } == "")
        #expect(written(capacity: 3) { $0.append("abc") } == "abc")
    }

    @Test("a writer goes back to a mark")
    func truncate() {
        let text = written { writer in
            writer.append("ab")
            let mark = writer.count
            writer.append("cd")
            writer.truncate(to: mark)
            writer.append("e")
        }
        #expect(text == "abe")
    }

    @Test("kept fields are copied in runs, whichever are left out")
    func keptFields() {
        let lines = (0..<6).map { "Field-\($0): value \($0)\r\n" }
        let bytes = Array(("GET / HTTP/1.0\r\n" + lines.joined() + "\r\nbody").utf8)
        let request = ParsedRequest(bytes)
        for mask in 0..<64 {
            var fields = request.fields
            for index in 0..<6 where mask >> index & 1 == 1 {
                fields[index].flags = index % 2 == 0 ? .dropped : .hopByHop
            }
            let expected = lines.indices.filter { mask >> $0 & 1 == 0 }.map { lines[$0] }.joined()
            #expect(HTTPTests.keptFields(bytes, fields, fieldsEnd: request.head.headLength - 2) == expected)
        }
    }

    @Test("a status line has the usual words")
    func statusLine() {
        #expect(written { $0.appendStatusLine(404) } == "HTTP/1.1 404 Not Found\r\n")
        #expect(written { $0.appendStatusLine(299) } == "HTTP/1.1 299 \r\n")
        #expect(StatusCode(299).statusClass == .success && StatusCode(103).statusClass == .informational)
        #expect(StatusCode(0).statusClass == .serverError && StatusCode(.max).statusClass == .serverError)
    }
}

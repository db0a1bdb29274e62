import Foundation
import Testing

@testable import Proxy

@Suite("Field lines, RFC 9112 §5")
struct FieldSectionTests {
    private func parse(_ lines: String) -> ParsedRequest { ParsedRequest("GET / HTTP/1.0\r\n\(lines)\r\n\r\n") }

    @Test("name and value come without the white space around the value")
    func trimmed() {
        let request = parse("Accept:text/html\r\nX-A: \t a b\t c \t \r\nX-Empty:\r\nX-Blank: \t ")
        #expect(request.parse == .complete && request.head.fieldCount == 4)
        #expect((0..<4).map(request.name) == ["Accept", "X-A", "X-Empty", "X-Blank"])
        #expect((0..<4).map(request.value) == ["text/html", "a b\t c", "", ""])
        #expect(request.fields[0].name == .accept && request.fields[1].name == .other)
    }

    @Test("a name may hold every token byte, at every place of a block")
    func tokenBytes() {
        let marks = "!#$%&'*+-.^_`|~0123456789abcxyzABCXYZ"
        for padding in 0..<20 {
            let name = String(repeating: "a", count: padding) + marks
            let request = parse("\(name): v")
            #expect(request.parse == .complete && request.name(0) == name)
        }
    }

    @Test("a name may hold nothing else", arguments: Array(UInt8.min...UInt8.max))
    func otherBytes(byte: UInt8) {
        for padding in [0, 3, 15, 16, 17, 33] {
            let name = Array(repeating: UInt8(ascii: "a"), count: padding) + [byte]
            let request = ParsedRequest(
                Array("GET / HTTP/1.0\r\n".utf8) + name + Array("a: long enough for a block\r\n\r\n".utf8))
            let isToken = "!#$%&'*+-.^_`|~".utf8.contains(byte) || byte.isAlphanumeric
            if isToken {
                #expect(request.parse == .complete)
            } else if byte == UInt8(ascii: ":") && padding > 0 {
                #expect(request.parse == .complete)
            } else {
                guard case .failed = request.parse else {
                    Issue.record("byte \(byte) after \(padding) passed")
                    continue
                }
            }
        }
    }

    @Test("a value may hold everything but control bytes", arguments: Array(UInt8.min...UInt8.max))
    func valueBytes(byte: UInt8) {
        for padding in [0, 1, 14, 15, 16, 17, 40] {
            for rest in [1, 8, 20] {
                let value =
                    Array(repeating: UInt8(ascii: "v"), count: padding) + [byte]
                    + Array(repeating: UInt8(ascii: "w"), count: rest)
                let request = ParsedRequest(Array("GET / HTTP/1.0\r\na: ".utf8) + value + Array("\r\n\r\n".utf8))
                let expected: HeadParse =
                    switch byte {
                    case 9, 0x20...0x7e, 0x80...0xff: .complete
                    case 10: .failed(.bareLineFeed)
                    case 13: .failed(.bareCarriageReturn)
                    default: .failed(.fieldValueInvalid)
                    }
                #expect(request.parse == expected)
            }
        }
    }

    @Test(
        "lines that readers understand in different ways are refused",
        arguments: [
            ("Host : a", ParseFailure.spaceBeforeColon), ("Host\t: a", .spaceBeforeColon), (": a", .fieldNameEmpty),
            (" Host: a", .foldedLine), ("\tHost: a", .foldedLine), ("A: b\r\n c", .foldedLine),
            ("A: b\r\n\tc", .foldedLine),
            ("Host", .fieldNameInvalid), ("A: b\nC: d", .bareLineFeed), ("A: b\rC: d", .bareCarriageReturn),
            ("A: b\n\nGET / HTTP/1.0", .bareLineFeed), ("A\n: b", .bareLineFeed), ("A: b\r\n\nC: d", .bareLineFeed),
            ("A: b\u{0}", .fieldValueInvalid), ("A: b\r\r\n", .bareCarriageReturn), ("Ä: b", .fieldNameInvalid),
            ("(A): b", .fieldNameInvalid), ("A B: c", .spaceBeforeColon), ("\r", .bareCarriageReturn),
        ])
    func refused(lines: String, failure: ParseFailure) { #expect(parse(lines).parse == .failed(failure)) }

    @Test("known names are found in any case, at the very end of the bytes too", arguments: HeaderName.allCases)
    func knownNames(name: HeaderName) {
        let text = Array("\(name.text)".utf8)
        #expect(text.count <= 32)
        let upper = text.map { $0 >= 97 && $0 <= 122 ? $0 - 32 : $0 }
        #expect(HeaderName(text.span, start: 0, length: text.count) == name)
        #expect(HeaderName(upper.span, start: 0, length: text.count) == name)
        let padded = Array("xx".utf8) + text + Array(": and more bytes".utf8)
        #expect(HeaderName(padded.span, start: 2, length: text.count) == name)
        #expect(name == .other || HeaderName(padded.span, start: 1, length: text.count) != name)
        for index in text.indices {
            var changed = text
            changed[index] = UInt8(ascii: "_")
            #expect(HeaderName(changed.span, start: 0, length: text.count) == .other)
        }
    }

    @Test("the table is the one that Tools/header-names.txt lists")
    func generated() throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let listed = try String(contentsOf: root.appendingPathComponent("Tools/header-names.txt"), encoding: .utf8)
            .split(separator: "\n").filter { !$0.hasPrefix("#") }.map(String.init)
        let known = HeaderName.allCases.filter { $0 != .other }.map { "\($0.text)" }
        #expect(known == listed, "run swift Tools/generate-header-names.swift")
    }

    @Test("fields that the parser acts upon itself come first in the table")
    func noted() {
        for name in HeaderName.allCases where name.isHopByHop || [.host, .contentLength, .expect].contains(name) {
            #expect(name.isNoted)
        }
        #expect(!HeaderName.other.isNoted && !HeaderName.trailer.isNoted && !HeaderName.allCases.last!.isNoted)
    }

    @Test("a range takes ten bytes")
    func size() {
        #expect(MemoryLayout<FieldRange>.stride == 10)
        #expect(_isPOD(FieldRange.self) && _isPOD(RequestHead.self) && _isPOD(ResponseHead.self))
        #expect(_isPOD(ChunkedDecoder.self) && _isPOD(HeadParse.self) && _isPOD(ChunkEvent.self))
    }
}

extension UInt8 {
    fileprivate var isAlphanumeric: Bool {
        (0x30...0x39).contains(self) || (0x41...0x5a).contains(self) || (0x61...0x7a).contains(self)
    }
}

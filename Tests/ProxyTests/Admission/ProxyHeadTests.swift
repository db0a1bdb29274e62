import Testing

@testable import Proxy

private func parse(_ bytes: [UInt8]) -> ProxyHeadParse { parseProxyHead(bytes.span) }
private func parse(_ text: String) -> ProxyHeadParse { parse(Array(text.utf8)) }

private func host(_ text: String) -> HostAddress { HostAddress(literal: text)! }

private let signature: [UInt8] = [0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A]

private func binary(_ versionCommand: UInt8, _ family: UInt8, _ rest: [UInt8]) -> [UInt8] {
    signature + [versionCommand, family, UInt8(rest.count >> 8), UInt8(rest.count & 0xFF)] + rest
}

@Suite("PROXY heads, versions 1 and 2")
struct ProxyHeadTests {
    @Test("a line of version 1 names both ends")
    func text() {
        let line = "PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n"
        let head = ProxyHead(source: host("192.0.2.1"), sourcePort: 56324, destination: host("198.51.100.2"), destinationPort: 443)
        #expect(parse(line + "GET / HTTP/1.1\r\n") == .complete(head, length: line.utf8.count))
        let wide = "PROXY TCP6 2001:db8::1 ::1 1 65535\r\n"
        let wideHead = ProxyHead(source: host("2001:db8::1"), sourcePort: 1, destination: host("::1"), destinationPort: 65535)
        #expect(parse(wide) == .complete(wideHead, length: wide.utf8.count))
    }

    @Test("UNKNOWN, LOCAL and UNSPEC tell nothing, whatever follows")
    func unknown() {
        for line in ["PROXY UNKNOWN\r\n", "PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n"] {
            #expect(parse(line) == .complete(ProxyHead(), length: line.utf8.count))
        }
        for bytes in [binary(0x20, 0x00, []), binary(0x20, 0x11, [UInt8](repeating: 9, count: 12)), binary(0x21, 0x00, [1, 2, 3])] {
            #expect(parse(bytes + [65]) == .complete(ProxyHead(), length: bytes.count))
        }
    }

    @Test("version 2 names both ends, and what it carries beside them is skipped")
    func binaryHeads() {
        let addresses: [UInt8] = [192, 0, 2, 1, 198, 51, 100, 2, 0xDC, 0x04, 0x01, 0xBB]
        let fields: [UInt8] = [0x03, 0, 4, 1, 2, 3, 4, 0x04, 0, 1, 0]
        let head = ProxyHead(source: host("192.0.2.1"), sourcePort: 0xDC04, destination: host("198.51.100.2"), destinationPort: 443)
        for bytes in [binary(0x21, 0x11, addresses), binary(0x21, 0x11, addresses + fields)] {
            #expect(parse(bytes) == .complete(head, length: bytes.count))
        }
        let wide = [UInt8](repeating: 0, count: 15) + [1] + [0x20, 0x01, 0x0D, 0xB8] + [UInt8](repeating: 0, count: 11) + [2] + [0, 1, 0, 2]
        let wideHead = ProxyHead(source: host("::1"), sourcePort: 1, destination: host("2001:db8::2"), destinationPort: 2)
        #expect(parse(binary(0x21, 0x21, wide)) == .complete(wideHead, length: 52))
        let unix = binary(0x21, 0x31, [UInt8](repeating: 0x61, count: 216))
        #expect(parse(unix) == .complete(ProxyHead(source: .unix, destination: .unix), length: unix.count))
    }

    @Test("cut at any byte, a head is incomplete and never something else")
    func cut() {
        let addresses: [UInt8] = [192, 0, 2, 1, 198, 51, 100, 2, 0xDC, 0x04, 0x01, 0xBB]
        let heads = [Array("PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n".utf8), binary(0x21, 0x11, addresses), Array("PROXY UNKNOWN\r\n".utf8)]
        for head in heads {
            for count in 0..<head.count { #expect(parse(Array(head[..<count])) == .incomplete, "after \(count) bytes") }
        }
    }

    @Test(
        "what is no head is left alone",
        arguments: ["GET / HTTP/1.1\r\n", "POST / HTTP/1.1\r\n", "PROXX", "PROPFIND / HTTP/1.1\r\n", "\r\nGET / HTTP/1.1", "\r\n\r\nX", "\u{16}\u{03}"])
    func absent(_ text: String) {
        #expect(parse(text) == .absent)
    }

    @Test(
        "a line that begins as a head and is none is refused",
        arguments: [
            "PROXY TCP4 192.0.2.1 198.51.100.2 56324\r\n", "PROXY TCP4  192.0.2.1 198.51.100.2 1 2\r\n", "PROXY TCP4 ::1 ::1 1 2\r\n",
            "PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n",
            "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 -1 2\r\n",
            "PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n", "PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n", "PROXY tcp4 1.2.3.4 1.2.3.4 1 2\r\n", "PROXY \r\n",
            "PROXY UNKNOWNX\r\n", "PROXY TCP4 1.2.3.04 1.2.3.4 1 2\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\rX", "PROXY TCP4 1.2.3.4\n",
            "PROXY TCP4 1.2.3.4%eth0 1.2.3.4 1 2\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 1 \r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 1 2",
        ])
    func badText(_ line: String) {
        let padded = line.hasSuffix("2") ? line + String(repeating: "2", count: 107) : line
        #expect(parse(padded) == .failed)
    }

    @Test("a line of version 1 ends within 107 bytes")
    func longText() {
        #expect(parse("PROXY UNKNOWN " + String(repeating: "x", count: 107)) == .failed)
        let longest = "PROXY UNKNOWN " + String(repeating: "f", count: 91) + "\r\n"
        #expect(longest.utf8.count == 107 && parse(longest) == .complete(ProxyHead(), length: 107))
        #expect(parse("PROXY UNKNOWN " + String(repeating: "f", count: 92) + "\r\n") == .failed)
    }

    @Test(
        "a binary head of an unknown version, command, family or length is refused",
        arguments: [
            binary(0x11, 0x11, [UInt8](repeating: 0, count: 12)), binary(0x31, 0x11, [UInt8](repeating: 0, count: 12)),
            binary(0x22, 0x11, [UInt8](repeating: 0, count: 12)), binary(0x21, 0x41, [UInt8](repeating: 0, count: 12)),
            binary(0x21, 0x13, [UInt8](repeating: 0, count: 12)), binary(0x21, 0x11, [UInt8](repeating: 0, count: 11)),
            binary(0x21, 0x21, [UInt8](repeating: 0, count: 35)), binary(0x21, 0x31, [UInt8](repeating: 0, count: 215)),
            signature + [0x21, 0x11, 0xFF, 0xFF],
        ])
    func badBinary(_ bytes: [UInt8]) {
        #expect(parse(bytes) == .failed)
    }

    @Test(
        "what is written is read back",
        arguments: [
            ("192.0.2.1", "198.51.100.2"), ("2001:db8::1", "::1"), ("0.0.0.0", "255.255.255.255"),
            ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ])
    func written(_ source: String, _ destination: String) {
        let head = ProxyHead(source: host(source), sourcePort: 65535, destination: host(destination), destinationPort: 80)
        for isText in [true, false] {
            let bytes = write(head, isText: isText)
            #expect(parse(bytes) == .complete(head, length: bytes.count))
        }
    }

    @Test("where the families differ version 1 tells nothing and version 2 tells both as IPv6; unix peers are not told")
    func mixed() {
        let head = ProxyHead(source: host("192.0.2.1"), sourcePort: 1, destination: host("::1"), destinationPort: 2)
        #expect(write(head, isText: true) == Array("PROXY UNKNOWN\r\n".utf8))
        #expect(parse(write(head, isText: false)) == .complete(head, length: 52))
        let unix = ProxyHead(source: .unix, destination: .unix)
        #expect(parse(write(unix, isText: true)) == .complete(ProxyHead(), length: 15))
        #expect(parse(write(unix, isText: false)) == .complete(ProxyHead(), length: 16))
    }

    private func write(_ head: ProxyHead, isText: Bool) -> [UInt8] {
        withUnsafeTemporaryAllocation(byteCount: ProxyHead.writtenBytesMax, alignment: 1) { buffer in
            var writer = HeadWriter(base: buffer.baseAddress!, capacity: buffer.count)
            isText ? head.writeText(into: &writer) : head.writeBinary(into: &writer)
            #expect(!writer.overflowed)
            return Array(buffer[..<writer.count])
        }
    }
}

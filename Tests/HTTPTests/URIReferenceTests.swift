import Testing

@testable import Proxy

@Suite("References in answers, RFC 3986 §4.1")
struct URIReferenceTests {
    private func parse(_ text: String) -> URIReference {
        let bytes = Array("xx\(text)yy".utf8)
        return parseURIReference(bytes.span, start: 2, end: bytes.count - 2)
    }

    @Test("URLs of HTTP are taken apart", arguments: ["http://host:81/a/b?c#d", "HTTPS://[::1]:81/a/b#?", "//host:81/a/b"])
    func absolute(text: String) {
        let reference = parse(text)
        #expect(reference.form == .absolute && reference.authority.port == 81 && reference.pathLength == 4)
        #expect(reference.hasScheme == !text.hasPrefix("//") && reference.isSecure == text.hasPrefix("HTTPS"))
        #expect(parse("http://host").pathLength == 0 && parse("http://host?a/b").pathLength == 0)
    }

    @Test("a path stands for itself")
    func path() {
        #expect(parse("/a/b?c=/../d").form == .path)
        #expect(parse("/a/b?c=/../d").pathLength == 4)
        #expect(parse("/").form == .path)
    }

    @Test(
        "what is relative, foreign or ambiguous is left alone",
        arguments: [
            "", "a/b", "?q", "#f", "../a", "mailto:a@b", "ftp://host/", "http:/host/", "http://", "http://user@host/", "http://ho st/", "/a b", "/\\host/", "/a\\b",
            "/a/../b", "/a/..", "/a/.", "/./a", "/%2e%2E/a", "/.%2e", "/..;x=1/a", "http://host/a/../b", "/a\t", "\u{1}/", "http://host:99999/",
        ])
    func other(text: String) { #expect(parse(text).form == .other) }

    @Test("dots within names are names", arguments: ["/.a", "/a.", "/...", "/a..b/", "/%2ea", "/.well-known/x"])
    func dots(text: String) { #expect(parse(text).form == .path) }

    @Test("a path is under another one at the end of a segment only")
    func under() {
        func isUnder(_ path: String, _ prefix: String) -> Bool {
            let bytes = Array(path.utf8)
            return Proxy.isUnder(bytes.span, start: 0, length: bytes.count, Array(prefix.utf8).span)
        }
        #expect(isUnder("/app", "/app") && isUnder("/app/", "/app") && isUnder("/app/x", "/app") && isUnder("/x", "") && isUnder("/", ""))
        #expect(!isUnder("/apple", "/app") && !isUnder("/ap", "/app") && !isUnder("/App", "/app"))
    }

    @Test(
        "the URL of a Refresh is found as browsers find it",
        arguments: [
            ("5; url=/next", "/next"), ("0;URL='/a b'", "/a b"), ("1 , url = \"/q\" x", "/q"), ("3;/plain ", "/plain"), ("2.5; url=http://h/", "http://h/"), ("5", nil),
            ("5;", nil), ("", nil), ("5; url=", nil), ("url=/x", nil), ("5; url='/open", "/open"),
        ] as [(String, String?)])
    func refresh(value: String, url: String?) {
        let bytes = Array(value.utf8)
        let range = refreshURL(bytes.span, start: 0, end: bytes.count)
        #expect(range.map { String(decoding: bytes[$0], as: UTF8.self) } == url)
    }

    @Test("a cookie falls into its pair and its attributes")
    func cookie() {
        let bytes = Array("a=b=c ;path = /x; Domain=.h ;Secure;;Path".utf8)
        var parts = SetCookieParts(start: 0, end: bytes.count)
        var found: [String] = []
        while parts.advance(bytes.span) {
            let value = String(decoding: bytes[parts.valueStart..<parts.valueStart + parts.valueLength], as: UTF8.self)
            found.append("\(parts.kind) \(value)")
        }
        #expect(found == ["pair b=c", "path /x", "domain .h", "other ", "other ", "path "])
    }

    @Test("Forwarded quotes what a token cannot hold")
    func forwarded() {
        func forwarded(_ address: String, _ isIPv6: Bool, _ isKnown: Bool, _ host: String) -> String {
            written {
                $0.appendForwardedFor(Array(address.utf8).span, isIPv6: isIPv6, isKnown: isKnown)
                $0.appendForwardedHost(Array(host.utf8).span)
            }
        }
        #expect(forwarded("192.0.2.1", false, true, "example.com") == "for=192.0.2.1;host=example.com")
        #expect(forwarded("2001:db8::1", true, true, "example.com:80") == "for=\"[2001:db8::1]\";host=\"example.com:80\"")
        #expect(forwarded("unix", false, false, "[::1]") == "for=unknown;host=\"[::1]\"")
    }

    @Test("identifiers are short and cannot break a log", arguments: [("abc-1.2:3=", true), ("", false), ("a b", false), ("a\"b", false), ("grün", false)])
    func identifiers(value: String, isGood: Bool) {
        let bytes = Array(value.utf8)
        #expect(isRequestIdentifier(bytes.span, start: 0, length: bytes.count) == isGood)
        let long = [UInt8](repeating: 0x61, count: 129)
        #expect(isRequestIdentifier(long.span, start: 0, length: 128) && !isRequestIdentifier(long.span, start: 0, length: 129))
    }

    @Test("an identifier of ours has sixteen digits")
    func sixteen() {
        #expect(written { $0.append(hex16: 0x1f) } == "000000000000001f")
        #expect(written { $0.append(hex16: .max) } == "ffffffffffffffff")
        #expect(written(capacity: 15) { $0.append(hex16: 1) } == "")
    }
}

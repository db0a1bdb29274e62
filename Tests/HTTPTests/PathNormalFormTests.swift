import Testing

@testable import Proxy

@Suite("Path normal form, RFC 3986 §6.2.2")
struct PathNormalFormTests {
    /// The normal form as text, or the word of its refusal after an exclamation mark.
    private func normal(_ bytes: [UInt8], capacity: Int? = nil) -> String {
        var buffer = [UInt8](repeating: 0xa5, count: capacity ?? max(1, bytes.count * 3))
        var span = buffer.mutableSpan
        switch normalizePath(bytes.span, start: 0, length: bytes.count, into: &span) {
        case .complete(let length): return String(decoding: buffer[..<length], as: UTF8.self)
        case .failed(let refusal): return "!\(refusal.word)"
        }
    }

    private func normal(_ text: String) -> String { normal(Array(text.utf8)) }

    @Test(
        "escapes and dot segments are resolved, everything else stays",
        arguments: [
            ("/", "/"), ("/a/b", "/a/b"), ("/a//b/", "/a//b/"), ("/%61%2d%7E", "/a-~"), ("/%c3%a9", "/%C3%A9"),
            ("/a/./b", "/a/b"), ("/a/../b", "/b"), ("/a/b/..", "/a/"), ("/a/b/.", "/a/b/"), ("/a/b/../", "/a/"),
            ("/a/%2e%2E/b", "/b"), ("/.", "/"), ("/./", "/"), ("/a/..", "/"), ("/a/b/../../c", "/c"), ("/...", "/..."),
            ("/.a", "/.a"), ("/..a", "/..a"), ("/a..", "/a.."), ("/a;b=c", "/a;b=c"), ("/a%20b", "/a%20b"),
            ("/a|b", "/a%7Cb"), ("/a\"b", "/a%22b"), ("/%25", "/%25"), ("/%252e", "/%252e"),
            ("/a:@!$&'()*+,=", "/a:@!$&'()*+,="),
            ("/a//../b", "/a/b"), ("/%3f", "/%3F"),
        ])
    func normalForms(path: String, expected: String) {
        #expect(normal(path) == expected)
        #expect(normal(expected) == expected)
    }

    @Test(
        "what readers resolve in different ways is refused",
        arguments: [
            ("", "!path-relative"), ("a", "!path-relative"), ("%2fa", "!path-relative"), ("/%", "!path-escape-invalid"),
            ("/%4", "!path-escape-invalid"), ("/%4g", "!path-escape-invalid"), ("/%u0041", "!path-escape-invalid"),
            ("/a%2fb", "!path-separator-escaped"), ("/a%5Cb", "!path-separator-escaped"), ("/a\\b", "!path-backslash"),
            ("/%00", "!path-control-escaped"), ("/%0d%0a", "!path-control-escaped"), ("/%7f", "!path-control-escaped"),
            ("/..", "!path-above-root"), ("/../a", "!path-above-root"), ("/a/../../b", "!path-above-root"),
            ("/%2e%2e/a", "!path-above-root"), ("/a/..;x=y/b", "!path-dots-with-parameter"),
            ("/a/.;/b", "!path-dots-with-parameter"), ("/a/%2e.;", "!path-dots-with-parameter"),
            ("/a b", "!path-byte-invalid"),
            ("/a?b", "!path-byte-invalid"), ("/a#b", "!path-byte-invalid"), ("/é", "!path-byte-invalid"),
        ])
    func refused(path: String, expected: String) { #expect(normal(path) == expected) }

    @Test("random paths have a normal form that is its own, or none")
    func idempotent() {
        let seed = UInt64.random(in: .min ... .max)
        var generator = SeededGenerator(seed: seed)
        let alphabet = Array("///...%%2eEfF5cCa;|\\".utf8)
        for _ in 0..<20_000 {
            let length = Int.random(in: 0...16, using: &generator)
            let path = [UInt8(ascii: "/")] + (0..<length).map { _ in alphabet.randomElement(using: &generator)! }
            let form = normal(path)
            if form.hasPrefix("!") { continue }
            #expect(normal(form) == form, "seed \(seed), path \(String(decoding: path, as: UTF8.self))")
            #expect(!form.contains("/../") && !form.contains("/./") && !form.hasSuffix("/.."), "seed \(seed)")
        }
    }

    @Test("a buffer that is too small is never overrun")
    func small() {
        let path = Array("/abc/|/%c3".utf8)
        let length = normal(path).utf8.count
        for capacity in 0..<length { #expect(normal(path, capacity: capacity) == "!path-too-long") }
        #expect(normal(path, capacity: length).utf8.count == length)
    }
}

@Suite("Paths that need no work")
struct NormalPathTests {
    @Test("a path is used as it came only where its normal form is the same", arguments: [1, 2, 3] as [UInt64])
    func sound(seed: UInt64) {
        var random = RandomSource(seed: seed)
        let letters = Array("//..a%2e~ ;|?\\:é\u{1}".utf8)
        var plain = 0
        for _ in 0..<40_000 {
            let path = [UInt8(ascii: "/")] + (0..<random.next(below: 7)).map { _ in letters[Int(random.next(below: UInt64(letters.count)))] }
            guard isNormalPath(path.span) else { continue }
            plain += 1
            var room = [UInt8](repeating: 0, count: 3 * path.count)
            var span = room.mutableSpan
            let form = normalizePath(path.span, start: 0, length: path.count, into: &span)
            #expect(form == .complete(length: path.count) && Array(room[..<path.count]) == path, "seed \(seed): \(path)")
        }
        #expect(plain > 1_000)
    }

    @Test("ordinary paths need no work", arguments: ["/", "/a/b.c/d-e_f~g", "/a//b", "/:@!$&'()*+,;="])
    func ordinary(path: String) { #expect(isNormal(path)) }

    @Test("what has to be looked at is", arguments: ["", "a", "*", "/%61", "/./a", "/a/..", "/.a", "/a b", "/a|b"])
    func rest(path: String) { #expect(!isNormal(path)) }

    private func isNormal(_ path: String) -> Bool {
        let bytes = Array(path.utf8)
        return isNormalPath(bytes.span)
    }
}

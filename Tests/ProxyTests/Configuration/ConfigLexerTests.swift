import Testing

@testable import Proxy

/// What was expected here was first measured with libconfuse 3.3 itself.
@Suite("Configuration lexer")
struct ConfigLexerTests {
    private func lex(_ text: String, environment: [String: String] = [:]) -> (tokens: [String], messages: [String]) {
        lex(Array(text.utf8), environment: environment)
    }

    private func lex(_ bytes: [UInt8], environment: [String: String] = [:]) -> (tokens: [String], messages: [String]) {
        var diagnostics = DiagnosticList()
        let tokens = ConfigLexer.tokens(of: bytes, file: "f", environment: environment, diagnostics: &diagnostics)
        let shown = tokens.dropLast().map { token in
            token.kind == .word ? token.text : token.name.replacing("'", with: "")
        }
        return (shown, diagnostics.all.map(\.description))
    }

    @Test(
        "comments end where libconfuse ends them",
        arguments: [
            ("a = x // foo\nb", ["a", "=", "x", "b"]), ("a = x //foo\nb", ["a", "=", "x", "b"]), ("//foo\nb", ["b"]),
            ("///// foo\nb", ["b"]), ("a#c\nb", ["a", "b"]), ("a /*c*/ b", ["a", "b"]), ("/* c\n * c **/ b", ["b"]),
            ("http://x", ["http://x"]), ("a = #c\n5", ["a", "=", "5"]), ("a/b//c", ["a/b//c"]),
        ])
    func comments(_ text: String, _ tokens: [String]) {
        #expect(lex(text).tokens == tokens)
        #expect(lex(text).messages == [])
    }

    @Test(
        "punctuation and blanks divide bare words",
        arguments: [
            ("a=b", ["a", "=", "b"]), ("a{b}", ["a", "{", "b", "}"]), ("l+={x,y}", ["l", "+=", "{", "x", ",", "y", "}"]),
            ("x;", ["x;"]), ("127.0.0.1:8081", ["127.0.0.1:8081"]), ("a\r\nb\tc", ["a", "b", "c"]), ("a\"b\"c", ["a", "b", "c"]),
            ("x'y'", ["x", "y"]), ("f(x)", ["f", "(", "x", ")"]), ("-5", ["-5"]), ("pre$x", ["pre$x"]),
        ])
    func words(_ text: String, _ tokens: [String]) {
        #expect(lex(text).tokens == tokens)
    }

    @Test(
        "a star or a plus outside quotes is dropped, and said so",
        arguments: [("/foo*", ["/foo"], 5), ("*foo", ["foo"], 1), ("/foo*bar", ["/foo", "bar"], 5), ("x+y", ["x", "y"], 2)])
    func dropped(_ text: String, _ tokens: [String], _ column: Int) {
        #expect(lex(text).tokens == tokens)
        #expect(lex(text).messages.count == 1)
        #expect(lex(text).messages.first?.hasPrefix("f:1:\(column): warning: ") == true)
    }

    @Test(
        "double quotes know the escapes of C",
        arguments: [
            (#""q\x41\102\n\q""#, "qAB\nq"), (#""\t\r\b\f\a\e\v\"\\""#, "\t\r\u{8}\u{C}\u{7}\u{1B}\u{B}\"\\"), ("\"x\\\ny\"", "xy"),
            ("\"x\ny\"", "x\ny"), (#""\xg""#, "xg"), (#""\x4""#, "\u{4}"), (#""a*b+c""#, "a*b+c"), (#""\7""#, "\u{7}"),
        ])
    func doubleQuoted(_ text: String, _ value: String) {
        #expect(lex(text).tokens == [value])
        #expect(lex(text).messages == [])
    }

    @Test("an octal escape that is too long or too large is an error", arguments: [#""\128""#, #""\777""#, #""\1234""#, #""\9""#])
    func badOctal(_ text: String) {
        #expect(lex(text).messages.first?.hasPrefix("f:1:2: error: ") == true)
    }

    @Test("single quotes know only two escapes", arguments: [(#"'\n\'\\'"#, #"\n'\"#), ("'${HOME}'", "${HOME}"), ("'x\\\ny'", "xy")])
    func singleQuoted(_ text: String, _ value: String) {
        #expect(lex(text).tokens == [value])
    }

    @Test(
        "the environment is substituted in double quotes and in place of a bare word",
        arguments: [
            (#""${HOME}""#, ["/root"]), ("${HOME}", ["/root"]), (#""pre${HOME}post""#, ["pre/rootpost"]), (#""${NO:-d e}""#, ["d e"]),
            ("${NO:-}", [""]), ("${HOME}post", ["/root", "post"]), ("pre${HOME}", ["pre$", "{", "HOME", "}"]), (#""${unclosed""#, ["${unclosed"]),
        ])
    func substitution(_ text: String, _ tokens: [String]) {
        let result = lex(text, environment: ["HOME": "/root"])
        #expect(result.tokens == tokens)
        #expect(result.messages == [])
    }

    @Test("a variable that is not set is empty, and said so")
    func unsetVariable() {
        let result = lex("\n \"a${NO}b\"")
        #expect(result.tokens == ["ab"])
        #expect(result.messages == ["f:2:4: warning: the environment has no variable 'NO'; it is taken as empty"])
    }

    @Test("columns count characters, not bytes")
    func columns() {
        #expect(lex("ä \"ö\" *").messages.first?.hasPrefix("f:1:7: warning: ") == true)
    }

    @Test("a string that never ends is an error where it begins")
    func unterminated() {
        #expect(lex("a = \"b\nc").messages == ["f:1:5: error: this string is never closed"])
        #expect(lex("a = 'b\nc").messages == ["f:1:5: error: this string is never closed"])
    }

    @Test("a comment that never ends is accepted with a warning")
    func unterminatedComment() {
        #expect(lex("a /* b").tokens == ["a"])
        #expect(lex("a /* b").messages.first?.hasPrefix("f:1:3: warning: ") == true)
    }

    @Test("bytes that are no text are refused")
    func notText() {
        #expect(lex([0x61, 0xFF]).messages == ["f:1:1: error: this text is not UTF-8"])
        #expect(lex([0x00]).messages == ["f:1:1: error: a NUL byte; this is not a text file"])
        #expect(lex(#""\0""#).messages == ["f:1:1: error: this string contains a NUL byte"])
    }

    @Test("a byte order mark is skipped")
    func byteOrderMark() {
        #expect(lex([0xEF, 0xBB, 0xBF, 0x61]).tokens == ["a"])
    }
}

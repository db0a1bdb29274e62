import Testing

@testable import Proxy

@Suite("Configuration parser")
struct ConfigParserTests {
    /// Statements in one line: `name=value`, `name={a,b}`, `name+={a}`, `name(title){…}`.
    private func parse(_ text: String, including files: [String: String] = [:]) -> (tree: String, messages: [String], parser: ConfigParser) {
        let fixture = ConfigurationFixture(text, including: files)
        var parser = ConfigParser(environment: [:], read: fixture.read)
        let items = parser.parse(path: "main.conf")
        return (items.map(shown).joined(separator: " "), parser.diagnostics.all.map(\.description), parser)
    }

    private func shown(_ item: ConfigItem) -> String {
        switch item {
        case .assignment(let assignment):
            let values = assignment.values.map(\.text).joined(separator: ",")
            return assignment.name.text + (assignment.appends ? "+=" : "=") + (assignment.braced ? "{\(values)}" : values)
        case .section(let section):
            return section.name.text + (section.title.map { "(\($0.text))" } ?? "") + "{" + section.items.map(shown).joined(separator: " ") + "}"
        }
    }

    @Test(
        "statements of every form are understood",
        arguments: [
            ("a = b c = d", "a=b c=d"), ("a\n=\nb", "a=b"), ("l = {x, y,}", "l={x,y}"), ("l = {}", "l={}"), ("l += { z }", "l+={z}"),
            ("l += z", "l+=z"), ("s { a = b }", "s{a=b}"), ("s t { }", "s(t){}"), ("s\nt\n{\n}", "s(t){}"), ("s \"t t\" { u { } }", "s(t t){u{}}"),
            ("\"a\" = b", "a=b"), ("a = x; b = y", "a=x; b=y"), ("", ""),
        ])
    func statements(_ text: String, _ tree: String) {
        #expect(parse(text).tree == tree)
        #expect(parse(text).messages == [])
    }

    @Test(
        "what is no statement is an error at its place",
        arguments: [
            ("a", "1:1"), ("a b", "1:1"), ("= b", "1:1"), ("a = = c", "1:5"), ("a = b = c", "1:7"), ("a = (b)", "1:5"), ("l = { x y }", "1:9"),
            ("l = { , }", "1:7"), ("l = { {x} }", "1:7"), ("l = { x", "1:5"), ("a =", "1:4"), ("s { a = }", "1:9"), ("a = b }", "1:7"),
            ("{ }", "1:1"), ("a = b, c = d", "1:6"), ("s t u { }", "1:1"),
        ])
    func errors(_ text: String, _ place: String) {
        #expect(parse(text).messages.first?.hasPrefix("main.conf:\(place): error: ") == true, "\(parse(text).messages)")
    }

    @Test("errors are reported all at once, and what stands between them is understood")
    func recovery() {
        let result = parse("a = = 1\nb = 2\nc d e\nf = 3\ns { g = { 1 2 } h = 4 }\nport =\ni = 5\n")
        #expect(result.tree == "b=2 f=3 s{h=4} i=5")
        #expect(result.messages.count == 4)
    }

    @Test("missing closing braces at the end of the file are accepted with a warning each")
    func missingBraces() {
        let result = parse("a { b {\nc = d")
        #expect(result.tree == "a{b{c=d}}")
        #expect(
            result.messages == [
                "main.conf:2:6: warning: the closing brace of 'b' (line 1) is missing at the end of the file",
                "main.conf:2:6: warning: the closing brace of 'a' (line 1) is missing at the end of the file",
            ])
    }

    @Test("sections cannot be nested without end")
    func depth() {
        let result = parse(String(repeating: "a { ", count: 10_000))
        #expect(result.messages.contains { $0.contains("sections are nested more than 32 deep") })
        #expect(parse(String(repeating: "{", count: 100_000)).parser.diagnostics.hasErrors)
    }

    @Test("an include is replaced by what the file says, relative to the file that asks")
    func include() {
        let result = parse(
            "a = 1 s { include \"sub/x.conf\" b = 2 }",
            including: ["sub/x.conf": "c = 3\ninclude '../y.conf'", "y.conf": "d = 4"])
        #expect(result.tree == "a=1 s{c=3 d=4 b=2}")
        #expect(result.parser.files == ["main.conf", "sub/x.conf", "y.conf"])
        #expect(result.messages == [])
    }

    @Test("an error in an included file is told with that file's name and line")
    func includeError() {
        #expect(
            parse("include x.conf", including: ["x.conf": "\n } "]).messages
                == ["x.conf:2:2: error: a closing brace without an open section"])
    }

    @Test("files that include each other are an error that shows the circle")
    func cycle() {
        let result = parse("include x.conf", including: ["x.conf": "include ./main.conf"])
        #expect(result.messages == ["x.conf:1:9: error: a file cannot include itself: 'main.conf' includes 'x.conf' includes 'main.conf'"])
    }

    @Test("an include that cannot be read is an error where it is asked for")
    func unreadable() {
        #expect(parse("include nothing.conf").messages == ["main.conf:1:9: error: cannot read 'nothing.conf': No such file or directory"])
    }

    @Test("includes have a depth and a number that end")
    func includeLimits() {
        var files: [String: String] = [:]
        for depth in 0..<20 { files["\(depth).conf"] = "include \(depth + 1).conf" }
        #expect(parse("include 0.conf", including: files).messages.count == 1)
        let many = String(repeating: "include x.conf\n", count: 1000)
        #expect(parse(many, including: ["x.conf": ""]).messages.contains { $0.contains("more than 256 files") })
    }
}

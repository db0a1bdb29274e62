import Testing

@testable import Proxy

@Suite("JSON that was read")
struct JSONReaderTests {
    private func read(_ text: String) throws -> JSONText { try JSONText(parsing: Array(text.utf8)) }

    @Test("what was printed is read again as it was, on many lines and on one")
    func roundTrip() throws {
        let value = JSONText.object([
            ("name", .text("a \"quoted\" \\ line\n\u{1}é")), ("whole", .number(-12)), ("part", .decimal(0.125)), ("yes", .truth(true)),
            ("nothing", .null), ("list", .list([.number(1), .object([("in", .list([]))])])), ("empty", .object([])),
        ])
        #expect(try read(value.printed()) == value)
        #expect(try read(value.printedOnOneLine()) == value)
        #expect(!value.printedOnOneLine().contains("\n"))
    }

    @Test("fields keep their order and are found by name")
    func lookups() throws {
        let value = try read(#"{"b": 1.5e2, "a": [true, "\u00e9\ud83d\ude00"]}"#)
        #expect(value.members.map(\.0) == ["b", "a"])
        #expect(value["b"]?.real == 150)
        #expect(value["a"]?.elements.last?.string == "é😀")
        #expect(value["a"]?.elements.first?.isTrue == true)
        #expect(value["c"] == nil)
    }

    @Test(
        "what is no JSON is refused, with the place",
        arguments: [
            "", "{", "[1,]", "{\"a\" 1}", "01", "-", "1 2", "\"a", "\"\\x\"", "\"\\u12\"", "nul", "+1", "[1 2]", "\"\u{1}\"", "1e999", "{a: 1}",
        ])
    func refused(text: String) {
        #expect(throws: JSONFailure.self) { try read(text) }
    }

    @Test("a text that nests without end is refused before it can harm")
    func deep() {
        #expect(throws: JSONFailure.self) { try read(String(repeating: "[", count: 100_000)) }
    }
}

import Testing

@testable import Proxy

@Suite("Configuration values")
struct SettingValueTests {
    private func value(_ kind: ValueKind, _ texts: String..., quoted: Bool = false) -> SettingValue? {
        let words = texts.map { ConfigWord(text: $0, location: .none, quoted: quoted) }
        return try? kind.value(of: words, braced: words.count > 1).get()
    }

    @Test(
        "numbers are read as C reads them",
        arguments: [
            ("8080", 8080), ("0x1F90", 8080), ("0X1f90", 8080), ("010", 8), ("0", 0), ("+5", 5), ("-5", -5), (" 5", 5), ("-0x10", -16),
        ])
    func numbers(_ text: String, _ number: Int) {
        #expect(cInteger(text) == number)
    }

    @Test("what C would not read whole is no number", arguments: ["", "09", "2k", "5 ", "0x", "1.5", "--5", "+-5", "99999999999999999999", "x", "0x-5"])
    func noNumbers(_ text: String) {
        #expect(cInteger(text) == nil)
    }

    @Test(
        "truth has six words and no digits",
        arguments: [("TRUE", true), ("on", true), ("Yes", true), ("false", false), ("off", false), ("NO", false), ("1", nil), ("0", nil), ("true;", nil)])
    func flags(_ text: String, _ truth: Bool?) {
        #expect(value(.flag, text) == truth.map(SettingValue.flag))
    }

    @Test(
        "sizes in quotes may have a unit",
        arguments: [("64k", 65_536), ("64KB", 65_536), ("64KiB", 65_536), ("1m", 1 << 20), ("2g", 2 << 30), ("17b", 17), ("17", 17)])
    func sizes(_ text: String, _ bytes: Int) {
        #expect(value(.size(0...Int.max), text, quoted: true) == .number(bytes))
    }

    @Test("a size with a unit needs quotes, and must fit", arguments: [("64k", false), ("99999999999g", true), ("k", true), ("1.5k", true), ("-1k", true)])
    func noSizes(_ text: String, _ quoted: Bool) {
        #expect(value(.size(0...Int.max), text, quoted: quoted) == nil)
    }

    @Test(
        "durations in quotes have a unit",
        arguments: [("1500ms", 1500), ("30s", 30_000), ("5m", 300_000), ("1h", 3_600_000), ("2d", 172_800_000), ("250us", 1), ("5", 5000)])
    func durations(_ text: String, _ milliseconds: Int) {
        #expect(value(.duration(anyDuration), text, quoted: true) == .number(milliseconds))
    }

    @Test("seconds and microseconds make a duration that is never rounded to nothing")
    func pairs() {
        #expect(value(.duration(anyDuration), "5") == .number(5000))
        #expect(value(.duration(anyDuration), "0", "50000") == .number(50))
        #expect(value(.duration(anyDuration), "0", "1") == .number(1))
        #expect(value(.duration(anyDuration), "2", "500000") == .number(2500))
        #expect(value(.duration(anyDuration), "1", "2", "3") == nil)
        #expect(value(.duration(anyDuration), "-1") == nil)
        #expect(value(.duration(anyDuration), "9223372036854775807", "9223372036854775807") == nil)
        #expect(value(.duration(anyDuration), "9223372036854775807us", quoted: true) == nil)
        #expect(value(.duration(anyDuration), "30s") == nil)
    }

    @Test("every size and duration that is printed is read as the same")
    func literals() {
        for number in [1, 512, 1000, 1023, 1024, 65_536, 1_048_576, 123_456_789] {
            let size = sizeLiteral(number).replacing("\"", with: "")
            #expect(value(.size(0...Int.max), size, quoted: true) == .number(number))
            let duration = durationLiteral(number).replacing("\"", with: "")
            #expect(value(.duration(anyDuration), duration, quoted: true) == .number(number))
        }
    }

    @Test("a near word is offered for a mistyped one, a far one is not")
    func suggestions() {
        #expect(nearest(to: "lb-metod", among: ["port", "lb-method"]) == "lb-method")
        #expect(nearest(to: "prot", among: ["port", "addr"]) == "port")
        #expect(nearest(to: "something", among: ["port", "addr"]) == nil)
    }
}

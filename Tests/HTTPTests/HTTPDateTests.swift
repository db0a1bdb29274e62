import Testing

@testable import Proxy

@Suite("Dates, RFC 9110 §5.6.7")
struct HTTPDateTests {
    private func text(_ seconds: Int64) -> String { written { HTTPDate(unixSeconds: seconds).write(into: &$0) } }

    private func parse(_ text: String, now: Int64 = 1_700_000_000) -> Int64? {
        let bytes = Array(("xx" + text + "yy").utf8)
        return HTTPDate(bytes.span, start: 2, length: text.utf8.count, nowSeconds: now)?.unixSeconds
    }

    @Test(
        "known moments are written in 29 bytes",
        arguments: [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"), (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"), (4_107_542_399, "Sun, 28 Feb 2100 23:59:59 GMT"),
            (-1, "Wed, 31 Dec 1969 23:59:59 GMT"), (253_402_300_799, "Fri, 31 Dec 9999 23:59:59 GMT"),
            (.max, "Fri, 31 Dec 9999 23:59:59 GMT"), (.min, "Sat, 01 Jan 0000 00:00:00 GMT"),
        ] as [(Int64, String)])
    func write(seconds: Int64, expected: String) { #expect(text(seconds) == expected) }

    @Test("all three forms are read")
    func forms() {
        #expect(parse("Sun, 06 Nov 1994 08:49:37 GMT") == 784_111_777)
        #expect(parse("Sunday, 06-Nov-94 08:49:37 GMT") == 784_111_777)
        #expect(parse("Sun Nov  6 08:49:37 1994") == 784_111_777)
        #expect(parse("Sun Nov 16 08:49:37 1994") == 784_975_777)
    }

    @Test("what is written is read again, day by day and second by second")
    func roundTrip() {
        var seed = SeededGenerator(seed: 1994)
        for _ in 0..<5_000 {
            let seconds = Int64.random(in: -62_167_219_200...253_402_300_799, using: &seed)
            #expect(parse(text(seconds)) == seconds)
        }
    }

    @Test("a year of two digits lies at most fifty years ahead")
    func shortYear() {
        #expect(parse("Sunday, 01-Jan-73 00:00:00 GMT") == 3_250_454_400)
        #expect(parse("Sunday, 01-Jan-74 00:00:00 GMT") == 126_230_400)
        #expect(parse("Sunday, 01-Jan-73 00:00:00 GMT", now: .min) == 94_694_400)
        #expect(parse("Sunday, 01-Jan-73 00:00:00 GMT", now: .max) != nil)
    }

    @Test(
        "anything else is no date",
        arguments: [
            "", "Sun", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 GMTx", "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sun, 31 Feb 1994 08:49:37 GMT", "Sun, 29 Feb 1900 00:00:00 GMT", "Sun, 00 Jan 1994 00:00:00 GMT",
            "Sun, 06 Nov 1994 24:00:00 GMT", "Sun, 06 Nov 1994 00:60:00 GMT", "Sun, 06 Nov 1994 00:00:61 GMT",
            "Sun, 06 nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 UTC", "Sun, 06-Nov-94 08:49:37 GMT",
            "Sunday, 06 Nov 1994 08:49:37 GMT", "Sun Nov 6 08:49:37 1994", "0", "-1", "Sun, +6 Nov 1994 08:49:37 GMT",
            "Wednesdays, 06-Nov-94 08:49:37 GMT",
        ])
    func refused(text: String) { #expect(parse(text) == nil) }
}

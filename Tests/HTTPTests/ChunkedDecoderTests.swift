import Testing

@testable import Proxy

@Suite("Chunked decoder, RFC 9112 §7.1")
struct ChunkedDecoderTests {
    private let message = "5;a=b\r\nhello\r\n00A \t;x=\"y\"\r\n, world!..\r\n0\r\nX-Sum: 1\r\nX-B:  2\r\n\r\nnext"

    @Test("chunks become a body, extensions vanish, trailers come raw, the end is exact")
    func whole() {
        let body = DecodedBody(message)
        #expect(String(decoding: body.data, as: UTF8.self) == "hello, world!..")
        #expect(String(decoding: body.trailers, as: UTF8.self) == "X-Sum: 1\r\nX-B:  2\r\n")
        #expect(body.end == message.utf8.count - 4 && body.failure == nil)
    }

    @Test("two cuts at any bytes change nothing")
    func cuts() {
        let bytes = Array(message.utf8)
        let whole = DecodedBody(bytes)
        for first in 0...bytes.count {
            for second in first...bytes.count { #expect(DecodedBody(bytes, cuts: [first, second]) == whole) }
        }
    }

    @Test("fed byte by byte it says the same")
    func byteByByte() {
        let bytes = Array(message.utf8)
        #expect(DecodedBody(bytes, cuts: Array(1..<bytes.count)) == DecodedBody(bytes))
    }

    @Test("the shortest body is empty")
    func empty() { #expect(DecodedBody("0\r\n\r\n").end == 5) }

    @Test(
        "an unfinished body neither ends nor fails",
        arguments: ["", "5", "5\r", "5\r\nab", "1\r\na\r", "0\r\n", "0\r\n\r"])
    func unfinished(text: String) {
        let body = DecodedBody(text)
        #expect(body.end == nil && body.failure == nil)
    }

    @Test(
        "what smuggling needs is refused",
        arguments: [
            ("\r\n", ParseFailure.chunkSizeInvalid), (" 5\r\n", .chunkSizeInvalid), ("+5\r\n", .chunkSizeInvalid),
            ("-1\r\n", .chunkSizeInvalid), ("0x5\r\n", .chunkSizeInvalid), ("5g\r\n", .chunkSizeInvalid),
            (";a\r\n", .chunkSizeInvalid), ("5 5\r\n", .chunkSizeInvalid), ("5 \r\n", .chunkSizeInvalid),
            ("5\n", .bareLineFeed), ("5 \n", .bareLineFeed), ("5;a\n", .bareLineFeed), ("5\rX", .bareCarriageReturn),
            ("5;\rX", .bareCarriageReturn), ("5;\u{0}\r\n", .chunkExtensionInvalid), ("5,5\r\n", .chunkSizeInvalid),
            ("1\r\naX", .chunkEndInvalid), ("1\r\na\n", .chunkEndInvalid), ("1\r\na\rX", .chunkEndInvalid),
            ("1\r\nab\r\n", .chunkEndInvalid), ("1\r\na0\r\n", .chunkEndInvalid), ("0\r\n\rX", .bareCarriageReturn),
            ("0\r\nA: b\n", .bareLineFeed), ("0\r\nA: b\rX", .bareCarriageReturn),
            ("0\r\nA: \u{0}\r\n", .fieldValueInvalid),
            ("0\r\n\n", .bareLineFeed), ("8000000000000000\r\n", .chunkSizeOverflow),
            ("FFFFFFFFFFFFFFFFF\r\n", .chunkSizeOverflow), ("10000000000000000\r\n", .chunkSizeOverflow),
        ])
    func refused(text: String, failure: ParseFailure) {
        let bytes = Array(text.utf8)
        #expect(DecodedBody(bytes).failure == failure)
        #expect(DecodedBody(bytes, cuts: Array(1..<bytes.count)).failure == failure)
    }

    @Test("the largest size is 2^63 - 1")
    func largest() {
        var decoder = ChunkedDecoder()
        let line = Array("7fffffffffffffff\r\nab".utf8)
        #expect(decoder.next(line.span, from: 0) == .data(start: 18, length: 2))
        #expect(decoder.remainingInChunk == UInt64(Int64.max) - 2)
    }

    @Test("leading zeros pass as long as the line does")
    func zeros() {
        #expect(DecodedBody(String(repeating: "0", count: 200) + "1\r\na\r\n0\r\n\r\n").end != nil)
        #expect(DecodedBody(String(repeating: "0", count: 300)).failure == .chunkExtensionTooLong)
    }

    @Test("a size line is limited")
    func lineLimit() {
        let longest = String(repeating: "x", count: ChunkedDecoder.sizeLineBytesMax - 3)
        #expect(DecodedBody("0;\(longest)\r\n\r\n").end != nil)
        #expect(DecodedBody("0;\(longest)x\r\n\r\n").failure == .chunkExtensionTooLong)
        #expect(DecodedBody("0;\(longest)xxx").failure == .chunkExtensionTooLong)
    }

    @Test("tiny chunks under large extensions end in a refusal, honest small chunks do not")
    func excess() {
        let padded = String(repeating: "1;\(String(repeating: "x", count: 200))\r\na\r\n", count: 200)
        #expect(DecodedBody(padded).failure == .chunkExtensionTooLong)
        let honest = String(repeating: "1\r\na\r\n", count: 100_000) + "0\r\n\r\n"
        #expect(DecodedBody(honest).data.count == 100_000)
    }

    @Test("trailers are limited, whole or cut")
    func trailerLimit() {
        let decoder = ChunkedDecoder(trailerBytesMax: 10)
        let fitting = Array("0\r\nA: bcdef\r\n\r\n".utf8)
        let tooLong = Array("0\r\nA: bcdefg\r\n\r\n".utf8)
        for cuts in [[], Array(1..<fitting.count)] {
            #expect(DecodedBody(fitting, cuts: cuts, decoder: decoder).end == fitting.count)
            #expect(DecodedBody(tooLong, cuts: cuts, decoder: decoder).failure == .trailersTooLarge)
        }
        let none = ChunkedDecoder(trailerBytesMax: 0)
        #expect(DecodedBody(Array("0\r\n\r\n".utf8), decoder: none).end == 5)
        #expect(DecodedBody(Array("0\r\nA".utf8), decoder: none).failure == .trailersTooLarge)
    }

    @Test("bytes of a chunk that went another way are skipped")
    func skip() {
        var decoder = ChunkedDecoder()
        let start = Array("a\r\nab".utf8)
        #expect(decoder.next(start.span, from: 0) == .data(start: 3, length: 2))
        decoder.skip(5)
        #expect(decoder.remainingInChunk == 3)
        let more = Array("hij\r\n0\r\n\r\n".utf8)
        #expect(decoder.next(more.span, from: 0) == .data(start: 0, length: 3))
        #expect(decoder.next(more.span, from: 3) == .end(next: 10))

        decoder = ChunkedDecoder()
        #expect(decoder.next(Array("3\r\n".utf8).span, from: 0) == .needMore)
        decoder.skip(3)
        #expect(decoder.next(Array("\r\n0\r\n\r\n".utf8).span, from: 0) == .end(next: 7) && decoder.isEnded)
    }

    @Test("an end stays an end and a failure a failure")
    func sticky() {
        var decoder = ChunkedDecoder()
        let end = Array("0\r\n\r\nX".utf8)
        #expect(decoder.next(end.span, from: 0) == .end(next: 5))
        #expect(decoder.next(end.span, from: 5) == .end(next: 5))
        #expect(decoder.next(end.span, from: 6) == .end(next: 6))
        decoder = ChunkedDecoder()
        let bad = Array("x0\r\n\r\n".utf8)
        #expect(decoder.next(bad.span, from: 0) == .failed(.chunkSizeInvalid))
        #expect(decoder.next(bad.span, from: 1) == .failed(.chunkSizeInvalid))
        #expect(decoder.next(bad.span, from: 6) == .failed(.chunkSizeInvalid))
    }
}

@Suite("Trailer section, RFC 9110 §6.5")
struct TrailerTests {
    private func parse(_ text: String, fieldsMax: Int = 10) -> (TrailerParse, String) {
        let bytes = Array(text.utf8)
        var table = [FieldRange](repeating: FieldRange(), count: 16)
        var span = table.mutableSpan
        let result = parseTrailers(bytes.span, fields: &span, fieldsMax: fieldsMax)
        guard case .complete(let count) = result else { return (result, "") }
        return (result, keptFields(bytes, Array(table[..<count]), fieldsEnd: bytes.count))
    }

    @Test("what may be a trailer is kept, what frames, routes or authorises is not")
    func filter() {
        let (result, kept) = parse(
            "X-Sum: 1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nETag: \"a\"\r\nHost: b\r\nAuthorization: c\r\n"
                + "Set-Cookie: d\r\nConnection: X-Sum\r\nContent-Type: e\r\nTrailer: f\r\nCache-Control: g\r\nServer-Timing: h\r\n",
            fieldsMax: 16)
        #expect(result == .complete(count: 12))
        #expect(kept == "X-Sum: 1\r\nETag: \"a\"\r\nServer-Timing: h\r\n")
    }

    @Test("an empty section has no fields")
    func empty() { #expect(parse("").0 == .complete(count: 0)) }

    @Test(
        "odd lines and too many are refused",
        arguments: [
            ("A : b\r\n", ParseFailure.spaceBeforeColon), ("A: b\r\n c\r\n", .foldedLine), (": b\r\n", .fieldNameEmpty),
            ("A\r\n", .fieldNameInvalid), ("\r\n", .fieldNameInvalid), ("A: b", .bareCarriageReturn),
            ("a:\r\nb:\r\nc:\r\n", .tooManyFields),
        ])
    func refused(text: String, failure: ParseFailure) { #expect(parse(text, fieldsMax: 2).0 == .failed(failure)) }

    @Test("no hop-by-hop field is allowed in a trailer section", arguments: HeaderName.allCases)
    func hopByHop(name: HeaderName) {
        if name.isHopByHop || (name.isNoted) { #expect(!isAllowedInTrailer(name)) }
    }
}

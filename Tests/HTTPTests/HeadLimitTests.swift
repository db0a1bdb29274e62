import Testing

@testable import Proxy

@Suite("Limits of heads, RFC 9112 §3, RFC 6585 §5")
struct HeadLimitTests {
    private let limits = HeadLimits(lineBytesMax: 40, headBytesMax: 120, fieldsMax: 4)

    @Test("a request line of the limit passes and one byte more fails, whole or not")
    func requestLine() {
        let path = String(repeating: "a", count: 40 - 14)
        let longest = "GET /\(path) HTTP/1.0"
        #expect(longest.utf8.count == 40)
        #expect(ParsedRequest("\(longest)\r\n\r\n", limits: limits).parse == .complete)
        #expect(ParsedRequest("GET /a\(path) HTTP/1.0\r\n\r\n", limits: limits).parse == .failed(.requestLineTooLong))
        #expect(ParsedRequest("GET /\(path)aaaaaaaaaaaa", limits: limits).parse == .failed(.requestLineTooLong))
        #expect(ParsedRequest("GET /\(path)aaaaaaaaaa", limits: limits).parse == .incomplete)
        #expect(ParseFailure.requestLineTooLong.status == 414)
    }

    @Test("an endless method fails soon")
    func method() {
        let longest = String(repeating: "A", count: methodLengthMax)
        #expect(ParsedRequest(longest).parse == .incomplete)
        #expect(ParsedRequest(longest + "A").parse == .failed(.methodTooLong))
        #expect(ParsedRequest("\(longest) / HTTP/1.0\r\n\r\n").parse == .complete)
    }

    @Test("a head of the limit passes, and one that has outgrown it fails without its end")
    func head() {
        let start = "GET / HTTP/1.0\r\na: "
        let longest = start + String(repeating: "v", count: 120 - start.utf8.count - 4) + "\r\n\r\n"
        #expect(longest.utf8.count == 120)
        #expect(ParsedRequest(longest, limits: limits).parse == .complete)
        #expect(ParsedRequest(longest + "body", limits: limits).parse == .complete)
        let longer = start + String(repeating: "v", count: 121 - start.utf8.count - 4) + "\r\n\r\n"
        #expect(ParsedRequest(longer, limits: limits).parse == .failed(.headTooLarge))
        #expect(ParsedRequest(String(longer.prefix(100)), limits: limits).parse == .incomplete)
        #expect(
            ParsedRequest(start + String(repeating: "v", count: 200), limits: limits).parse == .failed(.headTooLarge))
        #expect(ParseFailure.headTooLarge.status == 431)
    }

    @Test("as many fields as the limit pass, and the next one fails at its first byte")
    func fields() {
        let four = "GET / HTTP/1.0\r\n" + String(repeating: "a: b\r\n", count: 4)
        #expect(ParsedRequest(four + "\r\n", limits: limits).parse == .complete)
        #expect(ParsedRequest(four, limits: limits).parse == .incomplete)
        #expect(ParsedRequest(four + "c", limits: limits).parse == .failed(.tooManyFields))
        #expect(ParsedRequest(Array((four + "\r\n").utf8), tableSize: 3).parse == .failed(.tooManyFields))
        #expect(ParsedRequest(Array("GET / HTTP/1.0\r\n\r\n".utf8), tableSize: 0).parse == .complete)
    }

    @Test("absurd limits neither trap nor pass anything", arguments: [Int.min, -1, 0, 1, 2, 3])
    func absurd(limit: Int) {
        let line = HeadLimits(lineBytesMax: limit, headBytesMax: 1_000, fieldsMax: 9)
        #expect(ParsedRequest("GET / HTTP/1.0\r\n\r\n", limits: line).parse == .failed(.requestLineTooLong))
        #expect(ParsedResponse("HTTP/1.1 200 OK\r\n\r\n", limits: line).parse == .failed(.statusLineTooLong))
        let head = HeadLimits(lineBytesMax: 1_000, headBytesMax: limit, fieldsMax: 9)
        #expect(ParsedRequest("GET / HTTP/1.0\r\n\r\n", limits: head).parse == .failed(.requestLineTooLong))
        #expect(ParsedRequest("\r\n\r\n", limits: head).parse != .complete)
        #expect(ParsedResponse("HTTP/1.1 200 OK\r\n\r\n", limits: head).parse == .failed(.headTooLarge))
        let fields = HeadLimits(lineBytesMax: 1_000, headBytesMax: 1_000, fieldsMax: min(limit, 0))
        #expect(ParsedRequest("GET / HTTP/1.0\r\na: b\r\n\r\n", limits: fields).parse == .failed(.tooManyFields))
    }

    @Test("no setting lifts the width of the ranges")
    func widest() {
        let limits = HeadLimits(lineBytesMax: .max, headBytesMax: .max, fieldsMax: .max)
        let start = Array("GET / HTTP/1.0\r\na: ".utf8)
        let longest = start + Array(repeating: 0x76, count: 65_535 - start.count - 4) + Array("\r\n\r\n".utf8)
        let request = ParsedRequest(longest, limits: limits)
        #expect(request.parse == .complete && request.head.headLength == 65_535)
        #expect(request.fields[0].valueRange == start.count..<65_531)
        let longer = start + Array(repeating: 0x76, count: 65_536 - start.count - 4) + Array("\r\n\r\n".utf8)
        #expect(ParsedRequest(longer, limits: limits).parse == .failed(.headTooLarge))
        let target = Array("GET /".utf8) + Array(repeating: 0x61, count: 70_000)
        #expect(ParsedRequest(target, limits: limits).parse == .failed(.requestLineTooLong))
    }

    @Test("every failure has a status of its kind and a word of its own")
    func words() {
        let words = Set(ParseFailure.allCases.map { "\($0.word)" })
        #expect(words.count == ParseFailure.allCases.count)
        for failure in ParseFailure.allCases {
            #expect(!"\(StatusCode(failure.status).reason)".isEmpty)
            #expect([.clientError, .serverError].contains(StatusCode(failure.status).statusClass))
        }
    }
}

@Suite("End of a head")
struct HeadEndTests {
    @Test("is found behind the blank line, wherever it is cut")
    func found() {
        let text = Array("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\nrest\r\n\r\n".utf8)
        let end = text.count - 8
        for first in 0...text.count {
            for second in first...text.count {
                var resumeAt = 0
                var result = findHeadEnd(text.span.extracting(0..<first), resumeAt: &resumeAt)
                #expect(result == (first >= end ? end : nil))
                if result != nil { continue }
                #expect(resumeAt <= max(first, 4))
                result = findHeadEnd(text.span.extracting(0..<second), resumeAt: &resumeAt)
                #expect(result == (second >= end ? end : nil))
            }
        }
    }

    @Test("a dripping head is parsed a few times only, and at its end")
    func drip() {
        let text = Array("GET /\(String(repeating: "a", count: 3_000)) HTTP/1.1\r\nHost: a\r\n\r\n".utf8)
        var arrival = HeadArrival()
        var looks: [Int] = []
        for count in 1...text.count where arrival.isWorthParsing(text.span.extracting(0..<count), limits: HeadLimits()) {
            looks.append(count)
        }
        #expect(looks.first == 1 && looks.last == text.count && looks.count <= 14)
    }

    @Test("a head that outgrows a limit is parsed at once")
    func limits() {
        let limits = HeadLimits(lineBytesMax: 700, headBytesMax: 1_000, fieldsMax: 9)
        let line = Array("GET /\(String(repeating: "a", count: 3_000))".utf8)
        var arrival = HeadArrival()
        let failedAt = (1...line.count).first { count in
            arrival.isWorthParsing(line.span.extracting(0..<count), limits: limits)
                && ParsedRequest(Array(line[..<count]), limits: limits).parse == .failed(.requestLineTooLong)
        }
        #expect(failedAt == 702)
        let head = Array("GET / HTTP/1.0\r\na: \(String(repeating: "a", count: 3_000))".utf8)
        arrival = HeadArrival()
        let tooLargeAt = (1...head.count).first { count in
            arrival.isWorthParsing(head.span.extracting(0..<count), limits: limits)
                && ParsedRequest(Array(head[..<count]), limits: limits).parse == .failed(.headTooLarge)
        }
        #expect(tooLargeAt == 1_000)
    }
}

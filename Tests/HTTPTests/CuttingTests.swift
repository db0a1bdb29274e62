import Testing

@testable import Proxy

/// Builds messages out of right and wrong pieces; the same seed builds the same messages.
private struct MessageBuilder {
    var generator: SeededGenerator

    mutating func pick(_ choices: [String]) -> String { choices.randomElement(using: &generator)! }
    mutating func chance(_ oneIn: Int) -> Bool { Int.random(in: 0..<oneIn, using: &generator) == 0 }

    mutating func fields() -> String {
        var text = ""
        for _ in 0..<Int.random(in: 0...8, using: &generator) {
            text += pick([
                "Host: example.org", "Host: a:80", "Content-Length: 5", "Content-Length: 0",
                "Transfer-Encoding: chunked",
                "Connection: close", "Connection: keep-alive, x-a", "X-A: b", "Upgrade: websocket",
                "Expect: 100-continue",
                "TE: trailers", "Accept: */*", "X-Long: \(String(repeating: "v", count: 70))", "Cookie: a=b; c=d", "X:",
            ])
            text += chance(60) ? pick(["\n", "\r", "\r\r\n", " \r\n x\r\n", "\u{0}\r\n", " :\r\n"]) : "\r\n"
        }
        return text + "\r\n"
    }

    mutating func request() -> [UInt8] {
        let empty = chance(6) ? String(repeating: "\r\n", count: Int.random(in: 1...5, using: &generator)) : ""
        let line =
            pick(["GET", "POST", "OPTIONS", "CONNECT", "HEAD", "BREW"]) + (chance(40) ? "  " : " ")
            + pick([
                "/", "/a/b?c=d", "*", "http://a:80/b", "example.org:80", "/\(String(repeating: "p", count: 40))", "/#",
            ])
            + " " + pick(["HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/1.2"]) + (chance(40) ? "\n" : "\r\n")
        return Array((empty + line + fields() + "body").utf8)
    }

    mutating func response() -> [UInt8] {
        let line =
            pick(["HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/3.0"]) + " "
            + pick(["200 OK", "204", "304 Not Modified", "101 x", "100 Continue", "600 x", "20", "500 \t\u{e9}"])
            + (chance(40) ? "\n" : "\r\n")
        return Array((line + fields() + "body").utf8)
    }

    mutating func chunks() -> [UInt8] {
        var text = ""
        for _ in 0..<Int.random(in: 0...5, using: &generator) {
            let length = Int.random(in: 1...40, using: &generator)
            text +=
                String(length, radix: 16, uppercase: chance(2))
                + pick(["", "", ";a=b", " ;\"x\"", ";", chance(20) ? " " : ""])
            text += "\r\n" + String(repeating: "d", count: length) + (chance(40) ? "\n" : "\r\n")
        }
        text +=
            pick(["0", "0", "000", "g"]) + "\r\n"
            + pick(["", "", "X-A: b\r\n", "X: \(String(repeating: "t", count: 30))\r\n"])
        return Array((text + "\r\nnext").utf8)
    }
}

@Suite("A message cut anywhere says the same as the whole")
struct CuttingTests {
    private let limits = HeadLimits(lineBytesMax: 50, headBytesMax: 300, fieldsMax: 6)

    @Test("request heads: no prefix says more than the whole, and none says less than it must")
    func requests() {
        let seed = UInt64.random(in: .min ... .max)
        var builder = MessageBuilder(generator: SeededGenerator(seed: seed))
        var outcomes: [Int] = [0, 0, 0]
        for round in 0..<1_000 {
            let bytes = builder.request()
            let whole = ParsedRequest(bytes, limits: limits)
            switch whole.parse {
            case .complete: outcomes[0] += 1
            case .incomplete: outcomes[1] += 1
            case .failed: outcomes[2] += 1
            }
            for cut in 0..<bytes.count {
                let part = ParsedRequest(Array(bytes[..<cut]), limits: limits)
                let place = "seed \(seed), round \(round), cut \(cut)"
                switch part.parse {
                case .complete:
                    #expect(
                        whole.parse == .complete && part.head == whole.head && part.fields == whole.fields, "\(place)")
                    #expect(cut >= whole.head.headLength, "\(place)")
                case .incomplete: #expect(whole.parse != .complete || cut < whole.head.headLength, "\(place)")
                case .failed: #expect(part.parse == whole.parse, "\(place)")
                }
            }
        }
        #expect(outcomes[0] > 50 && outcomes[2] > 50, "seed \(seed): the messages are too much alike")
    }

    @Test("response heads: likewise, for every method")
    func responses() {
        let seed = UInt64.random(in: .min ... .max)
        var builder = MessageBuilder(generator: SeededGenerator(seed: seed))
        for round in 0..<1_000 {
            let bytes = builder.response()
            let method = [Proxy.Method.get, .head, .connect].randomElement(using: &builder.generator)!
            let whole = ParsedResponse(bytes, to: method, limits: limits)
            for cut in 0..<bytes.count {
                let part = ParsedResponse(Array(bytes[..<cut]), to: method, limits: limits)
                let place = "seed \(seed), round \(round), cut \(cut)"
                switch part.parse {
                case .complete:
                    #expect(
                        whole.parse == .complete && part.head == whole.head && part.fields == whole.fields, "\(place)")
                case .incomplete: #expect(whole.parse != .complete || cut < whole.head.headLength, "\(place)")
                case .failed: #expect(part.parse == whole.parse, "\(place)")
                }
            }
        }
    }

    @Test("chunked bodies: data, end and failure do not depend on the cuts")
    func chunks() {
        let seed = UInt64.random(in: .min ... .max)
        var builder = MessageBuilder(generator: SeededGenerator(seed: seed))
        let decoder = ChunkedDecoder(trailerBytesMax: 32)
        for round in 0..<2_000 {
            let bytes = builder.chunks()
            let whole = DecodedBody(bytes, decoder: decoder)
            for _ in 0..<8 {
                let count = Int.random(in: 1...6, using: &builder.generator)
                let cuts = (0..<count).map { _ in Int.random(in: 0...bytes.count, using: &builder.generator) }.sorted()
                let cut = DecodedBody(bytes, cuts: cuts, decoder: decoder)
                let place = "seed \(seed), round \(round), cuts \(cuts)"
                #expect(cut.data == whole.data && cut.end == whole.end && cut.failure == whole.failure, "\(place)")
                if whole.end != nil { #expect(cut.trailers == whole.trailers, "\(place)") }
            }
        }
    }
}

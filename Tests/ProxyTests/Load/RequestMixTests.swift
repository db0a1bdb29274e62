import Testing

@testable import Proxy

@Suite("Requests of the load generator")
struct RequestMixTests {
    private func parse(_ text: String) throws(RequestMix.Complaint) -> [RequestMix.Request] {
        try RequestMix(parsing: text) { UInt64($0) }.requests
    }

    @Test("a mix has a weight, a method, a target, and what may follow")
    func lines() throws {
        let requests = try parse(
            """
            # reads
            80 GET /index.html
            15 GET "/a?b=c" 'Accept: text/html' 'X-A: "b"'   # with fields

            5 POST /upload size=4096
            1 PUT /file body=data.bin
            """)
        #expect(requests.count == 4)
        #expect(requests[0] == RequestMix.Request(weight: 80, method: "GET", target: "/index.html"))
        #expect(requests[1].fields == ["Accept: text/html", "X-A: \"b\""])
        #expect(requests[2].body == .size(4_096))
        #expect(requests[3].body == .file("data.bin"))
    }

    @Test(
        "what is wrong is told with its line",
        arguments: [
            ("GET /", 1), ("\n0 GET /", 2), ("x GET /", 1), ("1 G{T /", 1), ("1 GET index", 1), ("1 GET /a nofield", 1), ("1 POST / size=x", 1),
            ("1 GET / 'A: b", 1), ("# nothing", 0), ("1 GET / 'A b: c'", 1),
        ])
    func wrong(text: String, line: Int) {
        #expect(throws: RequestMix.Complaint.self) { try parse(text) }
        do throws(RequestMix.Complaint) { _ = try parse(text) } catch { #expect(error.line == line) }
    }

    @Test("weights decide how often each request is picked")
    func weights() {
        let mix = RequestMix([RequestMix.Request(weight: 70), RequestMix.Request(weight: 25), RequestMix.Request(weight: 5)])
        let book = RequestBook(mix, authority: "a", closes: false) { _ in [] }
        var random = RandomSource(seed: 3)
        var counts = [0, 0, 0]
        var turn = 0
        for _ in 0..<100_000 { counts[book.pick(&turn, &random)] += 1 }
        #expect(abs(counts[0] - 70_000) < 1_000)
        #expect(abs(counts[1] - 25_000) < 1_000)
        #expect(abs(counts[2] - 5_000) < 500)
    }

    @Test("a book that is asked in turn goes round, from any beginning")
    func inTurn() {
        let book = RequestBook(RequestMix([1, 9, 1].map { RequestMix.Request(weight: $0) }), authority: "a", closes: false, inTurn: true) { _ in [] }
        var random = RandomSource(seed: 3)
        var turn = 0
        #expect((0..<7).map { _ in book.pick(&turn, &random) } == [0, 1, 2, 0, 1, 2, 0])
        turn = 5
        #expect((0..<4).map { _ in book.pick(&turn, &random) } == [2, 0, 1, 2])
    }

    private func bytes(_ request: RequestMix.Request, closes: Bool = false, body: [UInt8] = []) -> String {
        let entry = RequestBook(RequestMix([request]), authority: "host:81", closes: closes) { _ in body }[0].pointee
        return String(decoding: UnsafeRawBufferPointer(start: entry.bytes, count: entry.count), as: UTF8.self)
    }

    @Test("a request has a host, its own fields before ours, and the length of its body")
    func message() {
        #expect(bytes(RequestMix.Request()) == "GET / HTTP/1.1\r\nHost: host:81\r\nUser-Agent: weir-load\r\nAccept: */*\r\n\r\n")
        let own = bytes(RequestMix.Request(fields: ["host: other", "USER-AGENT: me"]), closes: true)
        #expect(own == "GET / HTTP/1.1\r\nAccept: */*\r\nhost: other\r\nUSER-AGENT: me\r\nConnection: close\r\n\r\n")
        #expect(bytes(RequestMix.Request(method: "POST", body: .size(3)), body: [97, 98, 99]).hasSuffix("Content-Length: 3\r\n\r\nabc"))
        #expect(bytes(RequestMix.Request(method: "PUT")).contains("Content-Length: 0\r\n"))
    }

    @Test("URLs are taken apart")
    func urls() throws {
        let plain = try #require(LoadURL("http://example.com"))
        #expect(plain.authority == "example.com" && plain.target == "/" && plain.port == 80 && !plain.isSecure)
        let full = try #require(LoadURL("https://[::1]:8443/a/b?c=d#e"))
        #expect(full.host == "::1" && full.port == 8_443 && full.target == "/a/b?c=d" && full.authority == "[::1]:8443")
        #expect(LoadURL("http://a?x=1")?.target == "/?x=1")
        for wrong in ["", "example.com", "ftp://a/", "http://", "http://a:0/", "http://a:x/", "http://a:99999/", "http://u@a/", "http://a/ b", "http://[::1/"] {
            #expect(LoadURL(wrong) == nil, "\(wrong)")
        }
    }
}

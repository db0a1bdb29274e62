import TestSupport
import Testing

@Suite("Bytes per second", .scenario)
struct ByteRateTests {
    private static let rate = 2_000_000
    private static let size = 5_000_000

    /// So many bytes at the rate take so long, less the tenth of a second that a bucket holds.
    private func expectRate(_ time: Duration, bytes: Int = size, rate: Int = rate, _ what: String) {
        let seconds = Double(time.components.seconds) + Double(time.components.attoseconds) / 1e18
        let ideal = Double(bytes) / Double(rate) - 0.1
        #expect(seconds >= ideal * 0.9, "\(what) took \(seconds) s instead of \(ideal)")
        #expect(seconds <= (ideal * 1.1 + 0.5) * Patience.factor, "\(what) took \(seconds) s instead of \(ideal)")
    }

    /// Requests in a row on one connection, each answered with a body of that size.
    private static func ask(_ client: ScriptedClient, times: Int, size: Int) throws {
        for _ in 0..<times {
            let answer = try client.get("/", deadline: Deadline(after: .seconds(30)))
            #expect(answer.body.count == size)
        }
    }

    private func download(_ words: String, splice: Bool) throws {
        let backend = try ScriptedBackend()
        try withTwoWorkers(to: backend, [.splice(splice)], sections: [words]) { proxy in
            let client = try proxy.connect()
            try client.sendRequest("/")
            let (_, connection) = try backend.receiveRequest()
            let sending = connection.sendInBackground(Bytes("HTTP/1.1 200 OK\r\nContent-Length: \(Self.size)\r\n\r\n") + BodyPattern.bytes(Self.size, seed: 5))
            _ = try client.receiveResponseHead()
            let (body, time) = try timed { try client.receive(Self.size, deadline: Deadline(after: .seconds(60))) }
            #expect(BodyPattern.firstDifference(body, seed: 5) == nil)
            expectRate(time, "the download")
            _ = try sending.join()
            #expect(try client.get("/next", answeredBy: backend).body == Bytes("ok"))
            let counters = try proxy.counters()
            #expect(counters.sum("bytePauses") > 10 && (counters.sum("splicedBytes") > Self.size / 2) == splice)
        }
    }

    @Test("answers to clients keep to the rate, copied and spliced", arguments: [true, false])
    func answers(splice: Bool) throws {
        try download("rate-limit { write = \(Self.rate) }", splice: splice)
    }

    @Test("and so they do for each client address", arguments: [true, false])
    func answersByClient(splice: Bool) throws {
        try download("rate-limit { client { write = \(Self.rate) } }", splice: splice)
    }

    @Test("and so they do in a rule", arguments: [true, false])
    func answersByRule(splice: Bool) throws {
        try download("vhost test { rule all { uri-gmatch = \"*\" downstreams = backend0 rate-limit { write = \(Self.rate) } } }", splice: splice)
    }

    @Test("request bodies keep to the rate, copied and spliced, counted and chunked", arguments: [(true, false), (false, false), (false, true)])
    func uploads(splice: Bool, isChunked: Bool) throws {
        let backend = try ScriptedBackend()
        try withTwoWorkers(to: backend, [.splice(splice)], sections: ["rate-limit { read = \(Self.rate) }"]) { proxy in
            let client = try proxy.connect()
            let framing = isChunked ? "Transfer-Encoding: chunked" : "Content-Length: \(Self.size)"
            try client.send("PUT / HTTP/1.1\r\nHost: test\r\n\(framing)\r\n\r\n")
            let (request, connection) = try backend.receiveRequestHead()
            let pattern = BodyPattern.bytes(Self.size, seed: 6)
            var sent = pattern
            if isChunked {
                sent = []
                for start in stride(from: 0, to: pattern.count, by: 50_000) {
                    sent += Bytes("c350\r\n") + pattern[start..<(start + 50_000)] + Bytes("\r\n")
                }
                sent += Bytes("0\r\n\r\n")
            }
            let sending = client.sendInBackground(sent)
            let (body, time) = try timed { try connection.receiveBody(of: request, deadline: Deadline(after: .seconds(60))) }
            #expect(BodyPattern.firstDifference(body.bytes, seed: 6) == nil && body.bytes.count == Self.size)
            expectRate(time, "the upload")
            _ = try sending.join()
            try connection.respond(body: "ok")
            #expect(try client.receiveResponse().body == Bytes("ok"))
            #expect(try client.get("/next", answeredBy: backend).body == Bytes("ok"))
        }
    }

    @Test("a tunnel keeps to both rates at once, copied and spliced", arguments: [true, false])
    func tunnels(splice: Bool) throws {
        let backend = try ScriptedBackend()
        try withTwoWorkers(to: backend, [.splice(splice)], sections: ["rate-limit { read = \(Self.rate) write = \(Self.rate / 2) }"]) { proxy in
            let client = try proxy.connect()
            try client.send("GET / HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n")
            let (_, connection) = try backend.receiveRequest()
            try connection.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n")
            #expect(try client.receiveResponseHead().status == 101)
            let up = client.sendInBackground(BodyPattern.bytes(Self.size, seed: 7))
            let down = connection.sendInBackground(BodyPattern.bytes(Self.size / 2, seed: 8))
            let received = Background { try timed { try connection.receive(Self.size, deadline: Deadline(after: .seconds(60))) } }
            let (body, time) = try timed { try client.receive(Self.size / 2, deadline: Deadline(after: .seconds(60))) }
            #expect(BodyPattern.firstDifference(body, seed: 8) == nil)
            expectRate(time, bytes: Self.size / 2, rate: Self.rate / 2, "the way down")
            let (other, upTime) = try received.join()
            #expect(BodyPattern.firstDifference(other, seed: 7) == nil)
            expectRate(upTime, "the way up")
            _ = try (up.join(), down.join())
        }
    }

    @Test("small answers in a row keep to it as well, over connections and workers")
    func smallAnswers() throws {
        let body = Bytes(repeating: 65, count: 10_000)
        let backend = try HandlerBackend { _, _ in .bytes(HandlerBackend.response(body: body)) }
        try withTwoWorkers(to: backend, sections: ["rate-limit { write = 500000 }"]) { proxy in
            let time = try elapsed {
                let clients = try (0..<5).map { _ in
                    let client = try proxy.connect()
                    return Background { try Self.ask(client, times: 20, size: 10_000) }
                }
                for client in clients { try client.join() }
            }
            expectRate(time, bytes: 1_000_000, rate: 500_000, "a hundred small answers")
        }
    }

    @Test("those who share a rate take turns")
    func fair() throws {
        let backend = try HandlerBackend { _, _ in .bytes(HandlerBackend.response(body: Bytes(repeating: 65, count: 1_500_000))) }
        try withTwoWorkers(to: backend, sections: ["rate-limit { write = 2000000 }"]) { proxy in
            let times = try (0..<3).map { _ in
                let client = try proxy.connect()
                return Background { try elapsed { try Self.ask(client, times: 1, size: 1_500_000) } }
            }
            let seconds = try times.map { try $0.join() }.map { Double($0.components.seconds) + Double($0.components.attoseconds) / 1e18 }
            // 4.5 MB at 2 MB/s: one after the other, the first would end after a third of the time.
            #expect(seconds.min()! > seconds.max()! * 0.5, "\(seconds)")
            expectRate(.milliseconds(Int(seconds.max()! * 1000)), bytes: 4_500_000, "three of them")
        }
    }

    @Test("a client that leaves while it waits gives its turn to the others")
    func leaving() throws {
        let backend = try HandlerBackend { _, _ in .bytes(HandlerBackend.response(body: Bytes(repeating: 65, count: 16_000))) }
        try withTwoWorkers(to: backend, sections: ["rate-limit { write = 100000 }"]) { proxy in
            let greedy = try (0..<40).map { _ in
                let client = try proxy.connect()
                try client.sendRequest("/")
                return client
            }
            let asked = backend
            try eventually("all have asked") { asked.requestCount == 40 }
            for client in greedy { client.reset() }
            try eventually("they are gone") { try proxy.counters().sum("exchangesOpen") == 0 }
            // 640,000 bytes would be more than six seconds of waiting.
            let time = try elapsed { try Self.ask(try proxy.connect(), times: 1, size: 16_000) }
            #expect(time < .seconds(3) * Patience.factor)
        }
    }
}

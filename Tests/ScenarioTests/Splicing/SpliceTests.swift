import TestSupport
import Testing

@Suite("Large bodies that pass through the kernel", .scenario)
struct SpliceTests {
    /// Lets a body of `size` pass to a client and gives how many of its bytes were spliced.
    private func download(_ size: Int, server: [Setting] = [], headAlone: Bool = true, untilClose: Bool = false, user: Int? = nil) throws -> Int {
        let backend = try ScriptedBackend()
        let configuration = ProxyConfiguration(servers: [.init(server, downstreams: [.init(backend)])])
        return try withProxy(configuration, user: user) { proxy in
            defer { backend.close() }
            let client = try proxy.connect()
            try client.sendRequest("/")
            let (_, connection) = try backend.receiveRequest()
            let head = Bytes("HTTP/1.1 200 OK\r\n" + (untilClose ? "" : "Content-Length: \(size)\r\n") + "\r\n")
            if headAlone {
                try connection.send(head)
                _ = try client.receiveResponseHead()
            }
            let sending = Background { [connection] in
                try connection.send((headAlone ? [] : head) + BodyPattern.bytes(size, seed: 41), deadline: Deadline(after: .seconds(30)))
                if untilClose { connection.close() }
            }
            if !headAlone { _ = try client.receiveResponseHead() }
            if untilClose {
                // Chunked toward the client: checked by its own reader elsewhere, counted here.
                _ = try client.receive(through: "\r\n0\r\n\r\n", deadline: Deadline(after: .seconds(30)))
            } else {
                let body = try client.receive(size, deadline: Deadline(after: .seconds(30)))
                #expect(BodyPattern.firstDifference(body, seed: 41) == nil)
            }
            try sending.join()
            if !untilClose { #expect(try client.get("/next", answeredBy: backend).body == Bytes("ok")) }
            return try proxy.counters().sum("splicedBytes")
        }
    }

    @Test("a body from the size in the settings on is spliced, byte for byte", arguments: [65_536, 65_537, 262_144, 1_000_000, 20_000_000])
    func large(size: Int) throws {
        #expect(try download(size) > 0)
    }

    @Test("a smaller one is not", arguments: [1_000, 65_535])
    func small(size: Int) throws {
        #expect(try download(size) == 0)
    }

    @Test("the sizes are settings")
    func settings() throws {
        #expect(try download(20_000, server: [.spliceMin(10_000), .spliceRemainingMin(1_000)]) > 0)
        #expect(try download(200_000, server: [.spliceMin(300_000)]) == 0)
        #expect(try download(200_000, server: [.splice(false)]) == 0)
    }

    @Test("a body whose beginning came with the head arrives whole", arguments: [65_536, 300_000, 5_000_000])
    func withHead(size: Int) throws {
        _ = try download(size, headAlone: false)
    }

    @Test("without rights of root the same bytes arrive", arguments: [300_000, 20_000_000])
    func unprivileged(size: Int) throws {
        #expect(try download(size, user: 65_534) > 0)
    }

    @Test("request bodies are spliced too", arguments: [300_000, 1_000_000, 20_000_000])
    func upload(size: Int) throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend) { proxy in
            let client = try proxy.connect()
            try client.send("PUT / HTTP/1.1\r\nHost: test\r\nContent-Length: \(size)\r\n\r\n")
            let (request, connection) = try backend.receiveRequestHead()
            let sending = client.sendInBackground(BodyPattern.bytes(size, seed: 42))
            let body = try connection.receiveBody(of: request, deadline: Deadline(after: .seconds(30)))
            #expect(BodyPattern.firstDifference(body.bytes, seed: 42) == nil)
            try sending.join()
            try connection.respond(body: "ok")
            #expect(try client.receiveResponse().body == Bytes("ok"))
            #expect(try client.get("/next", answeredBy: backend).body == Bytes("ok"))
            #expect(try proxy.counters().sum("splicedBytes") > 0)
        }
    }

    @Test("a body in odd pieces with pauses arrives whole")
    func pieces() throws {
        let size = 400_000
        let body = BodyPattern.bytes(size, seed: 43)
        let backend = try ScriptedBackend()
        try withProxy(to: backend) { proxy in
            let client = try proxy.connect()
            try client.sendRequest("/")
            let (_, connection) = try backend.receiveRequest()
            try connection.send("HTTP/1.1 200 OK\r\nContent-Length: \(size)\r\n\r\n")
            _ = try client.receiveResponseHead()
            var sent = 0
            var step = 1
            while sent < size {
                let count = min(step, size - sent)
                try connection.send(Bytes(body[sent..<(sent + count)]))
                // Waiting for the piece drains every pipe before the next.
                #expect(try client.receive(count) == Bytes(body[sent..<(sent + count)]))
                sent += count
                step = step * 3 + 1
            }
            #expect(try client.get("/next", answeredBy: backend).body == Bytes("ok"))
        }
    }

    @Test("a client that goes away in the middle leaves no byte for the next")
    func clientGone() throws {
        let size = 5_000_000
        let backend = try ScriptedBackend()
        try withProxy(to: backend) { proxy in
            for round in 0..<5 {
                let client = try proxy.connect(receiveBuffer: 4_096)
                try client.sendRequest("/gone")
                let (_, connection) = try backend.receiveRequest()
                let sending = connection.sendInBackground(Bytes("HTTP/1.1 200 OK\r\nContent-Length: \(size)\r\n\r\n") + BodyPattern.bytes(size, seed: 44))
                _ = try client.receiveResponseHead()
                client.reset()
                #expect(try sending.join() < size + 100)

                let next = try proxy.connect()
                try next.sendRequest("/next")
                let (_, other) = try backend.receiveRequest()
                #expect(other !== connection)
                let seed = UInt64(100 + round)
                let down = other.sendInBackground(Bytes("HTTP/1.1 200 OK\r\nContent-Length: \(size)\r\n\r\n") + BodyPattern.bytes(size, seed: seed))
                let body = try next.receiveResponse(deadline: Deadline(after: .seconds(30))).body
                #expect(BodyPattern.firstDifference(body, seed: seed) == nil)
                try down.join()
            }
        }
    }

    @Test("a backend that ends in the middle cuts the client off, not a byte short or over")
    func backendGone() throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend) { proxy in
            let client = try proxy.connect()
            try client.sendRequest("/")
            let (_, connection) = try backend.receiveRequest()
            try connection.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
            _ = try client.receiveResponseHead()
            let part = BodyPattern.bytes(123_456, seed: 45)
            try connection.send(part)
            connection.finishSending()
            #expect(try client.receiveUntilEndOrReset() == part)
        }
    }

    @Test("many at once, slow and quick readers mixed, share the pipes")
    func manyAtOnce() throws {
        let size = 2_000_000
        let backend = try HandlerBackend { request, _ in
            .bytes(HandlerBackend.response(body: BodyPattern.bytes(size, seed: UInt64(request.target.dropFirst()) ?? 0)))
        }
        try withProxy(to: backend, connections: 16) { proxy in
            let address = proxy.addresses[0]
            let readers = (0..<12).map { number in
                Background {
                    let client = try ScriptedClient(to: address, receiveBuffer: number % 3 == 0 ? 4_096 : nil)
                    for round in 0..<3 {
                        let seed = UInt64(number * 10 + round)
                        try client.send("GET /\(seed) HTTP/1.1\r\nHost: test\r\n\r\n")
                        let body = try client.receiveResponse(deadline: Deadline(after: .seconds(60))).body
                        guard body.count == size, BodyPattern.firstDifference(body, seed: seed) == nil else {
                            throw ScenarioFailure("reader \(number) got other bytes")
                        }
                    }
                }
            }
            for reader in readers { try reader.join(within: .seconds(60)) }
        }
    }

    @Test("a slow reader pauses its backend: the proxy never holds much more than the watermark", arguments: [true, false])
    func watermark(splice: Bool) throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend, server: [.highWatermark(262_144), .splice(splice)]) { proxy in
            let client = try proxy.connect(receiveBuffer: 65_536)
            try client.sendRequest("/")
            let (_, connection) = try backend.receiveRequest()
            connection.limitSendBuffer(to: 65_536)
            try connection.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
            _ = try client.receiveResponseHead()
            let sent = try connection.sendWhatIsTaken(Bytes(repeating: 0x61, count: 100_000_000), deadline: Deadline(after: .seconds(2)))
            // Kernel buffers on four sockets beside the watermark.
            #expect(sent < 32_000_000)
            let more = connection.sendInBackground(Bytes(repeating: 0x61, count: 1_000_000))
            #expect(try client.receive(sent + 1_000_000, deadline: Deadline(after: Patience.step * 2)).count == sent + 1_000_000)
            #expect(try more.join() == 1_000_000)
        }
    }

    @Test("a backend that does not read pauses its client: no more of a request is held than its watermark", arguments: [true, false], [true, false])
    func requestWatermark(splice: Bool, isChunked: Bool) throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend, server: [.splice(splice), .bodyMax(200_000_000)], downstream: [.highWatermark(262_144)]) { proxy in
            let client = try proxy.connect()
            client.limitSendBuffer(to: 65_536)
            // One chunk that is as long as the body.
            let framing = isChunked ? "Transfer-Encoding: chunked\r\n\r\n5f5e100\r\n" : "Content-Length: 100000000\r\n\r\n"
            try client.send("POST / HTTP/1.1\r\nHost: test\r\n" + framing)
            let (_, connection) = try backend.receiveRequestHead()
            let sent = try client.sendWhatIsTaken(Bytes(repeating: 0x61, count: 100_000_000), deadline: Deadline(after: .seconds(2)))
            #expect(sent < 32_000_000)
            let more = client.sendInBackground(Bytes(repeating: 0x61, count: 1_000_000))
            // As many of the body's bytes at least as were sent, heads of chunks left aside.
            #expect(try connection.receive(sent + 1_000_000, deadline: Deadline(after: Patience.step * 2)).count == sent + 1_000_000)
            #expect(try more.join() == 1_000_000)
        }
    }
}

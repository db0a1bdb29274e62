import TestSupport
import Testing

@Suite("Neighbours on a shared backend connection do not suffer from each other", .scenario)
struct NeighbourTests {
    /// Receives those of `expected` targets that the proxy sends again, on other connections than `old`, and answers them.
    private func answerElsewhere(_ scene: SharedConnectionScene, _ expected: ArraySlice<SharedConnectionScene.Arrived>, not old: BackendConnection) throws {
        var missing = Set(expected.map(\.request.target))
        var used: [Int] = []
        while !missing.isEmpty {
            let (request, connection) = try scene.backend.receiveRequest()
            #expect(connection !== old)
            #expect(missing.remove(request.target) != nil, "\(request.target) came again")
            used.append(connection.number)
            try connection.respond(body: "again \(request.target)")
        }
        for one in expected { #expect(try scene.client(of: one).receiveResponse().body == Bytes("again \(one.request.target)")) }
    }

    @Test("behind a client that reads slowly, the others are answered from elsewhere, once")
    func slowReader() throws {
        try SharedConnectionScene.run(clients: 4) { scene in
            let arrived = try scene.shared()
            let slow = scene.client(of: arrived[0])
            let size = 20_000_000
            let connection = arrived[0].connection
            let sending = connection.sendInBackground(Bytes("HTTP/1.1 200 OK\r\nContent-Length: \(size)\r\n\r\n") + BodyPattern.bytes(size, seed: 31))
            try answerElsewhere(scene, arrived[1...], not: connection)
            let response = try slow.receiveResponse()
            #expect(response.body.count == size)
            #expect(BodyPattern.firstDifference(response.body, seed: 31) == nil)
            try sending.join()
        }
    }

    @Test("a client that is gone is read to its end, and the others are answered on the same connection")
    func goneWithSmallAnswer() throws {
        try SharedConnectionScene.run(clients: 4) { scene in
            let arrived = try scene.shared()
            scene.client(of: arrived[0]).reset()
            for (request, connection) in arrived { try connection.respond(body: "body of \(request.target)") }
            for one in arrived[1...] { #expect(try scene.client(of: one).receiveResponse().body == Bytes("body of \(one.request.target)")) }
        }
    }

    @Test("a client that is gone and would take too much reading costs the connection, not the neighbours")
    func goneWithLargeAnswer() throws {
        try SharedConnectionScene.run(clients: 4) { scene in
            let arrived = try scene.shared()
            scene.client(of: arrived[0]).reset()
            let connection = arrived[0].connection
            let sending = connection.sendInBackground(Bytes("HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n") + Bytes(repeating: 0x61, count: 50_000_000))
            try answerElsewhere(scene, arrived[1...], not: connection)
            #expect(try sending.join() < 50_000_000)
        }
    }

    struct Irregularity: Sendable, CustomTestStringConvertible {
        let testDescription: String
        /// What comes in place of the answers; `BODY` stands for the first client's target.
        let bytes: String
        let closes: Bool
        /// Whether the first client gets its answer.
        let firstIsServed: Bool
    }

    static let irregularities: [Irregularity] = [
        .init(testDescription: "bytes behind the first answer", bytes: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nBODYjunk\r\n\r\n", closes: false, firstIsServed: true),
        .init(testDescription: "HTTP/1.0", bytes: "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nBODY", closes: true, firstIsServed: false),
        .init(testDescription: "Connection: close", bytes: "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nBODY", closes: true, firstIsServed: true),
        .init(testDescription: "an end after the first answer", bytes: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nBODY", closes: true, firstIsServed: true),
        .init(
            testDescription: "a second answer with both framings",
            bytes: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nBODYHTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            closes: false, firstIsServed: true),
        .init(testDescription: "an end before any answer", bytes: "", closes: true, firstIsServed: false),
    ]

    @Test("after an irregular answer nothing more is believed, the rest is asked again unshared, and sharing rests", arguments: irregularities)
    func irregular(_ irregularity: Irregularity) throws {
        try SharedConnectionScene.run(clients: 4) { scene in
            let arrived = try scene.shared()
            let connection = arrived[0].connection
            let first = arrived[0].request.target
            try connection.send(irregularity.bytes.replacing("BODY", with: first))
            if irregularity.closes { connection.close() }
            if irregularity.firstIsServed { #expect(try scene.client(of: arrived[0]).receiveResponse().body == Bytes(first)) }

            // All of the rest arrive before any is answered, so each has a connection of its own.
            let rest = irregularity.firstIsServed ? arrived[1...] : arrived[0...]
            let again = try rest.map { _ in try scene.backend.receiveRequest() }
            #expect(Set(again.map(\.connection.number)).count == again.count)
            #expect(Set(again.map(\.request.target)) == Set(rest.map(\.request.target)))
            for (request, connection) in again { try connection.respond(body: "again \(request.target)") }
            for one in rest { #expect(try scene.client(of: one).receiveResponse().body == Bytes("again \(one.request.target)")) }

            let before = try scene.proxy.counters().sum("pipelinedRequests")
            for _ in 0..<3 {
                try scene.warm()
                let later = try scene.burst((0..<4).map { Bytes("GET /\($0) HTTP/1.1\r\nHost: test\r\n\r\n") })
                for (request, connection) in later { try connection.respond(body: request.target) }
                for (number, client) in scene.clients.enumerated() { #expect(try client.receiveResponse().body == Bytes("/\(number)")) }
            }
            #expect(try scene.proxy.counters().sum("pipelinedRequests") == before)
        }
    }

    @Test("a request that was sent again is not sent a third time")
    func onlyOnce() throws {
        try SharedConnectionScene.run(clients: 3) { scene in
            let arrived = try scene.shared()
            arrived[0].connection.close()
            let again = try arrived.map { _ in try scene.backend.receiveRequest() }
            for (_, connection) in again { connection.close() }
            for client in scene.clients { #expect(try client.receiveResponse().status == 502) }
            try scene.backend.expectNoRequest(for: .milliseconds(50))
        }
    }

    @Test("an answer that breaks off is cut off for its client alone")
    func brokenAnswer() throws {
        try SharedConnectionScene.run(clients: 3) { scene in
            let arrived = try scene.shared()
            try arrived[0].connection.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")
            let first = scene.client(of: arrived[0])
            #expect(try first.receiveResponseHead().status == 200)
            arrived[0].connection.close()
            #expect(try first.receiveUntilEndOrReset() == Bytes("abc"))
            for _ in arrived[1...] {
                let (request, connection) = try scene.backend.receiveRequest()
                try connection.respond(body: request.target)
            }
            for one in arrived[1...] { #expect(try scene.client(of: one).receiveResponse().body == Bytes(one.request.target)) }
        }
    }
}

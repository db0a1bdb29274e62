import TestSupport
import Testing

@Suite("Safe requests that share a backend connection", .scenario)
struct PipeliningTests {
    @Test("requests of one tick go down one connection, and each client gets its own answer")
    func sharing() throws {
        try SharedConnectionScene.run(clients: 4) { scene in
            let arrived = try scene.shared()
            for (request, connection) in arrived { try connection.respond(body: "body of \(request.target)") }
            for (number, client) in scene.clients.enumerated() {
                #expect(try client.receiveResponse().body == Bytes("body of /\(number)"))
            }
            #expect(try scene.proxy.counters().sum("pipelinedRequests") >= 3)
        }
    }

    @Test("answers that come in one segment are told apart, interim ones and chunks included")
    func answersInOneSegment() throws {
        try SharedConnectionScene.run(clients: 4) { scene in
            let arrived = try scene.shared()
            var bytes = ""
            for (place, one) in arrived.enumerated() {
                let body = "body of \(one.request.target)"
                switch place {
                case 0: bytes += "HTTP/1.1 200 OK\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
                case 1: bytes += "HTTP/1.1 103 Early Hints\r\nA: 1\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
                case 2: bytes += "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\(String(body.utf8.count, radix: 16))\r\n\(body)\r\n0\r\n\r\n"
                default: bytes += "HTTP/1.1 404 Not Found\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
                }
            }
            try arrived[0].connection.send(bytes)
            for one in arrived { #expect(try scene.client(of: one).receiveResponse().body == Bytes("body of \(one.request.target)")) }
        }
    }

    @Test("a HEAD among GETs takes no body from its neighbours")
    func headAmongOthers() throws {
        try SharedConnectionScene.run(clients: 3) { scene in
            for _ in 0..<10 {
                try scene.warm()
                let arrived = try scene.burst(["GET /0", "HEAD /1", "GET /2"].map { Bytes("\($0) HTTP/1.1\r\nHost: test\r\n\r\n") })
                for (request, connection) in arrived {
                    try connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" + (request.method == "HEAD" ? "" : request.target))
                }
                #expect(try scene.clients[0].receiveResponse().body == Bytes("/0"))
                #expect(try scene.clients[1].receiveResponse(to: "HEAD").body.isEmpty)
                #expect(try scene.clients[2].receiveResponse().body == Bytes("/2"))
            }
        }
    }

    @Test("what is not safe, has a body or wants an upgrade has its connection for itself")
    func unsafeIsAlone() throws {
        let alone = [
            "POST /0 HTTP/1.1\r\nHost: test\r\nContent-Length: 1\r\n\r\nx", "DELETE /1 HTTP/1.1\r\nHost: test\r\n\r\n",
            "GET /2 HTTP/1.1\r\nHost: test\r\nContent-Length: 1\r\n\r\nx",
            "GET /3 HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        ]
        try SharedConnectionScene.run(clients: 6) { scene in
            for _ in 0..<5 {
                try scene.warm()
                let requests = alone + ["GET /4 HTTP/1.1\r\nHost: test\r\n\r\n", "GET /5 HTTP/1.1\r\nHost: test\r\n\r\n"]
                let arrived = try scene.burst(requests.map { Bytes($0) })
                for one in arrived where ["/0", "/1", "/2", "/3"].contains(one.request.target) {
                    #expect(arrived.filter { $0.connection === one.connection }.count == 1, "\(one.request.target) shares")
                }
                for (request, connection) in arrived { try connection.respond(body: request.target) }
                for (number, client) in scene.clients.enumerated() { #expect(try client.receiveResponse().body == Bytes("/\(number)")) }
            }
        }
    }

    @Test("without the setting nothing is shared")
    func offByDefault() throws {
        try SharedConnectionScene.run(clients: 4, depth: 1) { scene in
            for _ in 0..<3 {
                try scene.warm()
                let arrived = try scene.burst((0..<4).map { Bytes("GET /\($0) HTTP/1.1\r\nHost: test\r\n\r\n") })
                #expect(Set(arrived.map(\.connection.number)).count == 4)
                for (request, connection) in arrived { try connection.respond(body: request.target) }
                for client in scene.clients { _ = try client.receiveResponse() }
            }
            #expect(try scene.proxy.counters().sum("pipelinedRequests") == 0)
        }
    }

    @Test("never more on one connection than the setting says")
    func depth() throws {
        try SharedConnectionScene.run(clients: 6, depth: 2) { scene in
            for _ in 0..<5 {
                try scene.warm()
                let arrived = try scene.burst((0..<6).map { Bytes("GET /\($0) HTTP/1.1\r\nHost: test\r\n\r\n") })
                for number in Set(arrived.map(\.connection.number)) { #expect(arrived.filter { $0.connection.number == number }.count <= 2) }
                for (request, connection) in arrived { try connection.respond(body: request.target) }
                for (number, client) in scene.clients.enumerated() { #expect(try client.receiveResponse().body == Bytes("/\(number)")) }
            }
        }
    }

    @Test("a backend that takes its time is not asked ahead")
    func slowBackend() throws {
        try SharedConnectionScene.run(clients: 4, latency: 2) { scene in
            for _ in 0..<20 {
                try scene.clients[0].sendRequest("/slow")
                let (_, connection) = try scene.backend.receiveRequest()
                try connection.expectSilence(for: .milliseconds(15))
                try connection.respond(body: "slow")
                _ = try scene.clients[0].receiveResponse()
            }
            let arrived = try scene.burst((0..<4).map { Bytes("GET /\($0) HTTP/1.1\r\nHost: test\r\n\r\n") })
            #expect(Set(arrived.map(\.connection.number)).count == 4)
            for (request, connection) in arrived { try connection.respond(body: request.target) }
            for client in scene.clients { _ = try client.receiveResponse() }
        }
    }

    @Test("many clients over few shared connections: every answer is the right one")
    func load() throws {
        let backend = try HandlerBackend { request, _ in
            let number = UInt64(request.target.dropFirst()) ?? 0
            return .bytes(HandlerBackend.response(body: BodyPattern.bytes(Int(number % 5_000), seed: number)))
        }
        try withProxy(to: backend, downstream: [.pipeline(16), .connectionsMax(2)], connections: 2) { proxy in
            let address = proxy.addresses[0]
            let workers = (0..<24).map { worker in
                Background {
                    let client = try ScriptedClient(to: address)
                    for round in 0..<30 {
                        let number = worker * 7_919 + round * 131
                        let response = try client.get("/\(number)")
                        guard response.body == BodyPattern.bytes(number % 5_000, seed: UInt64(number)) else {
                            throw ScenarioFailure("/\(number) got a body of somebody else")
                        }
                    }
                }
            }
            for worker in workers { try worker.join() }
            #expect(try proxy.counters().sum("requests") == 720)
        }
    }
}

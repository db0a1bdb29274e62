import TestSupport
import Testing

@Suite("Limits of connections and descriptors", .scenario)
struct LimitTests {
    @Test("one client too many is refused politely, and welcome once another has left")
    func clientLimit() throws {
        let backend = try HandlerBackend.named("one")
        try withProxy(to: backend, server: [.connectionsMaxOfClients(3)]) { proxy in
            let clients = try (0..<3).map { _ in try proxy.connect() }
            for client in clients { #expect(try client.get("/").status == 200) }
            let extra = try proxy.connect()
            try extra.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n")
            // A 503 that it can read, or an end in order.
            let answer = try extra.receiveUntilEndOrReset()
            #expect(answer.isEmpty || answer.starts(with: Bytes("HTTP/1.1 503 ")))
            for client in clients { #expect(try client.get("/").status == 200) }
            clients[0].close()
            try eventually("a place is free") {
                let client = try proxy.connect()
                try client.sendRequest("/again")
                defer { client.close() }
                return (try? client.receiveResponse().status) == 200
            }
            #expect(try proxy.counters().sum("clientsRefused") >= 1)
        }
    }

    @Test("when descriptors run out the others are served, and service comes back")
    func descriptorsRunOut() throws {
        let backend = try HandlerBackend.named("one")
        let configuration = ProxyConfiguration(servers: [.init(downstreams: [.init(backend)])])
        try withProxy(configuration, openFilesMax: 96) { proxy in
            defer { backend.close() }
            let first = try proxy.connect()
            #expect(try first.get("/").status == 200)
            var crowd = try (0..<150).map { _ in try ScriptedClient(to: proxy.addresses[0]) }
            for _ in 0..<20 { #expect(try first.get("/").status == 200) }
            crowd.removeAll()
            try eventually("new clients are served") {
                guard let client = try? proxy.connect() else { return false }
                defer { client.close() }
                try client.sendRequest("/again")
                return (try? client.receiveResponse(deadline: Deadline(after: .seconds(1))).status) == 200
            }
            #expect(try first.get("/").status == 200)
        }
    }

    @Test("after a crowd has left, descriptors are what they were")
    func descriptorsComeBack() throws {
        let backend = try HandlerBackend.named("one")
        try withProxy(to: backend, downstream: [.connectionsMax(64), .idleTimeout(200)], connections: 1) { proxy in
            let server = try proxy.serverProcess()
            func open() -> Int { FolderContent.names("/proc/\(server)/fd").count }
            #expect(try proxy.connect().get("/").status == 200)
            let before = open()
            let crowd = try (0..<200).map { _ in try ScriptedClient(to: proxy.addresses[0]) }
            for client in crowd { try client.sendRequest("/") }
            for client in crowd { #expect(try client.receiveResponse().status == 200) }
            for client in crowd { client.close() }
            try eventually("descriptors came back (\(open()) of \(before))") { open() <= before + 2 }
            #expect(try proxy.counters().sum("clientsOpen") <= 1)
        }
    }

    @Test("a crowd of idle clients does not keep others from being served")
    func idleCrowd() throws {
        let backend = try HandlerBackend.named("one")
        try withProxy(to: backend) { proxy in
            let crowd = try (0..<500).map { _ in try ScriptedClient(to: proxy.addresses[0]) }
            for client in crowd.prefix(250) { try client.send("GET / HT") }
            let client = try proxy.connect()
            for _ in 0..<20 { #expect(try client.get("/").status == 200) }
            #expect(try proxy.counters().sum("clientsOpen") >= 500)
            for client in crowd { client.close() }
        }
    }
}

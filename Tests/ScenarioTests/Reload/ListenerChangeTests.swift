import Glibc
import TestSupport
import Testing

@Suite("Reload: listeners that come, go and change hands", .scenario)
struct ListenerChangeTests {
    private func server(_ backend: any TestBackend, address: String = "127.0.0.1", port: Int = 0, _ via: String, _ settings: [Setting] = [])
        -> ProxyConfiguration.Server
    {
        .init(address: address, port: port, [.via(via)] + settings, accessLog: "{WORKER}", downstreams: [.init(backend)])
    }

    @Test("a new address answers, on TCP and on a unix path, and an old one is refused")
    func comesAndGoes() throws {
        let backend = try HandlerBackend.named("one")
        let folder = try TemporaryFolder()
        let path = folder.path("front")
        try withProxy(ProxyConfiguration(servers: [server(backend, "first")])) { proxy in
            defer { backend.close() }
            let added = [server(backend, address: "::1", "six"), server(backend, address: "unix:\(path)", "unix")]
            try proxy.reload(ProxyConfiguration(servers: [server(backend, "first")] + added))
            let addresses = try proxy.announcedAddresses(3)
            for (address, via) in zip(addresses, ["first", "six", "unix"]) {
                #expect(try ScriptedClient(to: address).get("/").fields["Via"] == ["1.1 \(via)"])
            }
            try proxy.reload(ProxyConfiguration(servers: [server(backend, "first")]))
            try eventually("the kernel refuses what is sent to the old addresses") { (try? ScriptedClient(to: addresses[1])) == nil }
            #expect(access(path, F_OK) != 0)
            #expect(try proxy.connect().get("/").status == 200)
            #expect(proxy.operatorLog.contains("no longer on [::1]:\(addresses[1].port), "))
        }
    }

    @Test("connections that wait in the queue of an address that goes are answered first")
    func queueIsServed() throws {
        let backend = try HandlerBackend.named("one")
        let configuration = ProxyConfiguration(workers: 2, servers: [server(backend, "stays"), server(backend, "goes")])
        try withProxy(configuration) { proxy in
            defer { backend.close() }
            let leaving = proxy.addresses[1]
            try proxy.write(ProxyConfiguration(workers: 2, servers: [server(backend, "stays")]))
            // The server process is held: these connections are in the queues when it learns of the change.
            let waiting = try proxy.whileHeld {
                try proxy.beginReload()
                return try (0..<20).map { _ in try ScriptedClient(to: leaving) }
            }
            for client in waiting { #expect(try client.get("/").status == 200) }
            try proxy.waitForNextGeneration()
            try eventually("the kernel refuses new ones") { (try? ScriptedClient(to: leaving)) == nil }
        }
    }

    @Test("a client of an address that goes is answered to its end")
    func clientOfOldAddress() throws {
        let backend = try ScriptedBackend()
        try withProxy(ProxyConfiguration(servers: [server(backend, "stays"), server(backend, "goes")])) { proxy in
            defer { backend.close() }
            let client = try proxy.connect(server: 1)
            try client.sendRequest("/slow")
            let (_, connection) = try backend.receiveRequest()
            try proxy.reload(ProxyConfiguration(servers: [server(backend, "stays")]))
            try connection.respond(body: "late")
            #expect(try client.receiveResponse().body == Bytes("late"))
        }
    }

    @Test("more workers listen, then fewer, and no connection is lost meanwhile", arguments: [[1, 2, 1], [3, 1, 2]])
    func threads(counts: [Int]) throws {
        let backend = try HandlerBackend.named("one")
        func configuration(_ count: Int) -> ProxyConfiguration {
            ProxyConfiguration(workers: 3, servers: [server(backend, "x", [.threads(count)])])
        }
        try withProxy(configuration(counts[0])) { proxy in
            defer { backend.close() }
            let address = proxy.addresses[0]
            let isOver = Monitor(false)
            let knocking = Background { () -> Int in
                var answered = 0
                while !isOver.with({ $0 }) {
                    guard try ScriptedClient(to: address).get("/").status == 200 else { throw ScenarioFailure("refused") }
                    answered += 1
                }
                return answered
            }
            for (former, count) in zip(counts, counts.dropFirst()) {
                let before = proxy.accessLog().count
                try proxy.reload(configuration(count))
                // Each worker writes its lines when its buffer is due, so they come in runs.
                if count > former {
                    try eventually("\(count) workers have answered") { Set(proxy.accessLog().dropFirst(before)).count == count }
                } else {
                    try eventually("only \(count) answer") {
                        let lines = proxy.accessLog()
                        return lines.count > before + 300 && Set(lines.suffix(300)).count == count
                    }
                }
            }
            isOver.with { $0 = true }
            #expect(try knocking.join() > 0)
        }
    }

    @Test("a wildcard takes the place of an address of the same port in one reload")
    func overlapping() throws {
        let backend = try HandlerBackend.named("one")
        try withProxy(ProxyConfiguration(servers: [server(backend, "narrow")])) { proxy in
            defer { backend.close() }
            let port = Int(proxy.addresses[0].port)
            // Port zero is another word than the port it became, so this is another address for the configuration.
            try proxy.reload(ProxyConfiguration(servers: [server(backend, address: "0.0.0.0", port: port, "wide")]))
            try eventually("the wide listener answers") { try proxy.connect().get("/").fields["Via"] == ["1.1 wide"] }
        }
    }

    @Test("the length of the queue and the options of a listener that stays are those of the new file")
    func options() throws {
        let backend = try HandlerBackend.named("one")
        try withProxy(ProxyConfiguration(servers: [server(backend, "x", [.backlog(50)])])) { proxy in
            defer { backend.close() }
            try proxy.reload(ProxyConfiguration(servers: [server(backend, "x", [.backlog(70)])]))
            let run = try ChildProcess.run(["ss", "-Hltn", "sport", "=", ":\(proxy.addresses[0].port)"])
            #expect(run.output.text.split(separator: " ").contains("70"), "\(run.output.text)")
        }
    }
}

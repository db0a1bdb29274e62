import Glibc
import TestSupport
import Testing

@Suite("Starting, stopping and what happens between", .scenario)
struct StopTests {
    @Test("SIGTERM and SIGINT end an idle proxy at once, with 0", arguments: [SIGTERM, SIGINT])
    func idle(signal: Int32) throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend) { proxy in
            let client = try proxy.connect()
            _ = try client.get("/", answeredBy: backend)
            let time = try elapsed {
                proxy.process.signal(signal)
                try proxy.expectEnd(.exit(0))
            }
            #expect(time < .seconds(3) * Patience.factor)
            try client.expectClosed()
        }
    }

    @Test("an exchange that runs is finished, idle clients are closed, new ones are refused")
    func drain() throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend) { proxy in
            let idle = try proxy.connect()
            _ = try idle.get("/", answeredBy: backend)
            let busy = try proxy.connect()
            try busy.sendRequest("/busy")
            let (_, connection) = try backend.receiveRequest()
            try connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
            _ = try busy.receiveResponseHead()

            proxy.process.signal(SIGTERM)
            try idle.expectClosed()
            #expect(throws: ScenarioFailure.self) { try proxy.connect().get("/new", deadline: Deadline(after: .seconds(1))) }
            try connection.send("world")
            #expect(try busy.receive(10) == Bytes("helloworld"))
            try busy.expectClosed()
            try proxy.expectEnd(.exit(0))
        }
    }

    @Test("a connection that was made just before the stop is still answered")
    func freshConnection() throws {
        let backend = try HandlerBackend.named("one")
        try withProxy(to: backend) { proxy in
            defer { backend.close() }
            let fresh = try proxy.connect()
            let silent = try proxy.connect()
            try eventually("both are accepted") { try proxy.counters().sum("clientsOpen") == 2 }
            proxy.process.signal(SIGTERM)
            try eventually("it stops") { (try? proxy.connect()) == nil }
            let response = try fresh.get("/")
            #expect(response.status == 200)
            #expect(response.announcesClose)
            try silent.expectClosed()
            try proxy.expectEnd(.exit(0))
        }
    }

    @Test("an answer given while stopping says that the connection ends")
    func announcesClose() throws {
        let backend = try ScriptedBackend()
        try withProxy(to: backend) { proxy in
            let idle = try proxy.connect()
            _ = try idle.get("/", answeredBy: backend)
            let client = try proxy.connect()
            try client.sendRequest("/")
            let (_, connection) = try backend.receiveRequest()
            proxy.process.signal(SIGTERM)
            try idle.expectClosed()
            try connection.respond(body: "last")
            let response = try client.receiveResponse()
            #expect(response.body == Bytes("last"))
            #expect(response.announcesClose)
            try proxy.expectEnd(.exit(0))
        }
    }

    @Test("exchanges that do not finish are cut off at the deadline")
    func deadline() throws {
        let backend = try ScriptedBackend()
        let configuration = ProxyConfiguration(global: [.drainDeadline(400)], servers: [.init(downstreams: [.init(backend)])])
        try withProxy(configuration) { proxy in
            defer { backend.close() }
            let client = try proxy.connect()
            try client.sendRequest("/")
            _ = try backend.receiveRequest()
            let time = try elapsed {
                proxy.process.signal(SIGTERM)
                try proxy.expectEnd(.exit(0))
            }
            #expect(expectedSpan(of: .milliseconds(400)).contains(time))
        }
    }

    @Test("a second signal ends at once")
    func secondSignal() throws {
        let backend = try ScriptedBackend()
        let configuration = ProxyConfiguration(global: [.drainDeadline(60_000)], servers: [.init(downstreams: [.init(backend)])])
        try withProxy(configuration) { proxy in
            defer { backend.close() }
            let idle = try proxy.connect()
            _ = try idle.get("/", answeredBy: backend)
            let client = try proxy.connect()
            try client.sendRequest("/")
            _ = try backend.receiveRequest()
            proxy.process.signal(SIGTERM)
            try idle.expectClosed()
            let time = try elapsed {
                proxy.process.signal(SIGTERM)
                _ = try proxy.process.waitForEnd()
            }
            #expect(time < .seconds(3) * Patience.factor)
            try client.expectClosed()
        }
    }

    @Test("a server process that dies is replaced, on the same port")
    func restart() throws {
        let backend = try HandlerBackend.named("one")
        try withProxy(to: backend) { proxy in
            let client = try proxy.connect()
            #expect(try client.get("/").status == 200)
            let old = try proxy.serverProcess()
            kill(old, SIGKILL)
            try client.expectClosed()
            try eventually("there is another server process") { (try? proxy.serverProcess()).map { $0 != old } ?? false }
            #expect(try proxy.connect().get("/").status == 200)
        }
    }

    @Test("a trap in the middle of an exchange costs that exchange, and service is back soon")
    func trap() throws {
        let backend = try HandlerBackend.named("one")
        let configuration = ProxyConfiguration(global: [.debugTrap(atRequest: 3)], servers: [.init(downstreams: [.init(backend)])])
        let proxy = try ProxyUnderTest(configuration)
        defer { backend.close() }
        let client = try proxy.connect()
        #expect(try client.get("/1").status == 200)
        #expect(try client.get("/2").status == 200)
        try client.sendRequest("/3")
        try client.expectClosed()
        let time = try elapsed {
            try eventually("requests are answered again") { (try? proxy.connect().get("/4").status) == 200 }
        }
        #expect(time < .seconds(3) * Patience.factor)
        // The note names a file and a line; the trap itself is an alarm that `stop` would report.
        #expect(proxy.operatorLog.contains(".swift:"))
        proxy.process.signal(SIGTERM)
        #expect(try proxy.process.waitForEnd() == .exit(0))
    }

    @Test("nothing is left of the process tree after a stop")
    func nothingLeft() throws {
        let backend = try HandlerBackend.named("one")
        let proxy = try ProxyUnderTest(ProxyConfiguration(workers: 2, servers: [.init(downstreams: [.init(backend)])]))
        let server = try proxy.serverProcess()
        #expect(try proxy.connect().get("/").status == 200)
        try proxy.stop()
        #expect(kill(server, 0) == -1)
        #expect(!FolderContent.names(proxy.folder.path).contains("admin"))
        backend.close()
    }

    @Test("a supervisor that is killed takes the server process along")
    func supervisorKilled() throws {
        let backend = try HandlerBackend.named("one")
        let proxy = try ProxyUnderTest(ProxyConfiguration(servers: [.init(downstreams: [.init(backend)])]))
        let server = try proxy.serverProcess()
        proxy.process.kill()
        _ = try proxy.process.waitForEnd()
        try eventually("the server process has ended") { kill(server, 0) == -1 }
        backend.close()
    }
}

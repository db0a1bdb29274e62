import TestSupport
import Testing

@Suite("Listeners", .scenario)
struct ListenerTests {
    @Test("several servers listen on several families, each with its own backend")
    func several() throws {
        let folder = try TemporaryFolder()
        let backends = try ["four", "six", "unix"].map { try HandlerBackend.named($0) }
        let configuration = ProxyConfiguration(servers: [
            .init(downstreams: [.init(backends[0])]), .init(address: "::1", downstreams: [.init(backends[1])]),
            .init(address: "unix:\(folder.path("front"))", downstreams: [.init(backends[2])]),
        ])
        try withProxy(configuration) { proxy in
            defer { backends.forEach { $0.close() } }
            for (number, name) in ["four", "six", "unix"].enumerated() {
                let client = try proxy.connect(server: number)
                for _ in 0..<3 { #expect(try client.get("/").fields["X-Backend"] == [name]) }
            }
        }
    }

    @Test("all workers serve a TCP and a unix listener", arguments: [true, false])
    func workers(unix: Bool) throws {
        let folder = try TemporaryFolder()
        let backend = try HandlerBackend.named("one")
        let server = ProxyConfiguration.Server(address: unix ? "unix:\(folder.path("front"))" : "127.0.0.1", accessLog: "{WORKER}", downstreams: [.init(backend)])
        try withProxy(ProxyConfiguration(workers: 2, servers: [server])) { proxy in
            defer { backend.close() }
            for _ in 0..<60 { _ = try proxy.connect().get("/") }
            #expect(Set(try proxy.accessLog(lines: 60)) == ["0", "1"])
        }
    }

    @Test("a listener with one thread is served by one worker")
    func oneThread() throws {
        let backend = try HandlerBackend.named("one")
        let server = ProxyConfiguration.Server([.threads(1)], accessLog: "{WORKER}", downstreams: [.init(backend)])
        try withProxy(ProxyConfiguration(workers: 2, servers: [server])) { proxy in
            defer { backend.close() }
            for _ in 0..<30 { _ = try proxy.connect().get("/") }
            #expect(Set(try proxy.accessLog(lines: 30)).count == 1)
        }
    }

    @Test("a taken port is one sentence and no start", arguments: [true, false])
    func takenPort(byAnotherWeir: Bool) throws {
        let backend = try HandlerBackend.named("one")
        try withProxy(to: backend) { proxy in
            let port = byAnotherWeir ? proxy.addresses[0].port : backend.address.port
            let folder = try TemporaryFolder()
            let file = try folder.write("weir.conf", "server {\n addr = 127.0.0.1\n port = \(port)\n downstream b { addr = 127.0.0.1\n port = \(backend.address.port) }\n}\n")
            let run = try ChildProcess.run([try ProxyUnderTest.binaryPath(), "run", file])
            #expect(run.ending != .exit(0))
            #expect(run.output.isEmpty)
            let lines = run.errors.text.split(separator: "\n").filter { $0.contains("\(port)") }
            #expect(lines.count == 1)
            #expect(try proxy.connect().get("/").status == 200)
        }
    }

    @Test("a unix socket left behind by a dead process is taken over, one of a living process is not")
    func unixLeftBehind() throws {
        let folder = try TemporaryFolder()
        let path = folder.path("front")
        let backend = try HandlerBackend.named("one")
        let configuration = ProxyConfiguration(servers: [.init(address: "unix:\(path)", downstreams: [.init(backend)])])
        let first = try ProxyUnderTest(configuration)
        #expect(throws: ScenarioFailure.self) { _ = try ProxyUnderTest(configuration) }
        #expect(try first.connect().get("/").status == 200)
        first.process.kill()
        _ = try first.process.waitForEnd()
        try withProxy(configuration) { proxy in
            let client = try proxy.connect()
            #expect(try client.get("/").status == 200)
        }
        backend.close()
    }

    @Test("the ready lines also go to a descriptor of choice")
    func readyDescriptor() throws {
        let backend = try HandlerBackend.named("one")
        let folder = try TemporaryFolder()
        let file = try folder.write("weir.conf", "server {\n addr = 127.0.0.1\n port = 0\n downstream b { addr = 127.0.0.1\n port = \(backend.address.port) }\n}\n")
        let script = "exec \(try ProxyUnderTest.binaryPath()) run --ready-fd 7 \(file) 7>\(folder.path("ready"))"
        let process = try ChildProcess(["sh", "-c", script])
        let printed = process.waitForOutput { ProxyUnderTest.announced(in: $0).first }
        let address = try #require(printed)
        try eventually("the ready line is in the file") { FileContent.read(folder.path("ready")) == Bytes("weir: listening on \(address)\n") }
        #expect(try ScriptedClient(to: address).get().status == 200)
        process.signal(15)
        #expect(try process.waitForEnd() == .exit(0))
        backend.close()
    }
}

import Glibc
import TestSupport
import Testing

@Suite("Reload: what SIGHUP does, and what it leaves alone", .scenario)
struct ReloadTests {
    private func configuration(_ backend: any TestBackend, via: String, global: [Setting] = [], _ server: [Setting] = []) -> ProxyConfiguration {
        ProxyConfiguration(global: global, servers: [.init([.via(via)] + server, downstreams: [.init(backend)])])
    }

    private func via(_ response: ReceivedResponse) -> String { response.fields["Via"].joined(separator: ",") }

    @Test("a changed file is in use once SIGHUP has been answered, on old connections and new ones")
    func changes() throws {
        let backend = try HandlerBackend.named("one")
        try withProxy(configuration(backend, via: "first")) { proxy in
            defer { backend.close() }
            let client = try proxy.connect()
            #expect(via(try client.get("/")) == "1.1 first")
            try proxy.reload(configuration(backend, via: "second"))
            #expect(via(try client.get("/")) == "1.1 second")
            #expect(via(try proxy.connect().get("/")) == "1.1 second")
            #expect(try proxy.serverProcess() > 0)
            let report = try proxy.counters()
            #expect(report.generation == 2)
            #expect(report.lastReloadOutcome == "taken")
            #expect(report.lastReloadReason.isEmpty)
            #expect(report.restarts == 0)
        }
    }

    @Test("a file that includes others is read with all of them")
    func includes() throws {
        let backend = try HandlerBackend.named("one")
        let folder = try TemporaryFolder()
        try folder.write("via.conf", "via = \"first\"\n")
        let text = """
            admin-socket = "FOLDER/admin"
            server {
                addr = "127.0.0.1"
                port = 0
                include "\(folder.path("via.conf"))"
                downstream one { addr = "127.0.0.1"
                port = \(backend.address.port) }
            }

            """
        let proxy = try ProxyUnderTest(text: text, folder: try TemporaryFolder())
        defer { backend.close() }
        #expect(via(try proxy.connect().get("/")) == "1.1 first")
        try folder.write("via.conf", "via = \"second\"\n")
        proxy.process.signal(SIGHUP)
        try proxy.waitForNextGeneration()
        #expect(via(try proxy.connect().get("/")) == "1.1 second")
        try proxy.stop()
    }

    @Test("a file with errors changes nothing, and each error is said with its line and column")
    func invalid() throws {
        let backend = try HandlerBackend.named("one")
        try withProxy(configuration(backend, via: "first")) { proxy in
            defer { backend.close() }
            let client = try proxy.connect()
            _ = try client.get("/")
            let lines = try proxy.reloadInVain(text: "wrokers = 2\nserver {\n    port = many\n}\n")
            let path = proxy.folder.path("weir.conf")
            #expect(lines[0].contains("\(path) has 3 errors; configuration 1 stays in use"))
            #expect(lines.contains { $0.contains("\(path):1:1: the top level knows no 'wrokers'") })
            #expect(lines.contains { $0.contains("\(path):3:12:") })
            #expect(via(try client.get("/")) == "1.1 first")
            let report = try proxy.counters()
            #expect(report.generation == 1)
            #expect(report.lastReloadOutcome == "invalid")
            #expect(report.lastReloadReason.contains("\(path):1:1"))
            // And a good file is taken after that.
            try proxy.reload(configuration(backend, via: "second"))
            #expect(via(try client.get("/")) == "1.1 second")
        }
    }

    @Test("a file that has gone changes nothing")
    func fileGone() throws {
        let backend = try HandlerBackend.named("one")
        try withProxy(configuration(backend, via: "first")) { proxy in
            defer { backend.close() }
            unlink(proxy.folder.path("weir.conf"))
            proxy.process.signal(SIGHUP)
            try proxy.waitForOperatorLog(containing: "configuration 1 stays in use")
            #expect(via(try proxy.connect().get("/")) == "1.1 first")
        }
    }

    @Test("a port that somebody else has refuses the whole reload: nothing of it is done")
    func takenPort() throws {
        let backend = try HandlerBackend.named("one")
        try withProxy(configuration(backend, via: "first")) { proxy in
            defer { backend.close() }
            let path = proxy.folder.path("other")
            let server = try proxy.serverProcess()
            let before = (ProxyUnderTest.descriptorCount(of: server), ProxyUnderTest.descriptorCount(of: proxy.process.pid))
            let wanted = ProxyConfiguration(servers: [
                .init([.via("second")], downstreams: [.init(backend)]),
                .init(address: "unix:\(path)", downstreams: [.init(backend)]),
                .init(port: Int(backend.address.port), downstreams: [.init(backend)]),
            ])
            let lines = try proxy.reloadInVain(text: try proxy.text(of: wanted))
            #expect(lines[0].contains("cannot listen on 127.0.0.1:\(backend.address.port)"))
            #expect(access(path, F_OK) != 0)
            let after = (ProxyUnderTest.descriptorCount(of: server), ProxyUnderTest.descriptorCount(of: proxy.process.pid))
            #expect(before == after)
            #expect(via(try proxy.connect().get("/")) == "1.1 first")
            #expect(try proxy.counters().lastReloadOutcome == "refused")
            #expect(proxy.announcedAddresses.count == 1)
        }
    }

    @Test("a log that cannot be opened refuses the whole reload")
    func logRefused() throws {
        let backend = try HandlerBackend.named("one")
        try withProxy(configuration(backend, via: "first")) { proxy in
            defer { backend.close() }
            let section = "  logging { request { enabled = true\n output = \"file:/nonexistent/access.log\" } }"
            let wanted = ProxyConfiguration(servers: [.init([.via("second")], sections: [section], downstreams: [.init(backend)])])
            let lines = try proxy.reloadInVain(text: try proxy.text(of: wanted))
            #expect(lines[0].contains("/nonexistent/access.log"))
            #expect(via(try proxy.connect().get("/")) == "1.1 first")
        }
    }

    @Test("what cannot change while running says so, and the rest is taken")
    func nextStart() throws {
        let backend = try HandlerBackend.named("one")
        try withProxy(configuration(backend, via: "first")) { proxy in
            defer { backend.close() }
            let global: [Setting] = [.openFilesMax(5_000), Setting("client-table-size", "4096"), Setting("sticky-secret", "\"0123456789abcdef\"")]
            try proxy.reload(configuration(backend, via: "second", global: global))
            for word in ["max-nofile", "client-table-size", "sticky-secret"] {
                #expect(proxy.operatorLog.contains("'\(word)' takes effect at the next start"))
            }
            #expect(!proxy.operatorLog.contains("'workers' takes effect"))
            #expect(via(try proxy.connect().get("/")) == "1.1 second")
        }
    }

    @Test("several signals in a burst are one or two reloads, and the last file counts")
    func burst() throws {
        let backend = try HandlerBackend.named("one")
        try withProxy(configuration(backend, via: "first")) { proxy in
            defer { backend.close() }
            for number in 0..<20 {
                try proxy.write(configuration(backend, via: "try\(number)"))
                proxy.process.signal(SIGHUP)
            }
            try eventually("the last file is in use") { via(try proxy.connect().get("/")) == "1.1 try19" }
            try eventually("no reload is under way") { try proxy.counters().lastReloadOutcome == "taken" }
            #expect(try proxy.counters().generation <= 21)
            #expect(!proxy.operatorLog.contains("stays in use"))
        }
    }

    @Test("SIGTERM in the middle of a reload is a stop, SIGUSR1 there is heard after it")
    func otherSignals() throws {
        let backend = try HandlerBackend.named("one")
        for signal in [SIGUSR1, SIGTERM] {
            let proxy = try ProxyUnderTest(configuration(backend, via: "first"))
            try proxy.write(configuration(backend, via: "second"))
            // Held still, the server process cannot answer: the other signal comes in the middle.
            try proxy.whileHeld {
                try proxy.beginReload()
                proxy.process.signal(signal)
                if signal == SIGTERM { try proxy.waitForOperatorLog(containing: "stopping") }
            }
            if signal == SIGUSR1 {
                try proxy.waitForNextGeneration()
                try proxy.waitForOperatorLog(containing: "log files reopened")
                #expect(via(try proxy.connect().get("/")) == "1.1 second")
                try proxy.stop()
            } else {
                try proxy.expectEnd(.exit(0))
            }
        }
        backend.close()
    }

    @Test("a server process that dies in the middle of a reload comes back with the configuration that worked")
    func diesMeanwhile() throws {
        let backend = try HandlerBackend.named("one")
        try withProxy(configuration(backend, via: "first")) { proxy in
            defer { backend.close() }
            try proxy.write(configuration(backend, via: "second"))
            let old = try proxy.serverProcess()
            try proxy.whileHeld {
                try proxy.beginReload()
                kill(old, SIGKILL)
                try proxy.waitForOperatorLog(containing: "serving again")
            }
            #expect(proxy.operatorLog.contains("ended before it had taken the new configuration; configuration 1 stays in use"))
            #expect(via(try proxy.connect().get("/")) == "1.1 first")
            #expect(try proxy.counters().lastReloadOutcome == "refused")
            try proxy.reload(configuration(backend, via: "second"))
            #expect(via(try proxy.connect().get("/")) == "1.1 second")
        }
    }

    @Test("a server process that dies after a reload comes back with the new configuration")
    func diesAfter() throws {
        let backend = try HandlerBackend.named("one")
        try withProxy(configuration(backend, via: "first")) { proxy in
            defer { backend.close() }
            let two = ProxyConfiguration(servers: [
                .init([.via("second")], downstreams: [.init(backend)]), .init([.via("other")], downstreams: [.init(backend)]),
            ])
            try proxy.reload(two)
            kill(try proxy.serverProcess(), SIGKILL)
            try proxy.waitForOperatorLog(containing: "serving again")
            #expect(via(try proxy.connect().get("/")) == "1.1 second")
            let added = try proxy.announcedAddresses(2)[1]
            #expect(via(try ScriptedClient(to: added).get("/")) == "1.1 other")
            let report = try proxy.counters()
            #expect(report.restarts == 1)
            #expect(report.generation == 2)
            #expect(report.lastReloadOutcome == "taken")
            // The next reload finds what it needs.
            try proxy.reload(configuration(backend, via: "third"))
            #expect(via(try proxy.connect().get("/")) == "1.1 third")
            // Who was let in while the address went is served; then there is nobody to be let in.
            try eventually("the address that went is served no more") {
                (try? ScriptedClient(to: added).get("/", deadline: Deadline(after: .seconds(1)))) == nil
            }
        }
    }

    @Test("counters go on over a reload")
    func counters() throws {
        let backend = try HandlerBackend.named("one")
        try withProxy(configuration(backend, via: "first")) { proxy in
            defer { backend.close() }
            let client = try proxy.connect()
            for _ in 0..<3 { _ = try client.get("/") }
            try proxy.reload(configuration(backend, via: "second"))
            for _ in 0..<4 { _ = try client.get("/") }
            try eventually("all requests are counted, also by the backend that stayed") {
                let report = try proxy.counters()
                return report.sum("requests") == 7 && report.backend("backend0", "requests") == 7
            }
        }
    }

    @Test("the quick proxy has no file to read, and says so")
    func quick() throws {
        let backend = try HandlerBackend.named("one")
        let process = try ChildProcess([
            try ProxyUnderTest.binaryPath(), "--listen", "127.0.0.1:0", "--to", "127.0.0.1:\(backend.address.port)",
        ])
        let address = try #require(process.waitForOutput { ProxyUnderTest.announced(in: $0).first })
        process.signal(SIGHUP)
        try process.waitForErrorOutput(containing: "the configuration stands on the command line")
        #expect(try ScriptedClient(to: address).get("/").status == 200)
        process.signal(SIGTERM)
        #expect(try process.waitForEnd() == .exit(0))
        backend.close()
    }
}

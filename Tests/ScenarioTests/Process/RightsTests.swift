import Glibc
import TestSupport
import Testing

@Suite("Rights of the process that serves", .scenario, .enabled(if: geteuid() == 0, "dropping rights needs rights"))
struct RightsTests {
    /// The words behind a name in /proc/PID/status.
    private func status(_ process: pid_t, _ name: String) -> [String] {
        for line in (FileContent.read("/proc/\(process)/status")?.text ?? "").split(separator: "\n") where line.hasPrefix(name + ":") {
            return line.dropFirst(name.count + 1).split(whereSeparator: { $0 == "\t" || $0 == " " }).map(String.init)
        }
        return []
    }

    private func ids(_ user: String) throws -> (user: String, group: String) {
        let entry = try #require(getpwnam(user))
        return ("\(entry.pointee.pw_uid)", "\(entry.pointee.pw_gid)")
    }

    @Test("user alone: all ids, no further group, no capability and no way to new ones")
    func user() throws {
        let backend = try HandlerBackend.named("one")
        let nobody = try ids("nobody")
        let configuration = ProxyConfiguration(global: [Setting("user", "nobody")], servers: [.init(downstreams: [.init(backend)])])
        try withProxy(configuration) { proxy in
            defer { backend.close() }
            #expect(try proxy.connect().get("/").status == 200)
            let server = try proxy.serverProcess()
            #expect(status(server, "Uid") == Array(repeating: nobody.user, count: 4))
            #expect(status(server, "Gid") == Array(repeating: nobody.group, count: 4))
            #expect(status(server, "Groups") == [nobody.group])
            #expect(status(server, "NoNewPrivs") == ["1"])
            for set in ["CapEff", "CapPrm", "CapInh", "CapAmb"] { #expect(Set(status(server, set).joined()) == ["0"], "\(set)") }
            #expect(status(proxy.process.pid, "Uid").first == "0")
        }
    }

    @Test("group alone changes the group alone; both together change both")
    func group() throws {
        let backend = try HandlerBackend.named("one")
        defer { backend.close() }
        let nobody = try ids("nobody")
        let group = "\(try #require(getgrnam("daemon")).pointee.gr_gid)"
        for (words, user) in [([Setting("group", "daemon")], "0"), ([Setting("user", "nobody"), Setting("group", "daemon")], nobody.user)] {
            try withProxy(ProxyConfiguration(global: words, servers: [.init(downstreams: [.init(backend)])])) { proxy in
                let server = try proxy.serverProcess()
                #expect(status(server, "Uid") == Array(repeating: user, count: 4))
                #expect(status(server, "Gid") == Array(repeating: group, count: 4))
                #expect(status(server, "Groups") == [group])
                #expect(try proxy.connect().get("/").status == 200)
            }
        }
    }

    @Test("logs that only root may open are written, opened anew by a signal, and again after a crash")
    func logs() throws {
        let backend = try HandlerBackend.named("one")
        let folder = try TemporaryFolder()
        let closed = try folder.makeFolder("closed")
        chmod(closed, 0o700)
        let logging = "  logging { request { enabled = true\n output = \"file:\(closed)/access.log\"\n format = \"{URI}\" } }"
        let server = ProxyConfiguration.Server(sections: [logging], downstreams: [.init(backend)])
        try withProxy(ProxyConfiguration(global: [Setting("user", "nobody")], servers: [server])) { proxy in
            defer { backend.close() }
            func lines(_ name: String) -> String { FileContent.read("\(closed)/\(name)")?.text ?? "" }
            #expect(try proxy.connect().get("/1").status == 200)
            try eventually("the first line is there") { lines("access.log") == "/1\n" }
            try FileContent.move("\(closed)/access.log", to: "\(closed)/old.log")
            proxy.process.signal(SIGUSR1)
            try eventually("the file is there again") { FileContent.read("\(closed)/access.log") != nil }
            #expect(try proxy.connect().get("/2").status == 200)
            try eventually("the second line is there") { (lines("old.log") + lines("access.log")) == "/1\n/2\n" }
            let old = try proxy.serverProcess()
            kill(old, SIGKILL)
            try eventually("there is another server process") { (try? proxy.serverProcess()).map { $0 != old } ?? false }
            try eventually("requests are answered again") { (try? proxy.connect().get("/3").status) == 200 }
            try eventually("the third line is there") { lines("access.log").hasSuffix("/3\n") }
        }
    }

    @Test("a port that only root may bind is served after the drop")
    func privilegedPort() throws {
        let backend = try HandlerBackend.named("one")
        defer { backend.close() }
        let folder = try TemporaryFolder()
        let taken = ScenarioFailure("every port tried is taken")
        for port in stride(from: 1_020, to: 1_000, by: -1) {
            let text = """
                user = nobody
                admin-socket = "FOLDER/admin"
                server { addr = 127.0.0.1
                 port = \(port)
                 downstream b { addr = 127.0.0.1
                 port = \(backend.address.port) } }

                """
            guard let proxy = try? ProxyUnderTest(text: text, folder: folder) else { continue }
            #expect(try proxy.connect().get("/").status == 200)
            #expect(status(try proxy.serverProcess(), "Uid").first == (try ids("nobody").user))
            return try proxy.stop()
        }
        throw taken
    }

    @Test("a name that the system does not know is one sentence and no start", arguments: ["user", "group"])
    func unknown(word: String) throws {
        let folder = try TemporaryFolder()
        let file = try folder.write("weir.conf", "\(word) = nosuchname\nserver { addr = 127.0.0.1\n port = 0\n downstream b { addr = ::1\n port = 1 } }\n")
        let run = try ChildProcess.run([try ProxyUnderTest.binaryPath(), "run", file])
        #expect(run.ending == .exit(1))
        #expect(run.errors.contains(text: "\(word) = nosuchname: this system has no such \(word)"))
    }

    @Test("whoever is not root cannot become somebody else, and is told so")
    func notRoot() throws {
        let folder = try TemporaryFolder()
        let file = try folder.write("weir.conf", "user = daemon\nserver { addr = 127.0.0.1\n port = 0\n downstream b { addr = ::1\n port = 1 } }\n")
        let process = try ChildProcess([try ProxyUnderTest.binaryPath(), "run", file], user: 65_534)
        #expect(try process.waitForEnd() == .exit(1))
        #expect(process.standardError.contains(text: "only root may become another user or group"))
    }
}

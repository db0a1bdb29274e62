import Glibc
import TestSupport
import Testing

@Suite("Running in the background", .scenario)
struct DaemonTests {
    /// What `weir run` of a configuration that goes to the background leaves behind; ended with the value.
    private final class Running {
        let folder: TemporaryFolder
        let command: (ending: ChildProcess.Ending, output: Bytes, errors: Bytes)
        let supervisor: pid_t

        init(_ text: String, in folder: TemporaryFolder) throws {
            self.folder = folder
            let file = try folder.write("weir.conf", text.replacing("FOLDER", with: folder.path))
            command = try ChildProcess.run([try ProxyUnderTest.binaryPath(), "run", file])
            supervisor = FileContent.read(folder.path("pid")).flatMap { pid_t($0.text.split(separator: "\n").first ?? "") } ?? 0
        }

        var addresses: [PeerAddress] { ProxyUnderTest.announced(in: command.output) }

        func link(_ name: String) -> String {
            var target = Bytes(repeating: 0, count: 512)
            let length = target.withUnsafeMutableBytes {
                readlink("/proc/\(supervisor)/\(name)", $0.baseAddress!.assumingMemoryBound(to: CChar.self), $0.count)
            }
            return Bytes(target.prefix(max(0, length))).text
        }

        var server: pid_t {
            let children = FileContent.read("/proc/\(supervisor)/task/\(supervisor)/children")?.text ?? ""
            return children.split(separator: " ").first.flatMap { pid_t($0) } ?? 0
        }

        var isAlive: Bool { supervisor > 0 && kill(supervisor, 0) == 0 }

        func stop() throws {
            kill(supervisor, SIGTERM)
            try eventually("the daemon has ended") { !isAlive }
        }

        deinit { if supervisor > 1 { kill(supervisor, SIGKILL) } }
    }

    private func text(_ backend: any TestBackend, _ global: String = "", server: String = "", port: UInt16 = 0) -> String {
        """
        daemonize = true
        pid-file = "FOLDER/pid"
        admin-socket = "FOLDER/admin"
        workers = 1
        logging { general { enabled = true
         output = "file:FOLDER/general.log" } }
        \(global)
        server {
          addr = 127.0.0.1
          port = \(port)
          \(server)
          downstream b { addr = 127.0.0.1
           port = \(backend.address.port) }
        }

        """
    }

    @Test("the command ends with 0 when requests are answered, and the daemon has a session and no streams of its caller")
    func background() throws {
        let backend = try HandlerBackend.named("one")
        defer { backend.close() }
        let daemon = try Running(text(backend), in: try TemporaryFolder())
        #expect(daemon.command.ending == .exit(0))
        let address = try #require(daemon.addresses.first)
        #expect(try ScriptedClient(to: address).get().status == 200)
        #expect(getsid(daemon.supervisor) == daemon.supervisor)
        #expect(daemon.link("cwd") == "/")
        for process in [daemon.supervisor, daemon.server] {
            for stream in 0...2 {
                var status = stat()
                #expect(stat("/proc/\(process)/fd/\(stream)", &status) == 0 && status.st_mode & S_IFMT == S_IFCHR)
            }
        }
        try daemon.stop()
        #expect(FileContent.read(daemon.folder.path("pid")) == nil)
        #expect(FileContent.read(daemon.folder.path("general.log"))?.contains(text: "stopping") == true)
    }

    @Test("a start that fails in the background ends the command with its exit code and its sentence")
    func failure() throws {
        let backend = try HandlerBackend.named("one")
        defer { backend.close() }
        // The port of the backend is taken.
        let daemon = try Running(text(backend, port: backend.address.port), in: try TemporaryFolder())
        #expect(daemon.command.ending == .exit(1))
        #expect(daemon.command.errors.contains(text: "another process listens there"))
        #expect(FileContent.read(daemon.folder.path("pid")) == nil)
    }

    @Test("a server process that cannot serve ends the command too, and it is told why", .enabled(if: geteuid() == 0))
    func serverFails() throws {
        let backend = try HandlerBackend.named("one")
        defer { backend.close() }
        let daemon = try Running(text(backend, "group = nosuchgroup"), in: try TemporaryFolder())
        #expect(daemon.command.ending == .exit(1))
        #expect(daemon.command.errors.contains(text: "no such group"))
    }

    @Test("rootdir is where the daemon works, and where relative paths begin, also when logs are opened anew")
    func rootDirectory() throws {
        let backend = try HandlerBackend.named("one")
        defer { backend.close() }
        let folder = try TemporaryFolder()
        let root = try folder.makeFolder("root")
        let log = "logging { request { enabled = true\n output = \"file:access.log\"\n format = \"{URI}\" } }"
        let daemon = try Running(text(backend, "rootdir = \"\(root)\"", server: log), in: folder)
        #expect(daemon.command.ending == .exit(0))
        #expect(daemon.link("cwd") == root)
        let address = try #require(daemon.addresses.first)
        #expect(try ScriptedClient(to: address).get("/before").status == 200)
        try eventually("the line is there") { FileContent.read(root + "/access.log")?.text == "/before\n" }
        try FileContent.move(root + "/access.log", to: root + "/old.log")
        kill(daemon.supervisor, SIGUSR1)
        try eventually("the file is there again") { FileContent.read(root + "/access.log") != nil }
        try daemon.stop()
    }

    @Test("rootdir counts in the foreground as well, and one that is not there is no start")
    func foregroundRoot() throws {
        let backend = try HandlerBackend.named("one")
        let folder = try TemporaryFolder()
        let root = try folder.makeFolder("root")
        try withProxy(ProxyConfiguration(global: [Setting("rootdir", "\"\(root)\"")], servers: [.init(downstreams: [.init(backend)])])) { proxy in
            defer { backend.close() }
            #expect(try proxy.connect().get("/").status == 200)
            for process in [proxy.process.pid, try proxy.serverProcess()] {
                var target = [CChar](repeating: 0, count: 512)
                readlink("/proc/\(process)/cwd", &target, 511)
                #expect(String(decoding: target.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self) == root)
            }
        }
        let file = try folder.write("bad.conf", "rootdir = \"/no/such/place\"\nserver { addr = 127.0.0.1\n port = 0\n downstream b { addr = ::1\n port = 1 } }\n")
        let run = try ChildProcess.run([try ProxyUnderTest.binaryPath(), "run", file])
        #expect(run.ending == .exit(1) && run.errors.contains(text: "/no/such/place"))
    }

    @Test("the pid-file names the process to signal while it serves, and is refused to a second one")
    func pidFile() throws {
        let backend = try HandlerBackend.named("one")
        let folder = try TemporaryFolder()
        let path = folder.path("weir.pid")
        let configuration = ProxyConfiguration(global: [Setting("pid-file", "\"\(path)\"")], servers: [.init(downstreams: [.init(backend)])])
        defer { backend.close() }
        let first = try ProxyUnderTest(configuration)
        #expect(FileContent.read(path)?.text == "\(first.process.pid)\n")
        #expect(throws: ScenarioFailure.self) { _ = try ProxyUnderTest(configuration) }
        #expect(FileContent.read(path)?.text == "\(first.process.pid)\n")
        #expect(try first.connect().get("/").status == 200)
        try first.stop()
        #expect(FileContent.read(path) == nil)

        // The number of a process that was killed holds nothing, whoever has that number now.
        try folder.write("weir.pid", "\(getpid())\n")
        try withProxy(configuration) { proxy in
            #expect(FileContent.read(path)?.text == "\(proxy.process.pid)\n")
        }
        try folder.write("weir.pid", "somebody's text\n")
        #expect(throws: ScenarioFailure.self) { _ = try ProxyUnderTest(configuration) }
        #expect(FileContent.read(path)?.text == "somebody's text\n")
    }
}

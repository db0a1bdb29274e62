import Glibc
import TestSupport
import Testing

@Suite("The resource plan against what is there", .scenario)
struct PlanTests {
    /// What the descriptors of a process are, as /proc names them.
    private func targets(_ process: pid_t) -> [String] {
        FolderContent.names("/proc/\(process)/fd").map { number in
            var target = [CChar](repeating: 0, count: 512)
            readlink("/proc/\(process)/fd/\(number)", &target, 511)
            return String(decoding: target.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
    }

    @Test("listeners, rings, pipes, log files and descriptors are as many as `weir check --plan` says")
    func exact() throws {
        let backend = try HandlerBackend.named("one")
        let folder = try TemporaryFolder()
        let logging = """
              logging {
                request { enabled = true
                 output = "file:\(folder.path("a-{WORKER}.log"))"
                 format = "{URI}" }
                error { enabled = true
                 output = "file:\(folder.path("e.log"))" }
              }
            """
        let servers = [
            ProxyConfiguration.Server(sections: [logging], downstreams: [.init(backend)]),
            ProxyConfiguration.Server([.threads(1)], downstreams: [.init(backend)]),
            ProxyConfiguration.Server(address: "unix:\(folder.path("front"))", downstreams: [.init(backend)]),
        ]
        try withProxy(ProxyConfiguration(workers: 2, servers: servers)) { proxy in
            defer { backend.close() }
            let run = try ChildProcess.run([try ProxyUnderTest.binaryPath(), "check", "--plan", proxy.folder.path("weir.conf")])
            let plan = try JSONValue(run.output)
            func number(_ path: String...) -> Int? {
                path.reduce(Optional(plan)) { $0?[$1] }?.number.map { Int($0) }
            }
            let server = try proxy.serverProcess()
            let targets = targets(server)
            #expect(number("rings", "count") == targets.count { $0 == "anon_inode:[io_uring]" })
            let planned = (plan["listeners"]?.elements ?? []).reduce(0) { $0 + ($1["workers"]?.elements.count ?? 0) }
            #expect(planned == 2 + 1 + 1)
            // Of the other sockets one leads to the supervisor, one is the admin socket, and names may have some.
            #expect(targets.count { $0.hasPrefix("socket:") } >= planned + 2)
            #expect(targets.count { $0.contains("/a-0.log") } == 1 && targets.count { $0.contains("/a-1.log") } == 1)
            #expect(targets.count { $0.contains("/e.log") } == 2)
            let logs = plan["logs"]?.elements ?? []
            #expect(logs.first { $0["output"]?.string?.hasSuffix("{WORKER}.log") == true }?["files"] == .number(2))
            #expect(targets.count <= (number("descriptors", "fixed") ?? 0))
            // The pipes come with the first splice.
            #expect(number("pipes", "count") == 2)
            #expect(proxy.operatorLog.contains("2 rings of 1024 + 16384 entries") && proxy.operatorLog.contains("2 pipes of 1m"))
            #expect(proxy.operatorLog.contains("4 listeners"))
        }
    }

    @Test("max-nofile is what both processes have, in both dialects; less than that is no start", arguments: [1, 2])
    func openFiles(dialect: Int) throws {
        let backend = try HandlerBackend.named("one")
        let title = dialect == 1 ? "" : "b"
        let text = "max-nofile = 777\nmemtrim-sz = 65536\nserver { addr = 127.0.0.1\n port = 0\n downstream \(title) { addr = 127.0.0.1\n port = \(backend.address.port) } }\n"
        let folder = try TemporaryFolder()
        let proxy = try ProxyUnderTest(text: "admin-socket = \"FOLDER/admin\"\n" + text, folder: folder)
        for process in [proxy.process.pid, try proxy.serverProcess()] {
            let limits = FileContent.read("/proc/\(process)/limits")?.text ?? ""
            let line = try #require(limits.split(separator: "\n").first { $0.hasPrefix("Max open files") })
            #expect(line.split(separator: " ")[3] == "777")
        }
        #expect(try proxy.connect().get("/").status == 200)
        #expect(proxy.operatorLog.contains("open files 777"))
        #expect(proxy.operatorLog.contains("memory by "))
        try proxy.stop()
        let file = try folder.write("more.conf", text.replacing("777", with: "9000"))
        let limited = try ChildProcess([try ProxyUnderTest.binaryPath(), "run", file], openFilesMax: 500, user: 65_534)
        #expect(try limited.waitForEnd() == .exit(1))
        #expect(limited.standardError.contains(text: "max-nofile = 9000 is above the hard limit of 500"))
        backend.close()
    }
}

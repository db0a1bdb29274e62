import Glibc
import Testing

/// Nobody listens on the discard port: requests are answered by Weir itself.
private let quick = ["--listen", "127.0.0.1:0", "--to", "127.0.0.1:9"]

private func configuration(_ global: String = "", server: String = "") -> String {
    """
    workers = 2
    \(global)
    server {
        addr = 127.0.0.1
        port = 0
        \(server)
        downstream nobody {
            addr = 127.0.0.1
            port = 9
        }
    }
    """
}

@Suite("Supervisor and server process", .serialized)
struct SupervisorTests {
    @Test("a run says where it listens, answers, and ends with 0 at SIGTERM and SIGINT", arguments: [SIGTERM, SIGINT])
    func runsAndStops(signal: Int32) throws {
        let (weir, port) = try RunningWeir.serving(["run"] + quick)
        #expect(weir.readyLines == ["127.0.0.1:\(port)"])
        #expect(TestConnection.isAnswered(port: port))
        let server = try #require(weir.server)
        weir.signal(signal)
        #expect(try weir.end() == 0)
        #expect(kill(server, 0) != 0, "the server process outlived its supervisor")
    }

    @Test("the quick proxy needs no sub-command")
    func quickWithoutSubcommand() throws {
        let (weir, port) = try RunningWeir.serving(quick)
        #expect(TestConnection.isAnswered(port: port))
        weir.signal(SIGTERM)
        #expect(try weir.end() == 0)
    }

    @Test("the ready line also goes to --ready-fd")
    func readyDescriptor() throws {
        let folder = try Folder()
        let ready = "\(folder.path)/ready"
        let weir = try RunningWeir(
            ["run", "--ready-fd", "9"] + quick, wrapper: ["sh", "-c", "exec \"$0\" \"$@\" 9>\(ready)"])
        let port = try #require(try weir.readyPorts().first)
        weir.signal(SIGTERM)
        #expect(try weir.end() == 0)
        #expect(RunningWeir.text(ready) == "weir: listening on 127.0.0.1:\(port)\n")
    }

    @Test("one Ctrl-C that reaches both processes is one stop")
    func signalToBothProcesses() throws {
        let (weir, _) = try RunningWeir.serving(["run"] + quick)
        let server = try #require(weir.server)
        kill(server, SIGINT)
        weir.signal(SIGINT)
        #expect(try weir.end() == 0)
        #expect(!weir.standardError.contains("died"))
        #expect(!weir.standardError.contains("ending at once"))
    }

    @Test("a second signal ends at once, whatever the deadline")
    func secondSignal() throws {
        let folder = try Folder()
        let file = try folder.write("weir.conf", configuration("drain-timeout = \"600s\""))
        let (weir, port) = try RunningWeir.serving(["run", file])
        // A request that never ends keeps the drain waiting.
        let connection = try #require(TestConnection(port: port))
        connection.send("POST / HTTP/1.1\r\nHost: weir.test\r\nContent-Length: 100\r\n\r\n")
        weir.signal(SIGTERM)
        try weir.waitForError("stopping:")
        weir.signal(SIGTERM)
        #expect(try weir.end() == 0)
    }

    @Test("a server process that is killed is replaced, and the port never closes")
    func restartAfterKill() throws {
        let (weir, port) = try RunningWeir.serving(["run"] + quick)
        let first = try #require(weir.server)
        kill(first, SIGKILL)
        // What the dying process has taken is lost with it, but nobody is turned away.
        #expect(TestConnection(port: port) != nil)
        try weir.waitForError("died of SIGKILL")
        // Sent before the next process serves, or after: it waits in the queue that the supervisor keeps.
        #expect(TestConnection.isAnswered(port: port))
        try weir.waitForError("serving again")
        #expect(weir.standardError.contains("the server process \(first) died of SIGKILL"))
        #expect(weir.server != first)
        weir.signal(SIGTERM)
        #expect(try weir.end() == 0)
    }

    @Test("after five deaths in a row the next start waits, and says so")
    func backOff() throws {
        let (weir, _) = try RunningWeir.serving(["run"] + quick)
        var killed: Set<pid_t> = []
        for _ in 0..<6 {
            try weir.wait("server process") { weir in weir.standardError.count(of: "serving again") == killed.count }
            let server = try #require(weir.server)
            #expect(killed.insert(server).inserted)
            kill(server, SIGKILL)
        }
        try weir.waitForError("died 6 times in a row; the next start is in 1 s")
        weir.signal(SIGTERM)
        #expect(try weir.end() == 0)
    }

    @Test("a trap is answered within 300 ms, and its note names worker, step and line")
    func trap() throws {
        let folder = try Folder()
        let file = try folder.write("weir.conf", configuration("debug-trap-at-request = 1"))
        let (weir, port) = try RunningWeir.serving(["run", file])
        // The best of five, which is as often as the supervisor starts it at once: the time is its own, unless other tests take
        // the processors.
        let allowed = 300 * (getenv("WEIR_TIME_FACTOR").flatMap { Int(String(cString: $0)) } ?? 1)
        var best = Int.max
        for attempt in 1...5 where best >= allowed {
            if attempt > 1 { print("listening again took \(best) ms at best, with a load of \(RunningWeir.text("/proc/loadavg").prefix { $0 != " " })") }
            #expect(TestConnection.status(port: port).isEmpty)
            let broke = RunningWeir.now()
            #expect(TestConnection.isAnswered(port: port))
            best = min(best, RunningWeir.now() - broke)
        }
        #expect(best < allowed, "listening again after \(best) ms")
        try weir.waitForError("serving again")
        let report = try #require(weir.standardError.split(separator: "\n").first { $0.contains(" died of ") })
        #expect(report.contains("died of SIG"))
        #expect(report.contains(" in worker "))
        #expect(report.contains(" at step "))
        #expect(report.contains("(begun at Proxy/"))
        // The line itself is found while the next process serves; sanitizers run without backtraces.
        if getenv("SWIFT_BACKTRACE") == nil {
            try weir.wait("reason") { $0.standardError.contains("the crash of process ") }
            let reason = try #require(weir.standardError.split(separator: "\n").last { $0.contains("the crash of process ") })
            #expect(reason.contains(".swift:"))
        }
        weir.signal(SIGTERM)
        #expect(try weir.end() == 0)
    }

    @Test("a server whose supervisor is killed ends by itself")
    func supervisorKilled() throws {
        let (weir, port) = try RunningWeir.serving(["run"] + quick)
        let server = try #require(weir.server)
        weir.signal(SIGKILL)
        // Both streams end only when the server, which inherited them, has ended too.
        #expect(try weir.end() == -SIGKILL)
        try eventually("the server process is gone") {
            kill(server, 0) < 0 || RunningWeir.text("/proc/\(server)/stat").contains(") Z")
        }
        // A process counts as gone when its first thread is; the last one closes the port.
        try eventually("the port is closed") { TestConnection(port: port) == nil }
    }

    @Test("SIGUSR1 goes on in new log files")
    func reopensLogs() throws {
        let folder = try Folder()
        let log = "\(folder.path)/access.log"
        let file = try folder.write(
            "weir.conf",
            configuration(server: "logging { request { enabled = true  output = \"file:\(log)\" } }"))
        let (weir, port) = try RunningWeir.serving(["run", file])
        #expect(TestConnection.isAnswered(port: port))
        rename(log, log + ".1")
        weir.signal(SIGUSR1)
        try weir.waitForError("log files reopened")
        #expect(access(log, F_OK) == 0)
        weir.signal(SIGTERM)
        #expect(try weir.end() == 0)
        unlink(log + ".1")
    }

    @Test("the server process has only what it needs: no file of the configuration, no other descriptor")
    func descriptors() throws {
        let (weir, _) = try RunningWeir.serving(["run"] + quick)
        let server = try #require(weir.server)
        #expect(RunningWeir.text("/proc/\(server)/cmdline") == "weir\0server-process\0")
        let open = RunningWeir.targets(of: server)
        #expect(open[3]?.hasPrefix("socket:") == true)
        #expect(!open.values.contains { $0.hasSuffix(".conf") })
        #expect(!open.values.contains { $0.contains("signalfd") })
        weir.signal(SIGTERM)
        #expect(try weir.end() == 0)
    }

    @Test("the server process alone is of no use")
    func serverWithoutSupervisor() throws {
        let result = try RunningWeir.result(["server-process"])
        #expect(result.code == 2)
        #expect(result.errors.contains("use 'weir run'"))
    }
}

extension String {
    func count(of text: String) -> Int {
        var count = 0
        var rest = self[...]
        while let found = rest.firstRange(of: text) {
            count += 1
            rest = rest[found.upperBound...]
        }
        return count
    }
}

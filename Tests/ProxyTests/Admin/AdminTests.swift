import Glibc
import Testing

@testable import Proxy

@Suite("Admin commands")
struct AdminCommandTests {
    @Test(
        "words are taken with any spaces between them",
        arguments: [
            ("stat", .stat), ("stat json", .statJSON), ("  stat   json ", .statJSON), ("version", .version), ("help", .help),
            ("STAT", nil), ("", nil), ("stat xml", nil),
        ] as [(String, AdminCommand?)])
    func words(line: String, expected: AdminCommand?) { #expect(AdminCommand(line: line) == expected) }
}

@Suite("JSON text")
struct JSONTextTests {
    @Test("values are printed so that any reader takes them")
    func printed() {
        #expect(JSONText.list([.number(1), .null, .truth(true), .decimal(0.5)]).printed() == "[1, null, true, 0.5]")
        #expect(JSONText.object([]).printed() == "{}")
        #expect(
            JSONText.object([("a", .list([.object([("b", .text("c"))])]))]).printed()
                == "{\n  \"a\": [\n    {\n      \"b\": \"c\"\n    }\n  ]\n}")
    }

    @Test("quotes, backslashes and control characters are escaped")
    func escaped() {
        #expect(JSONText.text("a\"b\\c\n\u{1}é").printed() == "\"a\\\"b\\\\c\\n\\u0001é\"")
    }
}

@Suite("Report of counters")
struct StatReportTests {
    private func worker(_ values: [WorkerCounter: UInt64]) -> [UInt64] { WorkerCounter.allCases.map { values[$0] ?? 0 } }
    private func backend(_ values: [BackendCounter: UInt64]) -> [UInt64] { BackendCounter.allCases.map { values[$0] ?? 0 } }

    private var report: StatReport {
        StatReport(
            process: 7, uptimeMilliseconds: 1_500, restarts: 1, allocator: "glibc",
            workers: [
                .init(index: 0, counters: worker([.requests: 3, .ticks: 5])),
                .init(index: 1, counters: worker([.requests: 4])),
            ],
            backends: [
                .init(worker: 0, server: 0, name: "a", address: "x:1", counters: backend([.requests: 2, .roundTripMicroseconds: 100, .state: 1])),
                .init(worker: 1, server: 0, name: "a", address: "x:1", counters: backend([.requests: 3, .roundTripMicroseconds: 300, .state: 1])),
                .init(worker: 1, server: 0, name: "a", address: "y:1", counters: backend([.requests: 1])),
            ])
    }

    @Test("workers are summed up")
    func total() {
        #expect(report.total[WorkerCounter.requests.rawValue] == 7)
        #expect(report.total[WorkerCounter.ticks.rawValue] == 5)
    }

    @Test("a backend is one address; counts add up, round trips are averaged, a state is no sum")
    func backends() {
        let totals = report.backendTotals
        #expect(totals.map(\.address) == ["x:1", "y:1"])
        #expect(totals[0].counters[BackendCounter.requests.rawValue] == 5)
        #expect(totals[0].counters[BackendCounter.roundTripMicroseconds.rawValue] == 200)
        #expect(totals[0].counters[BackendCounter.state.rawValue] == 1)
    }

    @Test("the text leaves zeros out and shows each worker beside the sum")
    func text() {
        #expect(report.text.contains("  requests                  7  (3 4)\n"))
        #expect(!report.text.contains("retries"))
        #expect(report.text.contains("backend a x:1 of server 0"))
    }
}

@Suite("Where the admin socket stands")
struct AdminPathTests {
    @Test("root has /run, others their session's directory or one of their own")
    func directory() {
        #expect(AdminPath.directory(user: 0, environment: [:]) == "/run/weir")
        #expect(AdminPath.directory(user: 5, environment: ["XDG_RUNTIME_DIR": "/run/user/5"]) == "/run/user/5/weir")
        #expect(AdminPath.directory(user: 5, environment: ["XDG_RUNTIME_DIR": "relative"]) == "/tmp/weir-5")
        #expect(AdminPath.directory(user: 5, environment: [:]) == "/tmp/weir-5")
    }

    @Test("a directory that others may write to is not trusted")
    func trust() throws {
        let folder = try Folder()
        #expect(AdminPath.prepare(folder.path, user: geteuid()))
        #expect(!AdminPath.prepare(folder.path, user: geteuid() + 1))
        chmod(folder.path, 0o777)
        #expect(!AdminPath.prepare(folder.path, user: geteuid()))
        chmod(folder.path, 0o700)
        #expect(!AdminPath.prepare("/dev/null", user: geteuid()))
    }

    @Test("sockets of dead processes are cleared away, one living is found, two must be named")
    func only() throws {
        let folder = try Folder()
        #expect(throws: LaunchFailure.self) { try AdminPath.only(in: folder.path) }
        // No process has a number above the kernel's largest.
        let dead = try folder.write("2147483647.sock", "")
        let mine = try folder.write("\(getpid()).sock", "")
        #expect(try AdminPath.only(in: folder.path) == mine)
        #expect(access(dead, F_OK) < 0)
        _ = try folder.write("1.sock", "")
        let failure = #expect(throws: LaunchFailure.self) { try AdminPath.only(in: folder.path) }
        #expect(failure?.description.contains("--socket PATH") == true)
    }
}

@Suite("Admin socket of a running Weir")
struct RunningAdminTests {
    private func running(_ body: (_ weir: RunningWeir, _ port: UInt16, _ socket: String) throws -> Void) throws {
        let folder = try Folder()
        let backend = OneAnswerBackend()
        let socket = "\(folder.path)/admin"
        let file = try folder.write(
            "weir.conf",
            "workers = 2\nadmin-socket = \"\(socket)\"\nserver {\n addr = 127.0.0.1\n port = 0\n downstream a {\n addr = 127.0.0.1\n port = \(backend.port)\n }\n}\n")
        let (weir, port) = try RunningWeir.serving(["run", file])
        try body(weir, port, socket)
        weir.signal(SIGTERM)
        #expect(try weir.end() == 0)
        #expect(access(socket, F_OK) < 0)
    }

    @Test("weir stat counts the requests of all workers, as text and as JSON")
    func statCounts() throws {
        try running { weir, port, socket in
            for _ in 0..<3 { #expect(!TestConnection.status(port: port).isEmpty) }
            var json = ""
            try eventually("three requests are counted") {
                json = (try? RunningWeir.result(["stat", "--json", "--socket", socket]).output) ?? ""
                return json.contains("\"requests\": 3")
            }
            #expect(json.contains("\"total\": {") && json.contains("\"workers\": [") && json.contains("\"submissions\": "))
            let text = try RunningWeir.result(["stat", "--socket", socket])
            #expect(text.code == 0)
            #expect(text.output.contains("requests                  3"))
        }
    }

    @Test("the socket is its owner's alone")
    func mode() throws {
        try running { _, _, socket in
            var status = stat()
            #expect(lstat(socket, &status) == 0)
            #expect(status.st_mode & 0o777 == 0o600)
        }
    }

    @Test("guests that say nothing, or too much, harm nobody")
    func badGuests() throws {
        try running { _, _, socket in
            let silent = (0..<AdminServer.guestsMax - 1).compactMap { _ in guest(socket) }
            let long = try #require(guest(socket))
            write(String(repeating: "x", count: 1_000), to: long)
            // It is thrown out, which makes room for this one.
            #expect(try AdminClient.ask("nonsense", at: socket).contains("no such command"))
            #expect(try AdminClient.ask("version", at: socket).contains("liburing"))
            for descriptor in silent + [long] { close(descriptor) }
        }
    }

    @Test("a socket with nobody behind it is explained")
    func nobody() throws {
        let result = try RunningWeir.result(["stat", "--socket", "/tmp/weir-no-such-socket"])
        #expect(result.code == 1)
        #expect(result.errors.contains("no Weir has its admin socket there"))
    }

    private func guest(_ path: String) -> Int32? {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard let address = SocketAddress(unixPath: path), address.connect(descriptor) == 0 else { return nil }
        return descriptor
    }
}

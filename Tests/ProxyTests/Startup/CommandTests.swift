import Glibc
import Testing

@testable import Proxy

private let file = """
    workers = 2
    max-nofile = 1000
    server {
        addr = 127.0.0.1
        port = 8080
        threads = 1
        downstream a {
            addr = 127.0.0.1
            port = 9
        }
    }
    """

@Suite("Commands")
struct CommandTests {
    @Test("check is content with a good file and says nothing")
    func check() throws {
        let folder = try Folder()
        let result = try RunningWeir.result(["check", try folder.write("weir.conf", file)])
        #expect(result == (0, "", ""))
    }

    @Test("check --plan tells what a configuration takes, without starting anything")
    func plan() throws {
        let folder = try Folder()
        let result = try RunningWeir.result(["check", "--plan", try folder.write("weir.conf", file)])
        #expect(result.code == 0)
        for part in ["\"workers\": 2", "\"address\": \"127.0.0.1:8080\"", "\"limitSoft\": 1000", "\"pools\": [", "\"rings\": {"] {
            #expect(result.output.contains(part), "\(part)")
        }
    }

    @Test("version names Weir and every library")
    func version() throws {
        let result = try RunningWeir.result(["version"])
        #expect(result.code == 0)
        for name in ["weir ", "swift ", "liburing 2", "c-ares 1", "pcre2 10.", "allocator ", "kernel "] {
            #expect(result.output.split(separator: "\n").contains { $0.hasPrefix(name) }, "\(name)")
        }
    }

    @Test("every command explains itself", arguments: ["", "run", "check", "doctor", "demo", "stat", "version"])
    func help(command: String) throws {
        let words = command.isEmpty ? ["--help"] : [command, "--help"]
        let result = try RunningWeir.result(words)
        #expect(result.code == 0)
        #expect(result.output.hasPrefix("OVERVIEW: "))
        #expect(!result.output.contains("server-process"))
    }

    @Test("help settings explains the words of a file")
    func settingsHelp() throws {
        let result = try RunningWeir.result(["help", "settings"])
        #expect(result.code == 0)
        #expect(!result.output.isEmpty)
    }

    @Test("the demo starts an origin and the proxy, says what to try, and ends clean")
    func demo() throws {
        let (weir, port) = try RunningWeir.serving(["demo", "--port", "0"])
        try weir.waitForError("curl -i http://127.0.0.1:\(port)/")
        #expect(weir.standardError.contains("weir stat"))
        let children = RunningWeir.text("/proc/\(weir.process)/task/\(weir.process)/children").split(separator: " ")
        #expect(children.count == 2)
        #expect(!TestConnection.status(port: port).isEmpty)
        weir.signal(SIGINT)
        #expect(try weir.end() == 0)
        for child in children { #expect(kill(pid_t(child) ?? 0, 0) < 0 || RunningWeir.text("/proc/\(child)/stat").contains(") Z")) }
    }

    @Test("the version of a library that does not tell it stands in its file's name")
    func loadedVersion() {
        let maps = "7f00-7f01 r-xp 0 00:00 1 /usr/lib/x86_64-linux-gnu/liburing.so.2.3.0\n"
        #expect(Versions.loadedVersion("liburing", maps: maps) == "2.3.0")
        #expect(Versions.loadedVersion("libother", maps: maps) == nil)
    }
}

@Suite("Resource plan")
struct ResourcePlanTests {
    private func plan(limit: UInt64 = 10_000, change: (inout GlobalSettings) -> Void = { _ in }) -> ResourcePlan {
        var settings = GlobalSettings()
        var server = ServerSettings()
        server.addresses = [.ipv4("127.0.0.1", port: 80), .unix("/run/x")]
        var backend = BackendSettings()
        backend.connectionsMax = 16
        server.backends = [backend, backend]
        server.backends[1].enabled = false
        settings.servers = [server]
        change(&settings)
        let crew = Crew(wanted: 4, machine: MachineShare(cpus: [0, 1, 2, 3], quota: nil))
        return ResourcePlan(settings: settings, crew: crew, openFiles: ResourceLimit(soft: limit, hard: limit))
    }

    @Test("limits count per worker, and backends that are off count nothing")
    func totals() {
        #expect(plan().backendConnectionsMax == 64)
        #expect(plan().pendingMax == 4 * 1_024)
        #expect(plan { $0.servers[0].pending.countMax = 0 }.pendingMax == nil)
    }

    @Test("a unix address is one listener, another one for each worker that listens")
    func listeners() {
        #expect(plan().listenerCount == 5)
        #expect(plan { $0.servers[0].threads = 2 }.listenerCount == 3)
    }

    @Test("what is left of the descriptors is for clients, and never less than none")
    func clients() {
        let plan = plan()
        #expect(plan.clientConnectionsMax == 10_000 - plan.fixedDescriptors - 64)
        #expect(self.plan(limit: 10).clientConnectionsMax == 0)
    }
}

@Suite("Address book")
struct AddressBookTests {
    private func book() -> AddressBook {
        var settings = GlobalSettings()
        var server = ServerSettings()
        for (address, port) in [(BackendAddress.ipv4("10.0.0.1"), 80), (.name("web"), 81), (.name("web"), 82), (.unix("/x"), 0)] as [(BackendAddress, UInt16)] {
            var backend = BackendSettings()
            backend.address = address
            backend.port = port
            server.backends.append(backend)
        }
        settings.servers = [server]
        return AddressBook(settings)
    }

    private func literal(_ text: String, _ port: UInt16 = 0) -> SocketAddress { SocketAddress(literal: text, port: port)! }

    @Test("literals and paths are known from the start, each name is asked for once")
    func start() {
        var book = book()
        #expect(book.names == ["web"])
        let counts = book.table().entries.map(\.addresses.count)
        #expect(counts == [1, 0, 0, 1])
    }

    @Test("an answer reaches every user of the name, at its own port, in a new generation")
    func learns() {
        var book = book()
        let before = book.table().generation
        let news1 = book.learn("web", [literal("10.0.0.2"), literal("::1")])
        #expect(news1 == true)
        let table = book.table()
        #expect(table.generation > before)
        #expect(table.entries[1].addresses == [literal("10.0.0.2", 81), literal("::1", 81)])
        #expect(table.entries[2].addresses == [literal("10.0.0.2", 82), literal("::1", 82)])
    }

    @Test("the same answer in another order is no news, and an empty one takes nothing away")
    func noNews() {
        var book = book()
        let news2 = book.learn("web", [literal("10.0.0.2"), literal("10.0.0.3")])
        #expect(news2 == true)
        let news3 = book.learn("web", [literal("10.0.0.3"), literal("10.0.0.2")])
        #expect(news3 == false)
        let news4 = book.learn("web", [])
        #expect(news4 == false)
        let news5 = book.learn("other", [literal("10.0.0.9")])
        #expect(news5 == false)
        let known = book.table().entries[1].addresses
        #expect(known.count == 2)
    }
}

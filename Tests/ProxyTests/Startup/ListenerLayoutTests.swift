import Glibc
import Testing

@testable import Proxy

@Suite("Which sockets a changed configuration keeps, moves, opens and drops")
struct ListenerLayoutTests {
    private let web = ListenAddress.ipv4("127.0.0.1", port: 80)
    private let free = ListenAddress.ipv4("127.0.0.1", port: 0)

    private func settings(_ servers: [([ListenAddress], threads: Int?)]) -> GlobalSettings {
        var settings = GlobalSettings()
        settings.servers = servers.map { addresses, threads in
            var server = ServerSettings()
            server.addresses = addresses
            server.threads = threads
            return server
        }
        return settings
    }

    private func open(_ wanted: ListenAddress, group: Int, server: Int, workers: [Int]) -> [OpenListener] {
        workers.enumerated().map { place, worker in
            OpenListener(
                id: group * 10 + place, group: group, wanted: wanted, descriptor: -1, server: server, worker: worker,
                address: SocketAddress())
        }
    }

    /// The workers of the kept sockets, by their numbers, and those of the missing ones.
    private func shape(_ address: ListenerLayout.Address) -> [String] {
        address.kept.map { "\($0.id):\($0.worker)" } + address.missing.map { "new:\($0)" }
    }

    @Test("at the start every socket is missing")
    func start() {
        let layout = ListenerLayout(settings([([web], nil), ([.unix("/a")], nil)]), workers: 3, open: [])
        #expect(layout.addresses.map(shape) == [["new:0", "new:1", "new:2"], ["new:1"]])
        #expect(layout.dropped.isEmpty)
    }

    @Test("nothing changes where nothing changed")
    func same() {
        let sockets = open(web, group: 0, server: 0, workers: [0, 1]) + open(.unix("/a"), group: 1, server: 1, workers: [1])
        let layout = ListenerLayout(settings([([web], nil), ([.unix("/a")], nil)]), workers: 2, open: sockets)
        #expect(layout.addresses.flatMap(\.kept) == sockets)
        #expect(layout.addresses.allSatisfy { $0.missing.isEmpty })
        #expect(layout.dropped.isEmpty)
    }

    @Test("fewer workers share the sockets, none is dropped; more get theirs back before any is opened")
    func threads() {
        let sockets = open(web, group: 0, server: 0, workers: [0, 1, 2])
        let fewer = ListenerLayout(settings([([web], 1)]), workers: 4, open: sockets)
        #expect(fewer.addresses.map(shape) == [["0:0", "1:0", "2:0"]])
        #expect(fewer.dropped.isEmpty)
        let more = ListenerLayout(settings([([web], nil)]), workers: 4, open: fewer.addresses[0].kept)
        #expect(more.addresses.map(shape) == [["0:0", "1:1", "2:2", "new:3"]])
    }

    @Test("an address that another server takes over stays open")
    func handedOver() {
        let sockets = open(web, group: 0, server: 0, workers: [0, 1])
        let layout = ListenerLayout(settings([([.unix("/a")], nil), ([web], nil)]), workers: 2, open: sockets)
        #expect(Set(layout.addresses[1].kept.map(\.id)) == [0, 1])
        #expect(layout.addresses[1].kept.allSatisfy { $0.server == 1 })
        #expect(layout.dropped.isEmpty)
    }

    @Test("a unix socket stays with its worker wherever its server moves to")
    func unixStays() {
        let sockets = open(.unix("/a"), group: 0, server: 0, workers: [0])
        let layout = ListenerLayout(settings([([web], nil), ([.unix("/a")], nil)]), workers: 2, open: sockets)
        #expect(shape(layout.addresses[1]) == ["0:0"])
    }

    @Test("of addresses that are written alike each server keeps its own, and the last one goes")
    func alike() {
        let sockets = (0..<3).flatMap { open(free, group: $0, server: $0, workers: [0]) }
        let layout = ListenerLayout(settings([([free], nil), ([free, free], nil)]), workers: 1, open: sockets)
        #expect(layout.addresses.map { $0.kept.map(\.group) } == [[0], [1], [2]])
        let fewer = ListenerLayout(settings([([free], nil), ([free], nil)]), workers: 1, open: sockets)
        #expect(fewer.addresses.map { $0.kept.map(\.group) } == [[0], [1]])
        #expect(fewer.dropped.map(\.group) == [2])
    }

    @Test("another port is another address")
    func otherPort() {
        let sockets = open(web, group: 0, server: 0, workers: [0])
        let layout = ListenerLayout(settings([([.ipv4("127.0.0.1", port: 81)], nil)]), workers: 1, open: sockets)
        #expect(layout.addresses.map(shape) == [["new:0"]])
        #expect(layout.dropped == sockets)
    }

    @Test("addresses overlap where the same port is on all addresses")
    func overlap() throws {
        func overlap(_ one: String, _ other: String, ports: (UInt16, UInt16) = (80, 80)) throws -> Bool {
            let first = try #require(SocketAddress(literal: one, port: ports.0))
            return first.overlaps(try #require(SocketAddress(literal: other, port: ports.1)))
        }
        #expect(try overlap("0.0.0.0", "127.0.0.1"))
        #expect(try overlap("::1", "::"))
        #expect(try overlap("127.0.0.1", "127.0.0.1"))
        #expect(try overlap("0.0.0.0", "127.0.0.1", ports: (80, 81)) == false)
        #expect(try overlap("127.0.0.2", "127.0.0.1") == false)
        #expect(try overlap("0.0.0.0", "127.0.0.1", ports: (0, 0)) == false)
        #expect(try overlap("::", "127.0.0.1") == false)
    }
}

@Suite("What a running process cannot change")
struct PostponedSettingsTests {
    @Test("each such word is named where it differs from the start, and no other")
    func words() {
        let running = GlobalSettings()
        var wanted = running
        #expect(wanted.postponed(after: running).isEmpty)
        wanted.drainDeadlineMilliseconds += 1
        wanted.resolvers = ["127.0.0.1"]
        wanted.memoryTrimBytes = 1
        #expect(wanted.postponed(after: running).isEmpty)
        wanted.workers = 3
        wanted.user = "nobody"
        wanted.stickySecret = "0123456789abcdef"
        wanted.clientTableEntries = 4_096
        #expect(wanted.postponed(after: running) == ["workers", "user", "sticky-secret", "client-table-size"])
    }
}

@Suite("Work on a short-lived thread")
struct ShortThreadTests {
    @Test("its end is told by a descriptor, and its value is given once")
    func value() throws {
        let thread = ShortThread<Int>()
        #expect(thread.start("short") { 7 } == 0)
        try eventually("the value is there") {
            var done = pollfd(fd: thread.doneDescriptor, events: Int16(POLLIN), revents: 0)
            return poll(&done, 1, 0) == 1
        }
        #expect(thread.take() == 7)
        #expect(thread.take() == nil)
    }
}

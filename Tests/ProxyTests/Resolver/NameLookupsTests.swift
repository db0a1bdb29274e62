import Glibc
import TestSupport
import Testing

@testable import Proxy

@Suite("Names that backends send requests on to")
struct NameLookupsTests {
    private let server = ScriptedDNS()
    private let lookups: NameLookups

    init() { lookups = NameLookups(servers: [server.address], hostsPath: "/nonexistent") }

    /// Asks for names and gives what each question was told, by its slot.
    private func ask(_ names: [String], now: UInt64 = 1_000_000_000) -> [UInt32: [String]] {
        for (slot, name) in names.enumerated() {
            lookups.desk.post(NameQuestion(worker: 3, slot: UInt32(slot), generation: 7, name: name))
        }
        var told: [UInt32: [String]] = [:]
        for _ in 0..<1_000 where told.count < names.count {
            var entries = lookups.interests + [pollfd(fd: server.fd, events: Int16(POLLIN), revents: 0)]
            poll(&entries, nfds_t(entries.count), Int32(min(lookups.timeoutMilliseconds ?? 10, 100)))
            server.serve()
            for (worker, answer) in lookups.handle(entries.dropLast(), now: now) {
                #expect(worker == 3 && answer.generation == 7)
                told[answer.slot] = answer.addresses.map(\.description)
            }
        }
        return told
    }

    @Test("a name has its addresses of both families, IPv4 first")
    func both() {
        server.setAddresses("a.test", ["192.0.2.2", "192.0.2.1"], ["2001:db8::1"], ttl: 30)
        #expect(ask(["a.test"]) == [0: ["192.0.2.1:0", "192.0.2.2:0", "[2001:db8::1]:0"]])
    }

    @Test("a name that does not exist, or that nobody answers for, has none")
    func none() {
        server.setBoth("gone.test", .code(.nonexistent))
        server.setBoth("refused.test", .code(.refused))
        #expect(ask(["gone.test", "refused.test"]) == [0: [], 1: []])
    }

    @Test("many who ask for one name cost one question of each family, and an answer is remembered while it lives")
    func remembered() {
        server.setAddresses("a.test", ["192.0.2.1"], ttl: 10)
        let now: UInt64 = 1_000_000_000
        #expect(ask(Array(repeating: "a.test", count: 50), now: now).count == 50)
        #expect(server.count("a.test") == 2)
        _ = ask(["a.test"], now: now + 9_000_000_000)
        #expect(server.count("a.test") == 2)
        _ = ask(["a.test"], now: now + 11_000_000_000)
        #expect(server.count("a.test") == 4)
    }

    @Test("localhost is never a question")
    func localhost() {
        #expect(ask(["localhost"]) == [0: ["127.0.0.1:0", "[::1]:0"]])
        #expect(server.questions.isEmpty)
    }
}

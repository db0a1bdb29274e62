import TestSupport
import Testing

@testable import Proxy

@Suite("Name resolver against a scripted name server")
struct NameResolverTests {
    @Test("A and AAAA come together, without ports, in an order that does not depend on the server's")
    func bothFamilies() throws {
        let harness = try ResolverHarness(["backend.test"])
        harness.server.setAddresses("backend.test", ["10.0.0.2", "10.0.0.1"], ["fd00::2", "fd00::1"], ttl: 60)
        #expect(!harness.resolver.isResolved)
        harness.start()
        #expect(harness.resolver.isResolved)
        #expect(harness.changes() == ["backend.test": ["10.0.0.1", "10.0.0.2", "fd00::1", "fd00::2"]])
        #expect(!harness.resolver.changed)
        harness.server.setAddresses("backend.test", ["10.0.0.1", "10.0.0.2"], ["fd00::1", "fd00::2"], ttl: 60)
        harness.advance(seconds: 61)
        #expect(harness.server.count("backend.test") == 4)
        #expect(!harness.resolver.changed)
    }

    @Test("an answer lives as long as its TTL, and then a changed one is told")
    func timeToLive() throws {
        let harness = try ResolverHarness(["backend.test"])
        harness.server.setAddresses("backend.test", ["10.0.0.1"], ttl: 10)
        harness.start()
        _ = harness.changes()
        harness.server.setAddresses("backend.test", ["10.0.0.7", "10.0.0.8"], ttl: 10)
        harness.advance(seconds: 9)
        #expect(harness.server.questions.filter { $0.kind == .a }.count == 1)
        #expect(harness.resolver.nextTimeoutMilliseconds(now: harness.now) == 1_000)
        harness.advance(seconds: 1)
        #expect(harness.changes() == ["backend.test": ["10.0.0.7", "10.0.0.8"]])
        #expect(harness.resolver.takeNotices().isEmpty)
    }

    @Test("a TTL of zero counts as the least, a huge one as the most of the settings", arguments: [(UInt32(0), 1), (UInt32(86_400), 300)])
    func bounds(ttl: UInt32, seconds: Int) throws {
        let harness = try ResolverHarness(["backend.test"]) {
            $0.secondsToLiveMax = 300
            $0.otherFamilySeconds = 300
        }
        harness.server.setAddresses("backend.test", ["10.0.0.1"], ["fd00::1"], ttl: ttl)
        harness.start()
        #expect(harness.resolver.nextTimeoutMilliseconds(now: harness.now) == seconds * 1_000)
    }

    @Test("a resolver that follows another knows what that one knew, and asks for the rest")
    func follows() throws {
        let first = try ResolverHarness(["stays.test", "goes.test"])
        first.server.setAddresses("stays.test", ["10.0.0.1"], ["fd00::1"], ttl: 60)
        first.server.setAddresses("goes.test", ["10.0.0.2"], ["fd00::2"], ttl: 60)
        first.server.setAddresses("comes.test", ["10.0.0.3"], ["fd00::3"], ttl: 60)
        first.start()
        let second = try ResolverHarness(["comes.test", "stays.test"], server: first.server, after: first)
        #expect(second.addresses("stays.test") == ["10.0.0.1", "fd00::1"])
        #expect(!second.resolver.isSettled)
        second.start()
        #expect(second.addresses("comes.test") == ["10.0.0.3", "fd00::3"])
        #expect(second.resolver.isSettled)
        #expect(second.addresses("goes.test").isEmpty)
        #expect(first.server.count("stays.test") == 2, "asked anew though its answer lives")
        second.advance(seconds: 61)
        #expect(first.server.count("stays.test") == 4)
        #expect(first.server.count("goes.test") == 2)
    }

    @Test("server failures keep the last answer, are said once, and are retried ever more slowly")
    func serverFailure() throws {
        let harness = try ResolverHarness(["backend.test"])
        harness.server.setAddresses("backend.test", ["10.0.0.1"], ttl: 1)
        harness.start()
        _ = harness.changes()
        harness.server.setBoth("backend.test", .code(.serverFailure))
        var pauses: [Int] = []
        harness.advance(seconds: 31)
        for _ in 0..<7 {
            let pause = try #require(harness.resolver.nextTimeoutMilliseconds(now: harness.now)) / 1_000
            pauses.append(pause)
            harness.advance(seconds: Double(pause))
        }
        #expect(pauses == [1, 2, 4, 8, 16, 30, 30])
        #expect(harness.addresses("backend.test") == ["10.0.0.1"])
        #expect(!harness.resolver.changed)
        let notices = harness.resolver.takeNotices()
        #expect(notices.count == 1)
        #expect(notices.first?.description.contains("keeping the last 1 address") == true)
        harness.server.setAddresses("backend.test", ["10.0.0.2"], ttl: 1)
        harness.advance(seconds: 30)
        #expect(harness.changes() == ["backend.test": ["10.0.0.2"]])
        #expect(harness.resolver.takeNotices().map(\.isRecovery) == [true])
    }

    @Test("a name that is gone keeps its last addresses, and that is said once")
    func nonexistent() throws {
        let harness = try ResolverHarness(["backend.test"])
        harness.server.setAddresses("backend.test", ["10.0.0.1"], ["fd00::1"], ttl: 1)
        harness.start()
        _ = harness.changes()
        harness.server.script["backend.test"] = nil
        for _ in 0..<5 { harness.advance(seconds: 40) }
        #expect(harness.addresses("backend.test") == ["10.0.0.1", "fd00::1"])
        #expect(!harness.resolver.changed)
        let notices = harness.resolver.takeNotices()
        #expect(notices.map(\.trouble) == [.nonexistent])
    }

    @Test("a name that never was: settled, not resolved, asked for again")
    func never() throws {
        let harness = try ResolverHarness(["typo.test"])
        harness.start()
        #expect(harness.resolver.isSettled)
        #expect(!harness.resolver.isResolved)
        #expect(harness.resolver.addresses(of: "typo.test") == nil)
        #expect(
            harness.resolver.takeNotices().map(\.description) == [
                "typo.test does not exist for the name servers; none is known, asking again"
            ])
        harness.server.setAddresses("typo.test", ["10.0.0.1"], ttl: 60)
        harness.advance(seconds: 1)
        #expect(harness.changes() == ["typo.test": ["10.0.0.1"]])
    }

    @Test("a server that is silent is given up within the settings' patience, and the last answer stays")
    func silence() throws {
        let harness = try ResolverHarness(["backend.test"])
        harness.server.setAddresses("backend.test", ["10.0.0.1"], ttl: 1)
        harness.start()
        harness.server.setBoth("backend.test", .silence)
        let asked = harness.server.count("backend.test")
        harness.advance(seconds: 60)
        #expect(harness.server.count("backend.test") == asked + 4)  // two families, two attempts
        #expect(harness.addresses("backend.test") == ["10.0.0.1"])
        #expect(harness.resolver.takeNotices().map(\.trouble).count == 1)
        #expect(harness.resolver.nextTimeoutMilliseconds(now: harness.now) == 1_000)
    }

    @Test("trouble with one family costs the other nothing")
    func oneFamily() throws {
        let harness = try ResolverHarness(["backend.test"])
        harness.server.script["backend.test"] = [.a: .addresses(["10.0.0.1"], ttl: 60), .aaaa: .silence]
        harness.start()
        #expect(harness.addresses("backend.test") == ["10.0.0.1"])
        harness.server.script["backend.test"] = [.a: .code(.serverFailure), .aaaa: .addresses(["fd00::1"], ttl: 60)]
        harness.advance(seconds: 61)
        #expect(harness.addresses("backend.test") == ["10.0.0.1", "fd00::1"])
    }

    @Test("a family whose records are removed goes, while the other lives")
    func familyRemoved() throws {
        let harness = try ResolverHarness(["backend.test"])
        harness.server.setAddresses("backend.test", ["10.0.0.1"], ["fd00::1"], ttl: 5)
        harness.start()
        harness.server.setAddresses("backend.test", ["10.0.0.1"], [], ttl: 5)
        harness.advance(seconds: 5)
        #expect(harness.addresses("backend.test") == ["10.0.0.1"])
        #expect(harness.resolver.takeNotices().isEmpty)
    }

    @Test("a name that moves from one family to the other is followed at once")
    func familyMoves() throws {
        let harness = try ResolverHarness(["backend.test"])
        harness.server.setAddresses("backend.test", ["10.0.0.1"], [], ttl: 2)
        harness.start()
        harness.server.setAddresses("backend.test", [], ["fd00::1"], ttl: 2)
        harness.advance(seconds: 2)
        #expect(harness.addresses("backend.test") == ["fd00::1"])
    }

    @Test("aliases are followed, and the shortest TTL of the chain counts")
    func alias() throws {
        let harness = try ResolverHarness(["www.test"]) { $0.otherFamilySeconds = 300 }
        harness.server.script["www.test"] = [.a: .alias("real.test", ["10.0.0.3"], ttl: 60, aliasTTL: 7)]
        harness.start()
        #expect(harness.addresses("www.test") == ["10.0.0.3"])
        #expect(harness.resolver.nextTimeoutMilliseconds(now: harness.now) == 7_000)
    }

    @Test("many names, each once, are asked for together")
    func manyNames() throws {
        // Under a sanitizer each question takes long.
        let count = Patience.isStretched ? 40 : 200
        let names = (0..<count).map { "b\($0).test" }
        let harness = try ResolverHarness(names + names)
        for (index, name) in names.enumerated() { harness.server.setAddresses(name, ["10.0.1.\(index)"], ttl: 60) }
        harness.start()
        #expect(harness.resolver.isResolved)
        #expect(harness.changes().count == count)
        // A machine that is very slow has some of them asked again.
        #expect(Set(harness.server.questions.map { "\($0.name) \($0.kind)" }).count == 2 * count)
    }

    @Test(
        "names of containers, with underscores, capitals or a final dot, are names too",
        arguments: ["my_app.test", "My-App.test", "app.test."])
    func oddNames(name: String) throws {
        let harness = try ResolverHarness([name])
        let asked = name.lowercased()
        harness.server.setAddresses(asked.hasSuffix(".") ? String(asked.dropLast()) : asked, ["10.0.0.1"], ttl: 60)
        harness.start()
        #expect(harness.addresses(name) == ["10.0.0.1"])
    }

    @Test("an impossible name fails like any other, once said and slowly retried")
    func impossibleName() throws {
        let harness = try ResolverHarness([String(repeating: "x", count: 70) + ".test"])
        harness.start()
        #expect(harness.resolver.isSettled && !harness.resolver.isResolved)
        #expect(harness.resolver.takeNotices().count == 1)
        #expect(harness.resolver.nextTimeoutMilliseconds(now: harness.now) == 1_000)
    }

    @Test("a server address that is none is refused with a sentence")
    func badServers() {
        var settings = NameResolver.Settings()
        settings.servers = ["not an address"]
        #expect(throws: NameResolverFailure.badServers("not an address")) { _ = try NameResolver(names: [], settings: settings) }
    }

    @Test("a resolver that goes away with open questions leaves nothing behind")
    func abandoned() throws {
        let server = ScriptedDNS()
        server.setBoth("backend.test", .silence)
        var settings = NameResolver.Settings()
        settings.servers = [server.address]
        settings.hostsPath = "/nonexistent"
        var resolver: NameResolver? = try NameResolver(names: ["backend.test"], settings: settings)
        resolver?.start(now: 0)
        #expect(resolver?.pollDescriptors().isEmpty == false)
        resolver = nil
        #expect(resolver == nil)
    }

    @Test("without names there is nothing to wait for")
    func noNames() throws {
        let harness = try ResolverHarness([])
        harness.start()
        #expect(harness.resolver.isResolved && harness.resolver.isSettled)
        #expect(harness.resolver.nextTimeoutMilliseconds(now: harness.now) == nil)
    }
}

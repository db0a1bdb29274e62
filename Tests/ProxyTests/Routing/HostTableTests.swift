import Testing

@testable import Proxy

@Suite("Virtual hosts by name")
struct HostTableTests {
    private func table(_ hosts: [[String]], default defaultHost: Int? = nil, _ arena: PlanArena) -> HostTable {
        HostTable(
            hosts.enumerated().map { index, names in
                var host = VirtualHostSettings()
                host.name = names[0]
                host.aliases = Array(names.dropFirst())
                host.isDefault = index == defaultHost
                return host
            }, in: arena)
    }

    private func find(_ name: String, _ hosts: [[String]], default defaultHost: Int? = nil) -> Int32 {
        let arena = PlanArena()
        let table = table(hosts, default: defaultHost, arena)
        return withExtendedLifetime(arena) { Array(name.utf8).withUnsafeBytes { table.find($0) } }
    }

    private static let hosts = [
        ["www.*", "*shop*"], ["*.example.com"], ["example.com", "www.example.com"], ["*.deep.example.com"], ["*"],
        ["localhost:8080", "[::1]:8080"], ["*.com"],
    ]

    @Test(
        "an exact name comes first, then the longest suffix, then patterns in the order of the file, then *",
        arguments: [
            ("example.com", 2), ("www.example.com", 2), ("a.example.com", 1), ("a.b.example.com", 1), ("x.deep.example.com", 3),
            ("deep.example.com", 1), ("www.example.org", 0), ("myshop.org", 0), ("www.other.com", 6), ("nobody.org", 4), ("", 4),
            ("localhost", 5), ("[::1]", 5), ("127.0.0.1", 4),
        ])
    func order(name: String, host: Int32) {
        #expect(find(name, Self.hosts) == host)
    }

    @Test("case and a final dot make no difference", arguments: ["EXAMPLE.com", "example.COM.", "Example.Com"])
    func folded(name: String) {
        #expect(find(name, Self.hosts) == 2)
        #expect(find("A.\(name)", Self.hosts) == 1)
    }

    @Test("names with a port in the file are names without")
    func ports() {
        #expect(find("localhost", [["other"], ["LOCALHOST:8081"]]) == 1)
        #expect(find("a.b", [["other"], ["*.b:*"]]) == 1)
    }

    @Test("nobody's name is nobody's, unless there is a default, which comes before *")
    func fallback() {
        #expect(find("c", [["a"], ["b"]]) == -1)
        #expect(find("", [["a"], ["b"]]) == -1)
        #expect(find("c", [["a"], ["b"]], default: 1) == 1)
        #expect(find("c", [["*"], ["b"]], default: 1) == 1)
        #expect(find("a.c", [["*.c"], ["b"]], default: 1) == 0)
    }

    @Test("a suffix needs something before it")
    func suffix() {
        #expect(find("b.c", [["*.b.c"]]) == -1)
        #expect(find(".b.c", [["*.b.c"]]) == -1)
        #expect(find("ab.c", [["*.b.c"]]) == -1)
        #expect(find("a.b.c", [["*.b.c"]]) == 0)
    }

    @Test("without virtual hosts the nameless one takes every name")
    func nameless() {
        #expect(find("anything", []) == 0)
        #expect(find("", []) == 0)
    }

    @Test("where two have a name, the first counts")
    func twice() {
        #expect(find("a", [["x", "a"], ["a"]]) == 0)
    }

    @Test("names longer than any of DNS belong to nobody but the fallback")
    func long() {
        let long = String(repeating: "a", count: 60_000)
        #expect(find(long, [["a*"], ["*"]]) == 1)
        #expect(find(String(repeating: "a", count: 253), [["a*"], ["*"]]) == 0)
        #expect(find(String(repeating: "a.", count: 30_000), [["*.a"]]) == -1)
    }

    @Test("the table agrees with looking at every name in turn", arguments: [1, 2, 3, 4, 5] as [UInt64])
    func reference(seed: UInt64) {
        var random = RandomSource(seed: seed)
        func label() -> String { String(["a", "b", "cc", "d-d"][Int(random.next(below: 4))]) }
        func name() -> String { (0...random.next(below: 4)).map { _ in label() }.joined(separator: ".") }
        for _ in 0..<60 {
            let hosts = (0..<Int(random.next(below: 12) + 1)).map { _ in
                (0...random.next(below: 3)).map { _ in
                    switch random.next(below: 6) {
                    case 0: "*.\(name())"
                    case 1: "\(label())*"
                    case 2: "*\(label())*\(label())"
                    case 3 where random.next(below: 3) == 0: "*"
                    default: name()
                    }
                }
            }
            let defaultHost = random.next(below: 3) == 0 ? Int(random.next(below: UInt64(hosts.count))) : nil
            let arena = PlanArena()
            let table = table(hosts, default: defaultHost, arena)
            for _ in 0..<100 {
                let wanted = random.next(below: 10) == 0 ? "" : name()
                let found = withExtendedLifetime(arena) { Array(wanted.utf8).withUnsafeBytes { table.find($0) } }
                #expect(Int(found) == slowHost(wanted, hosts, defaultHost), "seed \(seed): '\(wanted)' among \(hosts), default \(String(describing: defaultHost))")
            }
        }
    }

    /// One name after the other, by the rules as they are written down.
    private func slowHost(_ name: String, _ hosts: [[String]], _ defaultHost: Int?) -> Int {
        let all = hosts.enumerated().flatMap { index, names in names.map { (index, $0) } }
        if let exact = all.first(where: { $0.1 == name && !$0.1.contains("*") }) { return exact.0 }
        func isSuffix(_ text: String) -> Bool { text.hasPrefix("*.") && !text.dropFirst().contains("*") }
        let suffixes = all.filter { isSuffix($0.1) && name.hasSuffix($0.1.dropFirst()) && name.count >= $0.1.count }
        if let longest = suffixes.map(\.1.count).max(), let found = suffixes.first(where: { $0.1.count == longest }) { return found.0 }
        if !name.isEmpty, let glob = all.first(where: { $0.1 != "*" && !isSuffix($0.1) && $0.1.contains("*") && slowGlob($0.1, name) }) { return glob.0 }
        return defaultHost ?? all.first { $0.1 == "*" }?.0 ?? -1
    }
}

import Testing

@testable import Proxy

@Suite("Where a backend may send a request on to")
struct DelegationPolicyTests {
    private let arena = PlanArena()

    private func policy(_ filters: [String], networks: [String] = []) throws -> DelegationPolicy {
        let settings = DelegationSettings(isAllowed: true, filters: filters, networks: networks)
        return try #require(DelegationPolicy.compile(settings, of: "rule", in: arena)).pointee
    }

    /// Whether a policy allows what a backend wrote, by its name alone.
    private func allows(_ policy: DelegationPolicy, _ value: String) -> Bool {
        let bytes = Array(value.utf8)
        guard let target = DelegationTarget(bytes.span) else { return false }
        let memory = UnsafeMutableRawPointer.allocate(byteCount: 4096, alignment: 16)
        defer { memory.deallocate() }
        let state = memory.assumingMemoryBound(to: DelegationState.self)
        bytes.withUnsafeBufferPointer { state.set(target, host: $0.baseAddress!, BackendLimits(BackendSettings())) }
        return policy.allows(state.textBytes, hostLength: target.hostLength, saidPort: target.saidPort)
    }

    @Test("nothing is allowed that is not named")
    func defaultDeny() throws {
        #expect(DelegationPolicy.compile(DelegationSettings(), of: "rule", in: arena) == nil)
        #expect(try !allows(policy([]), "a.example:80"))
    }

    @Test(
        "filters are compared with host:port in small letters, and with the host alone where no port is said",
        arguments: [
            ("*.example.org:8080", "a.EXAMPLE.org:8080", true), ("*.example.org:8080", "a.example.org:80", false), ("*.example.org", "a.example.org", true),
            ("*.example.org", "a.example.org:80", false), ("*.example.org:80", "a.example.org", true), ("*.Example.org", "a.example.org", true),
            ("10.*", "10.1.2.3:99", true), ("*", "[::1]:80", true), ("[::1]:*", "[::1]", true), ("a:80", "ba:80", false), ("a:8*", "a:80", true),
        ])
    func filters(_ filter: String, _ value: String, _ expected: Bool) throws {
        #expect(try allows(policy(["nothing", filter]), value) == expected)
    }

    @Test(
        "what is no host and port is no target",
        arguments: ["", ":80", "a:", "a:0", "a:65536", "a:b", "a:80:80", "http://a", "a/b", "a b", "user@a", "[::1", "[a b]", "a,b", "[]", String(repeating: "a", count: 254)])
    func invalid(_ value: String) {
        let target = DelegationTarget(Array(value.utf8).span)
        #expect(target == nil)
    }

    @Test("the port is 80 unless it is said")
    func ports() {
        let plain = DelegationTarget(Array("a.example".utf8).span)
        #expect(plain?.port == 80 && plain?.saidPort == false && plain?.hostLength == 9)
        let said = DelegationTarget(Array("[::1]:8080".utf8).span)
        #expect(said?.port == 8080 && said?.saidPort == true && said?.hostLength == 5)
    }

    @Test(
        "addresses that are not public are refused",
        arguments: [
            "0.0.0.0", "10.0.0.1", "100.64.0.1", "127.0.0.1", "127.255.255.255", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.2.1",
            "192.168.1.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::1",
            "::ffff:10.0.0.1", "::ffff:127.0.0.1", "64:ff9b::1", "fc00::1", "fd12::1", "fe80::1", "ff02::1", "2001:db8::1", "2001::1", "2002:a00:1::", "3fff::1", "100::1",
        ])
    func special(_ literal: String) throws {
        let host = try #require(HostAddress(literal: literal))
        #expect(!host.isPublic)
        #expect(try !policy(["*"]).allows(host))
    }

    @Test(
        "public ones are not",
        arguments: [
            "1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.0", "172.15.0.1", "172.32.0.1", "192.0.1.1", "198.17.0.1", "223.255.255.255", "2001:200::1", "2606:4700::1111",
            "2a00::1",
        ])
    func ordinary(_ literal: String) throws {
        #expect(try #require(HostAddress(literal: literal)).isPublic)
    }

    @Test(
        "a named range is allowed, and nothing beside it",
        arguments: [
            ("10.1.0.0/16", "10.1.2.3", true), ("10.1.0.0/16", "10.2.0.1", false), ("127.0.0.1", "127.0.0.1", true), ("127.0.0.1", "127.0.0.2", false),
            ("fd00::/8", "fd12::1", true), ("fd00::/8", "fe80::1", false), ("::1", "::1", true), ("::1", "::2", false), ("10.0.0.0/8", "fd00::1", false),
            ("0.0.0.0/0", "192.168.1.1", true), ("::/0", "fe80::1", true), ("fd00:1:2:3:4::/80", "fd00:1:2:3:4::5", true), ("fd00:1:2:3:4::/80", "fd00:1:2:3:5::5", false),
        ])
    func networks(_ network: String, _ literal: String, _ expected: Bool) throws {
        #expect(try policy(["*"], networks: [network]).allows(try #require(HostAddress(literal: literal))) == expected)
    }

    @Test(
        "literals are known for what they are",
        arguments: [("127.0.0.1:80", true), ("[::1]", true), ("[::ffff:1.2.3.4]:80", true), ("127.1", false), ("0x7f000001", false), ("a", false)])
    func literals(_ value: String, _ expected: Bool) {
        let bytes = Array(value.utf8)
        guard let target = DelegationTarget(bytes.span) else {
            Issue.record("no target")
            return
        }
        let memory = UnsafeMutableRawPointer.allocate(byteCount: 4096, alignment: 16)
        defer { memory.deallocate() }
        let state = memory.assumingMemoryBound(to: DelegationState.self)
        bytes.withUnsafeBufferPointer { state.set(target, host: $0.baseAddress!, BackendLimits(BackendSettings())) }
        #expect((state.literal != nil) == expected)
    }
}

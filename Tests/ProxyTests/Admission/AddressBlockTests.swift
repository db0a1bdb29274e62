import Testing

@testable import Proxy

@Suite("Address blocks, RFC 4632")
struct AddressBlockTests {
    @Test(
        "what is written comes out in its plain form",
        arguments: [
            ("10.0.0.0/8", "10.0.0.0/8"), ("192.0.2.1", "192.0.2.1"), ("192.0.2.1/32", "192.0.2.1"), ("0.0.0.0/0", "0.0.0.0/0"),
            ("2001:db8::/32", "2001:db8::/32"), ("[::1]", "0:0:0:0:0:0:0:1"), ("::/0", "::/0"), ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:10.1.2.3", "10.1.2.3"), ("UNIX", "unix"), ("all", "all"), ("2001:db8:0:1::/64", "2001:db8:0:1::/64"),
        ])
    func forms(_ text: String, _ plain: String) throws {
        let block = try AddressBlock(text)
        #expect(block.description == plain)
        #expect(try AddressBlock(block.description) == block)
    }

    @Test(
        "what means nothing, or two things, is refused",
        arguments: [
            "", "10.0.0.0/33", "10.0.0.1/8", "10.0.0.0/", "10.0.0.0/+8", "10.0.0.0/8/8", "localhost", "10.0/8", "::1/129", "2001:db8::1/32",
            "::ffff:0:0/95", "10.0.0.0/-1", "010.0.0.0/8", "::/1000000000000000000000",
        ])
    func refused(_ text: String) {
        #expect(throws: AddressBlockError.self) { try AddressBlock(text) }
    }
}

@Suite("Access lists")
struct AccessListTests {
    private func host(_ text: String) throws -> HostAddress { text == "unix" ? .unix : try #require(HostAddress(literal: text)) }

    private func list(allow: [String] = [], deny: [String] = []) throws -> (AccessList, PlanArena) {
        let arena = PlanArena()
        let settings = AccessSettings(allow: try allow.map { try AddressBlock($0) }, deny: try deny.map { try AddressBlock($0) })
        return (AccessList(settings, in: arena), arena)
    }

    private func verdicts(_ hosts: [String], allow: [String] = [], deny: [String] = []) throws -> [Bool] {
        let (list, arena) = try list(allow: allow, deny: deny)
        return try withExtendedLifetime(arena) { try hosts.map { list.allows(try host($0)) } }
    }

    @Test("nobody named: everybody comes in")
    func empty() throws {
        #expect(try verdicts(["10.0.0.1", "::1", "unix"]) == [true, true, true])
        #expect(AccessList().allows(.unknown))
    }

    @Test("where somebody is allowed, whom nobody names is refused")
    func allowOnly() throws {
        let hosts = ["10.0.0.0", "10.255.255.255", "11.0.0.0", "9.255.255.255", "::1", "unix"]
        #expect(try verdicts(hosts, allow: ["10.0.0.0/8"]) == [true, true, false, false, false, false])
        #expect(try verdicts(["unix", "1.2.3.4"], allow: ["unix"]) == [true, false])
    }

    @Test("where somebody is only denied, the others come in")
    func denyOnly() throws {
        #expect(try verdicts(["2001:db8::1", "2001:db9::", "2001:db7:ffff::", "1.1.1.1"], deny: ["2001:db8::/32"]) == [false, true, true, true])
    }

    @Test("the longest prefix decides, in either direction and at any depth")
    func longest() throws {
        let hosts = ["10.0.0.1", "10.1.0.1", "10.1.1.1", "10.1.1.7", "10.2.0.1"]
        #expect(
            try verdicts(hosts, allow: ["10.0.0.0/8", "10.1.1.0/24"], deny: ["10.1.0.0/16", "10.1.1.7"]) == [true, false, true, false, true])
    }

    @Test("all stands for both families and unix peers, and everything named is longer")
    func everybody() throws {
        let hosts = ["10.0.0.1", "11.0.0.1", "::1", "unix"]
        #expect(try verdicts(hosts, allow: ["10.0.0.0/8"], deny: ["all"]) == [true, false, false, false])
        #expect(try verdicts(hosts, allow: ["all"], deny: ["unix", "::/0"]) == [true, true, false, false])
    }

    @Test("an IPv4-mapped peer is an IPv4 peer")
    func mapped() throws {
        #expect(try verdicts(["::ffff:10.0.0.1", "::ffff:11.0.0.1"], allow: ["10.0.0.0/8"]) == [true, false])
    }

    @Test("the ends of the address spaces belong to their blocks")
    func ends() throws {
        let hosts = ["255.255.255.255", "0.0.0.0", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::"]
        #expect(try verdicts(hosts, deny: ["255.255.255.255", "0.0.0.0", "ffff::/16", "::"]) == [false, false, false, false])
        #expect(try verdicts(hosts, deny: ["128.0.0.0/1", "8000::/1"]) == [false, true, false, true])
    }

    @Test("a thousand random blocks decide as looking at each of them does", arguments: [1, 2, 3, 4, 5] as [UInt64])
    func random(seed: UInt64) throws {
        var source = RandomSource(seed: seed)
        var blocks: [(AddressBlock, Bool)] = []
        var seen: Set<AddressBlock> = []
        for _ in 0..<1000 {
            // Few values for the leading bits, so that blocks contain one another.
            let wide = source.next() % 2 == 0
            let prefix = Int(source.next() % (wide ? 129 : 33))
            let address = UInt128(source.next() & 0x0303_0303_0303_0303) << 64 | UInt128(source.next() & 0x0101_0101_0101_0101)
            let mask = prefix == 0 ? 0 : UInt128.max << UInt128(128 - prefix)
            let kept = address & mask
            let block: AddressBlock =
                wide
                ? .ipv6(high: UInt64(kept >> 64), low: UInt64(truncatingIfNeeded: kept), prefix: prefix)
                : .ipv4(UInt32(truncatingIfNeeded: kept >> 96), prefix: prefix)
            if seen.insert(block).inserted { blocks.append((block, source.next() % 2 == 0)) }
        }
        let arena = PlanArena()
        let settings = AccessSettings(allow: blocks.filter(\.1).map(\.0), deny: blocks.filter { !$0.1 }.map(\.0))
        let list = AccessList(settings, in: arena)
        for _ in 0..<4000 {
            let high = source.next() & 0x0303_0303_0303_0303
            let low = source.next() & 0x0101_0101_0101_0101
            let isWide = source.next() % 2 == 0
            let host = isWide ? HostAddress(family: .ipv6, high: high, low: low) : HostAddress(ipv4: UInt32(high >> 32))
            var best = -1
            var expected = false
            for (block, isAllowed) in blocks {
                switch block {
                case .ipv4(let address, let prefix) where !isWide && prefix > best:
                    if prefix == 0 || (UInt32(high >> 32) ^ address) >> UInt32(32 - prefix) == 0 { (best, expected) = (prefix, isAllowed) }
                case .ipv6(let blockHigh, let blockLow, let prefix) where isWide && prefix > best:
                    let difference = (UInt128(high) << 64 | UInt128(low)) ^ (UInt128(blockHigh) << 64 | UInt128(blockLow))
                    if prefix == 0 || difference >> UInt128(128 - prefix) == 0 { (best, expected) = (prefix, isAllowed) }
                default: break
                }
            }
            #expect(list.allows(host) == expected, "\(host) by a prefix of \(best), seed \(seed)")
        }
        withExtendedLifetime(arena) {}
    }
}

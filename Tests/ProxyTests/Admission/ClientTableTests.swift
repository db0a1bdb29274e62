import Glibc
import TestSupport
import Testing

@testable import Proxy

private let second: UInt64 = 1_000_000_000

@Suite("Table of client addresses")
struct ClientTableTests {
    private func withTable<R>(entries: Int, _ body: (ClientTable) throws -> R) rethrows -> R {
        let table = ClientTable(entries: entries, secret: (0x1234_5678_9ABC_DEF1, 0xFEDC_BA98_7654_3211))
        defer { table.deallocate() }
        return try body(table)
    }

    private func tag(_ table: ClientTable, _ text: String, limit: UInt64 = 4, isCount: Bool = false) throws -> UInt64 {
        table.tag(of: try #require(HostAddress(literal: text)), limit: limit, isCount: isCount)
    }

    @Test("addresses of one IPv6 /64 are one client, those of two are two, and so are limits and families")
    func tags() throws {
        try withTable(entries: 1024) { table in
            func same(_ one: UInt64, _ other: UInt64) -> Bool { one == other }
            let wide = try tag(table, "2001:db8:1:2::1")
            #expect(same(wide, try tag(table, "2001:db8:1:2:ffff::9")))
            #expect(!same(wide, try tag(table, "2001:db8:1:3::1")))
            let four = try tag(table, "10.0.0.1")
            #expect(!same(four, try tag(table, "10.0.0.2")))
            #expect(same(four, try tag(table, "::ffff:10.0.0.1")))
            #expect(!same(four, try tag(table, "a00:1::")))
            #expect(!same(four, try tag(table, "10.0.0.1", limit: 8)))
            #expect(!same(four, try tag(table, "10.0.0.1", isCount: true)))
        }
    }

    @Test("an entry keeps its state, and a second look finds it")
    func keeps() throws {
        try withTable(entries: 1024) { table in
            let tag = try tag(table, "10.0.0.1")
            #expect(table.find(tag) == nil)
            let word = try #require(table.findOrEnter(tag, now: 1))
            word.pointee = 99
            #expect(table.find(tag)?.pointee == 99 && table.findOrEnter(tag, now: 1) == word)
        }
    }

    @Test("when it is full, those go first whose buckets are full again, then the one that will be soonest")
    func oldest() throws {
        try withTable(entries: 4) { table in
            let now = 100 * second
            for host in 1...4 {
                let word = try #require(table.findOrEnter(try tag(table, "10.0.0.\(host)"), now: now))
                word.pointee = now + UInt64(host) * second
            }
            _ = table.findOrEnter(try tag(table, "10.0.0.5"), now: now)
            #expect(table.find(try tag(table, "10.0.0.1")) == nil)
            for host in 2...5 { #expect(table.find(try tag(table, "10.0.0.\(host)")) != nil) }
            #expect(table.find(try tag(table, "10.0.0.5"))?.pointee == 0)
            // Three seconds later the second one says nothing any more; the fifth has not begun.
            let count = try #require(table.findOrEnter(try tag(table, "10.0.0.6", isCount: true), now: now + 3 * second))
            #expect(ClientCount(word: count).open(most: 1, now: now + 3 * second))
            #expect(table.find(try tag(table, "10.0.0.4")) != nil)
        }
    }

    @Test("counts have a bound, and an entry that had to go counts nothing below zero")
    func counts() throws {
        try withTable(entries: 1024) { table in
            let word = try #require(table.findOrEnter(try tag(table, "10.0.0.1", isCount: true), now: second))
            let count = ClientCount(word: word)
            #expect(count.open(most: 2, now: second) && count.open(most: 2, now: second) && !count.open(most: 2, now: second))
            count.close()
            #expect(count.open(most: 2, now: second))
            count.close()
            count.close()
            count.close()
            #expect(ClientCount.count(word.pointee) == 0 && count.open(most: 1, now: second))
        }
    }

    @Test("each of many clients gets its rate on workers that borrow in batches, and no more", arguments: 1...4 as ClosedRange<UInt64>)
    func clients(seed: UInt64) throws {
        try withTable(entries: 8192) { table in
            var source = RandomSource(seed: seed)
            let clientCount = 300
            let perSecond = [20, 500, 2_000][Int(source.next() % 3)]
            let rates = RatePlan(RateSettings(requestsPerSecond: perSecond, requestsBurst: max(1, perSecond / 10)), workerCount: 2)
            let credits = [CreditBox(), CreditBox()]
            var granted = [Int](repeating: 0, count: clientCount)
            var now = 50 * second
            let begin = now
            let tags = try (0..<clientCount).map { try tag(table, "10.1.\($0 / 256).\($0 % 256)") }
            while now < begin + 3 * second {
                now += second / UInt64(perSecond) / 2
                for client in 0..<clientCount where source.next() % 8 != 0 {
                    let worker = Int(source.next() % 2)
                    if credits[worker].take(tags[client], rates.requests, rates.requestBatch, table, now) { granted[client] += 1 }
                }
            }
            let expected = Double(perSecond) * 3
            let slack = Double(max(1, perSecond / 10)) + 2 * Double(rates.requestBatch)
            for count in granted {
                #expect(Double(count) <= expected + slack, "seed \(seed), rate \(perSecond)")
                #expect(Double(count) >= expected * 0.95 - 2, "seed \(seed), rate \(perSecond)")
            }
        }
    }

    @Test("threads that enter the same addresses at once neither lose them nor give more than the rate")
    func threads() throws {
        try withTable(entries: 4096) { table in
            let bucket = RateBucket(perSecond: 1, burst: 100)
            let granted = Monitor([Int](repeating: 0, count: 64))
            let workers = (0..<4).map { _ in
                Background {
                    for host in 0..<64 {
                        let tag = table.tag(of: HostAddress(ipv4: 0x0A00_0000 + UInt32(host)), limit: 4, isCount: false)
                        var mine = 0
                        for _ in 0..<200 {
                            guard let word = table.findOrEnter(tag, now: 7 * second) else { continue }
                            mine += Int(SharedBucket(word: word).take(1, bucket, now: 7 * second))
                        }
                        granted.with { $0[host] += mine }
                    }
                }
            }
            for worker in workers { try worker.join() }
            // One request may be lost or won where two threads enter an address at the same moment.
            for count in granted.with({ $0 }) { #expect((98...104).contains(count)) }
        }
    }
}

/// A class around what only one worker holds.
private final class CreditBox {
    private var credits = ClientCredits()
    func take(_ tag: UInt64, _ bucket: RateBucket, _ batch: UInt64, _ table: ClientTable, _ now: UInt64) -> Bool {
        credits.take(tag, bucket, batch: batch, from: table, now: now)
    }
}

@Suite("Register of limits")
struct LimitRegisterTests {
    private func register() -> LimitRegister { LimitRegister(table: ClientTable(entries: 1024), workerCount: 2) }

    @Test("a limit keeps its state from plan to plan while its numbers change, and goes when nothing refers to it")
    func reload() throws {
        let register = register()
        var settings = LimitSettings()
        settings.all.requestsPerSecond = 10
        var first: PlanArena? = PlanArena()
        let old = try #require(register.limit(settings, at: "a", for: first!))
        #expect(old.pointee.cell.takeRequest(old.pointee.all.requests, batch: 1, worker: 0, now: second))
        settings.all.requestsPerSecond = 20
        var next: PlanArena? = PlanArena()
        let new = try #require(register.limit(settings, at: "a", for: next!))
        #expect(new.pointee.cell.requests.word == old.pointee.cell.requests.word && new.pointee.identity == old.pointee.identity)
        first = nil
        #expect(register.count == 1 && new.pointee.cell.requests.word.pointee > second)
        next = nil
        register.sweep()
        #expect(register.count == 0)
        _ = (first, next)
    }

    @Test("what outlived its plan keeps the limit until it lets go")
    func users() throws {
        let register = register()
        var settings = LimitSettings()
        settings.all.connectionsMax = 10
        var arena: PlanArena? = PlanArena()
        let limit = try #require(register.limit(settings, at: "a", for: arena!))
        limit.pointee.retain()
        #expect(limit.pointee.cell.openOne(most: 10, batch: 1, worker: 1))
        arena = nil
        #expect(register.count == 1)
        limit.pointee.cell.closeOne(batch: 1, worker: 1)
        limit.pointee.release()
        register.sweep()
        #expect(register.count == 0)
        _ = arena
    }

    @Test("a place without limits costs nothing")
    func none() {
        let register = register()
        #expect(register.limit(LimitSettings(), at: "a", for: PlanArena()) == nil && register.count == 0)
    }
}

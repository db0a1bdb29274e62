import Testing

@testable import Proxy

@Suite("Balancing methods")
struct BalancerTests {
    private func balancer(_ method: BalancingSettings.Method, worker: Int = 0, of workers: Int = 1, seed: UInt64 = 1) -> Balancer {
        var settings = BalancingSettings()
        settings.method = method
        return Balancer(settings: settings, workerIndex: worker, workerCount: workers, seed: seed)
    }

    /// Indices of `count` choices, one after the other, each finished before the next.
    private func picks(_ balancer: inout Balancer, _ candidates: Candidates, count: Int) -> [Int] {
        (0..<count).map { balancer.choose(candidates, key: UInt64($0 + 1), now: UInt64($0) * 1_000) }
    }

    @Test("nothing usable gives -1, whatever the method", arguments: BalancingSettings.Method.allCases)
    func noneUsable(method: BalancingSettings.Method) {
        var balancer = balancer(method)
        let empty = makeCandidates([])
        defer { empty.deallocate() }
        balancer.rebuild(empty)
        #expect(balancer.choose(empty, key: 0, now: 0) == -1)
        #expect(balancer.choose(empty, key: 9, now: 0) == -1)
        let candidates = makeCandidates([1, 0, 1])
        defer { candidates.deallocate() }
        candidates[0].isUsable = false
        candidates[2].isUsable = false
        balancer.rebuild(candidates)
        for key in 0..<20 { #expect(balancer.choose(candidates, key: UInt64(key), now: 0) == -1) }
    }

    @Test("the only usable one gets everything, whatever the method", arguments: BalancingSettings.Method.allCases)
    func onlyOne(method: BalancingSettings.Method) {
        var balancer = balancer(method)
        let candidates = makeCandidates([4, 1, 2])
        defer { candidates.deallocate() }
        candidates[0].isUsable = false
        candidates[2].isUsable = false
        candidates[1].active = 50
        balancer.rebuild(candidates)
        #expect(Set(picks(&balancer, candidates, count: 50)) == [1])
    }

    @Test("equal seeds and clocks give equal choices", arguments: BalancingSettings.Method.allCases)
    func deterministic(method: BalancingSettings.Method) {
        let runs = (0..<2).map { _ in
            var balancer = balancer(method, seed: 77)
            let candidates = makeCandidates([1, 2, 3])
            defer { candidates.deallocate() }
            balancer.rebuild(candidates)
            return picks(&balancer, candidates, count: 200)
        }
        #expect(runs[0] == runs[1])
    }

    @Test("round robin: eight requests over two backends are four and four")
    func fourAndFour() {
        var balancer = balancer(.roundrobin)
        let candidates = makeCandidates([1, 1])
        defer { candidates.deallocate() }
        balancer.rebuild(candidates)
        #expect(picks(&balancer, candidates, count: 8) == [0, 1, 0, 1, 0, 1, 0, 1])
    }

    @Test("round robin: weights 5, 1, 1 are interleaved, not sent in a row")
    func smoothWeights() {
        var balancer = balancer(.roundrobin)
        let candidates = makeCandidates([5, 1, 1])
        defer { candidates.deallocate() }
        balancer.rebuild(candidates)
        #expect(picks(&balancer, candidates, count: 7) == [0, 0, 1, 0, 2, 0, 0])
    }

    @Test("round robin: workers begin at different candidates")
    func workerOffset() {
        let first = (0..<4).map { worker in
            var balancer = balancer(.roundrobin, worker: worker, of: 4)
            let candidates = makeCandidates([100, 100, 100, 100])
            defer { candidates.deallocate() }
            balancer.rebuild(candidates)
            return picks(&balancer, candidates, count: 1)[0]
        }
        #expect(Set(first) == [0, 1, 2, 3])
    }

    @Test("round robin: who was away is not owed a burst")
    func noBurst() {
        var balancer = balancer(.roundrobin)
        let candidates = makeCandidates([1, 1, 1])
        defer { candidates.deallocate() }
        balancer.rebuild(candidates)
        candidates[2].isUsable = false
        #expect(!picks(&balancer, candidates, count: 1_000).contains(2))
        candidates[2].isUsable = true
        let after = picks(&balancer, candidates, count: 6)
        #expect(after.filter { $0 == 2 }.count == 2)
    }

    @Test("rtt: workers begin at different candidates, and equals share")
    func lowestRTTOffset() {
        let first = (0..<3).map { worker in
            var balancer = balancer(.rtt, worker: worker, of: 3)
            let candidates = makeCandidates([1, 1, 1])
            defer { candidates.deallocate() }
            balancer.rebuild(candidates)
            return picks(&balancer, candidates, count: 1)[0]
        }
        #expect(Set(first) == [0, 1, 2])
    }

    @Test("most idle: most idle connections, the first of equals, fewest in flight where nothing is idle")
    func mostIdle() {
        var balancer = balancer(.mostIdle)
        let candidates = makeCandidates([1, 1, 1])
        defer { candidates.deallocate() }
        (candidates[0].idle, candidates[1].idle, candidates[2].idle) = (2, 5, 5)
        #expect(balancer.choose(candidates, key: 0, now: 0) == 1)
        candidates[0].weight = 3
        #expect(balancer.choose(candidates, key: 0, now: 0) == 0)
        (candidates[0].idle, candidates[1].idle, candidates[2].idle) = (0, 0, 0)
        (candidates[0].active, candidates[1].active, candidates[2].active) = (9, 4, 2)
        #expect(balancer.choose(candidates, key: 0, now: 0) == 2)
        candidates[2].active = 4
        #expect(balancer.choose(candidates, key: 0, now: 0) == 0)  // 9 in flight at weight 3 is 3
    }

    @Test("none: the first usable in order")
    func first() {
        var balancer = balancer(.none)
        let candidates = makeCandidates([1, 9, 9])
        defer { candidates.deallocate() }
        #expect(balancer.choose(candidates, key: 0, now: 0) == 0)
        candidates[0].isUsable = false
        #expect(balancer.choose(candidates, key: 0, now: 0) == 1)
    }

    @Test("random: in proportion to the weights", arguments: simulationSeeds)
    func random(seed: UInt64) {
        var balancer = balancer(.random, seed: seed)
        let candidates = makeCandidates([1, 2, 0, 5])
        defer { candidates.deallocate() }
        let chosen = picks(&balancer, candidates, count: 80_000)
        for (index, expected) in [10_000, 20_000, 0, 50_000].enumerated() {
            #expect(abs(chosen.filter { $0 == index }.count - expected) < 600, "seed \(seed)")
        }
    }

    @Test("random: workers of one seed draw differently")
    func randomWorkers() {
        let runs = (0..<2).map { worker in
            var balancer = balancer(.random, worker: worker, of: 2, seed: 9)
            let candidates = makeCandidates([1, 1, 1])
            defer { candidates.deallocate() }
            return picks(&balancer, candidates, count: 64)
        }
        #expect(runs[0] != runs[1])
    }

    @Test("extreme weights and loads trap nothing", arguments: BalancingSettings.Method.allCases)
    func extremes(method: BalancingSettings.Method) {
        var balancer = balancer(method)
        let candidates = makeCandidates([.max, .max, .min, -1, 1])
        defer { candidates.deallocate() }
        balancer.rebuild(candidates)
        for index in candidates.indices { (candidates[index].active, candidates[index].idle) = (.max - 1, .max) }
        for key in 0..<100 {
            let chosen = balancer.choose(candidates, key: UInt64(key), now: .max)
            #expect([0, 1, 4].contains(chosen))
        }
    }
}

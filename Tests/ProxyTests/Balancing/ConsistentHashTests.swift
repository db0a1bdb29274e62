import Testing

@testable import Proxy

@Suite("Consistent hashing with bounded load")
struct ConsistentHashTests {
    private static let keys = (0..<50_000).map { mixed(UInt64($0) &* 7_919 &+ 1) }

    private func balancer(_ candidates: Candidates, loadPercentMax: Int = 125) -> Balancer {
        var settings = BalancingSettings()
        settings.method = .hash
        settings.hashLoadPercentMax = loadPercentMax
        var balancer = Balancer(settings: settings, workerIndex: 0, workerCount: 1, seed: 1)
        balancer.rebuild(candidates)
        return balancer
    }

    /// Where each key goes while nothing is in flight.
    private func placement(_ candidates: Candidates) -> [Int] {
        var balancer = balancer(candidates)
        return Self.keys.map { balancer.choose(candidates, key: $0, now: 0) }
    }

    private func counts(_ placement: [Int], _ count: Int) -> [Int] {
        placement.reduce(into: [Int](repeating: 0, count: count)) { $0[$1] += 1 }
    }

    @Test("adding one of ten backends moves at most 12 % of the keys, and only to the newcomer")
    func adding() {
        let ten = makeCandidates([Int32](repeating: 1, count: 10))
        defer { ten.deallocate() }
        let nine = Candidates(all: ten.all, members: ten.members, count: 9)
        let (before, after) = (placement(nine), placement(ten))
        let moved = zip(before, after).filter { $0 != $1 }
        #expect(Double(moved.count) / Double(Self.keys.count) <= 0.12)
        #expect(moved.allSatisfy { $0.1 == 9 })
    }

    @Test("keys spread evenly: none of ten gets more than 1.25 times the mean")
    func even() {
        let ten = makeCandidates([Int32](repeating: 1, count: 10))
        defer { ten.deallocate() }
        let counts = counts(placement(ten), 10)
        let mean = Double(Self.keys.count) / 10
        for count in counts { #expect(Double(count) < 1.05 * mean && Double(count) > 0.95 * mean) }
    }

    @Test("weights give their share of the keys, and a changed weight moves no more than it must")
    func weights() {
        let candidates = makeCandidates([1, 2, 1])
        defer { candidates.deallocate() }
        let before = placement(candidates)
        for (count, expected) in zip(counts(before, 3), [0.25, 0.5, 0.25]) {
            #expect(abs(Double(count) / Double(Self.keys.count) - expected) < 0.01)
        }
        candidates[0].weight = 2
        let after = placement(candidates)
        #expect(zip(before, after).allSatisfy { $0 == $1 || $1 == 0 })
    }

    @Test("a backend that goes down loses only its own keys, and gets them back")
    func down() {
        let candidates = makeCandidates([1, 1, 1, 1])
        defer { candidates.deallocate() }
        let before = placement(candidates)
        candidates[2].isUsable = false
        let during = placement(candidates)
        #expect(zip(before, during).allSatisfy { $0 == 2 ? $1 != 2 : $0 == $1 })
        candidates[2].isUsable = true
        #expect(placement(candidates) == before)
    }

    @Test("one hot key cannot load a backend above the bound", arguments: [(125, 10), (150, 4), (100, 3), (200, 2)])
    func hotKey(percent: Int, backends: Int) {
        let candidates = makeCandidates([Int32](repeating: 1, count: backends))
        defer { candidates.deallocate() }
        var balancer = balancer(candidates, loadPercentMax: percent)
        for request in 1...2_000 {
            let chosen = balancer.choose(candidates, key: 42, now: 0)
            candidates[chosen].active += 1
            let bound = (request * percent + backends * 100 - 1) / (backends * 100)
            #expect(Int(candidates[chosen].active) <= bound)
        }
        let counts = candidates.indices.map { candidates[$0].active }
        #expect(counts.reduce(0, +) == 2_000)
    }

    @Test("under random load with arrivals and departures none carries more than the bound", arguments: simulationSeeds)
    func randomLoad(seed: UInt64) {
        let candidates = makeCandidates([1, 1, 2, 1, 1, 1, 1, 1, 1, 1])
        defer { candidates.deallocate() }
        var balancer = balancer(candidates)
        var random = RandomSource(seed: seed)
        var inFlight: [Int] = []
        for _ in 0..<20_000 {
            if inFlight.count > 200, random.next(below: 2) == 0 {
                let index = Int(random.next(below: UInt64(inFlight.count)))
                candidates[inFlight[index]].active -= 1
                inFlight.swapAt(index, inFlight.count - 1)
                inFlight.removeLast()
            } else {
                // A few keys draw most of the requests.
                let key = mixed(1 + min(random.next(below: 1_000), random.next(below: 1_000)) / 100)
                let chosen = balancer.choose(candidates, key: key, now: 0)
                candidates[chosen].active += 1
                inFlight.append(chosen)
                let share = Double(inFlight.count) * Double(candidates[chosen].weight) / 11
                #expect(Double(candidates[chosen].active) < 1.25 * share + 1, "seed \(seed)")
            }
        }
    }

    @Test("a request without a key is balanced all the same")
    func withoutKey() {
        let candidates = makeCandidates([1, 1, 1])
        defer { candidates.deallocate() }
        var balancer = balancer(candidates)
        let chosen = (0..<300).map { _ in balancer.choose(candidates, key: 0, now: 0) }
        for count in counts(chosen, 3) { #expect(count > 50) }
    }

    @Test("identities are stable and tell name, address and port apart")
    func identities() throws {
        let address = try #require(SocketAddress(literal: "10.0.0.1", port: 80))
        let other = try #require(SocketAddress(literal: "10.0.0.1", port: 81))
        #expect(backendIdentity(name: "a", address: address) == backendIdentity(name: "a", address: address))
        let distinct: Set = [
            backendIdentity(name: "a", address: address), backendIdentity(name: "b", address: address),
            backendIdentity(name: "a", address: other),
        ]
        #expect(distinct.count == 3)
    }
}

@Suite("Hash of a key")
struct KeyHashTests {
    private func hash(_ bytes: [UInt8], seed: UInt64 = 1) -> UInt64 { bytes.withUnsafeBytes { hashKey($0, seed: seed) } }

    @Test("every length, every byte and the seed count")
    func sensitivity() {
        var seen: Set<UInt64> = []
        for length in 0...70 {
            let zeros = [UInt8](repeating: 0, count: length)
            #expect(seen.insert(hash(zeros)).inserted)
            for index in 0..<length {
                var changed = zeros
                changed[index] = 1
                #expect(seen.insert(hash(changed)).inserted)
            }
            #expect(hash(zeros, seed: 2) != hash(zeros))
        }
    }

    @Test("a flipped bit flips about half of the bits")
    func avalanche() {
        for length in [1, 7, 8, 15, 16, 17, 33] {
            let base = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 37) }
            var flipped = 0
            for bit in 0..<(length * 8) {
                var changed = base
                changed[bit / 8] ^= 1 << (bit % 8)
                flipped += (hash(base) ^ hash(changed)).nonzeroBitCount
            }
            let mean = Double(flipped) / Double(length * 8)
            #expect(mean > 26 && mean < 38, "\(length) bytes: \(mean)")
        }
    }

    @Test("a span hashes as its bytes do, and nothing hashes to no key")
    func span() {
        let bytes = Array("/index.html?x=1".utf8)
        #expect(hashKey(bytes.span) == bytes.withUnsafeBytes { hashKey($0) })
        #expect(hash([]) != 0)
    }
}

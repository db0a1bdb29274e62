import Testing

@testable import Proxy

@Suite("Latency-aware balancing: rtt and p2c")
struct LatencyBalancingTests {
    static let cases = [BalancingSettings.Method.rtt, .twoChoices].flatMap { method in
        simulationSeeds.flatMap { seed in [(1, 1.0), (1, 20), (4, 5), (4, 50), (64, 30), (64, 100)].map { (method, seed, $0.0, $0.1) } }
    }

    @Test("of three backends one that slows tenfold gets under 5 % within 2 s and 25 % again within 10 s of recovery", arguments: cases)
    func slowAndRecover(method: BalancingSettings.Method, seed: UInt64, clients: Int, latency: Double) {
        let simulation = Simulation(method: method, latencyMilliseconds: [latency, latency, latency], clients: clients, seed: seed)
        simulation.run(milliseconds: 3_000)
        // Few samples scatter more; this only shows that all three take part.
        for share in simulation.shares(lastMilliseconds: 2_000) {
            #expect(share > (clients >= 64 ? 0.3 : 0.05), "seed \(seed), \(latency) ms, before")
        }
        simulation.latencyMilliseconds[1] = latency * 10
        simulation.run(milliseconds: 2_000)
        simulation.run(milliseconds: 5_000)
        let slow = simulation.shares(lastMilliseconds: 5_000)[1]
        #expect(slow < 0.05, "seed \(seed), \(latency) ms: still \(slow)")
        simulation.latencyMilliseconds[1] = latency
        simulation.run(milliseconds: 10_000)
        simulation.run(milliseconds: 3_000)
        let recovered = simulation.shares(lastMilliseconds: 3_000)[1]
        // A lone client yields too few samples to be exact: the bound holds under load, and it takes part again without.
        #expect(recovered >= (clients >= 64 ? 0.25 : 0.15), "seed \(seed), \(latency) ms: only \(recovered)")
    }

    @Test("a quiet listener, ten requests a second, spares the slow backend too", arguments: simulationSeeds)
    func quiet(seed: UInt64) {
        let simulation = Simulation(method: .rtt, latencyMilliseconds: [5, 5, 5], clients: 1, seed: seed)
        simulation.thinkMilliseconds = 95
        simulation.run(milliseconds: 10_000)
        simulation.latencyMilliseconds[0] = 50
        simulation.run(milliseconds: 2_000)
        simulation.run(milliseconds: 30_000)
        #expect(simulation.shares(lastMilliseconds: 30_000)[0] < 0.05, "seed \(seed)")
        simulation.latencyMilliseconds[0] = 5
        simulation.run(milliseconds: 10_000)
        simulation.run(milliseconds: 20_000)
        #expect(simulation.shares(lastMilliseconds: 20_000)[0] >= 0.15, "seed \(seed)")
    }

    @Test("64 clients that arrive at once on unknown backends are spread evenly", arguments: [BalancingSettings.Method.rtt, .twoChoices])
    func coldStart(method: BalancingSettings.Method) {
        let simulation = Simulation(method: method, latencyMilliseconds: [20, 20, 20, 20], clients: 64, seed: 3)
        simulation.run(milliseconds: 0)
        #expect(simulation.picks.count == 64)
        for active in simulation.activeMax { #expect(active <= (method == .rtt ? 16 : 20)) }
    }

    @Test(
        "64 clients never herd onto one backend, however the latencies scatter", arguments: [BalancingSettings.Method.rtt, .twoChoices],
        simulationSeeds)
    func neverHerd(method: BalancingSettings.Method, seed: UInt64) {
        for (jitter, latency) in [(0.0, 2.0), (0.5, 2.0), (1.0, 2.0), (1.0, 0.1), (1.0, 100.0)] {
            let simulation = Simulation(method: method, latencyMilliseconds: [latency, latency, latency], clients: 64, seed: seed)
            simulation.jitter = jitter
            simulation.run(milliseconds: Int(latency * 100) + 50)
            let worst = simulation.activeMax.max() ?? 0
            #expect(worst <= 42, "seed \(seed), jitter \(jitter), \(latency) ms: \(simulation.activeMax)")
        }
    }

    @Test("weights give their share of the work between equally fast backends", arguments: simulationSeeds)
    func weights(seed: UInt64) {
        for method in [BalancingSettings.Method.rtt, .twoChoices] {
            let simulation = Simulation(
                method: method, latencyMilliseconds: [40, 40, 40], weights: [3, 2, 1], clients: 64, seed: seed)
            simulation.run(milliseconds: 5_000)
            let shares = simulation.shares(lastMilliseconds: 4_000)
            for (share, expected) in zip(shares, [0.5, 1.0 / 3, 1.0 / 6]) {
                #expect(abs(share - expected) < 0.06, "\(method), seed \(seed): \(shares)")
            }
        }
    }

    @Test("a backend that stops answering gets no more than a handful, though it never sends a sample")
    func hang() {
        let simulation = Simulation(method: .rtt, latencyMilliseconds: [20, 20, 20], clients: 64, seed: 5)
        simulation.run(milliseconds: 2_000)
        simulation.latencyMilliseconds[2] = 3_600_000
        simulation.run(milliseconds: 2_000)
        simulation.run(milliseconds: 2_000)
        #expect(simulation.shares(lastMilliseconds: 2_000)[2] < 0.001)
        #expect(simulation.candidates[2].active < 30)
    }

    @Test("a newcomer gets its share and no burst")
    func newcomer() {
        let simulation = Simulation(method: .rtt, latencyMilliseconds: [20, 20, 20], clients: 64, seed: 6)
        simulation.candidates[2].isUsable = false
        simulation.run(milliseconds: 2_000)
        #expect(simulation.shares(lastMilliseconds: 2_000)[2] == 0)
        simulation.candidates[2].isUsable = true
        simulation.run(milliseconds: 2_000)
        #expect(simulation.shares(lastMilliseconds: 1_000)[2] > 0.25)
        #expect(simulation.activeMax[2] <= 42)
    }
}

@Suite("Estimate of the time to first byte")
struct RoundTripEstimateTests {
    private let second: UInt64 = 1_000_000_000

    private func expected(_ estimate: RoundTripEstimate, now: UInt64, active: Int32 = 0, passedBy: Double = .infinity) -> Double {
        estimate.expected(now: now, active: active, choicesPassedBy: passedBy, unknown: 7)
    }

    @Test("the first sample counts as it is, and none as the guess of the caller")
    func first() {
        var estimate = RoundTripEstimate()
        #expect(!estimate.isKnown)
        #expect(expected(estimate, now: second) == 7)
        estimate.record(sampleNanoseconds: 2_000_000, now: second)
        #expect(expected(estimate, now: second) == 2_000_000)
        #expect(estimate.microseconds == 2_000)
    }

    @Test("rises within tenths of a second and sinks within seconds")
    func asymmetry() {
        var estimate = RoundTripEstimate()
        estimate.record(sampleNanoseconds: 1_000_000, now: second)
        for _ in 0..<20 { estimate.record(sampleNanoseconds: 1_000_000, now: second) }
        estimate.record(sampleNanoseconds: 11_000_000, now: second + 300_000_000)
        #expect(estimate.smoothedNanoseconds > 6_000_000)
        let high = estimate.smoothedNanoseconds
        estimate.record(sampleNanoseconds: 1_000_000, now: second + 400_000_000)
        #expect(estimate.smoothedNanoseconds > high * 0.85)
    }

    @Test("fades while unused, but no faster than others are chosen")
    func fading() {
        var estimate = RoundTripEstimate()
        estimate.record(sampleNanoseconds: 10_000_000, now: second)
        #expect(expected(estimate, now: 5 * second) < 1_000_000)
        #expect(expected(estimate, now: 100 * second, passedBy: 0) == 10_000_000)
    }

    @Test("the first few samples are averaged, so that one lucky answer does not draw the crowd")
    func bootstrap() {
        var estimate = RoundTripEstimate()
        for sample: UInt64 in [1, 9, 2, 8] { estimate.record(sampleNanoseconds: sample * 1_000, now: second) }
        #expect(abs(estimate.smoothedNanoseconds - 5_000) < 1)
    }

    @Test("a failure makes it dearer, never cheaper")
    func failure() {
        var estimate = RoundTripEstimate()
        estimate.onStart(now: second)
        estimate.onFailure(now: second)
        #expect(estimate.smoothedNanoseconds == RoundTripEstimate.failureNanoseconds)
        estimate.onStart(now: second)
        estimate.onFailure(now: second)
        #expect(estimate.smoothedNanoseconds == 2 * RoundTripEstimate.failureNanoseconds)
        for _ in 0..<50 { estimate.onFailure(now: second) }
        #expect(estimate.smoothedNanoseconds == RoundTripEstimate.nanosecondsMax)
    }

    @Test("a wait without an answer counts while it lasts; a client that leaves ends it without a verdict")
    func overdue() {
        var estimate = RoundTripEstimate()
        estimate.record(sampleNanoseconds: 1_000_000, now: second)
        estimate.onStart(now: second)
        #expect(expected(estimate, now: 3 * second, active: 1) == Double(2 * second))
        estimate.onAbandon(now: 3 * second)
        #expect(expected(estimate, now: 3 * second, active: 1) <= 1_000_000)
    }

    @Test("a clock that stands still or steps back does no harm")
    func clock() {
        var estimate = RoundTripEstimate()
        estimate.record(sampleNanoseconds: UInt64.max, now: second)
        estimate.record(sampleNanoseconds: 0, now: second)
        estimate.record(sampleNanoseconds: 5, now: 1)
        #expect(expected(estimate, now: 0).isFinite)
        #expect(expected(estimate, now: UInt64.max, active: .max).isFinite)
    }
}

import Testing

@testable import Proxy

@Suite("Measurements in slices")
struct BenchSliceTests {
    private func plan(slice: Int, seconds: Double?) -> (BenchPlan, BenchScenario) {
        var scenario = BenchScenario()
        scenario.sliceMilliseconds = slice
        let layout = CPULayout(cpus: [0, 1], siblings: [])
        return (BenchPlan(scenarios: [scenario], subjects: [], rounds: 1, seconds: seconds, generator: "weir", layout: layout, folder: "/nowhere"), scenario)
    }

    @Test("the time of a measurement is cut into equal pieces, one at least")
    func pieces() {
        for (slice, seconds, expected) in [(0, 2.0, 1), (250, 2.0, 8), (250, 0.2, 1), (250, 0.4, 2), (300, 1.0, 3)] {
            let (plan, scenario) = plan(slice: slice, seconds: seconds)
            #expect(plan.slices(of: scenario) == expected, "\(slice) ms of \(seconds) s")
        }
    }

    @Test("with slices all run at the same time, without them each by itself")
    func groups() {
        let (sliced, one) = plan(slice: 250, seconds: 1)
        #expect(sliced.groups([2, 0], for: one) == [[2, 0]])
        let (whole, other) = plan(slice: 0, seconds: 1)
        #expect(whole.groups([2, 0], for: other) == [[2], [0]])
    }

    private func result(_ answered: Int, _ counts: [(UInt64, UInt64)], bound: Bool = false) throws -> LoadResult {
        let pairs = counts.map { JSONText.list([.number($0.0), .number($0.1)]) }
        let latency = JSONText.object([("p50", .decimal(7)), ("p99", .decimal(9))])
        return try LoadResult(
            .object([
                ("schema", .text("weir-load/1")), ("requests", .object([("answered", .number(answered)), ("failed", .number(1))])), ("seconds", .decimal(0.25)),
                ("bytes", .object([("bodies", .number(answered * 10))])), ("latency_us", latency), ("latency_counts_ns", .list(pairs)),
                ("verdict", .object([("bottleneck", .truth(bound)), ("reasons", .list(bound ? [.text("own CPU")] : []))])),
            ]))
    }

    @Test("slices add up as if they had been one load: latencies by their counts, not by their percentiles")
    func sum() throws {
        let sum = LoadResult(sum: [try result(99, [(1_000_000, 99)]), try result(101, [(1_000_000, 100), (9_000_000, 1)], bound: true)])
        #expect(sum.answered == 200 && sum.failed == 2 && sum.seconds == 0.5 && sum.bodyBytes == 2_000)
        #expect(sum.reasons == ["own CPU"] && !sum.isBottleneck)
        let half = try #require(sum.latencies[.latency50])
        let nearlyAll = try #require(sum.latencies[.latency99])
        let most = try #require(sum.latencies[.latency9999])
        #expect(abs(half - 1_000) < 2 && abs(nearlyAll - 1_000) < 2 && abs(most - 9_000) < 10)
    }

    @Test("one slice keeps what the generator said")
    func one() throws {
        let whole = LoadResult(sum: [try result(10, [], bound: true)])
        #expect(whole.isBottleneck && whole.latencies == [.latency50: 7, .latency99: 9])
        #expect(LoadResult(sum: []).answered == 0)
    }
}

import TestSupport
import Testing

@Suite("Slow readers and writers of the load generator", .scenario)
struct LoadPaceTests {
    private func span(_ seconds: ClosedRange<Double>) -> ClosedRange<Double> {
        seconds.lowerBound * 1e6...seconds.upperBound * 1e6 * Patience.factor
    }

    @Test("a slow reader takes the time that its rate says, at low rates and at high ones", arguments: [(60_000, "60000", 0.85...1.4), (3_000_000, "2m", 1.3...2.1)])
    func reading(bytes: Int, rate: String, seconds: ClosedRange<Double>) throws {
        let origin = try OriginUnderTest()
        let run = try LoadRun([origin.url("/bytes/\(bytes)"), "--closed", "--requests", "2", "--connections", "2", "--read-rate", rate])
        #expect(run.exitCode == 0, "\(run.json)")
        #expect(try span(seconds).contains(run.number("latency_us", "p50")), "\(run.json)")
    }

    @Test("a slow writer takes the time that its rate says", arguments: [("10000", "10000", 0.85...1.4), ("2m", "2m", 0.85...1.6)])
    func writing(bytes: String, rate: String, seconds: ClosedRange<Double>) throws {
        let origin = try OriginUnderTest()
        let run = try LoadRun([origin.url("/upload"), "--closed", "--requests", "2", "--connections", "2", "--body-size", bytes, "--write-rate", rate])
        #expect(run.exitCode == 0, "\(run.json)")
        #expect(try span(seconds).contains(run.number("latency_us", "p50")), "\(run.json)")
    }

    /// A request has some eighty bytes: ten of them take nine pauses of eighty milliseconds.
    @Test("requests that are each sent in one piece keep the rate together")
    func smallRequests() throws {
        let origin = try OriginUnderTest()
        let run = try LoadRun([origin.url(), "--closed", "--requests", "10", "--connections", "1", "--write-rate", "1000"])
        #expect(run.exitCode == 0, "\(run.json)")
        let seconds = try run.number("bytes", "sent") * 0.9 / 1_000
        #expect(try ((seconds - 0.05)...(seconds + 0.7 * Patience.factor)).contains(run.number("seconds")), "\(run.json)")
    }
}

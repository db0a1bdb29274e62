import Glibc
import TestSupport
import Testing

private let hasWrk = (environment("PATH") ?? "").split(separator: ":").contains { access("\($0)/wrk", X_OK) == 0 }

/// Both measure the same origin at the same time, so that what disturbs one disturbs the other.
@Suite("Load generator beside wrk", .scenario, .enabled(if: hasWrk, "wrk is not installed"))
struct LoadAgreementTests {
    /// What wrk tells on a line of two words: a number, or a time in microseconds.
    private func told(_ word: String, _ load: RealClient.Load) throws -> Double {
        for line in load.report.split(separator: "\n") {
            let words = line.split(separator: " ").map(String.init)
            guard words.count == 2, words[0] == word else { continue }
            if let number = Double(words[1]) { return number }
            for (unit, factor) in [("us", 1.0), ("ms", 1e3), ("s", 1e6), ("m", 60e6)] where words[1].hasSuffix(unit) {
                if let number = Double(words[1].dropLast(unit.count)) { return number * factor }
            }
        }
        throw ScenarioFailure("wrk tells no \(word): \(load.report)")
    }

    @Test("a closed loop tells the rate and the median that wrk tells")
    func agreement() throws {
        let origin = try OriginUnderTest()
        let url = origin.url("/delay/10")
        let other = Background { try RealClient.wrk(url, connections: 4, seconds: 2, arguments: ["--latency"]) }
        let own = try LoadRun([url, "--closed", "--connections", "4", "--duration", "2s"])
        let wrk = try other.join()
        #expect(wrk.errors == 0, "\(wrk.report)")
        let rates = (own: try own.number("rate", "achieved"), wrk: try told("Requests/sec:", wrk))
        #expect(abs(rates.own / rates.wrk - 1) < 0.15 * Patience.factor, "\(rates)")
        let medians = (own: try own.number("latency_us", "p50"), wrk: try told("50%", wrk))
        #expect(abs(medians.own / medians.wrk - 1) < 0.2 * Patience.factor, "\(medians)")
        #expect(medians.own >= 9_900)
    }

    /// wrk fills in what a stall kept it from sending, but a request that takes longer than its time limit is no latency to it,
    /// and then there is nothing to fill in from.
    @Test("a stall that is longer than wrk's time limit is in none of its percentiles, and in those of a timetable")
    func stall() throws {
        let origin = try OriginUnderTest()
        let url = origin.url("/delay/5")
        let other = Background { try RealClient.wrk(url, connections: 4, seconds: 8, arguments: ["--latency", "--timeout", "1s"]) }
        let process = try ChildProcess([
            try ProxyUnderTest.binaryPath(), "load", url, "--rate", "200", "--connections", "4", "--duration", "5s", "--json", "-", "--progress", "--report-anyway",
        ])
        try process.waitForErrorOutput(containing: "1 s ")
        origin.process.signal(SIGSTOP)
        try process.waitForErrorOutput(containing: "3 s ")
        origin.process.signal(SIGCONT)
        let own = try LoadRun(of: process)
        let wrk = try other.join()
        #expect(wrk.errors >= 4, "the requests of the stall, which wrk counts and does not time: \(wrk.report)")
        let normal = 200_000 * Patience.factor
        #expect(try told("90%", wrk) < normal, "\(wrk.report)")
        #expect(try told("99%", wrk) < normal, "\(wrk.report)")
        #expect(try own.number("latency_us", "p90") >= 900_000, "\(own.json)")
        #expect(try own.number("latency_us", "p99") >= 1_000_000)
    }
}

import Glibc
import TestSupport
import Testing

@Suite("What the figures of the load generator mean", .scenario)
struct LoadFigureTests {
    @Test("every request of a timetable has a send lag, also one that opens its connection", arguments: [[], ["--close"]])
    func lag(close: [String]) throws {
        let origin = try OriginUnderTest()
        let run = try LoadRun([origin.url(), "--rate", "500", "--requests", "200", "--connections", "50"] + close)
        #expect(run.exitCode == 0, "\(run.json)")
        #expect(try run.number("requests", "started") == 200)
        #expect(try run.number("send_lag_us", "count") == 200)
    }

    /// Forty requests a second are wanted and at most twenty can be answered, so that no connection is ever free.
    @Test("a generator that was held still says so, although all its connections were busy")
    func heldStill() throws {
        let origin = try OriginUnderTest(["--delay", "50ms"])
        let process = try ChildProcess(
            [try ProxyUnderTest.binaryPath(), "load", origin.url(), "--rate", "40", "--duration", "3s", "--connections", "1", "--timeout", "30s"]
                + ["--json", "-", "--progress", "--report-anyway"])
        try process.waitForErrorOutput(containing: "1 s ")
        process.signal(SIGSTOP)
        // Another run, of a second, is the clock.
        _ = try LoadRun([origin.url(), "--rate", "10", "--duration", "1s"])
        process.signal(SIGCONT)
        let run = try LoadRun(of: process)
        #expect(try run.number("requests", "answered") == 120, "\(run.json)")
        #expect(try run.number("send_lag_us", "p90") >= 500_000, "\(run.json)")
    }

    @Test("in closed loop latency and service are the same", arguments: [[], ["--close"], ["--pipeline", "4"]])
    func closedLoop(options: [String]) throws {
        let origin = try OriginUnderTest()
        let run = try LoadRun([origin.url(), "--closed", "--requests", "500", "--connections", "8"] + options)
        #expect(try run.number("latency_us", "count") == 500)
        #expect(run.json["latency_us"] == run.json["service_us"], "\(run.json)")
    }

    /// Of two connections one waits from the first request on, the other from its second: two answers in the second that is measured,
    /// and two long after it.
    @Test("answers after the end of a closed loop are in the histogram, and not in the rate")
    func straggler() throws {
        let origin = try OriginUnderTest()
        let run = try LoadRun([origin.url("/hello"), origin.url("/delay/3000"), "--closed", "--duration", "1s", "--connections", "2"])
        #expect(try run.number("requests", "answered") == 4, "\(run.json)")
        #expect(try run.number("latency_us", "max") >= 3_000_000)
        #expect(try run.number("seconds") >= 3)
        #expect(try run.number("rate", "achieved") == 2)
    }

    @Test("the last second of a timetable counts also where nothing is sent in it", arguments: ["1", "3"])
    func lowRate(rate: String) throws {
        let origin = try OriginUnderTest()
        let run = try LoadRun([origin.url(), "--rate", rate, "--duration", "1s"])
        #expect(try run.number("requests", "answered") == run.number("rate", "wanted"))
        #expect(try run.number("rate", "achieved") <= run.number("rate", "wanted"), "\(run.json)")
        #expect(try run.number("seconds") >= 1)
    }

    @Test("a number of requests ends the time in which the rate is counted", arguments: [["--closed"], ["--poisson", "400"], ["--steps", "400,500"]])
    func endByCount(pace: [String]) throws {
        let origin = try OriginUnderTest()
        let run = try LoadRun([origin.url(), "--requests", "100", "--duration", "20s"] + pace)
        #expect(try run.number("requests", "answered") == 100)
        #expect(try run.number("seconds") < 10, "\(run.json)")
        #expect(try run.number("rate", "achieved") > 20)
    }

    @Test("how many requests a Poisson timetable has is known when it was gone through, and not after an interruption")
    func poisson() throws {
        let origin = try OriginUnderTest()
        let whole = try LoadRun([origin.url(), "--poisson", "300", "--duration", "1s", "--threads", "2"])
        #expect(try whole.number("requests", "planned") == whole.number("requests", "started"))
        #expect(try whole.number("requests", "planned") > 200)
        let process = try ChildProcess(
            [try ProxyUnderTest.binaryPath(), "load", origin.url(), "--poisson", "100", "--duration", "24h", "--json", "-", "--progress", "--report-anyway"])
        try process.waitForErrorOutput(containing: "1 s ")
        process.signal(SIGINT)
        let cut = try LoadRun(of: process)
        #expect(cut.json["interrupted"] == .bool(true))
        #expect(cut.json["requests"]?["planned"] == .null)
        #expect(try cut.addsUp)
    }
}

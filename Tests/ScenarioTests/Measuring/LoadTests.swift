import Glibc
import TestSupport
import Testing

@Suite("Load generator", .scenario)
struct LoadTests {
    @Test(
        "as many requests as asked for are sent, answered and counted, in either loop",
        arguments: [["--closed"], ["--rate", "2000"], ["--poisson", "2000"], ["--closed", "--close"], ["--closed", "--pipeline", "8"], ["--rate", "2000", "--close"]])
    func exactly(pace: [String]) throws {
        let origin = try OriginUnderTest()
        let run = try LoadRun([origin.url()] + pace + ["--requests", "600", "--connections", "7", "--threads", "2"])
        #expect(run.exitCode == 0, "\(run.json)")
        #expect(run.json["schema"]?.string == "weir-load/1")
        #expect(try run.number("requests", "started") == 600)
        #expect(try run.number("requests", "planned") == 600)
        #expect(try run.number("requests", "answered") == 600)
        #expect(try run.number("responses", "2xx") == 600)
        #expect(try run.number("bytes", "bodies") == 60_000)
        #expect(try run.addsUp)
        #expect(try run.number("connections", "opened") == (pace.contains("--close") ? 600 : 7))
        try origin.stop()
    }

    @Test(
        "a timetable is kept to the entry: rate times duration, ramps and steps",
        arguments: [(["--rate", "500"], 500), (["--ramp", "100:500"], 300), (["--steps", "100,400"], 250)])
    func timetable(pace: [String], count: Double) throws {
        let origin = try OriginUnderTest()
        let run = try LoadRun([origin.url()] + pace + ["--duration", "1s", "--warm-up", "200ms"])
        #expect(try run.number("requests", "planned") == count)
        #expect(try run.number("requests", "answered") == count)
        #expect(try run.addsUp)
        #expect(try run.number("seconds") >= 0.99)
    }

    @Test("bodies of every framing are read to their end", arguments: ["/bytes/100000", "/chunked/100000", "/until-close/100000", "/bytes/0"])
    func framings(path: String) throws {
        let origin = try OriginUnderTest()
        let run = try LoadRun([origin.url(path), "--closed", "--requests", "40", "--connections", "4"])
        #expect(run.exitCode == 0, "\(run.json)")
        #expect(try run.number("requests", "answered") == 40)
        #expect(try run.number("bytes", "bodies") == (path.hasSuffix("/0") ? 0 : 4_000_000))
    }

    /// One stall of a second: the closed loop waits with it and sees one slow request on each connection; the open loop sees
    /// all those that should have been sent meanwhile.
    @Test("a stall of the server is seen by all requests that were due in it, which a closed loop hides")
    func omission() throws {
        // On the only connection one answer in a hundred takes a second: so half of the time nothing is answered.
        let origin = try OriginUnderTest(["--fault", "stall:0.01", "--seed", "4"])
        let open = try LoadRun([origin.url(), "--rate", "200", "--duration", "4s", "--connections", "1", "--timeout", "20s"])
        #expect(try open.addsUp)
        #expect(try open.number("latency_us", "p99") >= 900_000, "\(open.json)")
        // The same server, asked the same, says of itself that nine in ten answers are quick.
        #expect(try open.number("service_us", "p90") < 500_000)
        let closed = try LoadRun([origin.url(), "--closed", "--requests", "300", "--connections", "1"])
        #expect(try closed.number("latency_us", "p90") < 500_000)
        #expect(try closed.number("latency_us", "max") >= 900_000)
        #expect(try open.number("latency_us", "p90") > 3 * closed.number("latency_us", "p90"))
    }

    /// Holds the origin still for a second in the middle of a run; nothing is known of time but what the run itself tells.
    private func runWithStall(_ pace: [String]) throws -> LoadRun {
        let origin = try OriginUnderTest()
        let process = try ChildProcess(
            [try ProxyUnderTest.binaryPath(), "load", origin.url("/delay/5"), "--connections", "4", "--duration", "5s"] + pace
                + ["--json", "-", "--progress", "--report-anyway"])
        try process.waitForErrorOutput(containing: "1 s ")
        origin.process.signal(SIGSTOP)
        try process.waitForErrorOutput(containing: "3 s ")
        origin.process.signal(SIGCONT)
        return try LoadRun(of: process)
    }

    @Test("a server that stands still is in the 90th percentile of an open loop, and only in the maximum of a closed one")
    func standstill() throws {
        let open = try runWithStall(["--rate", "200"])
        #expect(try open.number("requests", "answered") == 1_000, "\(open.json)")
        #expect(try open.number("latency_us", "p90") >= 900_000, "\(open.json)")
        #expect(try open.number("latency_us", "p99") >= 1_000_000)
        let closed = try runWithStall(["--closed"])
        #expect(try closed.number("latency_us", "max") >= 1_000_000, "\(closed.json)")
        #expect(try closed.number("latency_us", "p90") < 500_000)
    }

    @Test("a request is late by its time, not by when a connection was free for it")
    func waitsForConnection() throws {
        let origin = try OriginUnderTest(["--delay", "100ms"])
        // Ten a second can be answered, forty a second are wanted: the last of 20 waits for 1.5 s.
        let run = try LoadRun([origin.url(), "--rate", "40", "--requests", "20", "--connections", "1"])
        #expect(try run.number("requests", "answered") == 20)
        #expect(try run.number("latency_us", "max") >= 1_400_000)
        #expect(try run.number("service_us", "p50") < 600_000)
        #expect(try run.addsUp)
    }

    @Test("what waits beyond the bound of the queue is dropped and fails")
    func dropped() throws {
        let origin = try OriginUnderTest(["--delay", "300ms"])
        let run = try LoadRun([origin.url(), "--rate", "100", "--requests", "50", "--connections", "1", "--queue", "3"])
        #expect(run.exitCode == 1)
        #expect(try run.number("errors", "dropped") > 30)
        #expect(try run.addsUp)
    }

    @Test("a mix sends what it says, with bodies and fields")
    func mix() throws {
        let origin = try OriginUnderTest()
        let folder = try TemporaryFolder()
        let file = try folder.write("mix", "1 GET /status/404\n1 GET /bytes/10\n2 POST /echo size=5000 'X-A: b'\n")
        let run = try LoadRun([origin.url(), "--closed", "--requests", "400", "--mix", file, "--allow-failures", "50%"])
        #expect(run.exitCode == 0)
        #expect(try run.number("requests", "answered") == 400)
        let missing = try run.number("responses", "4xx")
        #expect((50...150).contains(missing))
        #expect(try run.number("requests", "failed") == missing)
        #expect(try run.number("bytes", "bodies") > 500_000)
    }

    @Test("several URLs are asked one after the other, each with the body")
    func urls() throws {
        let seen = Monitor<[String]>([])
        let backend = try HandlerBackend { request, _ in
            seen.with { $0.append("\(request.method) \(request.target) \(request.body.count)") }
            return .bytes(HandlerBackend.response(body: []))
        }
        defer { backend.close() }
        let urls = ["/a", "/b", "/c"].map { "http://\(backend.address)\($0)" }
        let run = try LoadRun(urls + ["--closed", "--requests", "7", "--connections", "1", "--body-size", "100k"])
        #expect(run.exitCode == 0, "\(run.json)")
        #expect(seen.with { $0 } == ["/a", "/b", "/c", "/a", "/b", "/c", "/a"].map { "POST \($0) 102400" })
    }

    @Test("bodies that have more than a gibibyte together are refused before any of them is made")
    func bodySum() throws {
        let folder = try TemporaryFolder()
        let file = try folder.write("mix", "1 POST /a size=600m\n1 POST /b size=600m\n")
        let run = try LoadRun(["http://127.0.0.1:1/", "--closed", "--mix", file])
        #expect(run.exitCode == 1)
        #expect(run.errors.contains("more than 1 GiB together"))
    }

    @Test("a host of several addresses is asked at the one that somebody listens on")
    func severalAddresses() throws {
        let origin = try OriginUnderTest()
        let port = origin.url().split(separator: ":").last ?? ""
        let run = try LoadRun(["http://localhost:\(port)", "--closed", "--requests", "5"])
        #expect(run.exitCode == 0, "\(run.json) \(run.errors)")
        #expect(try run.number("requests", "answered") == 5)
    }

    @Test("--close needs descriptors also for connections whose end is under way, and says so before it begins")
    func descriptors() throws {
        let origin = try OriginUnderTest()
        func run(openFilesMax: Int) throws -> LoadRun {
            let command = [try ProxyUnderTest.binaryPath(), "load", origin.url(), "--closed", "--close", "--requests", "2000", "--connections", "100"]
            return try LoadRun(of: try ChildProcess(command + ["--json", "-", "--report-anyway"], openFilesMax: openFilesMax))
        }
        let refused = try run(openFilesMax: 247)
        #expect(refused.exitCode == 1)
        #expect(refused.errors.contains("100 connections with --close need 248 descriptors"), "\(refused.errors)")
        let enough = try run(openFilesMax: 248)
        #expect(enough.exitCode == 0, "\(enough.json) \(enough.errors)")
        #expect(try enough.number("connections", "failed") == 0)
    }

    @Test("messages over WebSocket come back", arguments: [[], ["--body-size", "100000"]])
    func webSocket(size: [String]) throws {
        let origin = try OriginUnderTest()
        let run = try LoadRun([origin.url("/ws"), "--websocket", "--closed", "--requests", "100", "--connections", "3"] + size)
        #expect(run.exitCode == 0, "\(run.json)")
        #expect(try run.number("requests", "answered") == 100)
        #expect(try run.number("connections", "opened") == 3)
        #expect(try run.number("bytes", "bodies") == (size.isEmpty ? 3_200 : 10_000_000))
    }

    @Test("a server that speaks no WebSocket is an error at once")
    func noWebSocket() throws {
        let origin = try OriginUnderTest()
        let run = try LoadRun([origin.url("/hello"), "--websocket", "--closed", "--requests", "5"])
        #expect(run.exitCode == 1)
        #expect(run.errors.contains("cannot open a connection"))
    }

    @Test("a rate that one thread cannot send is refused, and no figures are told")
    func bottleneck() throws {
        let origin = try OriginUnderTest()
        // With so many connections none is ever missing; what is late is so because of the generator.
        let hopeless = ["--rate", "3000000", "--duration", "1s", "--connections", "2000", "--timeout", "1s", "--queue", "1000"]
        let run = try LoadRun([origin.url()] + hopeless + ["--hdr", try TemporaryFolder().path("distribution")], tolerant: false)
        #expect(run.exitCode == 3, "\(run.json)")
        #expect(run.json["latency_us"] == .null)
        #expect(run.json["service_us"] == .null)
        #expect(run.errors.contains("distribution is not written"))
        #expect(run.json["verdict"]?["refused"] == .bool(true))
        #expect(run.json["verdict"]?["reasons"]?.elements.isEmpty == false)
    }

    @Test("an interruption tells what there is by then")
    func interruption() throws {
        let origin = try OriginUnderTest()
        let process = try ChildProcess([
            try ProxyUnderTest.binaryPath(), "load", origin.url(), "--rate", "100", "--duration", "1h", "--json", "-", "--progress", "--report-anyway",
        ])
        try process.waitForErrorOutput(containing: "1 s ")
        process.signal(2)
        let run = try LoadRun(of: process)
        #expect(run.exitCode == 0, "\(run.json)")
        #expect(run.json["interrupted"] == .bool(true))
        #expect(try run.number("requests", "answered") >= 50)
        #expect(try run.addsUp)
    }

    @Test(
        "the command line is checked before anything is sent",
        arguments: [
            [], ["http://127.0.0.1:1/"], ["http://127.0.0.1:1/", "--rate", "x"], ["http://127.0.0.1:1/", "--rate", "1", "--closed"],
            ["ftp://127.0.0.1/", "--closed"], ["http://a/", "http://b/", "--closed"], ["http://127.0.0.1:1/", "--closed", "--duration", "5"],
            ["http://127.0.0.1:1/", "--closed", "--header", "x"], ["http://127.0.0.1:1/", "--closed", "--threads", "20"],
            ["http://127.0.0.1:1/", "--closed", "--insecure"], ["http://127.0.0.1:1/", "--closed", "--ca", "/dev/null"],
            ["http://127.0.0.1:1/", "--closed", "--server-name", "x"], ["http://127.0.0.1:1/", "--closed", "--no-resumption"],
            ["http://127.0.0.1:1/", "--closed", "--queue", "10"], ["http://127.0.0.1:1/", "http://127.0.0.1:1/a", "--closed", "--mix", "/dev/null"],
        ])
    func wrongWords(arguments: [String]) throws {
        let run = try LoadRun(arguments)
        #expect(run.exitCode == 64, "\(run.errors)")
        #expect(!run.errors.isEmpty)
    }
}

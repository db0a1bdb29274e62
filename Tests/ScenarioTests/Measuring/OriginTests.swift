import TestSupport
import Testing

@Suite("Stub backend", .scenario)
struct OriginTests {
    private func get(_ origin: OriginUnderTest, _ path: String = "/") throws -> (status: Int, fields: Fields, body: Bytes) {
        let response = try ScriptedClient(to: origin.address).get(path)
        return (response.status, response.fields, response.body)
    }

    @Test("without options every path gets 100 bytes")
    func plain() throws {
        let origin = try OriginUnderTest()
        #expect(try get(origin).body.count == 100)
        #expect(try get(origin, "/any/path").body.count == 100)
        #expect(try get(origin, "/status/503").status == 503)
        #expect(try get(origin, "/bytes/12345").body.count == 12_345)
        try origin.stop()
    }

    @Test("sizes, chunks, status and close are as asked for", arguments: ["0", "10", "8193", "100000"])
    func options(size: String) throws {
        let length = try OriginUnderTest(["--size", size, "--status", "201", "--close"])
        let response = try get(length)
        #expect(response.status == 201)
        #expect(response.body.count == Int(size))
        #expect(response.fields["Connection"] == ["close"])
        let chunked = try OriginUnderTest(["--size", size, "--chunked"])
        let other = try get(chunked)
        #expect(other.fields["Transfer-Encoding"] == ["chunked"])
        #expect(other.body.count == Int(size))
    }

    @Test("delays are kept, by the option and by the path")
    func delays() throws {
        let origin = try OriginUnderTest(["--delay", "200ms"])
        #expect(try elapsed { _ = try get(origin) } >= .milliseconds(200))
        let quick = try OriginUnderTest()
        #expect(try elapsed { _ = try get(quick, "/delay/300") } >= .milliseconds(300))
        let drawn = try OriginUnderTest(["--delay-distribution", "uniform:100ms-200ms"])
        #expect(try elapsed { _ = try get(drawn) } >= .milliseconds(100))
    }

    /// How often each thread of the origin has woken, by the thread's name.
    private func wakings(_ origin: OriginUnderTest) throws -> [String: Int] {
        let script = "cd /proc/\(origin.process.pid)/task && for t in *; do echo $(cat $t/comm) $(grep ^voluntary $t/status); done"
        let lines = try ChildProcess.run(["sh", "-c", script]).output.text.split(separator: "\n").map { $0.split(separator: " ") }
        return Dictionary(lines.compactMap { line in line.last.flatMap { Int($0) }.map { (String(line[0]), $0) } }) { first, _ in first }
    }

    @Test("several threads answer on one port, each its part of the connections")
    func threads() throws {
        let origin = try OriginUnderTest(["--threads", "3"])
        let before = try wakings(origin)
        let run = try LoadRun([origin.url(), "--closed", "--requests", "600", "--connections", "60"])
        #expect(try run.number("requests", "answered") == 600)
        let after = try wakings(origin)
        for thread in ["origin-0", "origin-1", "origin-2"] {
            #expect(try #require(after[thread]) > #require(before[thread]), "\(thread): \(before) \(after)")
        }
        try origin.stop()
    }

    @Test("a fault in place of an answer comes before any byte of one, also where the answer is an echo", arguments: ["/", "/echo", "/upload", "/chunked/100"])
    func resets(path: String) throws {
        let origin = try OriginUnderTest(["--fault", "reset:1"])
        let client = try ScriptedClient(to: origin.address)
        try client.send("POST \(path) HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhe")
        // When another one has had its reset, the origin has looked at these bytes.
        let other = try ScriptedClient(to: origin.address)
        try other.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n")
        try other.expectReset()
        try client.send("llo")
        try client.expectReset()
        #expect(client.received.isEmpty)
    }

    @Test("a report is meant for its own request, whatever came on other connections meanwhile")
    func report() throws {
        let origin = try OriginUnderTest()
        let old = try ScriptedClient(to: origin.address)
        try old.send("POST /upload HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nab")
        _ = try get(origin)
        try old.send("cde")
        #expect(try old.receiveResponse().fields["Connection"] == ["keep-alive"])
        let new = try ScriptedClient(to: origin.address)
        try new.send("POST /upload HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nab")
        let other = try ScriptedClient(to: origin.address)
        try other.send("GET / HTTP/1.0\r\n\r\n")
        _ = try other.receiveUntilEnd()
        try new.send("cde")
        #expect(try new.receiveResponse().fields["Connection"] == [])
    }

    @Test(
        "the engine answers the same whatever an experiment makes of it",
        arguments: [
            [], ["--lab-no-defer"], ["--lab-sqpoll"], ["--lab-single-shot"], ["--lab-buffer-bytes", "512"], ["--lab-ring", "64:256"],
            ["--lab-cooperative"], ["--lab-buffers", "16"],
            ["--lab-min-wait", "50us:8"],
        ])
    func experiments(options: [String]) throws {
        let origin = try OriginUnderTest(options)
        let run = try LoadRun([origin.url("/chunked/40000"), "--closed", "--requests", "200", "--connections", "20"])
        #expect(run.exitCode == 0, "\(run.json)")
        #expect(try run.number("bytes", "bodies") == 8_000_000)
        let upload = try LoadRun([origin.url("/upload"), "--closed", "--requests", "20", "--body-size", "50000"])
        #expect(upload.exitCode == 0, "\(upload.json)")
        try origin.stop()
    }

    @Test("the kernel's thread that takes entries off the ring is there when it is asked for", arguments: [true, false])
    func polling(isAsked: Bool) throws {
        let origin = try OriginUnderTest(isAsked ? ["--lab-sqpoll"] : [])
        // Who has answered has a ring.
        #expect(try get(origin).body.count == 100)
        // The start tries what the kernel can do, and the thread of such a trial ends a little later than its ring.
        try eventually("there is \(isAsked ? "such a thread" : "none")") {
            try wakings(origin).keys.contains { $0.hasPrefix("iou-sqp-") } == isAsked
        }
    }

    @Test(
        "what is no option is told with 64",
        arguments: [
            ["--size", "x"], ["--fault", "reset"], ["--fault", "reset:2"], ["--fault", "what:0.1"], ["--delay", "5"], ["--lab-ring", "100:200"], ["--lab-buffers", "100"],
            ["--lab-cooperative", "--lab-no-defer"],
            ["--sizes", "zipf:3"], ["--threads", "0"], ["--tls", "only-one"], ["--size", "1", "--sizes", "exp:1"], ["--delay", "1100s"],
            ["--delay-distribution", "exp:20m"], ["--fault", "stall:0.1", "--stall-time", "1h"], ["--size", "2000g"], ["--stall-time", "2s"],
            ["--fault", "reset:0.1", "--stall-time", "2s"], ["--no-resumption"],
        ])
    func wrongWords(options: [String]) throws {
        let run = try ChildProcess.run([try ProxyUnderTest.binaryPath(), "origin", "--listen", "127.0.0.1:0"] + options)
        #expect(run.ending == .exit(64))
        #expect(!run.errors.isEmpty)
    }
}

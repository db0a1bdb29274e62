import TestSupport
import Testing

@Suite("Peers that nobody here wrote: nginx behind, curl and wrk in front", .scenario)
struct RealPeerTests {
    private func withNginx(server: [Setting] = [], downstream: [Setting] = [], connections: Int = 8, accessLog: String? = nil, _ body: (ProxyUnderTest) throws -> Void) throws {
        let files = [
            "small": Bytes("hello"), "1k": BodyPattern.bytes(1_024, seed: 51), "large": BodyPattern.bytes(10_000_000, seed: 52), "text.txt": Bytes(repeating: 0x61, count: 50_000),
        ]
        try withProxy(to: try NginxBackend(files: files), server: server, downstream: downstream, connections: connections, accessLog: accessLog, body)
    }

    @Test("curl gets what nginx has: small, large, ranges, chunked, missing, by HTTP/1.0 and 1.1")
    func curl() throws {
        try withNginx { proxy in
            let url = proxy.url
            let small = try RealClient.curl([url + "/small"])
            #expect(small == Bytes("hello"))
            let large = try RealClient.curl([url + "/large"])
            #expect(large.count == 10_000_000)
            #expect(BodyPattern.firstDifference(large, seed: 52) == nil)
            #expect(try RealClient.curl(["--http1.0", url + "/small"]) == Bytes("hello"))
            #expect(try RealClient.curl(["--range", "100-199", url + "/large"]) == BodyPattern.bytes(100, seed: 52, from: 100))
            #expect(try RealClient.curl(["--compressed", url + "/chunked/text.txt"]) == Bytes(repeating: 0x61, count: 50_000))
            #expect(try RealClient.curl(["--output", "/dev/null", "--write-out", "%{http_code}", url + "/nothing"]) == Bytes("404"))
            #expect(try RealClient.curl(["--head", "--output", "/dev/null", "--write-out", "%{http_code} %{size_download}", url + "/large"]) == Bytes("200 0"))
            #expect(try RealClient.curl(["--write-out", " %{num_connects}", url + "/small", url + "/small", url + "/small"]) == Bytes("hello 1hello 0hello 0"))
        }
    }

    @Test("curl uploads with Expect and in chunks, and nginx takes it")
    func upload() throws {
        let folder = try TemporaryFolder()
        let file = try folder.write("body", BodyPattern.bytes(3_000_000, seed: 53))
        let backend = try HandlerBackend.named("one")
        try withProxy(to: backend) { proxy in
            for extra in [["--header", "Expect: 100-continue"], ["--header", "Transfer-Encoding: chunked", "--header", "Expect:"]] {
                let echo = try RealClient.curl(["--expect100-timeout", "0.2", "--data-binary", "@\(file)"] + extra + [proxy.url + "/up"])
                #expect(echo.count == 3_000_000)
                #expect(BodyPattern.firstDifference(echo, seed: 53) == nil)
            }
        }
    }

    @Test("wrk finds no error, with and without shared connections, and every request is counted and logged", arguments: [1, 16])
    func load(pipeline: Int) throws {
        try withNginx(downstream: [.pipeline(pipeline), .connectionsMax(4)], connections: 4, accessLog: "{STATUS}") { proxy in
            let load = try RealClient.wrk(proxy.url + "/1k", connections: 32)
            #expect(load.requests > 100)
            #expect(load.errors == 0, "\(load.report)")
            let counters = try proxy.counters()
            #expect(counters.sum("requests") >= load.requests)
            #expect(counters.sum("responses5xx") == 0)
            #expect(counters.sum("retries") == 0)
        }
    }

    @Test("wrk with a new connection for each request finds no error")
    func close() throws {
        try withNginx { proxy in
            let load = try RealClient.wrk(proxy.url + "/1k", connections: 16, arguments: ["-H", "Connection: close"])
            #expect(load.requests > 50)
            #expect(load.errors == 0, "\(load.report)")
        }
    }

    @Test("wrk with large bodies finds no error")
    func largeBodies() throws {
        try withNginx { proxy in
            let load = try RealClient.wrk(proxy.url + "/large", connections: 4)
            let spliced = try proxy.counters().sum("splicedBytes")
            #expect(load.errors == 0, "\(load.report)")
            #expect(spliced > 0)
        }
    }
}

import TestSupport
import Testing

@Suite("Load generator and origin over TLS", .scenario)
struct LoadTLSTests {
    private let files: TLSFiles
    init() throws { files = try TLSFiles() }

    private func origin(_ options: String...) throws -> OriginUnderTest {
        try OriginUnderTest(["--tls", files.path("ecdsa.pem"), files.path("ecdsa.key")] + options)
    }

    private func load(_ origin: OriginUnderTest, _ options: String..., path: String = "/") throws -> LoadRun {
        try LoadRun([origin.url(path, scheme: "https")] + options)
    }

    @Test("requests go over a few connections, each with one handshake")
    func keepAlive() throws {
        let origin = try origin()
        let run = try load(origin, "--ca", files.path("ca.pem"), "--closed", "--requests", "300", "--connections", "4")
        #expect(run.exitCode == 0, "\(run.json) \(run.errors)")
        #expect(try run.number("connections", "tls_handshakes") == 4)
        #expect(try run.number("requests", "answered") == 300)
        #expect(try run.addsUp)
        try origin.stop()
    }

    @Test("with resumption all connections but the first ones resume, without it none does")
    func resumption() throws {
        let origin = try origin()
        let resumed = try load(origin, "--insecure", "--closed", "--close", "--requests", "50", "--connections", "1")
        #expect(resumed.exitCode == 0, "\(resumed.json)")
        #expect(try resumed.number("connections", "tls_handshakes") == 50)
        #expect(try resumed.number("connections", "tls_resumed") == 49)
        let whole = try load(origin, "--insecure", "--closed", "--close", "--requests", "50", "--connections", "1", "--no-resumption")
        #expect(try whole.number("connections", "tls_handshakes") == 50)
        #expect(try whole.number("connections", "tls_resumed") == 0)
        let refusing = try self.origin("--no-resumption")
        let refused = try load(refusing, "--insecure", "--closed", "--close", "--requests", "20", "--connections", "1")
        #expect(refused.exitCode == 0, "\(refused.json)")
        #expect(try refused.number("connections", "tls_handshakes") == 20)
        #expect(try refused.number("connections", "tls_resumed") == 0)
    }

    @Test("a certificate that nobody vouches for is refused")
    func verification() throws {
        let origin = try origin()
        let run = try load(origin, "--ca", files.path("stranger.pem"), "--closed", "--requests", "5")
        #expect(run.exitCode == 1)
        #expect(run.errors.contains("TLS or WebSocket was refused"))
        let named = try load(origin, "--ca", files.path("ca.pem"), "--server-name", "nobody.test", "--closed", "--requests", "5")
        #expect(named.exitCode == 1)
        #expect(named.errors.contains("TLS or WebSocket was refused"))
    }

    @Test(
        "bodies are whole, whatever their framing and size",
        arguments: ["/bytes/1000000", "/chunked/300000", "/until-close/300000", "/echo", "/upload", "/broken/100000"])
    func bodies(path: String) throws {
        let origin = try origin()
        let body = path == "/echo" || path == "/upload" ? ["--body-size", "200000"] : []
        let run = try LoadRun([origin.url(path, scheme: "https"), "--insecure", "--rate", "100", "--requests", "12", "--connections", "3"] + body)
        guard path != "/broken/100000" else {
            #expect(try run.number("errors", "wrong_length") == 12, "\(run.json)")
            return
        }
        #expect(run.exitCode == 0, "\(run.json)")
        #expect(try run.number("requests", "answered") == 12)
        let expected = ["/bytes/1000000": 12e6, "/chunked/300000": 3.6e6, "/until-close/300000": 3.6e6, "/echo": 2.4e6][path]
        if let expected { #expect(try run.number("bytes", "bodies") == expected) }
    }

    @Test("WebSocket, pipelining, slow readers and slow writers work under TLS as well")
    func others() throws {
        let origin = try origin()
        let socket = try load(origin, "--insecure", "--websocket", "--closed", "--requests", "50", "--body-size", "20000", path: "/ws")
        #expect(socket.exitCode == 0, "\(socket.json)")
        let pipelined = try load(origin, "--insecure", "--closed", "--requests", "200", "--pipeline", "5")
        #expect(pipelined.exitCode == 0, "\(pipelined.json)")
        let slow = try load(origin, "--insecure", "--closed", "--requests", "1", "--connections", "1", "--read-rate", "50000", path: "/bytes/40000")
        #expect(slow.exitCode == 0, "\(slow.json)")
        let bearable = 1_000_000 * Patience.factor
        #expect(try (650_000...(650_000 + bearable)).contains(slow.number("latency_us", "p50")), "\(slow.json)")
        let writing = try load(
            origin, "--insecure", "--closed", "--requests", "1", "--connections", "1", "--body-size", "2m", "--write-rate", "2m", path: "/upload")
        #expect(writing.exitCode == 0, "\(writing.json)")
        #expect(try (850_000...(850_000 + bearable)).contains(writing.number("latency_us", "p50")), "\(writing.json)")
    }
}

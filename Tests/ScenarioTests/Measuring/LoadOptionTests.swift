import TestSupport
import Testing

@Suite("Options of load generator and origin", .scenario)
struct LoadOptionTests {
    /// What a backend is asked in a run of three requests; `arguments` are told where it listens.
    private func requests(on wanted: PeerAddress = .ipv4(port: 0), _ arguments: (PeerAddress) -> [String]) throws -> [ReceivedRequest] {
        let seen = Monitor<[ReceivedRequest]>([])
        let backend = try HandlerBackend(on: wanted) { request, _ in
            seen.with { $0.append(request) }
            return .bytes(HandlerBackend.response(body: []))
        }
        defer { backend.close() }
        let run = try LoadRun(arguments(backend.address) + ["--closed", "--requests", "3", "--connections", "1"])
        #expect(run.exitCode == 0, "\(run.json) \(run.errors)")
        #expect(try run.number("requests", "answered") == 3)
        let requests = seen.with { $0 }
        #expect(requests.count == 3)
        return requests
    }

    @Test("connections go where --connect says, and requests name the host of the URL")
    func connect() throws {
        let folder = try TemporaryFolder()
        for wanted in [PeerAddress.ipv4(port: 0), .ipv6(port: 0), .unix(path: folder.path("socket"))] {
            for request in try requests(on: wanted, { ["http://shop.example:81/a?b", "--connect", "\($0)"] }) {
                #expect(request.target == "/a?b", "\(wanted)")
                #expect(request.fields["Host"] == ["shop.example:81"], "\(wanted)")
            }
        }
    }

    @Test("the body of every request is the file, byte by byte, and makes it a POST")
    func body() throws {
        let content: Bytes = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        let folder = try TemporaryFolder()
        let path = try folder.write("body", content)
        for request in try requests({ ["http://\($0)/", "--body", path] }) {
            #expect(request.method == "POST")
            #expect(request.body == content)
        }
        for request in try requests({ ["http://\($0)/", "--body", path, "--method", "PUT"] }) {
            #expect(request.method == "PUT")
            #expect(request.body == content)
        }
    }

    @Test("the method is the one that is asked for", arguments: ["DELETE", "OPTIONS", "PROPFIND"])
    func method(word: String) throws {
        for request in try requests({ ["http://\($0)/", "--method", word] }) {
            #expect(request.method == word)
            #expect(request.body.isEmpty)
        }
    }

    @Test("the distribution is written as plotters of HdrHistogram read it, with every answer and in milliseconds")
    func distribution() throws {
        let origin = try OriginUnderTest()
        let folder = try TemporaryFolder()
        let file = folder.path("distribution")
        let run = try LoadRun([origin.url("/delay/5"), "--closed", "--requests", "300", "--hdr", file])
        #expect(run.exitCode == 0, "\(run.json) \(run.errors)")
        let text = try #require(FileContent.read(file)).text
        let lines = text.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
        #expect(lines.first == ["Value", "Percentile", "TotalCount", "1/(1-Percentile)"], "\(text)")
        // The last row before the remarks is that of the greatest value.
        let rows = lines.dropFirst().filter { words in words.first?.hasPrefix("#") == false }
        let last = try #require(rows.last)
        #expect(last.count == 3 && last[2] == "300", "\(text)")
        let greatest = try #require(last.first.flatMap { Double($0) })
        #expect(try abs(greatest * 1_000 / run.number("latency_us", "max") - 1) < 0.02, "\(text)")
    }

    @Test("sizes of bodies follow the law that is asked for")
    func sizes() throws {
        let even = try OriginUnderTest(["--sizes", "uniform:1000-2000"])
        let client = try ScriptedClient(to: even.address)
        var sizes: [Int] = []
        for _ in 0..<100 { sizes.append(try client.get().body.count) }
        #expect(sizes.allSatisfy { (1_000...2_000).contains($0) }, "\(sizes)")
        #expect(Set(sizes).count > 50, "\(sizes)")
        let drawn = try OriginUnderTest(["--sizes", "exp:5000"])
        let run = try LoadRun([drawn.url(), "--closed", "--requests", "2000"])
        #expect(run.exitCode == 0, "\(run.json)")
        let mean = try run.number("bytes", "bodies") / 2_000
        #expect((4_500...5_500).contains(mean), "\(mean)")
    }
}

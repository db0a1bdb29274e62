import TestSupport
import Testing

@Suite("Tools around the proxy", .scenario)
struct ToolTests {
    @Test("a child's output and exit are seen, and its descriptors are its own")
    func childProcess() throws {
        let backend = try ScriptedBackend()
        let client = try ScriptedClient(to: backend.address)
        let child = try ChildProcess(["sh", "-c", "echo out; echo err >&2; ls /proc/self/fd | wc -l; read x < /dev/null; exit 7"])
        #expect(try child.waitForEnd() == .exit(7))
        #expect(child.standardError == Bytes("err\n"))
        // Standard input, output and error, and the folder that `ls` reads.
        #expect(child.standardOutput == Bytes("out\n4\n"))
        _ = client
    }

    @Test("a child that is let go of is killed")
    func childIsKilled() throws {
        let child = try ChildProcess(["sleep", "1000"])
        child.kill()
        #expect(try child.waitForEnd() == .signal(9))
    }

    @Test("nginx, curl and wrk work with each other")
    func realPeers() throws {
        let nginx = try NginxBackend(files: ["a": Bytes("hello"), "b.txt": Bytes(repeating: 0x61, count: 5000)])
        let url = "http://\(nginx.address)"
        #expect(try RealClient.curl([url + "/a"]) == Bytes("hello"))
        let client = try ScriptedClient(to: nginx.address)
        let chunked = try client.get("/chunked/b.txt", fields: "Accept-Encoding: gzip\r\n")
        #expect(chunked.content.framing == .chunked)
        let load = try RealClient.wrk(url + "/a", connections: 4)
        #expect(load.requests > 0)
        #expect(load.errors == 0)
    }

    @Test("JSON is read strictly")
    func json() throws {
        let value = try JSONValue(Bytes(#"{"a": [1, -2.5e1, "x\n\u0041"], "b": {"c": true, "d": null}}"#))
        #expect(value["a"]?.elements == [.number(1), .number(-25), .string("x\nA")])
        #expect(value["b"]?["c"] == .bool(true))
        for bad in ["", "{", "{\"a\":1,}", "[1 2]", "\"\n\"", "01", "+1", "nul", "{} {}", "{\"a\":1,\"a\":2}", "\"\\x\""] {
            #expect(throws: ScenarioFailure.self, "\(bad)") { try JSONValue(Bytes(bad)) }
        }
    }

    @Test("ready lines are read for every family, complete lines only")
    func readyLines() {
        let output = Bytes("x\nweir: listening on 127.0.0.1:80\nweir: listening on [::1]:81\nweir: listening on unix:/a/b\nweir: listening on 127.0.0.1:8")
        #expect(ProxyUnderTest.announced(in: output) == [.ipv4(port: 80), .ipv6(port: 81), .unix(path: "/a/b")])
    }

    @Test("work in the background hands over its value or its failure")
    func background() throws {
        #expect(try Background { 5 }.join() == 5)
        #expect(throws: ScenarioFailure.self) { try Background<Int> { throw ScenarioFailure("no") }.join() }
    }
}

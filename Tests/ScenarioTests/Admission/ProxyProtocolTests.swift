import Glibc
import TestSupport
import Testing

@Suite("PROXY protocol from what stands before us", .scenario)
struct AcceptedProxyTests {
    private let told = "headers { forwarded-for = replace }"

    private func withFront(
        _ mode: String, from: String = "127.0.0.1", others: String = "refuse", _ settings: [Setting] = [], _ body: (ProxyUnderTest) throws -> Void
    ) throws {
        let backend = try HandlerBackend { request, _ in .bytes(HandlerBackend.response(body: Bytes(request.fields["X-Forwarded-For"].joined(separator: "|")))) }
        try withTwoWorkers(
            to: backend,
            settings + [
                Setting("proxy-protocol", mode), Setting("proxy-protocol-from", "{ \(from) }"), Setting("proxy-protocol-others", others),
            ], sections: [told], accessLog: "{SRC} {STATUS} {REASON}", body)
    }

    private func forwarded(_ proxy: ProxyUnderTest, _ head: Bytes) throws -> String {
        let client = try proxy.connect()
        try client.send(head)
        return try client.get("/").body.text
    }

    @Test("the client's address is the one that the head tells, in either version: for backends and in the log", arguments: ["accept", "require"])
    func address(mode: String) throws {
        try withFront(mode) { proxy in
            #expect(try forwarded(proxy, SentHead.text("198.51.100.1")) == "198.51.100.1")
            #expect(try forwarded(proxy, SentHead.binary([198, 51, 100, 2], fields: [3, 0, 4, 1, 2, 3, 4])) == "198.51.100.2")
            #expect(try forwarded(proxy, SentHead.local) == "127.0.0.1")
            #expect(try forwarded(proxy, Bytes("PROXY TCP6 2001:db8::7 ::1 1 2\r\n")) == "2001:db8::7")
            let lines = try proxy.accessLog(lines: 4)
            for source in ["198.51.100.1", "198.51.100.2", "127.0.0.1", "2001:db8::7"] { #expect(lines.contains { $0.contains(source) }, "\(lines)") }
            #expect(try proxy.counters().sum("proxyHeads") == 4)
        }
    }

    @Test("a head may come byte by byte, and a request right behind it")
    func pieces() throws {
        try withFront("accept") { proxy in
            for head in [SentHead.text("198.51.100.1"), SentHead.binary([198, 51, 100, 1])] {
                let slow = try proxy.connect()
                try slow.send(pieces: head.map { [$0] })
                #expect(try slow.get("/").body.text == "198.51.100.1")
                let quick = try proxy.connect()
                try quick.send(head + Bytes("GET / HTTP/1.1\r\nHost: test\r\n\r\nGET /2 HTTP/1.1\r\nHost: test\r\n\r\n"))
                #expect(try quick.receiveResponse().body.text == "198.51.100.1")
                #expect(try quick.receiveResponse().body.text == "198.51.100.1")
            }
        }
    }

    @Test("where heads may come, a request without one is the peer's own, however it begins")
    func plain() throws {
        try withFront("accept") { proxy in
            #expect(try proxy.connect().get("/").body.text == "127.0.0.1")
            let slow = try proxy.connect()
            try slow.send(pieces: ["P", "RO", "PFIND / HTTP/1.1\r\nHost: test\r\n\r\n"].map { Bytes($0) })
            #expect(try slow.receiveResponse().body.text == "127.0.0.1")
            let empty = try proxy.connect()
            try empty.send(pieces: ["\r", "\n", "GET / HTTP/1.1\r\nHost: test\r\n\r\n"].map { Bytes($0) })
            #expect(try empty.receiveResponse().body.text == "127.0.0.1")
        }
    }

    @Test("where they must come, a request without one is refused")
    func required() throws {
        try withFront("require") { proxy in
            let client = try proxy.connect()
            try client.sendRequest("/")
            #expect(try client.receiveResponse().status == 400)
            try client.expectClosed()
            #expect(try proxy.counters().sum("proxyHeadsRefused") == 1)
        }
    }

    @Test("a head of somebody who is not named is never believed: refused, or skipped by setting")
    func strangers() throws {
        try withFront("accept", from: "192.0.2.1") { proxy in
            let client = try proxy.connect()
            try client.send(SentHead.text("198.51.100.1") + Bytes("GET / HTTP/1.1\r\nHost: test\r\n\r\n"))
            #expect(try client.receiveResponse().status == 400)
            #expect(try proxy.connect().get("/").body.text == "127.0.0.1")
        }
        try withFront("accept", from: "192.0.2.1", others: "ignore") { proxy in
            let told = try forwarded(proxy, SentHead.text("198.51.100.1"))
            #expect(told == "127.0.0.1")
        }
        try withFront("require", from: "192.0.2.1") { proxy in
            let answer = try proxy.connect().receiveResponse()
            #expect(answer.status == 403)
        }
    }

    @Test(
        "a broken head is refused with 400 and the connection ends",
        arguments: [
            Bytes("PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n"), Bytes("PROXY TCP4 300.2.3.4 1.2.3.4 1 2\r\n"), Bytes("PROXY " + String(repeating: "x", count: 200)),
            SentHead.signature + [0x21, 0x11, 0xFF, 0xFF], SentHead.signature + [0x31, 0x11, 0, 12], SentHead.signature + [0x21, 0x21, 0, 12] + Bytes(repeating: 0, count: 12),
        ])
    func hostile(_ head: Bytes) throws {
        try withFront("accept") { proxy in
            let client = try proxy.connect()
            try client.send(head)
            #expect(try client.receiveResponse().status == 400)
            try client.expectClosed()
            #expect(try proxy.accessLog(lines: 1)[0].hasSuffix("400 proxy-head"))
            #expect(try proxy.connect().get("/").status == 200)
        }
    }

    @Test("the time for the first head holds for the PROXY head too")
    func slow() throws {
        try withFront("accept", [.headerTimeout(300)]) { proxy in
            let time = try elapsed {
                let client = try proxy.connect()
                try client.send("PROXY TCP4 198.51")
                try client.expectClosed()
            }
            #expect(expectedSpan(of: .milliseconds(300)).contains(time))
        }
    }

    @Test("HAProxy as the one who sends them, in both versions", arguments: ["send-proxy", "send-proxy-v2"])
    func haproxy(word: String) throws {
        guard access("/usr/sbin/haproxy", X_OK) == 0 else { return }
        let backend = try HandlerBackend { request, _ in .bytes(HandlerBackend.response(body: Bytes(request.fields["X-Forwarded-For"].joined(separator: "|")))) }
        let words = [Setting("proxy-protocol", "require"), Setting("proxy-protocol-from", "{ 127.0.0.1 }")]
        try withTwoWorkers(to: backend, words, sections: ["headers { forwarded-for = rproxy }"]) { proxy in
            let folder = try TemporaryFolder()
            let free = try ScriptedBackend()
            let front = free.address
            free.close()
            let file = try folder.write(
                "haproxy.cfg",
                """
                defaults
                    mode tcp
                    timeout connect 5s
                    timeout client 5s
                    timeout server 5s
                listen front
                    bind \(front)
                    server weir \(proxy.addresses[0]) \(word)

                """)
            let process = try ChildProcess(["/usr/sbin/haproxy", "-db", "-f", file])
            defer { process.kill() }
            try eventually("haproxy listens at \(front)") {
                if let ending = process.ending { throw ScenarioFailure("haproxy ended: \(ending) \(process.standardError.readable)") }
                guard let probe = try? ScriptedClient(to: front) else { return false }
                probe.close()
                return true
            }
            let client = try ScriptedClient(to: front)
            #expect(try client.get("/").body.text == "127.0.0.1:\(client.localPort)")
            #expect(try proxy.counters().sum("proxyHeads") >= 1)
        }
    }
}

@Suite("PROXY protocol toward backends", .scenario)
struct SentProxyTests {
    @Test("a connection begins with the head of its client, serves it alone, and is used by its next requests")
    func text() throws {
        let backend = try ScriptedBackend()
        try withProxy(
            ProxyConfiguration(servers: [.init(downstreams: [.init(backend, [Setting("send-proxy-protocol", "v1")])])])
        ) { proxy in
            defer { backend.close() }
            var connections: [Int] = []
            for _ in 0..<2 {
                let client = try proxy.connect()
                try client.sendRequest("/one")
                let connection = try backend.activeConnection()
                #expect(try connection.receive(through: "\r\n").text == "PROXY TCP4 127.0.0.1 127.0.0.1 \(client.localPort) \(proxy.addresses[0].port)\r\n")
                #expect(try connection.receiveRequest().target == "/one")
                try connection.respond(body: "ok")
                #expect(try client.receiveResponse().body == Bytes("ok"))
                try client.sendRequest("/two")
                #expect(try connection.receiveRequest().target == "/two")
                try connection.respond(body: "ok")
                #expect(try client.receiveResponse().body == Bytes("ok"))
                connections.append(connection.number)
            }
            #expect(connections == [1, 2])
        }
    }

    @Test("it closes with its client, and an idle one makes room for another client")
    func room() throws {
        let backend = try ScriptedBackend()
        try withProxy(
            ProxyConfiguration(servers: [.init(downstreams: [.init(backend, [Setting("send-proxy-protocol", "v2")], connections: 1)])])
        ) { proxy in
            defer { backend.close() }
            func ask(_ client: ScriptedClient) throws -> BackendConnection {
                try client.sendRequest("/")
                let connection = try backend.activeConnection()
                let head = try connection.receive(28)
                #expect(Array(head.prefix(16)) == SentHead.signature + [0x21, 0x11, 0, 12])
                #expect(Array(head[16..<24]) == [127, 0, 0, 1, 127, 0, 0, 1] && Int(head[24]) << 8 | Int(head[25]) == Int(client.localPort))
                _ = try connection.receiveRequest()
                try connection.respond(body: "ok")
                #expect(try client.receiveResponse().body == Bytes("ok"))
                return connection
            }
            let first = try proxy.connect()
            let old = try ask(first)
            let second = try proxy.connect()
            let new = try ask(second)
            try old.expectClosed()
            second.close()
            try new.expectClosed()
        }
    }

    @Test("the address that came by a PROXY head goes on by one")
    func through() throws {
        let backend = try ScriptedBackend()
        try withProxy(
            ProxyConfiguration(servers: [.init(believesUs, downstreams: [.init(backend, [Setting("send-proxy-protocol", "v1")])])])
        ) { proxy in
            defer { backend.close() }
            let client = try proxy.connect(as: "198.51.100.9")
            try client.sendRequest("/")
            let connection = try backend.activeConnection()
            #expect(try connection.receive(through: "\r\n").text.hasPrefix("PROXY TCP4 198.51.100.9 127.0.0.1 4711 "))
        }
    }

    @Test("nginx as the one who receives them, in both versions", arguments: ["v1", "v2"])
    func nginx(version: String) throws {
        let receiver = try NginxReceiver()
        try withProxy(
            ProxyConfiguration(servers: [.init(believesUs, downstreams: [.init(at: receiver.address, [Setting("send-proxy-protocol", version)])])])
        ) { proxy in
            defer { receiver.close() }
            for source in ["198.51.100.9", "198.51.100.10"] {
                let client = try proxy.connect(as: source)
                for _ in 0..<3 { #expect(try client.get("/").body.text == "\(source) 4711") }
            }
        }
    }
}

/// Debian's nginx, which answers with the address that a PROXY head told it.
private final class NginxReceiver {
    let address: PeerAddress
    private let folder: TemporaryFolder
    private let process: ChildProcess

    init() throws {
        folder = try TemporaryFolder()
        let free = try ScriptedBackend()
        address = free.address
        free.close()
        let path = folder.path
        let file = try folder.write(
            "nginx.conf",
            """
            daemon off; master_process off; worker_processes 1; pid \(path)/pid; error_log stderr warn;
            events { worker_connections 64; }
            http {
              access_log off; default_type text/plain;
              client_body_temp_path \(path)/b1; proxy_temp_path \(path)/b2; fastcgi_temp_path \(path)/b3;
              uwsgi_temp_path \(path)/b4; scgi_temp_path \(path)/b5;
              server { listen \(address) proxy_protocol; location / { return 200 "$proxy_protocol_addr $proxy_protocol_port"; } }
            }
            """)
        process = try ChildProcess(["/usr/sbin/nginx", "-e", "stderr", "-p", path, "-c", file])
        let process = process
        let address = address
        try eventually("nginx listens at \(address)") {
            if let ending = process.ending { throw ScenarioFailure("nginx ended: \(ending) \(process.standardError.readable)") }
            guard let probe = try? ScriptedClient(to: address) else { return false }
            probe.close()
            return true
        }
    }

    func close() { process.kill() }
}

import Glibc
import TestSupport
import Testing

@Suite("Stopping with clients under TLS", .scenario)
struct TLSDrainTests {
    @Test("idle clients are told the end by close_notify, exchanges and handshakes under way are finished, new clients are refused", arguments: ["1.2", "1.3"])
    func drain(version: String) throws {
        let files = try TLSFiles()
        let backend = try ScriptedBackend()
        try withTLS(files, to: backend) { proxy in
            let client = try files.startPython(
                #"""
                c = context(ARGS[0])
                idle = connect(c)
                print(get(idle, "/idle")[0])
                busy = connect(c)
                busy.sendall(b"GET /busy HTTP/1.1\r\nHost: example.com\r\n\r\n")
                start, rest = head(busy)
                print("head")
                print(idle.recv(100))
                idle.unwrap()
                print("idle is over")
                while len(rest) < 10: rest += busy.recv(100)
                print(rest, busy.recv(100))
                try:
                    tcp()
                    print("came in")
                except OSError: print("refused")
                """#, port: proxy.addresses[0].port, [version])
            let (_, first) = try backend.receiveRequest()
            try first.respond(body: "ok")
            let (_, second) = try backend.receiveRequest()
            try second.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
            try files.waitForLine("head", of: client)
            proxy.process.signal(SIGTERM)
            try files.waitForLine("idle is over", of: client)
            try second.send("world")
            #expect(try files.end(client) == ["200", "head", "b''", "idle is over", "b'helloworld' b''", "refused"])
            try proxy.expectEnd(.exit(0))
        }
    }

    @Test("a client that never ends its handshake does not hold up the end", arguments: ["", "hello"])
    func handshaking(begun: String) throws {
        let files = try TLSFiles()
        try withTLS(files, to: try HandlerBackend.named("one")) { proxy in
            let client = try files.startPython(
                #"""
                c = context("1.3")
                out = ssl.MemoryBIO()
                hello = c.wrap_bio(ssl.MemoryBIO(), out, server_hostname="example.com")
                try: hello.do_handshake()
                except ssl.SSLWantReadError: pass
                raw = tcp()
                if ARGS[0]:
                    raw.sendall(out.read())
                    raw.recv(1)
                print("ready")
                try:
                    while raw.recv(65536): pass
                except ConnectionError: pass
                print("over")
                """#, port: proxy.addresses[0].port, [begun])
            try files.waitForLine("ready", of: client)
            if begun.isEmpty { try eventually("it is accepted") { try proxy.counters().sum("clientsOpen") == 1 } }
            let time = try elapsed {
                proxy.process.signal(SIGTERM)
                try proxy.expectEnd(.exit(0))
            }
            #expect(time < .seconds(4) * Patience.factor)
            #expect(try files.end(client) == ["ready", "over"])
        }
    }
}

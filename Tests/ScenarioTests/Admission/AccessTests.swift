import TestSupport
import Testing

@Suite("Access by address", .scenario)
struct AccessTests {
    @Test("who may not come in is answered 403 before a byte is read, and the connection ends")
    func refused() throws {
        try withTwoWorkers(
            to: try HandlerBackend.named("one"), sections: ["access { deny = { 127.0.0.0/8 } }"], accessLog: "{STATUS} {REASON} {SRC}"
        ) { proxy in
            let client = try proxy.connect()
            #expect(try client.receiveResponse().status == 403)
            try client.expectClosed()
            #expect(try proxy.accessLog(lines: 1)[0].hasPrefix("403 access-denied 127.0.0.1"))
            #expect(try proxy.counters().sum("accessDenied") == 1)
        }
    }

    @Test("or is closed without a word")
    func closed() throws {
        try withTwoWorkers(to: try HandlerBackend.named("one"), sections: ["access { allow = { 192.0.2.0/24 } refuse = close }"]) { proxy in
            try proxy.connect().expectClosed()
            #expect(try proxy.counters().sum("accessDenied") == 1)
        }
    }

    @Test("the address that a PROXY head tells is the one that counts")
    func realAddress() throws {
        try withTwoWorkers(
            to: try HandlerBackend.named("one"), believesUs, sections: ["access { allow = { 198.51.100.0/24 } deny = { 198.51.100.128/25 } }"]
        ) { proxy in
            #expect(try proxy.connect(as: "198.51.100.1").get("/").status == 200)
            #expect(try proxy.connect(as: "198.51.100.200").receiveResponse().status == 403)
            #expect(try proxy.connect(as: "192.0.2.1").receiveResponse().status == 403)
            let plain = try proxy.connect()
            try plain.sendRequest("/")
            #expect(try plain.receiveResponse().status == 403)
        }
    }

    @Test("virtual hosts and rules have lists of their own, and all of them must let a client in")
    func levels() throws {
        let sections = [
            """
            access { deny = { 203.0.113.0/24 } }
            vhost inner.test {
                access { allow = { 198.51.100.0/24, 203.0.113.0/24 } }
                rule admin { uri-gmatch = "/admin/*" downstreams = backend0 access { allow = { 198.51.100.7 } } }
                rule hidden { uri-gmatch = "/hidden/*" downstreams = backend0 access { deny = { all } refuse = close } }
                rule rest { uri-gmatch = "*" downstreams = backend0 }
            }
            vhost outer.test { rule all { uri-gmatch = "*" downstreams = backend0 } }
            """
        ]
        try withTwoWorkers(to: try HandlerBackend.named("one"), believesUs, sections: sections) { proxy in
            func status(_ source: String, _ host: String, _ target: String) throws -> Int {
                let client = try proxy.connect(as: source)
                let answer = try client.get(target, host: host)
                if answer.status == 403 { try client.expectClosed() }
                return answer.status
            }
            #expect(try status("198.51.100.7", "inner.test", "/admin/x") == 200)
            #expect(try status("198.51.100.8", "inner.test", "/admin/x") == 403)
            #expect(try status("198.51.100.8", "inner.test", "/x") == 200)
            #expect(try status("192.0.2.1", "inner.test", "/x") == 403)
            #expect(try status("192.0.2.1", "outer.test", "/x") == 200)
            #expect(try proxy.connect(as: "203.0.113.1").receiveResponse().status == 403)
            let hidden = try proxy.connect(as: "198.51.100.7")
            try hidden.send("GET /hidden/x HTTP/1.1\r\nHost: inner.test\r\n\r\n")
            try hidden.expectClosed()
        }
    }
}

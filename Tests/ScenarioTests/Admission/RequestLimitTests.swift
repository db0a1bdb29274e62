import TestSupport
import Testing

@Suite("Limits of requests and connections", .scenario)
struct RequestLimitTests {
    @Test("one request too many is answered 429 with Retry-After, on a connection that stays, and told in log and counters")
    func tooMany() throws {
        try withTwoWorkers(
            to: try HandlerBackend.named("one"), sections: ["rate-limit { requests = 1 requests-burst = 2 }"], accessLog: "{STATUS} {REASON}"
        ) { proxy in
            let client = try proxy.connect()
            #expect(try client.get("/").status == 200)
            #expect(try client.get("/").status == 200)
            let refused = try client.get("/")
            #expect(refused.status == 429 && refused.fields["Retry-After"] == ["1"])
            try eventually("there is a token again") { try client.get("/").status == 200 }
            #expect(try proxy.accessLog(lines: 3)[2] == "429 request-limit")
            #expect(try proxy.counters().sum("requestsLimited") >= 1)
        }
    }

    @Test("the rate holds over all workers within 5 %, and one batch each")
    func rate() throws {
        try withTwoWorkers(to: try HandlerBackend.named("one"), sections: ["rate-limit { requests = 400 requests-burst = 40 }"]) { proxy in
            let (load, time) = try timed { try RealClient.wrk(proxy.url + "/", connections: 16, seconds: 3) }
            let served = load.requests - load.errors
            let seconds = Double(time.components.seconds) + Double(time.components.attoseconds) / 1e18
            // The load runs for three seconds; what the tool takes beside that belongs to no rate.
            #expect(Double(served) <= (400 * seconds + 40) * 1.05 && Double(served) >= 1_200 * 0.95, "\(load.report)")
            #expect(load.errors > 100)
            let counters = try proxy.counters()
            #expect(counters.sum("requestsLimited") >= load.errors)
        }
    }

    @Test("a virtual host and a rule have limits of their own")
    func levels() throws {
        let sections = [
            """
            vhost limited.test { rate-limit { requests = 1 } rule all { uri-gmatch = "*" downstreams = backend0 } }
            vhost rules.test {
                rule slow { uri-gmatch = "/slow/*" downstreams = backend0 rate-limit { requests = 1 } }
                rule rest { uri-gmatch = "*" downstreams = backend0 }
            }
            """
        ]
        try withTwoWorkers(to: try HandlerBackend.named("one"), sections: sections) { proxy in
            let client = try proxy.connect()
            func status(_ target: String, _ host: String) throws -> Int { try client.get(target, host: host).status }
            #expect(try status("/", "limited.test") == 200)
            #expect(try status("/", "limited.test") == 429)
            #expect(try status("/slow/a", "rules.test") == 200)
            #expect(try status("/slow/b", "rules.test") == 429)
            #expect(try status("/fast", "rules.test") == 200)
            #expect(try status("/fast", "rules.test") == 200)
        }
    }

    @Test("what a rule refuses does not use up what its server allows")
    func narrowFirst() throws {
        let sections = [
            """
            rate-limit { requests = 1 requests-burst = 3 }
            vhost test { rule one { uri-match = "/one" downstreams = backend0 rate-limit { requests = 1 } } rule rest { uri-gmatch = "*" downstreams = backend0 } }
            """
        ]
        try withProxy(to: try HandlerBackend.named("one"), sections: sections) { proxy in
            let client = try proxy.connect()
            #expect(try client.get("/one").status == 200)
            for _ in 0..<5 { #expect(try client.get("/one").status == 429) }
            #expect(try client.get("/two").status == 200)
        }
    }

    @Test("each client address has its own, counted over all workers and connections")
    func clients() throws {
        try withTwoWorkers(
            to: try HandlerBackend.named("one"), believesUs, sections: ["rate-limit { client { requests = 1 requests-burst = 4 } }"]
        ) { proxy in
            for source in ["198.51.100.1", "198.51.100.2"] {
                var served = 0
                let time = try elapsed {
                    for _ in 0..<12 where try proxy.connect(as: source).get("/").status == 200 { served += 1 }
                }
                #expect(served >= 4 && served <= 5 + Int(time.components.seconds))
            }
        }
    }

    @Test("a server has so many client connections over all workers, and one more is told to come back")
    func connections() throws {
        try withTwoWorkers(to: try HandlerBackend.named("one"), sections: ["rate-limit { connections = 5 }"], accessLog: "{STATUS} {REASON}") { proxy in
            var clients: [ScriptedClient] = []
            for _ in 0..<5 {
                let client = try proxy.connect()
                #expect(try client.get("/").status == 200)
                clients.append(client)
            }
            for _ in 0..<4 {
                let extra = try proxy.connect()
                let refused = try extra.receiveResponse()
                #expect(refused.status == 429 && refused.fields["Retry-After"] == ["1"])
                try extra.expectClosed()
            }
            #expect(try proxy.accessLog(lines: 9).filter { $0 == "429 connection-limit" }.count == 4)
            #expect(try proxy.counters().sum("connectionsLimited") == 4)
            clients[0].close()
            try eventually("another may come when one has left") { try proxy.connect().get("/").status == 200 }
        }
    }

    @Test("each client address has so many connections")
    func clientConnections() throws {
        try withTwoWorkers(
            to: try HandlerBackend.named("one"), believesUs, sections: ["rate-limit { client { connections = 2 } }"]
        ) { proxy in
            let mine = [try proxy.connect(as: "198.51.100.1"), try proxy.connect(as: "198.51.100.1")]
            for client in mine { #expect(try client.get("/").status == 200) }
            #expect(try proxy.connect(as: "198.51.100.1").receiveResponse().status == 429)
            #expect(try proxy.connect(as: "198.51.100.2").get("/").status == 200)
            mine[0].close()
            try eventually("another may come when one has left") {
                let client = try proxy.connect(as: "198.51.100.1")
                return try client.get("/").status == 200
            }
        }
    }

    @Test("a rule has so many requests in progress, whoever asks")
    func exchanges() throws {
        let sections = [
            """
            vhost test { rule two { uri-gmatch = "/two/*" downstreams = backend0 rate-limit { connections = 2 } } rule rest { uri-gmatch = "*" downstreams = backend0 } }
            """
        ]
        let backend = try ScriptedBackend()
        try withTwoWorkers(to: backend, sections: sections) { proxy in
            let clients = try (0..<3).map { _ in try proxy.connect() }
            try clients[0].sendRequest("/two/a")
            let (_, first) = try backend.receiveRequest()
            try clients[1].sendRequest("/two/b")
            let (_, second) = try backend.receiveRequest()
            #expect(try clients[2].get("/two/c").status == 429)
            try first.respond(body: "a")
            #expect(try clients[0].receiveResponse().body == Bytes("a"))
            // An exchange counts until the worker knows of its end, which its client may see first.
            try eventually("the first has ended") { try proxy.counters().sum("exchangesOpen") == 1 }
            #expect(try clients[2].get("/two/d", answeredBy: backend).status == 200)
            try second.respond(body: "b")
            #expect(try clients[1].receiveResponse().body == Bytes("b"))
        }
    }

    @Test("a client that goes away in the middle is not counted any more")
    func abandoned() throws {
        let backend = try ScriptedBackend()
        try withTwoWorkers(
            to: backend, sections: ["vhost test { rule one { uri-gmatch = \"*\" downstreams = backend0 rate-limit { connections = 1 client { connections = 1 } } } }"]
        ) { proxy in
            for _ in 0..<5 {
                let client = try proxy.connect()
                try client.sendRequest("/")
                _ = try backend.receiveRequest()
                client.reset()
                try eventually("the exchange has ended") { try proxy.counters().sum("exchangesOpen") == 0 }
                #expect(try proxy.connect().get("/again", answeredBy: backend).status == 200)
                try eventually("the next one has ended, too") { try proxy.counters().sum("exchangesOpen") == 0 }
            }
        }
    }
}

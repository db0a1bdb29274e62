import Glibc
import TestSupport
import Testing

@Suite("Maintenance and health", .scenario)
struct MaintenanceTests {
    @Test("in maintenance everything is 503 with Retry-After and the page, and the connection stays")
    func maintenance() throws {
        let site = """
            maintenance = true
            maintenance-retry = "5m"
            error-page 503 { text = "back soon" }
            respond = 200
            """
        try withServer(site, accessLog: "{STATUS} {REASON}") { proxy in
            let client = try proxy.connect()
            for _ in 0..<2 {
                let response = try client.get()
                #expect(response.status == 503 && response.body == Bytes("back soon"))
                #expect(response.fields.only("Retry-After") == "300" && !response.announcesClose)
            }
            #expect(try proxy.accessLog(lines: 2) == ["503 maintenance", "503 maintenance"])
        }
    }

    @Test("a rule may be exempt from it, and a host may be alone in it")
    func levels() throws {
        let site = """
            vhost a.test {
                maintenance = true
                rule open { uri-match = /open respond = 200 maintenance = false }
                rule shut { uri-match = /shut respond = 200 }
            }
            vhost b.test { rule all { uri-gmatch = "*" respond = 200 } }
            """
        try withServer(site) { proxy in
            let client = try proxy.connect()
            #expect(try client.get("/open", host: "a.test").status == 200)
            #expect(try client.get("/shut", host: "a.test").status == 503)
            #expect(try client.get("/shut", host: "b.test").status == 200)
        }
    }

    @Test("a file that comes and goes switches it on and off, for the health path too")
    func file() throws {
        try withServer("maintenance-file = \"FOLDER/maintenance\"\nhealth-path = /healthz\nrespond = 200") { proxy in
            let client = try proxy.connect()
            #expect(try client.get().status == 200)
            #expect(try client.get("/healthz").status == 200)
            _ = try proxy.folder.write("maintenance", "")
            try eventually("maintenance is seen") { try client.get().status == 503 }
            #expect(try client.get("/healthz").status == 503)
            unlink(proxy.folder.path("maintenance"))
            try eventually("the end of maintenance is seen") { try client.get().status == 200 }
            #expect(try client.get("/healthz").status == 200)
        }
    }

    @Test("the health path is answered for any host, without a backend, and logged only where that is wanted", arguments: [true, false])
    func health(isLogged: Bool) throws {
        let site = "health-path = /healthz health-log = \(isLogged)\nvhost a.test { rule all { uri-gmatch = \"*\" respond = 204 } }"
        try withServer(site, accessLog: "{URI} {STATUS}") { proxy in
            let client = try proxy.connect()
            let response = try client.get("/healthz?x", host: "whoever")
            #expect(response.status == 200 && response.body == Bytes("ok\n"))
            try client.send("HEAD /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(try client.receiveResponse(to: "HEAD").status == 200)
            // Another method, and another path, are requests like any other.
            #expect(try client.get("/healthz/", host: "a.test").status == 204)
            try client.send("POST /healthz HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n")
            #expect(try client.receiveResponse().status == 204)
            let lines = try proxy.accessLog(lines: isLogged ? 4 : 2)
            #expect(lines == (isLogged ? ["/healthz 200", "/healthz 200"] : []) + ["/healthz/ 204", "/healthz 204"])
        }
    }

    @Test("the health path is answered whatever the limits of the server say; what else comes beyond them is refused")
    func healthBeyondLimits() throws {
        let site = """
            health-path = /healthz
            rate-limit { requests = 1 connections = 1 client { requests = 1 connections = 1 } }
            respond = 200
            """
        try withServer(site) { proxy in
            let client = try proxy.connect()
            #expect(try client.get().status == 200)
            #expect(try client.get().status == 429)
            for _ in 0..<3 { #expect(try client.get("/healthz").status == 200) }
            let balancer = try proxy.connect()
            let health = try balancer.get("/healthz")
            #expect(health.status == 200 && health.announcesClose)
            try balancer.expectClosed()
            let second = try proxy.connect()
            let refused = try second.get()
            #expect(refused.status == 429 && refused.fields.has("Retry-After") && refused.announcesClose)
            try second.expectClosed()
            let nonsense = try proxy.connect()
            try nonsense.send("nonsense\r\n\r\n")
            #expect(try nonsense.receiveResponse().status == 400)
            // Who says nothing has no longer than any refused client.
            let silent = try proxy.connect()
            let slow = try proxy.connect()
            try slow.send("GET /healthz HTTP/1.1\r\n")
            for late in [silent, slow] {
                #expect(try late.receiveResponse().status == 429)
                try late.expectClosed()
            }
            #expect(try proxy.counters().sum("connectionsLimited") == 3)
            #expect(try client.get("/healthz").status == 200)
        }
    }

    @Test("the health path is answered while requests wait for a backend and no more may wait")
    func healthBesideQueue() throws {
        let backend = try ScriptedBackend()
        let site = "health-path = /healthz\nmax-pending = 1\ndownstream only { addr = 127.0.0.1 port = \(backend.address.port) connections = 1 connections-max = 1 }"
        try withServer(site) { proxy in
            defer { backend.close() }
            let served = try proxy.connect()
            try served.sendRequest("/")
            let (_, connection) = try backend.receiveRequest()
            let waiting = try proxy.connect()
            try waiting.sendRequest("/")
            let client = try proxy.connect()
            try eventually("the queue is full") { try client.get("/").status == 503 }
            #expect(try proxy.connect().get("/healthz").status == 200)
            try connection.respond()
            #expect(try served.receiveResponse().status == 200)
            try backend.receiveRequest().connection.respond()
            #expect(try waiting.receiveResponse().status == 200)
        }
    }

    @Test("who may not come in is not told how we are either")
    func healthBehindList() throws {
        try withServer("health-path = /healthz\naccess { deny = { 127.0.0.0/8 } }\nrespond = 200") { proxy in
            let client = try proxy.connect()
            #expect(try client.receiveResponse().status == 403)
            try client.expectClosed()
        }
    }

    @Test("while the proxy drains, the health path says so on the connections that are left")
    func draining() throws {
        try withServer("health-path = /healthz respond = 200") { proxy in
            let client = try proxy.connect()
            try client.send("GET /healthz HTTP/1.1\r\n")
            let idle = try proxy.connect()
            #expect(try idle.get("/healthz").status == 200)
            proxy.process.signal(SIGTERM)
            try idle.expectClosed()
            try client.send("Host: a\r\n\r\n")
            let response = try client.receiveResponse()
            #expect(response.status == 503 && response.body == Bytes("unavailable\n") && response.announcesClose)
            try client.expectClosed()
            try proxy.expectEnd(.exit(0))
        }
    }
}

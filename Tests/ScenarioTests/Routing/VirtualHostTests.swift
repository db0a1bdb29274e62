import TestSupport
import Testing

@Suite("Which site a request is for", .scenario)
struct VirtualHostTests {
    private func sites(_ names: [[String]], settings: [Setting] = [], of special: Int? = nil) -> [String] {
        names.enumerated().map { index, names in
            virtualHost(
                names[0], aliases: Array(names.dropFirst()), index == special ? settings : [],
                rules: [rule("all", [.everything], to: index)])
        }
    }

    private func asked(_ proxy: ProxyUnderTest, _ hosts: [String]) throws -> [String] {
        let client = try proxy.connect()
        return try hosts.map { try client.get("/", host: $0).who }
    }

    private let names = [["www.*", "*.shop.*"], ["*.example.test"], ["example.test", "www.example.test:8080"], ["*.a.example.test"], ["[::1]"]]

    @Test("the exact name, then the longest suffix, then patterns in the order of the file; nobody's name is answered 404")
    func order() throws {
        try withSites(backends: 5, sites(names)) { proxy, _ in
            let hosts = [
                "example.test", "www.example.test", "b.example.test", "x.a.example.test", "a.example.test", "www.other.test", "my.shop.test",
                "[::1]", "nobody.test",
            ]
            let answers = try asked(proxy, hosts)
            #expect(answers == ["2", "2", "1", "3", "1", "0", "0", "4", "404"])
        }
    }

    @Test("case, port and a final dot make no difference")
    func folded() throws {
        try withSites(backends: 5, sites(names)) { proxy, _ in
            let hosts = ["EXAMPLE.Test", "example.test:8080", "example.test:1", "example.test.", "Example.TEST.:80", "[::1]:443", "B.Example.Test."]
            let answers = try asked(proxy, hosts)
            #expect(answers == ["2", "2", "2", "2", "2", "4", "1"])
        }
    }

    @Test("the default takes nobody's names, in front of *")
    func defaultSite() throws {
        try withSites(backends: 3, sites([["*"], ["a.test"], ["b.test"]], settings: [.isDefault], of: 2)) { proxy, _ in
            let answers = try asked(proxy, ["a.test", "b.test", "nobody.test", "127.0.0.1"])
            #expect(answers == ["1", "2", "2", "2"])
        }
    }

    @Test("* takes what is left")
    func star() throws {
        try withSites(backends: 2, sites([["*"], ["a.test"]])) { proxy, _ in
            let answers = try asked(proxy, ["a.test", "nobody.test"])
            #expect(answers == ["1", "0"])
        }
    }

    @Test("a request of HTTP/1.1 without Host or with two is refused; one of HTTP/1.0 without goes to the default, or is answered 404")
    func noHost() throws {
        for (settings, expected) in [([Setting.isDefault], "0"), ([], "404")] {
            try withSites(backends: 1, sites([["a.test"]], settings: settings, of: 0)) { proxy, _ in
                let without = try proxy.connect()
                try without.send("GET / HTTP/1.1\r\n\r\n")
                #expect(try without.receiveResponse().status == 400)
                let two = try proxy.connect()
                try two.send("GET / HTTP/1.1\r\nHost: a.test\r\nHost: a.test\r\n\r\n")
                #expect(try two.receiveResponse().status == 400)
                let old = try proxy.connect()
                try old.send("GET / HTTP/1.0\r\n\r\n")
                #expect(try old.receiveResponse().who == expected)
            }
        }
    }

    @Test("the authority of an absolute target counts, and disagreement with Host is refused")
    func absoluteTarget() throws {
        try withSites(backends: 2, sites([["a.test"], ["b.test"]])) { proxy, _ in
            let client = try proxy.connect()
            #expect(try client.get("http://b.test/x", host: "b.test").who == "1")
            #expect(try client.get("http://B.test:80", host: "b.test:80").who == "1")
            #expect(try client.get("http://b.test/x", host: "a.test").status == 400)
        }
    }

    @Test("after a 404 the connection serves on, unless a body is still to come")
    func goesOn() throws {
        try withSites(backends: 1, sites([["a.test"]])) { proxy, backends in
            let client = try proxy.connect()
            for _ in 0..<3 { #expect(try client.get("/", host: "nobody.test").status == 404) }
            #expect(try client.get("/", host: "a.test").who == "0")
            try client.send("POST / HTTP/1.1\r\nHost: nobody.test\r\nContent-Length: 5\r\n\r\nhello")
            #expect(try client.receiveResponse().status == 404)
            try client.expectClosed()
            #expect(backends[0].requestCount == 1)
        }
    }

    @Test("a large body to nowhere is answered at once and not swallowed")
    func largeBody() throws {
        try withSites(backends: 1, server: [.refusedDrainMax(10_000)], sites([["a.test"]])) { proxy, _ in
            let client = try proxy.connect()
            try client.send("POST / HTTP/1.1\r\nHost: nobody.test\r\nContent-Length: 1000000000\r\n\r\n")
            #expect(try client.receiveResponse().status == 404)
            try client.expectClosed()
        }
    }

    @Test("a site without rules answers 404")
    func noRules() throws {
        try withSites(backends: 1, [virtualHost("a.test", rules: []), virtualHost("b.test", rules: [rule("all", [.everything], to: 0)])]) { proxy, _ in
            let answers = try asked(proxy, ["a.test", "b.test"])
            #expect(answers == ["404", "0"])
        }
    }

    @Test("every request of a connection is for its own site")
    func perRequest() throws {
        try withSites(backends: 2, sites([["a.test"], ["b.test"]])) { proxy, _ in
            let client = try proxy.connect()
            try client.send((0..<6).map { "GET /\($0) HTTP/1.1\r\nHost: \($0 % 2 == 0 ? "a" : "b").test\r\n\r\n" }.joined())
            for number in 0..<6 {
                let response = try client.receiveResponse()
                #expect(response.who == "\(number % 2)")
                #expect(response.fields.only("X-Target") == "/\(number)")
            }
        }
    }
}

import TestSupport
import Testing

@Suite("Resumed sessions", .scenario)
struct ResumptionScenarioTests {
    @Test("a ticket resumes a session, after a reload and after the end of the serving process too", arguments: ["-tls1_2", "-tls1_3"])
    func tickets(version: String) throws {
        let files = try TLSFiles()
        let backend = try HandlerBackend.named("one")
        defer { backend.close() }
        let server = ProxyConfiguration.Server(sections: [files.section("rsa", "ecdsa")], downstreams: [.init(backend)])
        let configuration = ProxyConfiguration(workers: 2, servers: [server])
        try withProxy(configuration) { proxy in
            let address = proxy.addresses[0]
            #expect(try !files.isResumed(at: address, "session", keeps: true, [version]))
            #expect(try files.isResumed(at: address, "session", [version]))
            try proxy.reload(configuration)
            #expect(try files.isResumed(at: address, "session", [version]))
            let before = try proxy.serverProcess()
            _ = try ChildProcess.run(["kill", "-9", "\(before)"])
            try eventually("another process serves") {
                guard let now = try? proxy.serverProcess(), now != before else { return false }
                return (try? files.isResumed(at: address, "other", keeps: true, [version])) != nil
            }
            #expect(try files.isResumed(at: address, "session", [version]))
        }
    }

    @Test("without tickets a session of TLS 1.2 is resumed by its identifier, by any worker; without a cache it is not", arguments: [true, false])
    func identifiers(cached: Bool) throws {
        let files = try TLSFiles()
        let backend = try HandlerBackend.named("one")
        defer { backend.close() }
        let server = ProxyConfiguration.Server(
            sections: [files.section("rsa", words: "tickets = false\n cache-enabled = \(cached)\n")], downstreams: [.init(backend)])
        try withProxy(ProxyConfiguration(workers: 2, servers: [server])) { proxy throws in
            #expect(try !files.isResumed(at: proxy.addresses[0], "session", keeps: true, ["-tls1_2"]))
            for _ in 0..<4 { #expect(try files.isResumed(at: proxy.addresses[0], "session", ["-tls1_2"]) == cached) }
        }
    }

    @Test("two proxies with one file of ticket keys take each other's tickets, one with another file does not", arguments: ["-tls1_2", "-tls1_3"])
    func sharedKeys(version: String) throws {
        let files = try TLSFiles()
        for (number, name) in ["a", "b"].enumerated() { try files.folder.write("\(name).ticket", BodyPattern.bytes(80, seed: UInt64(70 + number))) }
        let backend = try HandlerBackend.named("one")
        defer { backend.close() }
        func configuration(_ keys: String) -> ProxyConfiguration {
            let section = files.section("rsa", words: "ticket-keys = { \(keys) }\n")
            return ProxyConfiguration(servers: [.init(sections: [section], downstreams: [.init(backend)])])
        }
        try withProxy(configuration("\"\(files.path("a.ticket"))\"")) { first in
            #expect(try !files.isResumed(at: first.addresses[0], "session", keeps: true, [version]))
            try withProxy(configuration("\"\(files.path("b.ticket"))\", \"\(files.path("a.ticket"))\"")) { second throws in
                #expect(try files.isResumed(at: second.addresses[0], "session", [version]))
            }
            try withProxy(configuration("\"\(files.path("b.ticket"))\"")) { third throws in
                #expect(try !files.isResumed(at: third.addresses[0], "session", [version]))
            }
        }
    }

    @Test("keys in files are rotated on two nodes: a ticket is good on both until its key has left the list", arguments: ["-tls1_2", "-tls1_3"])
    func rotatedFiles(version: String) throws {
        let files = try TLSFiles()
        func put(_ node: String, _ place: Int, _ key: Int) throws {
            try files.folder.write("new", BodyPattern.bytes(80, seed: UInt64(900 + key)))
            try FileContent.move(files.path("new"), to: files.path("\(node)\(place).ticket"))
        }
        let backend = try HandlerBackend.named("one")
        defer { backend.close() }
        func configuration(_ node: String) throws -> ProxyConfiguration {
            for place in 0...1 { try put(node, place, 1 - place) }
            let words = "ticket-keys = { \"FILES/\(node)0.ticket\", \"FILES/\(node)1.ticket\" }\n reload = \"100ms\"\n"
            return ProxyConfiguration(servers: [.init(sections: [files.section("rsa", words: words)], downstreams: [.init(backend)])])
        }
        /// The key in front becomes the second one, and another comes in front of it.
        func rotate(_ node: String, _ proxy: ProxyUnderTest, to key: Int) throws {
            for (place, number) in [(1, key - 1), (0, key)] {
                try put(node, place, number)
                try proxy.waitForNextGeneration()
            }
        }
        try withProxy(configuration("a")) { first in
            try withProxy(configuration("b")) { second throws in
                #expect(try !files.isResumed(at: first.addresses[0], "session", keeps: true, [version]))
                #expect(try files.isResumed(at: second.addresses[0], "session", [version]))
                try rotate("a", first, to: 2)
                try rotate("b", second, to: 2)
                #expect(try files.isResumed(at: first.addresses[0], "session", [version]))
                #expect(try files.isResumed(at: second.addresses[0], "session", [version]))
                try rotate("b", second, to: 3)
                #expect(try !files.isResumed(at: second.addresses[0], "session", [version]))
                #expect(try files.isResumed(at: first.addresses[0], "session", [version]))
            }
        }
    }

    @Test("a certificate that is revoked meanwhile does not come in by its old session", arguments: ["1.2", "1.3"])
    func revokedMeanwhile(version: String) throws {
        let files = try TLSFiles()
        try files.folder.write("now.crl", TestCertificates.shared.emptyRevocationList)
        let words = TLSFiles.demanding + "crl { file = \"FILES/now.crl\" }\n reload = \"100ms\"\n"
        try withTLS(files, to: try HandlerBackend.named("one"), words: words) { proxy in
            let client = try files.startPython(
                """
                c = context(ARGS[0], cert="revoked-client")
                s = connect(c)
                print(get(s)[0])
                again = connect(c, session=s.session)
                print(get(again)[0], again.session_reused)
                print("ready")
                wait_for("go")
                try: print(get(connect(c, session=s.session))[0])
                except (ssl.SSLError, ConnectionError) as error: print("refused")
                """, port: proxy.addresses[0].port, [version])
            try files.waitForLine("ready", of: client)
            try files.folder.write("now.crl.new", TestCertificates.shared.revocationList)
            try FileContent.move(files.path("now.crl.new"), to: files.path("now.crl"))
            try proxy.waitForNextGeneration()
            try files.folder.write("go", "")
            #expect(try files.end(client) == ["200", "200 True", "ready", "refused"])
        }
    }
}

import Testing

@testable import Proxy

@Suite("Configuration fixtures")
struct FixtureFilesTests {
    static let folder = folderBefore("/ProxyTests/") + "/Fixtures/"
    static let all = ["rproxy1-all", "rproxy1-plain", "rproxy2-all", "rproxy2-plain", "weir-all", "weir-answers", "weir-rewriting", "weir-tls"]

    private func load(_ name: String) -> (settings: GlobalSettings?, diagnostics: [Diagnostic]) {
        loadConfiguration(path: Self.folder + name + ".conf", environment: [:], materials: Self.materials, read: readConfigurationFile)
    }

    /// Every certificate, key and list that the fixtures name.
    private static var materials: MaterialReader {
        MaterialReader(
            file: { path, _ throws(ReadFailure) in SecretBytes(FakeMaterial.bytes(path)) }, directory: { _ throws(ReadFailure) in ["one.pem"] })
    }

    private func statements(_ name: String) -> [ConfigItem] {
        var parser = ConfigParser(environment: [:], read: readConfigurationFile)
        return parser.parse(path: Self.folder + name + ".conf")
    }

    /// Words that a file uses, with the sections around them.
    private func words(_ items: [ConfigItem], _ path: [String] = []) -> Set<[String]> {
        var found: Set<[String]> = []
        for item in items {
            let own = path + [item.name.text.lowercased()]
            found.insert(own)
            if case .section(let section) = item { found.formUnion(words(section.items, own)) }
        }
        return found
    }

    @Test("together the fixtures use every word there is")
    func everyWord() {
        let used = Self.all.reduce(into: Set()) { $0.formUnion(words(statements($1))) }
        let known = configurationRows.entries(path: []).map { $0.path + [$0.word] }
        #expect(Set(known).subtracting(used).map { $0.joined(separator: " ") }.sorted() == [])
    }

    @Test("the fixture of each dialect uses every word that only this dialect has", arguments: [("rproxy1-all", WordOrigin.rproxy1), ("rproxy2-all", .rproxy2)])
    func everyWordOfADialect(_ name: String, _ origin: WordOrigin) {
        let used = words(statements(name))
        let known = configurationRows.entries(path: []).filter { $0.origin == origin }.map { $0.path + [$0.word] }
        #expect(Set(known).subtracting(used).map { $0.joined(separator: " ") }.sorted() == [])
    }

    @Test("files without anything that is still to come are accepted", arguments: ["rproxy1-plain", "rproxy2-plain", "weir-all", "weir-answers", "weir-rewriting"])
    func accepted(_ name: String) {
        let loaded = load(name)
        #expect(loaded.settings != nil)
        #expect(loaded.diagnostics.filter { $0.severity == .error } == [])
    }

    @Test("a file of RProxy 1 means what it meant")
    func rproxy1() throws {
        let settings = try #require(load("rproxy1-plain").settings)
        let server = try #require(settings.servers.first)
        #expect(settings.openFilesMax == 8192 && settings.memoryTrimBytes == 131_072)
        #expect(server.threads == 4 && server.balancing.method == .mostIdle)
        #expect(server.timers.bodyGapMilliseconds == 60_000 && server.timers.writeProgressMilliseconds == 30_000)
        #expect(server.pending == PendingSettings(timeoutMilliseconds: 2000, countMax: 100))
        #expect(server.forwarded.forwardedFor == .rproxy)
        #expect(server.accessLog.output == .file("./access.log") && server.errorLog.enabled)
        #expect(server.backends.map(\.name) == ["127.0.0.1:8081", "127.0.0.1:80"])
        #expect(server.backends.map(\.retryMilliseconds) == [5, 1000])
        #expect(server.backends.map(\.connections) == [4, 8])
    }

    @Test("a file of RProxy 2 means what it meant")
    func rproxy2() throws {
        let settings = try #require(load("rproxy2-plain").settings)
        let server = try #require(settings.servers.first)
        #expect(server.addresses == [.ipv6("::1", port: 8080)])
        #expect(server.timers.bodyGapMilliseconds == 5001 && server.timers.writeProgressMilliseconds == 0)
        #expect(server.watermark == Watermark() && !server.tcp.noDelay)
        #expect(server.forwarded.forwardedFor == .off)
        #expect(server.errorLog.output == .syslog(facility: "daemon"))
        #expect(settings.operatorLog.output == .file("/var/log/weir.log") && settings.operatorLog.level == .debug)
        #expect(server.backends.map(\.enabled) == [true, false])
        #expect(server.backends.map(\.readMilliseconds) == [60_000, 7_000])
    }

    @Test("the oddities of libconfuse are read as libconfuse reads them, each said where it is a trap")
    func oddities() throws {
        let loaded = loadConfiguration(path: Self.folder + "oddities.conf", environment: ["WEIR_PORT": "0x1F90"], read: readConfigurationFile)
        #expect(
            loaded.diagnostics.map { "\($0.location.line):\($0.location.column) \($0.severity)" }
                == ["7:59", "8:22", "9:31", "11:13", "14:17", "16:17", "16:50", "19:27", "22:1"].map { "\($0) warning" })
        let server = try #require(loaded.settings?.servers.first)
        #expect(server.addresses == [.ipv4("127.0.0.1", port: 8080)])
        #expect(server.accessLog.output == .file("/tmp/log") && server.accessLog.format == "{SRC} \"{URI}\"\tA*B")
        #expect(server.accessLog.level == .emerg && server.balancing.method == .rtt)
        #expect(server.pending.timeoutMilliseconds == 8000 && server.timers.bodyGapMilliseconds == 5000)
        #expect(server.backends.map(\.name) == ["A title"])
        #expect(server.backends.map(\.address) == [.name("localhost")])
    }

    @Test(
        "what is in force, written out, is a configuration with the same meaning",
        arguments: ["rproxy1-plain", "rproxy2-plain", "weir-all", "weir-answers", "weir-rewriting", "oddities"])
    func effective(_ name: String) throws {
        let first = effectiveConfiguration(path: Self.folder + name + ".conf", environment: [:], read: readConfigurationFile)
        let text = try #require(first.text)
        let second = effectiveConfiguration(path: "main.conf", environment: [:]) { path throws(ReadFailure) in
            path == "main.conf" ? Array(text.utf8) : try readConfigurationFile(path)
        }
        #expect(second.diagnostics.filter { $0.severity == .error } == [])
        func values(_ text: String?) -> [Substring]? { text?.split(separator: "\n").map { $0.prefix { $0 != "#" } } }
        #expect(values(second.text) == values(text))
    }

    /// Words that are known and refused, by the feature that is missing: shrinks to nothing as the features are built.
    static let toCome: [String: [String: String]] = [
        "rproxy1-all": untilServed, "rproxy2-all": untilServed, "weir-tls": untilServed,
    ]

    private static let untilServed: [String: String] = servesTLS ? [:] : ["TLS": "ssl"]

    @Test("a file with every word of its dialect is refused for exactly the words whose feature is still to come", arguments: toCome.keys.sorted())
    func pinned(_ name: String) {
        var refused: [String: [String]] = [:]
        let loaded = load(name)
        for diagnostic in loaded.diagnostics where diagnostic.severity == .error {
            let parts = diagnostic.message.split(separator: "'", maxSplits: 1)
            let word = String(parts[0])
            let prefix = " is known, but "
            let suffix = " is not built yet"
            #expect(parts.count == 2 && parts[1].hasPrefix(prefix) && parts[1].hasSuffix(suffix), "\(diagnostic)")
            let feature = String(parts.count == 2 ? parts[1].dropFirst(prefix.count).dropLast(suffix.count) : "")
            if refused[feature]?.contains(word) != true { refused[feature, default: []].append(word) }
        }
        #expect(refused.mapValues { $0.joined(separator: " ") } == Self.toCome[name])
        #expect((loaded.settings == nil) == !refused.isEmpty)
    }
}

import Testing

@testable import Proxy

@Suite("Configuration as a whole")
struct LoadConfigurationTests {
    @Test("errors of every kind are reported at once, in the order of the file")
    func allAtOnce() {
        let text = """
            workers = many
            server {
                lb-metod = p2c
                port = 99999
                downstream a { addr = "x y" port = 1 pipline = 2 }
                uri-match = "/"
                frobnicate { }
                ssl { enabled = perhaps }
            }
            """
        #expect(
            ConfigurationFixture(text).messages == [
                "1:11: error: 'workers' takes a whole number, not 'many'",
                "3:5: error: 'server' knows no 'lb-metod'; did you mean 'lb-method'?",
                "4:12: error: 'port' must be between 0 and 65535, not 99999",
                "5:20: error: 'addr' 'x y' is neither an address nor a host name",
                "5:42: error: 'downstream' knows no 'pipline'; did you mean 'pipeline'?",
                "6:5: error: 'server' knows no 'uri-match'; it belongs in 'rule'",
                "7:5: error: 'server' knows no 'frobnicate'",
                "8:21: error: 'enabled' takes true, on, yes, false, off or no, not 'perhaps'",
            ])
    }

    @Test("settings are there exactly when nothing is an error")
    func nilMeansError() {
        #expect(ConfigurationFixture("server { host = x downstream { } }").load().settings != nil)
        #expect(ConfigurationFixture("server { hots = x downstream { } }").load().settings == nil)
    }

    @Test("a secret is in force and never shown, nor is one that is refused")
    func secret() throws {
        let fixture = ConfigurationFixture("sticky-secret = \"sixteen bytes at the least\"\n" + server("port = 0"))
        #expect(fixture.load().settings?.stickySecret == "sixteen bytes at the least")
        let shown = try #require(fixture.effective().text)
        #expect(shown.contains("# sticky-secret is set and not shown: main.conf:1:1"))
        #expect(!shown.contains("sixteen"))
        let short = ConfigurationFixture("sticky-secret = \"fifteen bytes!!\"\n" + server("port = 0"))
        #expect(short.messages == ["1:17: error: 'sticky-secret' must have at least 16 bytes that nobody can guess"])
    }

    @Test("a file that cannot be read is one error")
    func unreadable() {
        let loaded = loadConfiguration(path: "/nonexistent/weir.conf", environment: [:], read: readConfigurationFile)
        #expect(loaded.diagnostics.map(\.description) == ["/nonexistent/weir.conf: error: cannot read '/nonexistent/weir.conf': No such file or directory"])
        let folder = loadConfiguration(path: "/", environment: [:], read: readConfigurationFile)
        #expect(folder.diagnostics.map(\.description) == ["/: error: cannot read '/': Is a directory"])
    }

    @Test("the last of two equal words counts, with a warning")
    func lastCounts() {
        let fixture = ConfigurationFixture(server("port = 1\nport = 2"))
        #expect(fixture.load().settings?.servers.first?.addresses == [.ipv4("127.0.0.1", port: 2)])
        #expect(fixture.messages == ["3:1: warning: 'port' is written again; this one counts, not the one at line 2"])
    }

    @Test("a section that may stand once and stands again begins from its defaults, with a warning")
    func sectionAgain() {
        let fixture = ConfigurationFixture(server("headers { x-forwarded-proto = true }\nheaders { x-forwarded-host = true }"))
        #expect(fixture.load().settings?.servers.first?.forwarded == ForwardingSettings(forwardedFor: .rproxy, proto: false, host: true, certificate: .init(pem: true)))
        #expect(fixture.messages.count == 1)
        #expect(fixture.messages.first?.hasPrefix("3:1: warning: a second 'headers'") == true)
    }

    @Test(
        "a section is no setting and a setting no section",
        arguments: [("ssl = {}", "2:1: error: 'ssl' is a section: ssl { … }"), ("port { }", "2:1: error: 'port' is a setting: port = …")])
    func shapes(_ words: String, _ message: String) {
        #expect(ConfigurationFixture(server(words)).messages == [message])
    }

    @Test("a title stands where one belongs")
    func titles() {
        #expect(ConfigurationFixture(server("headers x { }")).messages == ["2:9: error: 'headers' takes no title"])
        #expect(ConfigurationFixture(server("vhost { }")).messages == ["2:1: error: 'vhost' needs a title: vhost NAME { … }"])
    }

    @Test("two dialects in one file are accepted with a warning")
    func mixed() {
        let fixture = ConfigurationFixture("server { downstream { }\ndownstream b { addr = ::1 port = 1 } }")
        #expect(fixture.load().settings?.servers.first?.backends.count == 2)
        #expect(fixture.messages.count == 1)
        #expect(fixture.messages.first?.contains("two dialects") == true)
    }

    @Test("X-Forwarded-For is on in RProxy 1's files, off in RProxy 2's, and on wherever there is a headers section")
    func forwardedFor() {
        #expect(firstServer("server { downstream { } }")?.forwarded.forwardedFor == .rproxy)
        #expect(firstServer("server { headers { x-forwarded-for = off } downstream { } }")?.forwarded.forwardedFor == .off)
        #expect(firstServer(server(""))?.forwarded.forwardedFor == .off)
        #expect(firstServer(server("headers { }"))?.forwarded.forwardedFor == .rproxy)
        #expect(firstServer(server("headers { forwarded-for = append }"))?.forwarded.forwardedFor == .append)
    }

    @Test("the certificate is passed on in RProxy 1's files and wherever there is a headers section, as RProxy did")
    func certificatePassedOn() {
        #expect(firstServer("server { downstream { } }")?.forwarded.certificate.pem == true)
        #expect(firstServer(server(""))?.forwarded.certificate.pem == false)
        #expect(firstServer(server("headers { }"))?.forwarded.certificate == .init(pem: true))
        #expect(firstServer(server("headers { x-ssl-certificate = no client-cert = yes }"))?.forwarded.certificate == .init(clientCert: true))
    }

    @Test("RProxy 1's host is ignored, and said so")
    func ignored() {
        #expect(ConfigurationFixture("server { host = x downstream { } }").messages == ["1:10: warning: 'host' is ignored: it never had a meaning"])
    }

    @Test("both shapes of logging give the same logs")
    func logging() {
        let flat = "server { logging { enabled = on filename = /a format = '{URI}' errorlog = /e } downstream { } }"
        let logs = firstServer(flat)
        #expect(logs?.accessLog == LogSettings(enabled: true, output: .file("/a"), format: "{URI}"))
        #expect(logs?.errorLog == LogSettings(enabled: true, output: .file("/e"), format: "{URI}"))
        let nested = server("logging { request { enabled = on output = 'file:/a:b' format = json } error { enabled = on output = 'syslog:lptr' level = CRIT } }")
        #expect(firstServer(nested)?.accessLog == LogSettings(enabled: true, output: .file("/a:b"), format: "json"))
        #expect(firstServer(nested)?.errorLog == LogSettings(enabled: true, output: .syslog(facility: "lpr"), level: .crit))
        #expect(firstServer("server { logging { enabled = on type = syslog facility = Mail } downstream { } }")?.accessLog.output == .syslog(facility: "mail"))
        #expect(firstServer("server { logging { enabled = on } downstream { } }") == nil)
    }

    @Test("general is the operator's log, and the top level's wins")
    func operatorLog() {
        let general = "logging { general { enabled = true output = 'file:/g' level = debug } }"
        let own = ConfigurationFixture(server(general)).load().settings?.operatorLog
        #expect(own?.output == .file("/g") && own?.level == .debug)
        let both = ConfigurationFixture("logging { general { level = warn } }\n" + server(general))
        #expect(both.load().settings?.operatorLog.output == .stderr)
        #expect(both.messages.count == 1)
    }

    @Test("a log output that is none is an error, an unknown scheme a warning")
    func outputs() {
        func messages(_ output: String) -> [String] {
            ConfigurationFixture(server("logging { request { enabled = on output = '\(output)' } }")).messages
        }
        #expect(messages("syslog:locl0") == ["2:43: error: 'output' names the unknown facility 'locl0'; did you mean 'local0'?"])
        #expect(messages("file:").count == 1 && messages("nowhere").count == 1)
        #expect(messages("pipe:/x") == ["2:43: warning: 'output' has the unknown scheme 'pipe'; it is taken as file:/x"])
        #expect(messages("/x") == [] && messages("file:/x") == [] && messages("STDERR") == [])
    }

    @Test("a format that cannot be compiled is an error at its word, in both shapes")
    func formats() {
        for words in ["logging { request {\nformat = '{BAD}' } }", "logging {\nformat = '{BAD}' }"] {
            let fixture = ConfigurationFixture(server(words))
            let loaded = loadConfiguration(
                path: "main.conf", environment: [:], foreign: ForeignTexts(format: { $0.contains("BAD") ? "no such token" : nil }), read: fixture.read)
            #expect(loaded.settings == nil)
            #expect(loaded.diagnostics.map(\.description).contains("main.conf:3:1: error: 'format': no such token"))
        }
    }

    @Test("settings of the process are read")
    func process() {
        let text =
            "max-nofile = 5000 memtrim-sz = '64k' drain-timeout = 5 admin-socket = /run/a efficiency-mode = on "
            + "debug-trap-at-request = 3 debug-burn-nanoseconds = 300 splice-pipe-size = '64k'\n"
        let settings = ConfigurationFixture(text + server("")).load().settings
        #expect(settings?.openFilesMax == 5000 && settings?.memoryTrimBytes == 65_536 && settings?.drainDeadlineMilliseconds == 5000)
        #expect(settings?.adminSocketPath == "/run/a" && settings?.efficiencyMode == true && settings?.debugTrapAtRequest == 3)
        #expect(settings?.debugBurnNanoseconds == 300 && settings?.splicePipeBytes == 65_536)
        #expect(settings?.workers == nil)
    }

    @Test("a file full of errors shows the first ones and counts the rest")
    func manyErrors() {
        let messages = ConfigurationFixture(String(repeating: "x = 1\n", count: 1000)).messages
        #expect(messages.count == DiagnosticList.countMax + 1)
        #expect(messages.last?.contains("further messages are not shown") == true)
    }
}

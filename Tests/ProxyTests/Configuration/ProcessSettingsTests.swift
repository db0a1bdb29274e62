import Testing

@testable import Proxy

@Suite("Configuration of the process")
struct ProcessSettingsTests {
    private func settings(_ words: String) -> GlobalSettings? { ConfigurationFixture(words + "\n" + server("port = 0")).load().settings }

    @Test("the working directory is / of a daemon, rootdir of whoever sets it, and else nobody's business")
    func workingDirectory() {
        #expect(settings("")?.workingDirectory == nil)
        #expect(settings("daemonize = yes")?.workingDirectory == "/")
        #expect(settings("rootdir = \"/tmp\"")?.workingDirectory == "/tmp")
        #expect(settings("daemonize = true rootdir = \"/srv\"")?.workingDirectory == "/srv")
    }

    @Test(
        "what cannot be is refused with its place",
        arguments: [
            ("rootdir = srv", "'rootdir' must be an absolute path, not 'srv'"), ("user = \"\"", "'user' names nobody"),
            ("group = ''", "'group' names nobody"), ("pid-file = \"\"", "'pid-file' names no path"),
            ("daemonize = 1", "'daemonize' takes true, on, yes, false, off or no, not '1'"),
        ])
    func refused(words: String, sentence: String) {
        let messages = ConfigurationFixture(words + "\n" + server("port = 0")).messages
        #expect(messages.count == 1 && messages[0].hasPrefix("1:") && messages[0].hasSuffix("error: \(sentence)"), "\(messages)")
    }

    @Test("a daemon speaks to the system's logger unless it is told otherwise")
    func operatorLog() {
        #expect(settings("daemonize = true")?.operatorLog.output == .syslog(facility: "daemon"))
        let file = "logging { general { enabled = true output = 'file:/var/log/x' } }"
        #expect(settings("daemonize = true \(file)")?.operatorLog.output == .file("/var/log/x"))
        #expect(settings("")?.operatorLog.output == .stderr)
    }

    @Test("logs of a daemon on standard streams go nowhere, and that is said")
    func streams() throws {
        let fixture = ConfigurationFixture("daemonize = true\n" + server("logging { request { enabled = true } }"))
        #expect(fixture.load().settings?.servers.first?.accessLog.output == .file("/dev/null"))
        let messages = fixture.messages
        #expect(messages == ["2:1: warning: a log of this 'server' goes to standard output, which a daemon does not have; name a file or syslog"])
        let relative = ConfigurationFixture("daemonize = true\n" + server("logging { request { enabled = true output = 'file:a.log' } }")).messages
        #expect(relative.count == 1 && relative[0].contains("the log 'a.log' of this 'server' will stand in '/'"))
        #expect(ConfigurationFixture("daemonize = true rootdir = '/x'\n" + server("logging { request { enabled = true output = 'file:a.log' } }")).messages == [])
    }

    @Test("both dialects may set memtrim-sz and max-nofile")
    func dialects() {
        for title in ["", "a"] {
            let loaded = ConfigurationFixture("memtrim-sz = 4096 max-nofile = 24000 server { downstream \(title) { addr = 127.0.0.1 port = 1 } }").load()
            #expect(loaded.diagnostics == [])
            #expect(loaded.settings?.memoryTrimBytes == 4_096 && loaded.settings?.openFilesMax == 24_000)
        }
    }
}

@Suite("Configuration of logs")
struct LogSettingsTests {
    private func access(_ output: String) -> LogSettings? {
        firstServer(server("logging { request { enabled = true output = '\(output)' } }"))?.accessLog
    }

    @Test(
        "an output is a path, a facility or a stream; only the first colon divides",
        arguments: [
            ("file:/a:b", LogSettings.Output.file("/a:b")), ("/a", .file("/a")), ("stdout", .stdout), ("stderr", .stderr),
            ("file:/dev/stdout", .stdout), ("syslog:LOCAL3", .syslog(facility: "local3")), ("syslog:lptr", .syslog(facility: "lpr")),
            ("fiel:/a", .file("/a")), ("file:/w-{Worker}.log", .file("/w-{WORKER}.log")),
        ])
    func outputs(text: String, output: LogSettings.Output) { #expect(access(text)?.output == output) }

    @Test("an unknown facility, and a path that is missing, are errors", arguments: ["syslog:lokal3", "file:", "nothing"])
    func badOutputs(text: String) { #expect(access(text) == nil) }

    @Test("every facility of RProxy is known", arguments: SyslogFacility.allCases)
    func facilities(facility: SyslogFacility) {
        #expect(access("syslog:\(facility.word)")?.facility == facility)
        let flat = firstServer("server { logging { enabled = true type = syslog facility = \(facility.word) } downstream { } }")
        #expect(flat?.accessLog.facility == facility)
    }

    @Test("the operator's log has no file for each worker")
    func operatorPerWorker() {
        let messages = ConfigurationFixture(server("logging { general { enabled = true output = 'file:/x-{WORKER}' } }")).messages
        #expect(messages.count == 1 && messages[0].contains("error: 'output': the operator's log belongs to the whole process"))
    }

    @Test("a section that forgets 'enabled' is no log, and is told so")
    func forgotten() {
        let messages = ConfigurationFixture(server("logging { request { output = 'file:/x' } }")).messages
        #expect(messages.count == 1 && messages[0].hasSuffix("warning: this log is not written: it says nothing about 'enabled'"))
    }

    @Test("each worker has its own descriptors where the path asks for it, and shares the others")
    func descriptors() {
        var settings = GlobalSettings()
        var server = ServerSettings()
        server.accessLog = LogSettings(enabled: true, output: .file("/a-{WORKER}"))
        server.errorLog = LogSettings(enabled: true, output: .file("/e"))
        settings.servers = [server]
        let plan = LogPlan(settings)
        #expect(plan.descriptorCount(workers: 3) == 5)
        let all: [Int32] = [10, 20, 21, 22, 30]
        #expect((0..<3).map { plan.descriptors(ofWorker: $0, of: 3, among: all) } == [[10, 20, 30], [10, 21, 30], [10, 22, 30]])
        #expect(server.accessLog.ofWorker(2).output == .file("/a-2"))
        #expect(plan.descriptors(ofWorker: 2, of: 3, among: [10]) == [10, -1, -1])
    }
}

@Suite("Plan of logs")
struct LogPlanTests {
    @Test("lines of failures are graver to the system's logger than those of requests, also where both go to one place")
    func severity() {
        var settings = GlobalSettings()
        var server = ServerSettings()
        server.accessLog = LogSettings(enabled: true, output: .syslog(facility: "local3"), format: "{URI}")
        server.errorLog = server.accessLog
        settings.servers = [server]
        let plan = LogPlan(settings)
        #expect(plan.entries.dropFirst().map(\.severity) == [.informational, .error])
        let places = plan.places(access: server.accessLog, error: server.errorLog)
        #expect(places.access == 1 && places.error == 2)
    }
}

@Suite("Logs of virtual hosts and rules")
struct ScopeLoggingTests {
    /// Something that has logs of its own.
    private struct Owner { var scope = ScopeSettings() }

    private func read(_ text: String) -> (scope: ScopeSettings, shown: String) {
        let rows = SectionRows(blank: Owner(), settings: [], sections: [loggingSection(\Owner.scope)])
        var parser = ConfigParser(environment: [:], read: { path throws(ReadFailure) in Array(text.utf8) })
        let reader = ConfigReader(diagnostics: parser.diagnostics, foreign: ForeignTexts(), readFile: { _ throws(ReadFailure) in [] })
        var owner = rows.blank
        reader.read(parser.parse(path: "x"), by: rows, into: &owner, at: SectionPlace())
        var shown = EffectiveText(origins: [:])
        rows.show(owner, in: &shown, key: "")
        return (owner.scope, shown.text)
    }

    @Test("a log that is not written is inherited; one that is switched off is off")
    func inherited() {
        let some = read("logging { request { enabled = true output = 'file:/v' } }")
        #expect(some.scope.accessLog?.output == .file("/v") && some.scope.errorLog == nil && some.scope.operatorLog == nil)
        let off = read("logging { request { enabled = false } error { output = 'file:/e' } }")
        #expect(off.scope.accessLog?.enabled == false && off.scope.errorLog == nil)
        #expect(read("").scope.accessLog == nil)
    }

    @Test("what is shown means the same when it is read again")
    func shown() {
        for text in ["logging { request { enabled = true output = 'file:/v' } }", "logging { error { enabled = off } }", ""] {
            let first = read(text)
            let again = read(first.shown)
            #expect(again.scope.accessLog == first.scope.accessLog && again.scope.errorLog == first.scope.errorLog)
        }
    }
}

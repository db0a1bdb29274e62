import Glibc

/// The real binary, running with a configuration of its own on ports of its own.
public final class ProxyUnderTest {
    public let folder: TemporaryFolder
    public let process: ChildProcess
    /// Where each `server` of the configuration listens, in the order of the file.
    public let addresses: [PeerAddress]
    private var clients: [ScriptedClient] = []
    /// Number of the configuration in use.
    var generation = 1

    /// The binary: `WEIR_BINARY`, or what the package built, newest first.
    public static func binaryPath() throws -> String {
        if let path = environment("WEIR_BINARY") { return path }
        let here: String = #filePath
        let root = here.dropLast("/Tests/TestSupport/ProxyUnderTest.swift".count)
        let candidates = ["debug", "release"].map { "\(root)/.build/\($0)/weir" }.filter { (path: String) in access(path, X_OK) == 0 }
        let newest = candidates.max { modificationTime($0) < modificationTime($1) }
        guard let newest else { throw ScenarioFailure("no binary at \(root)/.build/{debug,release}/weir") }
        return newest
    }

    private static func modificationTime(_ path: String) -> Int {
        var status = stat()
        return stat(path, &status) == 0 ? status.st_mtim.tv_sec : 0
    }

    /// Writes the configuration, starts the binary and waits until every listener is announced.
    public convenience init(_ configuration: ProxyConfiguration, openFilesMax: Int? = nil, user: Int? = nil) throws {
        let folder = try TemporaryFolder()
        if user != nil { chmod(folder.path, 0o777) }
        try self.init(
            text: configuration.text(in: folder), listeners: configuration.servers.count, folder: folder,
            openFilesMax: openFilesMax, user: user)
    }

    /// The same with the text of a file, in which `FOLDER` stands for the scenario's folder.
    public init(text: String, listeners: Int = 1, folder: TemporaryFolder, openFilesMax: Int? = nil, user: Int? = nil) throws {
        self.folder = folder
        let file = try folder.write("weir.conf", Self.replacingFolder(text, folder.path))
        process = try ChildProcess([try Self.binaryPath(), "run", file], openFilesMax: openFilesMax, user: user)
        let process = process
        let found = process.waitForOutput(within: Patience.step * 2) { output -> [PeerAddress]? in
            let addresses = Self.announced(in: output)
            return addresses.count >= listeners ? addresses : nil
        }
        guard let found else {
            throw ScenarioFailure(
                "no ready line; standard output: \(process.standardOutput.readable); operator's log: \(process.standardError.readable)")
        }
        addresses = found
    }

    private static func replacingFolder(_ text: String, _ path: String) -> String {
        text.split(separator: "FOLDER", omittingEmptySubsequences: false).joined(separator: path)
    }

    /// What the complete ready lines say.
    public static func announced(in output: Bytes) -> [PeerAddress] {
        output.text.split(separator: "\n", omittingEmptySubsequences: false).dropLast().compactMap { line in
            guard line.hasPrefix("weir: listening on ") else { return nil }
            let place = line.dropFirst("weir: listening on ".count)
            if place.hasPrefix("unix:") { return .unix(path: String(place.dropFirst(5))) }
            if place.hasPrefix("/") { return .unix(path: String(place)) }
            guard let colon = place.lastIndex(of: ":"), let port = UInt16(place[place.index(after: colon)...]) else { return nil }
            return place.hasPrefix("[") ? .ipv6(port: port) : .ipv4(port: port)
        }
    }

    // MARK: Clients

    /// A new client of the listener with that place in the file; it is closed when the proxy is stopped.
    public func connect(server: Int = 0, receiveBuffer: Int? = nil) throws -> ScriptedClient {
        let client = try ScriptedClient(to: addresses[server], receiveBuffer: receiveBuffer)
        clients.append(client)
        return client
    }

    /// `http://127.0.0.1:PORT`, for real clients.
    public var url: String { "http://\(addresses[0])" }

    // MARK: Looking inside

    /// The operator's log so far.
    public var operatorLog: String { process.standardError.text }

    public func waitForOperatorLog(containing text: String) throws { try process.waitForErrorOutput(containing: text) }

    /// The complete lines of an access log so far.
    public func accessLog(_ name: String = "access.log") -> [String] {
        guard let content = FileContent.read(folder.path(name)) else { return [] }
        return content.split(separator: 0x0A, omittingEmptySubsequences: false).dropLast().map { Bytes($0).text }
    }

    /// Waits until the access log has `count` lines and gives them.
    public func accessLog(lines count: Int, _ name: String = "access.log") throws -> [String] {
        try eventually("\(name) has \(count) lines (it has \(accessLog(name)))") { accessLog(name).count >= count }
        return accessLog(name)
    }

    /// The counters, as `weir stat --json` tells them.
    public func counters() throws -> CounterReport {
        let run = try ChildProcess.run([try Self.binaryPath(), "stat", "--json", "--socket", folder.path("admin")])
        guard run.ending == .exit(0) else { throw ScenarioFailure("weir stat: \(run.ending) \(run.errors.readable)") }
        return CounterReport(json: try JSONValue(run.output))
    }

    /// The process that serves, a child of the one that supervises.
    public func serverProcess() throws -> pid_t {
        let path = "/proc/\(process.pid)/task/\(process.pid)/children"
        guard let first = FileContent.read(path)?.text.split(separator: " ").first, let pid = pid_t(first) else {
            throw ScenarioFailure("the supervisor has no child")
        }
        return pid
    }

    /// Holds the serving process still while `body` runs: whatever is sent meanwhile arrives in one tick.
    public func whileHeld<Result>(_ body: () throws -> Result) throws -> Result {
        let pid = try serverProcess()
        guard kill(pid, SIGSTOP) == 0 else { throw systemError("kill") }
        defer { _ = kill(pid, SIGCONT) }
        try eventually("the server process is held") {
            guard let status = FileContent.read("/proc/\(pid)/stat")?.text, let end = status.lastIndex(of: ")") else { return false }
            return status[end...].dropFirst(2).hasPrefix("T")
        }
        return try body()
    }

    // MARK: Ending

    /// What sanitizers and the Swift runtime print when something is wrong.
    private static let alarms = ["Sanitizer:", "runtime error:", "Fatal error", "Illegal instruction", "Program crashed", "Segmentation fault"]

    /// Closes the clients, asks for a stop and demands an exit of 0 without a word of trouble.
    public func stop() throws {
        for client in clients { client.close() }
        process.signal(SIGTERM)
        try expectEnd(.exit(0), within: Patience.step)
    }

    /// Waits for an end that something else caused.
    public func expectEnd(_ expected: ChildProcess.Ending, within limit: Duration = Patience.step) throws {
        let ending = try process.waitForEnd(within: limit)
        try expectNoAlarm()
        guard ending == expected else { throw ScenarioFailure("the proxy ended with \(ending) instead of \(expected)") }
    }

    public func expectNoAlarm() throws {
        let log = process.standardError
        for alarm in Self.alarms where log.contains(text: alarm) { throw ScenarioFailure("the proxy reported `\(alarm)`") }
    }
}

/// The answer of `weir stat --json`.
public struct CounterReport: Sendable {
    public let json: JSONValue

    /// The sum of a counter of this name over all workers; -1 when there is none of this name.
    public func sum(_ name: String) -> Int { json["total"]?[name]?.number.map { Int($0) } ?? -1 }

    /// A counter of a backend, named by its section, summed over all workers and addresses.
    public func backend(_ section: String, _ name: String) -> Int {
        let rows = (json["backends"]?.elements ?? []).filter { $0["name"]?.string == section }
        return Int(rows.reduce(0) { $0 + ($1[name]?.number ?? 0) })
    }
}

/// Runs a scenario against a proxy and stops it cleanly; a failure carries the proxy's own words.
public func withProxy<Result>(
    _ configuration: ProxyConfiguration, openFilesMax: Int? = nil, user: Int? = nil, _ body: (ProxyUnderTest) throws -> Result
) throws -> Result {
    let proxy = try ProxyUnderTest(configuration, openFilesMax: openFilesMax, user: user)
    do {
        let result = try body(proxy)
        if proxy.process.ending == nil { try proxy.stop() } else { try proxy.expectNoAlarm() }
        return result
    } catch {
        proxy.process.kill()
        let log = proxy.process.standardError
        throw ScenarioFailure("\(error)" + (log.isEmpty ? "" : "\n--- operator's log ---\n\(log.readable)"))
    }
}

/// The same for the usual case: one listener, one worker, every backend in one `server`.
public func withProxy<Result>(
    to backends: any TestBackend..., server: [Setting] = [], downstream: [Setting] = [], connections: Int = 8,
    accessLog: String? = nil, sections: [String] = [], _ body: (ProxyUnderTest) throws -> Result
) throws -> Result {
    let downstreams = backends.map { ProxyConfiguration.Downstream($0, downstream, connections: connections) }
    let server = ProxyConfiguration.Server(server, accessLog: accessLog, sections: sections, downstreams: downstreams)
    return try withProxy(ProxyConfiguration(servers: [server])) { proxy in
        defer { backends.forEach { $0.close() } }
        return try body(proxy)
    }
}

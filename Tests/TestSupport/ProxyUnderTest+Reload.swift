import Glibc

extension ProxyUnderTest {
    /// Puts another configuration where the running one was read from; nobody reads it before the next `SIGHUP`.
    ///
    /// Listeners on port 0 stay where they are, server by server.
    public func write(_ configuration: ProxyConfiguration) throws { try write(text: configuration.text(in: folder)) }

    public func write(text: String) throws { try folder.write("weir.conf", text) }

    /// Reloads and waits until every worker goes by the new configuration.
    public func reload(_ configuration: ProxyConfiguration) throws { try reload(text: configuration.text(in: folder)) }

    public func reload(text: String) throws {
        try write(text: text)
        process.signal(SIGHUP)
        try waitForNextGeneration()
    }

    public func waitForNextGeneration() throws {
        generation += 1
        try waitForOperatorLog(containing: "configuration \(generation) is in use")
    }

    /// Reloads in vain; what the operator reads about it, the last line first.
    public func reloadInVain(text: String) throws -> [String] {
        let before = refusals
        try write(text: text)
        process.signal(SIGHUP)
        try eventually("the reload is refused") { refusals > before }
        return operatorLog.split(separator: "\n").reversed().map(String.init)
    }

    private var refusals: Int { operatorLog.split(separator: "\n").count { $0.hasSuffix("stays in use") } }

    /// Every address announced so far, those of reloads included.
    public var announcedAddresses: [PeerAddress] { Self.announced(in: process.standardOutput) }

    /// Descriptors that a process has open.
    public static func descriptorCount(of pid: pid_t) -> Int { FolderContent.names("/proc/\(pid)/fd").count }

    /// Resident memory of a process in bytes.
    public static func residentBytes(of pid: pid_t) -> Int {
        let pages = FileContent.read("/proc/\(pid)/statm")?.text.split(separator: " ").dropFirst().first.flatMap { Int($0) }
        return (pages ?? 0) * 4_096
    }
}

extension CounterReport {
    /// Number of the configuration in use.
    public var generation: Int { json["configuration"]?["generation"]?.number.map { Int($0) } ?? -1 }
    /// The configurations that something still goes by.
    public var generationsInUse: [Int] { (json["configuration"]?["inUse"]?.elements ?? []).compactMap { $0.number.map { Int($0) } } }
    public var lastReloadOutcome: String { json["configuration"]?["lastReload"]?["outcome"]?.string ?? "" }
    public var lastReloadReason: String { json["configuration"]?["lastReload"]?["reason"]?.string ?? "" }
    public var lastReloadMilliseconds: Int { json["configuration"]?["lastReload"]?["unixMilliseconds"]?.number.map { Int($0) } ?? -1 }
    public var restarts: Int { json["restarts"]?.number.map { Int($0) } ?? -1 }
}

extension ProxyUnderTest {
    public func text(of configuration: ProxyConfiguration) throws -> String { configuration.text(in: folder) }

    /// Begins a reload that a held server process cannot answer: the supervisor keeps two copies of every log meanwhile.
    public func beginReload() throws {
        let before = Self.descriptorCount(of: process.pid)
        process.signal(SIGHUP)
        try eventually("the supervisor has opened what the new configuration needs") {
            Self.descriptorCount(of: process.pid) > before
        }
    }
}

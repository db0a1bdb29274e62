import CUring
import Glibc

/// What `weir run` was asked for.
public struct RunRequest: Sendable {
    public enum Source: Sendable {
        case file(String)
        case quick(listen: [String], to: [String])
    }
    public var source: Source
    /// Descriptor for the ready lines, besides standard output.
    public var readyDescriptor: Int32?
    /// A process beside the server whose end is worth a word.
    var companion: Int32?
    /// What to tell people once requests are answered.
    var invitation: (@Sendable ([SocketAddress]) -> String)?

    public init(_ source: Source, readyDescriptor: Int32? = nil) {
        self.source = source
        self.readyDescriptor = readyDescriptor
    }
}

/// Runs supervisor and server until asked to stop; the exit code of the program.
public func run(_ request: RunRequest) -> Int32 {
    do throws(LaunchFailure) {
        // Before anything else, so that no signal is lost and no thread has them open.
        let watched = [SIGTERM, SIGINT, SIGCHLD, SIGUSR1, SIGHUP]
        let signals = cprocess_signal_descriptor(watched, UInt32(watched.count))
        guard signals >= 0 else { throw LaunchFailure("cannot watch signals: \(errorText(signals))") }
        cprocess_ignore_signal(SIGPIPE)
        let prepared = try prepare(request)
        return try Supervisor(prepared, signals: signals).run()
    } catch {
        say("\(error)")
        return 1
    }
}

/// The order of starting: settings, the kernel, limits, workers, then what needs rights: listeners, logs, the admin socket.
private func prepare(_ request: RunRequest) throws(LaunchFailure) -> PreparedRun {
    let (source, settings) = try readSettings(request.source)
    let rights = try ServerRights.find(settings)
    let facts = SystemFacts.gather()
    if let refusal = RingRefusal(facts) { throw LaunchFailure("cannot serve: \(refusal.sentence)") }
    let files = try OpenFiles.decide(settings)
    try files.apply()
    raiseLockedMemory()
    let crew = Crew(wanted: settings.workers, machine: facts.machine)
    let plan = ResourcePlan(settings: settings, crew: crew, openFiles: files.applied)
    let listeners = try ListenerSet.open(settings, crew: crew)
    let logs: [Int32]
    var admin: AdminSocket?
    do throws(LaunchFailure) {
        logs = try LogPlan(settings).open()
        admin = try AdminSocket.open(settings)
    } catch {
        listeners.removeUnixFiles()
        throw error
    }
    announce(plan, facts, listeners, admin)
    let assignment = ServerAssignment(
        source: source, workers: crew.workers, cpus: crew.cpus,
        listeners: listeners.listeners.map(ServerAssignment.Listener.init),
        logCount: logs.count, hasAdminListener: admin != nil, rights: rights, restarts: 0)
    return PreparedRun(
        settings: settings, initial: settings, assignment: assignment, listeners: listeners, logs: logs, admin: admin,
        readyDescriptor: request.readyDescriptor, companion: request.companion, invitation: request.invitation)
}

/// The start-up summary: what was found, what was applied, what it adds up to.
private func announce(_ plan: ResourcePlan, _ facts: SystemFacts, _ listeners: ListenerSet, _ admin: AdminSocket?) {
    for line in plan.summary { say(line) }
    let extra = facts.ring.features.contains(.minimumWait) ? "with" : "without"
    say("kernel \(facts.kernel.release): io_uring with all that is needed, \(extra) minimum wait")
    for warning in listeners.warnings { say("warning: \(warning)") }
    if plan.clientConnectionsMax < 64 {
        say("warning: there is room for \(plan.clientConnectionsMax) client connections only; raise max-nofile")
    }
    if let admin { say("admin socket \(admin.path)") }
}

/// Reads and checks the configuration; prints all that is wrong with it before it gives up.
func readSettings(_ source: RunRequest.Source) throws(LaunchFailure) -> (ConfigurationSource, GlobalSettings) {
    var recorded: ConfigurationSource
    let name: String
    switch source {
    case .quick(let listen, let to):
        recorded = .quick(listen: listen, to: to)
        name = "the command line"
    case .file(let path):
        recorded = .file(path: path, texts: [])
        name = path
    }
    let loaded = recorded.loadRecording()
    for diagnostic in loaded.diagnostics { write("\(diagnostic)\n", to: STDERR_FILENO) }
    guard let settings = loaded.settings else { throw LaunchFailure("\(name) is not a configuration to run with") }
    return (recorded, settings)
}

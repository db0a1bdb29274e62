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
        let environment = currentEnvironment()
        let inherited = try InheritedSocket.takeAll(environment: environment)
        let (source, settings) = try readSettings(request.source)
        var daemon: Daemon?
        if settings.daemonize {
            switch try Daemon.detach(keeping: inherited.map(\.descriptor) + (request.readyDescriptor.map { [$0] } ?? [])) {
            case .command(let exitCode): return exitCode
            case .daemon(let made): daemon = made
            }
        }
        // Before anything is opened, so that no signal is lost and no thread has them open.
        let watched = [SIGTERM, SIGINT, SIGCHLD, SIGUSR1, SIGHUP]
        let signals = cprocess_signal_descriptor(watched, UInt32(watched.count))
        guard signals >= 0 else { throw LaunchFailure("cannot watch signals: \(errorText(signals))") }
        cprocess_ignore_signal(SIGPIPE)
        let outside = Outside(
            readyDescriptor: request.readyDescriptor, manager: ServiceManager(environment: environment), daemon: daemon,
            pidFile: nil, invitation: request.invitation)
        let prepared = try prepare(request, source, settings, inherited, outside)
        defer { prepared.outside.pidFile?.remove() }
        return try Supervisor(prepared, signals: signals).run()
    } catch {
        say("\(error)")
        return 1
    }
}

/// The order of starting: the place, the kernel, limits, workers, then what needs rights: the pid file, listeners, logs, the
/// admin socket.
private func prepare(
    _ request: RunRequest, _ source: ConfigurationSource, _ settings: GlobalSettings, _ inherited: [InheritedSocket],
    _ outside: Outside
) throws(LaunchFailure) -> PreparedRun {
    let source = try moveToWorkingDirectory(settings, source)
    let rights = try ServerRights.find(settings)
    let facts = SystemFacts.gather()
    if let refusal = RingRefusal(facts) { throw LaunchFailure("cannot serve: \(refusal.sentence)") }
    let files = try OpenFiles.decide(settings)
    try files.apply()
    raiseLockedMemory()
    let crew = Crew(wanted: settings.workers, pinned: settings.pinsWorkers, machine: facts.machine)
    let plan = ResourcePlan(settings: settings, crew: crew, openFiles: files.applied)
    var outside = outside
    if let path = settings.pidFilePath { outside.pidFile = try PidFile.claim(path) }
    let listeners: ListenerSet
    let logs: [Int32]
    var admin: AdminSocket?
    do throws(LaunchFailure) {
        listeners = try ListenerSet.open(settings, crew: crew, inherited: inherited)
        do throws(LaunchFailure) {
            logs = try LogPlan(settings).open(workers: crew.workers)
            admin = try AdminSocket.open(settings)
        } catch {
            listeners.removeUnixFiles()
            throw error
        }
    } catch {
        outside.pidFile?.remove()
        throw error
    }
    announce(plan, facts, listeners, admin)
    // With the rights of the start, which may load the module.
    if settings.servers.contains(where: { $0.tls?.usesKernelTLS ?? false }) { say(KernelTLS.probe().sentence) }
    let assignment = ServerAssignment(
        source: source, workers: crew.workers, cpus: crew.cpus,
        listeners: listeners.listeners.map(ServerAssignment.Listener.init),
        logCount: logs.count, hasAdminListener: admin != nil, rights: rights, restarts: 0, ticketSecret: try randomTicketSecret())
    return PreparedRun(
        settings: settings, initial: settings, assignment: assignment, listeners: listeners, logs: logs, admin: admin, outside: outside,
        companion: request.companion)
}

/// Goes where the settings want the process to stand; the source as it is found from there.
private func moveToWorkingDirectory(
    _ settings: GlobalSettings, _ source: ConfigurationSource
) throws(LaunchFailure) -> ConfigurationSource {
    guard let directory = settings.workingDirectory else { return source }
    var name = [CChar](repeating: 0, count: Int(PATH_MAX))
    guard getcwd(&name, name.count) != nil else { throw LaunchFailure("cannot tell the working directory: \(errorText(errno))") }
    let here = String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    guard chdir(directory) == 0 else { throw LaunchFailure("cannot go to the rootdir \(directory): \(errorText(errno))") }
    return source.anchored(at: here)
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
        recorded = .file(path: path, texts: [], materials: [])
        name = path
    }
    let loaded = recorded.loadRecording()
    for diagnostic in loaded.diagnostics { write("\(diagnostic)\n", to: STDERR_FILENO) }
    guard let settings = loaded.settings else { throw LaunchFailure("\(name) is not a configuration to run with") }
    return (recorded, settings)
}

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

/// The order of starting: settings, limits, workers, then what needs rights: listeners, logs, the admin socket.
private func prepare(_ request: RunRequest) throws(LaunchFailure) -> PreparedRun {
    let (source, settings) = try readSettings(request.source)
    let crew = Crew(wanted: settings.workers, machine: .current())
    let listeners = try ListenerSet.open(settings, workers: crew.workers)
    let logs = try LogPlan(settings).open()
    let admin = try settings.adminSocketPath.map { path throws(LaunchFailure) in try AdminSocket.open(path) }
    let assignment = ServerAssignment(
        source: source, workers: crew.workers, cpus: crew.cpus,
        listeners: listeners.listeners.map { ServerAssignment.Listener(worker: $0.worker, server: $0.server) },
        logCount: logs.count, hasAdminListener: admin != nil, rights: nil, restarts: 0)
    return PreparedRun(
        settings: settings, assignment: assignment, listeners: listeners, logs: logs, admin: admin,
        readyDescriptor: request.readyDescriptor)
}

/// Reads and checks the configuration; prints all that is wrong with it before it gives up.
func readSettings(_ source: RunRequest.Source) throws(LaunchFailure) -> (ConfigurationSource, GlobalSettings) {
    switch source {
    case .quick(let listen, let to):
        return (.quick(listen: listen, to: to), try accepted(GlobalSettings.quick(listen: listen, to: to), "the command line"))
    case .file(let path):
        var texts: [ConfigurationSource.SourceText] = []
        let loaded = loadConfiguration(path: path, environment: currentEnvironment()) { path in
            guard let text = readTextFile(path) else { return nil }
            texts.append(.init(path: path, text: text))
            return text
        }
        return (.file(path: path, texts: texts), try accepted(loaded, path))
    }
}

private func accepted(
    _ loaded: (settings: GlobalSettings?, diagnostics: [Diagnostic]), _ name: String
) throws(LaunchFailure) -> GlobalSettings {
    for diagnostic in loaded.diagnostics { write("\(diagnostic)\n", to: STDERR_FILENO) }
    guard let settings = loaded.settings else { throw LaunchFailure("\(name) is not a configuration to run with") }
    return settings
}

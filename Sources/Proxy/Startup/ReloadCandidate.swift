import CUring
import Glibc

/// A configuration that was read and opened, and waits for the server process to take it: until then everything that serves
/// stays as it is, and giving up costs nothing.
struct ReloadCandidate {
    /// What runs once it is taken.
    private(set) var next: PreparedRun
    /// What happens to the sockets.
    let listeners: ListenerSet.Change
    /// Settings that differ and wait for the next start.
    let postponed: [String]

    /// Opens what the configuration needs beyond what is open.
    init(_ settings: GlobalSettings, _ source: ConfigurationSource, after run: PreparedRun) throws(LaunchFailure) {
        let crew = run.crew
        listeners = try run.listeners.changed(to: settings, crew: crew)
        postponed = settings.postponed(after: run.initial)
        next = run
        do throws(LaunchFailure) {
            next.logs = try LogPlan(settings).open(workers: crew.workers)
        } catch {
            listeners.opened.giveUp()
            throw error
        }
        next.settings = settings
        next.listeners = listeners.set
        next.assignment.source = source
        next.assignment.listeners = listeners.set.listeners.map(ServerAssignment.Listener.init)
        next.assignment.logCount = next.logs.count
        next.assignment.generation += 1
    }

    /// What the server process is told.
    var assignment: ReloadAssignment {
        ReloadAssignment(
            generation: next.assignment.generation, source: next.assignment.source, listeners: next.assignment.listeners,
            handed: listeners.handed.map(\.id), logCount: next.logs.count)
    }

    /// What goes with it, in the order of the assignment.
    var descriptors: [Int32] { listeners.handed.map(\.descriptor) + next.logs }

    /// Closes all that was opened for nothing.
    func giveUp() {
        listeners.opened.giveUp()
        for descriptor in next.logs { close(descriptor) }
    }
}

extension PreparedRun {
    /// The workers that run, whatever the newest settings say.
    var crew: Crew { Crew(workers: assignment.workers, cpus: assignment.cpus) }
}

extension GlobalSettings {
    /// Words whose values differ from those that a running process was started with, and that cannot change while it runs.
    func postponed(after running: GlobalSettings) -> [String] {
        var words: [String] = []
        func compare<Value: Equatable>(_ word: String, _ value: KeyPath<GlobalSettings, Value>) {
            if self[keyPath: value] != running[keyPath: value] { words.append(word) }
        }
        compare("workers", \.workers)
        compare("pin-workers", \.pinsWorkers)
        compare("daemonize", \.daemonize)
        compare("rootdir", \.rootDirectory)
        compare("user", \.user)
        compare("group", \.group)
        compare("sticky-secret", \.stickySecret)
        compare("pid-file", \.pidFilePath)
        compare("max-nofile", \.openFilesMax)
        compare("admin-socket", \.adminSocketPath)
        compare("client-table-size", \.clientTableEntries)
        compare("splice-pipe-size", \.splicePipeBytes)
        compare("vector-ciphers", \.vectorCiphers)
        return words
    }
}

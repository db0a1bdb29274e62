/// What the supervisor tells a new server process, besides the descriptors: everything to serve without file rights.
struct ServerAssignment: Equatable {
    /// A listener as the worker and the server it belongs to; its descriptor has the same place in the hand-over.
    struct Listener: Equatable {
        var worker: Int
        var server: Int
    }

    var source: ConfigurationSource
    var workers: Int
    /// The CPU of each worker; empty = not pinned.
    var cpus: [Int]
    var listeners: [Listener]
    var logCount: Int
    var hasAdminListener: Bool
    /// User and group to become; nil = stay.
    var rights: Rights?
    /// How often a server process was started before this one.
    var restarts: Int

    struct Rights: Equatable {
        var user: Int
        var group: Int
    }

    /// Descriptors that follow: listeners, logs, the admin listener, the memory of the crash notes.
    var descriptorCount: Int { listeners.count + logCount + (hasAdminListener ? 1 : 0) + 1 }

    func encoded() -> [UInt8] {
        var writer = HandoverWriter()
        source.encode(into: &writer)
        writer.put(workers)
        writer.put(cpus.count)
        for cpu in cpus { writer.put(cpu) }
        writer.put(listeners.count)
        for listener in listeners {
            writer.put(listener.worker)
            writer.put(listener.server)
        }
        writer.put(logCount)
        writer.put(hasAdminListener ? 1 : 0)
        writer.put(rights?.user ?? -1)
        writer.put(rights?.group ?? -1)
        writer.put(restarts)
        return writer.bytes
    }

    init?(encoded bytes: [UInt8]) {
        var reader = HandoverReader(bytes)
        guard let source = ConfigurationSource(from: &reader), let workers = reader.number(), workers > 0,
            let cpuCount = reader.count()
        else { return nil }
        self.source = source
        self.workers = workers
        cpus = []
        for _ in 0..<cpuCount {
            guard let cpu = reader.number() else { return nil }
            cpus.append(cpu)
        }
        guard let listenerCount = reader.count() else { return nil }
        listeners = []
        for _ in 0..<listenerCount {
            guard let worker = reader.number(), let server = reader.number() else { return nil }
            listeners.append(Listener(worker: worker, server: server))
        }
        guard let logCount = reader.number(), let admin = reader.number(), let user = reader.number(),
            let group = reader.number(), let restarts = reader.number(), reader.isAtEnd
        else { return nil }
        self.logCount = logCount
        hasAdminListener = admin == 1
        rights = user >= 0 ? Rights(user: user, group: group) : nil
        self.restarts = restarts
    }

    init(
        source: ConfigurationSource, workers: Int, cpus: [Int], listeners: [Listener], logCount: Int,
        hasAdminListener: Bool, rights: Rights?, restarts: Int
    ) {
        self.source = source
        self.workers = workers
        self.cpus = cpus
        self.listeners = listeners
        self.logCount = logCount
        self.hasAdminListener = hasAdminListener
        self.rights = rights
        self.restarts = restarts
    }
}

import Glibc

/// What the supervisor tells a new server process, besides the descriptors: everything to serve without file rights.
struct ServerAssignment: Equatable {
    /// A listener as the worker and the server it belongs to; its descriptor has the same place in the hand-over.
    struct Listener: Equatable {
        var worker: Int
        var server: Int
        /// The supervisor's number for it.
        var id = 0
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
    /// Number of the configuration, from 1; each reload that is taken adds one.
    var generation = 1
    var lastReload = ReloadRecord()
    /// What the keys of session tickets are made from: the same in every server process, so that tickets outlive them.
    var ticketSecret = SecretBytes.empty

    static let ticketSecretBytes = 32

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
        for listener in listeners { listener.encode(into: &writer) }
        writer.put(logCount)
        writer.put(hasAdminListener ? 1 : 0)
        writer.put(rights?.user ?? -1)
        writer.put(rights?.group ?? -1)
        writer.put(restarts)
        writer.put(generation)
        lastReload.encode(into: &writer)
        writer.put(ticketSecret)
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
            guard let listener = Listener(from: &reader) else { return nil }
            listeners.append(listener)
        }
        guard let logCount = reader.number(), let admin = reader.number(), let user = reader.number(),
            let group = reader.number(), let restarts = reader.number(), let generation = reader.number(),
            let lastReload = ReloadRecord(from: &reader), let ticketSecret = reader.secret(), reader.isAtEnd
        else { return nil }
        self.logCount = logCount
        hasAdminListener = admin == 1
        rights = user >= 0 ? Rights(user: user, group: group) : nil
        self.restarts = restarts
        self.generation = generation
        self.lastReload = lastReload
        self.ticketSecret = ticketSecret
    }

    init(
        source: ConfigurationSource, workers: Int, cpus: [Int], listeners: [Listener], logCount: Int,
        hasAdminListener: Bool, rights: Rights?, restarts: Int, ticketSecret: SecretBytes = .empty
    ) {
        self.source = source
        self.workers = workers
        self.cpus = cpus
        self.listeners = listeners
        self.logCount = logCount
        self.hasAdminListener = hasAdminListener
        self.rights = rights
        self.restarts = restarts
        self.ticketSecret = ticketSecret
    }
}

/// A new secret, from the kernel.
func randomTicketSecret() throws(LaunchFailure) -> SecretBytes {
    try SecretBytes(capacity: ServerAssignment.ticketSecretBytes) { room throws(LaunchFailure) in
        guard getentropy(room.baseAddress!, room.count) == 0 else { throw LaunchFailure("no random bytes: \(errorText(errno))") }
        return room.count
    }
}

extension ServerAssignment.Listener {
    fileprivate func encode(into writer: inout HandoverWriter) {
        writer.put(worker)
        writer.put(server)
        writer.put(id)
    }

    fileprivate init?(from reader: inout HandoverReader) {
        guard let worker = reader.number(), let server = reader.number(), let id = reader.number() else { return nil }
        self.init(worker: worker, server: server, id: id)
    }

    init(_ listener: OpenListener) { self.init(worker: listener.worker, server: listener.server, id: listener.id) }
}

/// What the supervisor tells a running server process about a new configuration, besides the descriptors that go with it.
struct ReloadAssignment: Equatable {
    var generation: Int
    var source: ConfigurationSource
    /// All listeners of the new configuration.
    var listeners: [ServerAssignment.Listener]
    /// Numbers of those whose descriptor follows, in this order: new ones, and those that another worker gets.
    var handed: [Int]
    var logCount: Int

    /// Descriptors that follow: listeners, then all logs.
    var descriptorCount: Int { handed.count + logCount }

    func encoded() -> [UInt8] {
        var writer = HandoverWriter()
        writer.put(generation)
        source.encode(into: &writer)
        writer.put(listeners.count)
        for listener in listeners { listener.encode(into: &writer) }
        writer.put(handed.count)
        for id in handed { writer.put(id) }
        writer.put(logCount)
        return writer.bytes
    }

    init?(encoded bytes: [UInt8]) {
        var reader = HandoverReader(bytes)
        guard let generation = reader.number(), let source = ConfigurationSource(from: &reader), let count = reader.count()
        else { return nil }
        self.generation = generation
        self.source = source
        listeners = []
        for _ in 0..<count {
            guard let listener = ServerAssignment.Listener(from: &reader) else { return nil }
            listeners.append(listener)
        }
        guard let handedCount = reader.count() else { return nil }
        handed = []
        for _ in 0..<handedCount {
            guard let id = reader.number() else { return nil }
            handed.append(id)
        }
        guard let logCount = reader.number(), logCount >= 0, reader.isAtEnd else { return nil }
        self.logCount = logCount
    }

    init(generation: Int, source: ConfigurationSource, listeners: [ServerAssignment.Listener], handed: [Int], logCount: Int) {
        self.generation = generation
        self.source = source
        self.listeners = listeners
        self.handed = handed
        self.logCount = logCount
    }
}

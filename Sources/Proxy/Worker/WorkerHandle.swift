/// A listening socket that belongs to one worker.
struct WorkerListener: Sendable {
    var fd: Int32
    /// Which `server` of the plan it serves.
    var server: Int
}

/// What the control thread prepares before a worker's thread starts.
struct WorkerStart: Sendable {
    var index: Int
    /// CPU to pin to; nil = not pinned.
    var cpu: Int?
    var listeners: [WorkerListener]
    var settings: GlobalSettings
    /// One descriptor per log of `LogPlan`, opened by the supervisor.
    var logDescriptors: [Int32]
    /// Addresses of every `downstream` that are known at the start.
    var addresses: AddressTable
}

/// The addresses of one `downstream` of one `server`, as literals or as resolved.
struct BackendAddresses: Sendable, Equatable {
    var server: Int
    var backend: Int
    var addresses: [SocketAddress]
}

/// The addresses of all backends: immutable, one generation; a new one is posted to the workers when a name changes.
final class AddressTable: Sendable {
    let generation: Int
    let entries: [BackendAddresses]
    init(generation: Int, entries: [BackendAddresses]) {
        self.generation = generation
        self.entries = entries
    }
}

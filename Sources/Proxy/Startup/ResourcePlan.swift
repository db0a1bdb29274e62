import Glibc

/// What a configuration takes from the machine, per worker and in all: printed by `weir check --plan`, summed up at the
/// start, and measured against the limit of open files.
struct ResourcePlan {
    /// Descriptors that a worker has besides listeners, logs and connections: its ring, one to be woken by, and a pipe.
    static let ownDescriptorsPerWorker = 4
    /// Standard streams, the way to the supervisor, names, the admin socket and its guests.
    static let sharedDescriptors = 32

    let settings: GlobalSettings
    let crew: Crew
    let openFiles: ResourceLimit

    private var logCount: Int { LogPlan(settings).logs.count }
    private var writtenLogs: [LogSettings] { LogPlan(settings).logs.filter(\.enabled) }

    /// Backend connections that all workers together open at once and keep.
    var backendConnectionsKept: Int {
        crew.workers * settings.servers.reduce(0) { $0 + $1.backends.filter(\.enabled).reduce(0) { $0 + $1.connections } }
    }

    /// Memory of all rings' receive buffers, from the start on and when every backend sends at once, in bytes.
    var receiveBufferBytes: (atStart: Int, max: Int) {
        let client = KernelRing.clientBuffers * KernelRing.clientBufferBytes
        let slice = KernelRing.backendBuffersSlice * KernelRing.backendBufferBytes
        let most = KernelRing.backendBuffersMax * KernelRing.backendBufferBytes
        return (crew.workers * (client + slice), crew.workers * (client + most))
    }

    /// A worker splices through one pipe, when a server of its has something to splice.
    var pipeCount: Int { settings.servers.contains { $0.splice.enabled } ? crew.workers : 0 }

    static let pipeBytes = GlobalSettings().splicePipeBytes

    /// Backend connections that all workers together may have.
    var backendConnectionsMax: Int {
        crew.workers * settings.servers.reduce(0) { $0 + $1.backends.filter(\.enabled).reduce(0) { $0 + $1.connectionsMax } }
    }

    var pendingMax: Int? {
        let counts = settings.servers.map(\.pending.countMax)
        return counts.contains(0) ? nil : crew.workers * counts.reduce(0, +)
    }

    var listenerCount: Int {
        settings.servers.enumerated().reduce(0) { sum, element in
            let listening = ListenerSet.workers(of: element.element, index: element.offset, workers: crew.workers).count
            return sum + element.element.addresses.reduce(0) { $0 + ($1.isUnix ? 1 : listening) }
        }
    }

    /// Descriptors that stand whatever clients do.
    var fixedDescriptors: Int {
        Self.sharedDescriptors + listenerCount + crew.workers * (Self.ownDescriptorsPerWorker + logCount)
    }

    /// Client connections that fit the limit when every backend connection is in use; 0 when not one fits.
    var clientConnectionsMax: Int {
        let limit = Int(clamping: openFiles.soft)
        return max(0, limit - fixedDescriptors - backendConnectionsMax)
    }

    /// Sentences for the start-up summary.
    var summary: [String] {
        var lines: [String] = []
        let pinned = crew.cpus.isEmpty ? "not pinned" : "pinned to CPU \(crew.cpus.map(String.init).joined(separator: ", "))"
        lines.append("\(plural(crew.workers, "worker")), \(pinned); memory by \(Allocator.live.name), \(Allocator.live.habit(settings.memoryTrimBytes))")
        lines.append(
            "open files \(openFiles.soft) (hard \(openFiles.hard)): room for \(clientConnectionsMax) client connections "
                + "beside \(backendConnectionsMax) backend connections")
        let buffers = receiveBufferBytes
        lines.append(
            "\(plural(listenerCount, "listener")), \(plural(crew.workers, "ring")) of \(KernelRing.submissionEntries) + "
                + "\(KernelRing.completionEntries) entries, receive buffers \(sizeText(buffers.atStart)) (at most \(sizeText(buffers.max))), "
                + "\(plural(pipeCount, "pipe")) of \(sizeText(settings.splicePipeBytes))")
        let files = writtenLogs.reduce(0) { $0 + ($1.isPerWorker ? crew.workers : 1) }
        lines.append("\(plural(writtenLogs.count, "log")) in \(plural(files, "open file")), \(plural(fixedDescriptors, "descriptor")) at rest")
        let pending = pendingMax.map { "\($0)" } ?? "any number of"
        lines.append(
            "limits count per worker; in all \(crew.workers): \(backendConnectionsKept) backend connections kept, "
                + "\(backendConnectionsMax) at most, \(pending) pending exchanges")
        return lines
    }

    /// The plan for machines.
    var json: JSONText {
        .object([
            ("workers", .number(crew.workers)),
            ("cpus", .list(crew.cpus.map(JSONText.number))),
            ("listeners", .list(settings.servers.enumerated().flatMap { listeners(of: $1, index: $0) })),
            (
                "rings",
                .object([
                    ("count", .number(crew.workers)), ("submissionEntries", .number(Int(KernelRing.submissionEntries))),
                    ("completionEntries", .number(Int(KernelRing.completionEntries))),
                ])
            ),
            (
                "receiveBuffersPerWorker",
                .object([
                    ("clientCount", .number(KernelRing.clientBuffers)), ("clientBytesEach", .number(KernelRing.clientBufferBytes)),
                    ("backendCountMin", .number(KernelRing.backendBuffersSlice)),
                    ("backendCountMax", .number(KernelRing.backendBuffersMax)),
                    ("backendBytesEach", .number(KernelRing.backendBufferBytes)),
                ])
            ),
            ("pools", .list(settings.servers.enumerated().flatMap { pools(of: $1, index: $0) })),
            ("pendingMax", .optional(pendingMax)),
            (
                "pipes",
                .object([("count", .number(pipeCount)), ("bytesEach", .number(settings.splicePipeBytes)), ("descriptorsEach", .number(2))])
            ),
            (
                "memory",
                .object([
                    ("receiveBuffersAtStart", .number(receiveBufferBytes.atStart)), ("receiveBuffersMax", .number(receiveBufferBytes.max)),
                    ("allocator", .text(Allocator.live.name)), ("trimThreshold", .number(settings.memoryTrimBytes)),
                ])
            ),
            ("logs", .list(logs)),
            (
                "descriptors",
                .object([
                    ("limitSoft", .number(openFiles.soft)), ("limitHard", .number(openFiles.hard)),
                    ("fixed", .number(fixedDescriptors)), ("backendConnectionsKept", .number(backendConnectionsKept)),
                    ("backendConnectionsMax", .number(backendConnectionsMax)),
                    ("clientConnectionsMax", .number(clientConnectionsMax)),
                ])
            ),
        ])
    }

    private func listeners(of server: ServerSettings, index: Int) -> [JSONText] {
        server.addresses.map { address in
            let workers =
                address.isUnix
                ? [index % crew.workers] : ListenerSet.workers(of: server, index: index, workers: crew.workers)
            return .object([
                ("address", .text(address.text)), ("server", .number(index)), ("backlog", .number(server.backlog)),
                ("workers", .list(workers.map(JSONText.number))),
            ])
        }
    }

    private func pools(of server: ServerSettings, index: Int) -> [JSONText] {
        server.backends.map { backend in
            .object([
                ("server", .number(index)), ("backend", .text(backend.name)), ("enabled", .truth(backend.enabled)),
                ("connectionsPerWorker", .number(backend.connections)),
                ("connectionsMaxPerWorker", .number(backend.connectionsMax)),
                ("connectionsMax", .number(backend.enabled ? backend.connectionsMax * crew.workers : 0)),
            ])
        }
    }

    private var logs: [JSONText] {
        writtenLogs.map {
            .object([
                ("output", .text($0.output.name)), ("level", .text($0.level.rawValue)),
                ("files", .number($0.isPerWorker ? crew.workers : 1)), ("descriptors", .number(crew.workers)),
            ])
        }
    }

}

extension ListenAddress {
    var isUnix: Bool {
        switch self {
        case .unix: true
        case .ipv4, .ipv6: false
        }
    }

    /// As people write it.
    var text: String {
        switch self {
        case .ipv4(let host, let port): "\(host):\(port)"
        case .ipv6(let host, let port): "[\(host)]:\(port)"
        case .unix(let path): "unix:\(path)"
        }
    }
}

/// `1 pipe`, `2 pipes`.
func plural(_ count: Int, _ word: String) -> String { "\(count) \(word)\(count == 1 ? "" : "s")" }

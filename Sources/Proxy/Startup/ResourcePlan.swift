import Glibc

/// What a configuration takes from the machine, per worker and in all: printed by `weir check --plan`, summed up at the
/// start, and measured against the limit of open files.
struct ResourcePlan {
    /// Sizes that the engine gives each worker (docs/ARCHITECTURE.md).
    static let submissionEntries = 1_024
    static let completionEntries = 16_384
    static let clientBuffers = (count: 1_024, bytes: 4_096)
    static let backendBuffers = (countMin: 256, countMax: 2_048, bytes: 16_384)
    static let pipeBytes = 1_024 * 1_024
    /// Descriptors that a worker has besides listeners, logs and connections: its ring, and one to be woken by.
    static let ownDescriptorsPerWorker = 2
    /// Standard streams, the way to the supervisor, names, the admin socket and its guests.
    static let sharedDescriptors = 32

    let settings: GlobalSettings
    let crew: Crew
    let openFiles: ResourceLimit

    private var logCount: Int { LogPlan(settings).logs.count }

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
        lines.append("\(crew.workers) worker\(crew.workers == 1 ? "" : "s"), \(pinned)")
        lines.append(
            "open files \(openFiles.soft) (hard \(openFiles.hard)): room for \(clientConnectionsMax) client connections "
                + "beside \(backendConnectionsMax) backend connections")
        let pending = pendingMax.map { "\($0)" } ?? "any number of"
        lines.append(
            "limits count per worker; in all \(crew.workers): \(backendConnectionsMax) backend connections, "
                + "\(pending) pending exchanges")
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
                    ("count", .number(crew.workers)), ("submissionEntries", .number(Self.submissionEntries)),
                    ("completionEntries", .number(Self.completionEntries)),
                ])
            ),
            (
                "receiveBuffersPerWorker",
                .object([
                    ("clientCount", .number(Self.clientBuffers.count)), ("clientBytesEach", .number(Self.clientBuffers.bytes)),
                    ("backendCountMin", .number(Self.backendBuffers.countMin)),
                    ("backendCountMax", .number(Self.backendBuffers.countMax)),
                    ("backendBytesEach", .number(Self.backendBuffers.bytes)),
                ])
            ),
            ("pools", .list(settings.servers.enumerated().flatMap { pools(of: $1, index: $0) })),
            ("pendingMax", .optional(pendingMax)),
            ("pipes", .object([("bytesEach", .number(Self.pipeBytes)), ("descriptorsEach", .number(2))])),
            ("logs", .list(logs)),
            (
                "descriptors",
                .object([
                    ("limitSoft", .number(openFiles.soft)), ("limitHard", .number(openFiles.hard)),
                    ("fixed", .number(fixedDescriptors)), ("backendConnectionsMax", .number(backendConnectionsMax)),
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
        LogPlan(settings).logs.filter(\.enabled).map { .text($0.output.name) }
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

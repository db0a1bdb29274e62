/// The counters of all workers at one moment, with their sums: what `weir stat` shows.
struct StatReport {
    struct Worker: Equatable {
        var index: Int
        /// In the order of `WorkerCounter`.
        var counters: [UInt64]
    }

    struct Backend: Equatable {
        var worker: Int
        var server: Int
        var name: String
        var address: String
        /// In the order of `BackendCounter`.
        var counters: [UInt64]
    }

    var process: Int
    var uptimeMilliseconds: Int
    var restarts: Int
    var allocator: String
    var configuration = Configuration()
    var workers: [Worker]
    var backends: [Backend]

    /// Which configuration is in use.
    struct Configuration: Equatable {
        /// 1 at the start; each reload that is taken adds one.
        var generation = 1
        /// The newest and older ones that exchanges still go by.
        var inUse = [1]
        var lastReload = ReloadRecord()
    }

    /// Sums of all workers, in the order of `WorkerCounter`.
    var total: [UInt64] {
        WorkerCounter.allCases.indices.map { place in workers.reduce(0) { $0 &+ $1.counters[place] } }
    }

    /// One entry for each backend address, summed over the workers; round trips are averaged over those that measured.
    var backendTotals: [Backend] {
        var totals: [Backend] = []
        var measured: [Int] = []
        let roundTrip = BackendCounter.roundTripMicroseconds.rawValue
        for backend in backends {
            let known = totals.firstIndex {
                $0.server == backend.server && $0.name == backend.name && $0.address == backend.address
            }
            let measures = backend.counters[roundTrip] > 0 ? 1 : 0
            guard let known else {
                totals.append(backend)
                measured.append(measures)
                continue
            }
            for place in backend.counters.indices where place != BackendCounter.state.rawValue {
                totals[known].counters[place] &+= backend.counters[place]
            }
            measured[known] += measures
        }
        for (place, count) in measured.enumerated() where count > 1 { totals[place].counters[roundTrip] /= UInt64(count) }
        return totals
    }

    var json: JSONText {
        .object([
            ("process", .number(process)),
            ("uptimeMilliseconds", .number(uptimeMilliseconds)),
            ("restarts", .number(restarts)),
            ("allocator", .text(allocator)),
            ("configuration", configuration.json),
            ("total", Self.object(total)),
            (
                "workers",
                .list(workers.map { .object([("worker", .number($0.index))] + Self.fields($0.counters)) })
            ),
            ("backends", .list(backendTotals.map { .object(Self.name($0) + Self.backendFields($0)) })),
            (
                "backendsByWorker",
                .list(
                    backends.map { .object([("worker", .number($0.worker))] + Self.name($0) + Self.backendFields($0)) })
            ),
        ])
    }

    /// A table for people: sums first, then each worker beside it, zeros left out.
    var text: String {
        var lines = [
            "process \(process), up \(seconds(uptimeMilliseconds)), restarted \(restarts) times, allocator \(allocator)",
            configuration.text, "",
        ]
        let sums = total
        for counter in WorkerCounter.allCases where sums[counter.rawValue] > 0 {
            let each = workers.map { "\($0.counters[counter.rawValue])" }.joined(separator: " ")
            lines.append(Self.row(counter.word, sums[counter.rawValue], workers.count > 1 ? "(\(each))" : ""))
        }
        for backend in backendTotals {
            lines.append("")
            lines.append("backend \(backend.name) \(backend.address) of server \(backend.server)")
            for counter in BackendCounter.allCases where backend.counters[counter.rawValue] > 0 {
                lines.append(Self.row(counter.word, backend.counters[counter.rawValue], ""))
            }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func row(_ word: String, _ value: UInt64, _ rest: String) -> String {
        let space = String(repeating: " ", count: max(1, 26 - word.count))
        return "  \(word)\(space)\(value)" + (rest.isEmpty ? "" : "  \(rest)")
    }

    private static func object(_ counters: [UInt64]) -> JSONText { .object(fields(counters)) }

    private static func fields(_ counters: [UInt64]) -> [(String, JSONText)] {
        WorkerCounter.allCases.map { ($0.word, .number(counters[$0.rawValue])) }
    }

    private static func name(_ backend: Backend) -> [(String, JSONText)] {
        [("server", .number(backend.server)), ("name", .text(backend.name)), ("address", .text(backend.address))]
    }

    private static func backendFields(_ backend: Backend) -> [(String, JSONText)] {
        BackendCounter.allCases.map { ($0.word, .number(backend.counters[$0.rawValue])) }
    }
}

extension StatReport {
    /// Reads the counters of running workers; relaxed, so that one number may be newer than its neighbour.
    init(
        _ workers: [WorkerHandle], uptimeMilliseconds: Int, restarts: Int, process: Int32, configuration: Configuration
    ) {
        self.configuration = configuration
        self.process = Int(process)
        self.uptimeMilliseconds = uptimeMilliseconds
        self.restarts = restarts
        allocator = Allocator.live.name
        self.workers = workers.map { worker in
            Worker(index: worker.index, counters: WorkerCounter.allCases.map { worker.counters[$0] })
        }
        backends = workers.flatMap { worker in
            worker.backendSnapshots().map { snapshot in
                Backend(
                    worker: worker.index, server: snapshot.server, name: snapshot.name, address: snapshot.address,
                    counters: snapshot.counters)
            }
        }
    }
}

extension StatReport.Configuration {
    var json: JSONText {
        .object([
            ("generation", .number(generation)),
            ("inUse", .list(inUse.map(JSONText.number))),
            ("reloadsTaken", .number(lastReload.takenCount)),
            ("reloadsFailed", .number(lastReload.failedCount)),
            (
                "lastReload",
                .object([
                    ("outcome", .text(lastReload.outcome.rawValue)), ("unixMilliseconds", .number(lastReload.unixMilliseconds)),
                    ("reason", .text(lastReload.reason)),
                ])
            ),
        ])
    }

    /// `configuration 3, last reload refused: …`.
    var text: String {
        var text = "configuration \(generation)"
        if inUse.count > 1 { text += " (in use: \(inUse.map(String.init).joined(separator: ", ")))" }
        if lastReload.outcome != .none { text += ", last reload \(lastReload.outcome.rawValue)" }
        if !lastReload.reason.isEmpty { text += ": \(lastReload.reason)" }
        return text
    }
}

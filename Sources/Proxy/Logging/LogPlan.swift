/// The logs of a configuration, one descriptor each: the operator's log first, then every request log that is on, once.
///
/// Whoever asks for the same log as another gets the same place, and lines of both go through one buffer. The
/// supervisor opens them in this order; the server process finds them by their place. A log with `{WORKER}` in its
/// path has a descriptor for each worker.
struct LogPlan {
    struct Entry: Equatable {
        var settings: LogSettings
        /// Place of the access log that is printed from the same record: an error log captures what that one needs
        /// too. 0 = none.
        var companion = 0
        /// How grave its lines are to the system's logger.
        var severity = SyslogSeverity.informational
    }

    private(set) var entries: [Entry]

    var logs: [LogSettings] { entries.map(\.settings) }

    static let operatorLog = 0
    /// The place that stands for "no log": the operator's own, which takes no requests.
    static let none: Int32 = 0

    init(_ settings: GlobalSettings) {
        entries = [Entry(settings: settings.operatorLog)]
        for server in settings.servers {
            add(server.accessLog, server.errorLog)
            for host in server.virtualHosts {
                let access = host.scope.accessLog ?? server.accessLog
                let error = host.scope.errorLog ?? server.errorLog
                add(access, error)
                for rule in host.rules { add(rule.scope.accessLog ?? access, rule.scope.errorLog ?? error) }
            }
        }
    }

    /// Places of the two logs of a server, host or rule; `none` for one that is off.
    func places(access: LogSettings, error: LogSettings) -> (access: Int32, error: Int32) {
        let accessPlace = place(of: Entry(settings: access))
        return (Int32(accessPlace), Int32(place(of: Entry(settings: error, companion: accessPlace, severity: .error))))
    }

    private func place(of wanted: Entry) -> Int {
        guard wanted.settings.enabled, wanted.settings.includesRequests else { return 0 }
        return entries.dropFirst().firstIndex(of: wanted) ?? 0
    }

    private mutating func add(_ access: LogSettings, _ error: LogSettings) {
        let accessPlace = add(Entry(settings: access))
        _ = add(Entry(settings: error, companion: accessPlace, severity: .error))
    }

    private mutating func add(_ wanted: Entry) -> Int {
        guard wanted.settings.enabled, wanted.settings.includesRequests else { return 0 }
        let known = place(of: wanted)
        if known > 0 { return known }
        entries.append(wanted)
        return entries.count - 1
    }

    /// Descriptors that so many workers need for all logs.
    func descriptorCount(workers: Int) -> Int {
        logs.reduce(0) { $0 + ($1.isPerWorker ? workers : 1) }
    }

    /// The descriptors that one worker writes to, one for each log, among all those that were opened for `workers`.
    func descriptors(ofWorker worker: Int, of workers: Int, among all: [Int32]) -> [Int32] {
        var next = 0
        return logs.map { log in
            let place = log.isPerWorker ? next + worker : next
            next += log.isPerWorker ? workers : 1
            return place < all.count ? all[place] : -1
        }
    }
}

/// The logs of a configuration, one descriptor each: the operator's log first, then every request log that is on, once.
///
/// Whoever asks for the same log as another gets the same place, and lines of both go through one buffer. The
/// supervisor opens them in this order; the server process finds them by their place.
struct LogPlan {
    struct Entry: Equatable {
        var settings: LogSettings
        /// Place of the access log that is printed from the same record: an error log captures what that one needs
        /// too. 0 = none.
        var companion = 0
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
        let accessPlace = place(of: access, companion: 0)
        return (Int32(accessPlace), Int32(place(of: error, companion: accessPlace)))
    }

    private func place(of settings: LogSettings, companion: Int) -> Int {
        guard settings.enabled, settings.includesRequests else { return 0 }
        let wanted = Entry(settings: settings, companion: companion)
        return entries.dropFirst().firstIndex(of: wanted) ?? 0
    }

    private mutating func add(_ access: LogSettings, _ error: LogSettings) {
        let accessPlace = add(access, companion: 0)
        _ = add(error, companion: accessPlace)
    }

    private mutating func add(_ settings: LogSettings, companion: Int) -> Int {
        guard settings.enabled, settings.includesRequests else { return 0 }
        let known = place(of: settings, companion: companion)
        if known > 0 { return known }
        entries.append(Entry(settings: settings, companion: companion))
        return entries.count - 1
    }
}

extension LogSettings.Output {
    /// As people call it.
    var name: String {
        switch self {
        case .file(let path): path
        case .syslog(let facility): "syslog:\(facility)"
        case .stdout: "standard output"
        case .stderr: "standard error"
        }
    }
}

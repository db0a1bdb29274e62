/// The logs of a configuration in their fixed order, one descriptor each: the operator's log, then for every server its
/// access log and its error log. The supervisor opens them, the server process finds them by their place.
struct LogPlan {
    let logs: [LogSettings]

    init(_ settings: GlobalSettings) {
        logs = [settings.operatorLog] + settings.servers.flatMap { [$0.accessLog, $0.errorLog] }
    }

    static let operatorLog = 0
    static func accessLog(server: Int) -> Int { 1 + 2 * server }
    static func errorLog(server: Int) -> Int { 2 + 2 * server }
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

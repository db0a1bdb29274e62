/// The logs of a configuration in their fixed order, one descriptor each: the operator's log, then for every server its
/// access log and its error log. The supervisor opens them, the server process finds them by their place; a log with
/// `{WORKER}` in its path has a descriptor for each worker.
struct LogPlan {
    let logs: [LogSettings]

    init(_ settings: GlobalSettings) {
        logs = [settings.operatorLog] + settings.servers.flatMap { [$0.accessLog, $0.errorLog] }
    }

    static let operatorLog = 0
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

    static func accessLog(server: Int) -> Int { 1 + 2 * server }
    static func errorLog(server: Int) -> Int { 2 + 2 * server }
}

extension LogSettings {
    /// What stands in a path for the index of a worker.
    static let workerToken = "{WORKER}"

    /// Whether every worker writes a file of its own.
    var isPerWorker: Bool {
        guard enabled, case .file(let path) = output else { return false }
        return path.firstRange(of: Self.workerToken) != nil
    }

    /// The log as one worker writes it.
    func ofWorker(_ index: Int) -> LogSettings {
        var log = self
        if case .file(let path) = output { log.output = .file(path.replacing(Self.workerToken, with: "\(index)")) }
        return log
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

/// One log: where it goes and how a line looks.
struct LogSettings: Sendable, Equatable {
    enum Output: Sendable, Equatable { case file(String), syslog(facility: String), stdout, stderr }
    enum Level: String, Sendable, CaseIterable { case emerg, alert, crit, error, warn, notice, info, debug }
    var enabled = false
    var output = Output.stdout
    var level = Level.error
    /// Format in RProxy's language, or the word `json`.
    var format = "{SRC} {HOST} {URI} {HOST}"
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

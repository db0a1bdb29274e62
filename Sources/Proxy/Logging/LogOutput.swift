import CUring
import Glibc

/// Why a log cannot be written where its settings want it.
struct LogOpenFailure: Error, Equatable, CustomStringConvertible {
    var target: String
    /// errno; 0 = the setting itself is wrong.
    var error: Int32
    var problem = ""

    var description: String {
        if error == 0 { return "cannot log to \(target): \(problem)" }
        return "cannot log to \(target): \(String(cString: strerror(error)))"
    }
}

/// Opens what a log writes to; the caller owns the descriptor.
///
/// Files are appended to and created with mode 0640. Called by whoever still has the rights for it, and again with the
/// same settings to reopen files that were renamed.
func openLog(_ settings: LogSettings) -> Result<Int32, LogOpenFailure> {
    switch settings.output {
    case .stdout, .file("/dev/stdout"): duplicate(STDOUT_FILENO, "standard output")
    case .stderr, .file("/dev/stderr"): duplicate(STDERR_FILENO, "standard error")
    case .file(let path): openLogFile(path)
    case .syslog(let word):
        SyslogFacility(word: word) == nil
            ? .failure(LogOpenFailure(target: "syslog", error: 0, problem: "'\(word)' is not a facility"))
            : openSyslog()
    }
}

/// Opening `/dev/stdout` itself fails when it is a socket, as it is under systemd.
private func duplicate(_ descriptor: Int32, _ name: String) -> Result<Int32, LogOpenFailure> {
    let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 3)
    return copy >= 0 ? .success(copy) : .failure(LogOpenFailure(target: name, error: errno))
}

private func openLogFile(_ path: String) -> Result<Int32, LogOpenFailure> {
    // Without O_NONBLOCK a FIFO that nobody reads would hold us here for ever.
    let flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK
    let descriptor = open(path, flags, 0o640)
    guard descriptor >= 0 else { return .failure(LogOpenFailure(target: "'\(path)'", error: errno)) }
    _ = fcntl(descriptor, F_SETFL, O_APPEND)
    return .success(descriptor)
}

extension LogSettings {
    /// Facility of a syslog output; the default of RProxy otherwise.
    var facility: SyslogFacility {
        guard case .syslog(let word) = output else { return .local0 }
        return SyslogFacility(word: word) ?? .local0
    }

    /// Whether lines of this level are wanted.
    func includes(_ other: Level) -> Bool { enabled && other.rank <= level.rank }

    /// Whether the lines of requests are wanted: RProxy writes them at its second level, so that only `emerg` hides them.
    var includesRequests: Bool { includes(.alert) }
}

extension LogSettings.Level {
    /// Severity of RFC 3164, which the words come from: 0 is the gravest.
    var severity: SyslogSeverity {
        switch self {
        case .emerg: .emergency
        case .alert: .alert
        case .crit: .critical
        case .error: .error
        case .warn: .warning
        case .notice: .notice
        case .info: .informational
        case .debug: .debug
        }
    }

    fileprivate var rank: UInt8 { severity.rawValue }
}

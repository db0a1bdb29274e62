import CUring
import Glibc

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

    /// Opens all logs; a log that is off gets /dev/null, so that the places stay.
    ///
    /// Every descriptor is its own and close-on-exec. On failure none stays open.
    func open() throws(LaunchFailure) -> [Int32] {
        var descriptors: [Int32] = []
        for log in logs {
            let descriptor = Self.open(log.enabled ? log.output : .file("/dev/null"))
            guard descriptor >= 0 else {
                let reason = errorText(errno)
                for opened in descriptors { close(opened) }
                throw LaunchFailure("cannot open the log \(Self.name(log.output)): \(reason)")
            }
            descriptors.append(descriptor)
        }
        return descriptors
    }

    private static func open(_ output: LogSettings.Output) -> Int32 {
        switch output {
        case .stdout, .file("/dev/stdout"): return cprocess_duplicate(STDOUT_FILENO)
        case .stderr, .file("/dev/stderr"): return cprocess_duplicate(STDERR_FILENO)
        case .file(let path): return Glibc.open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o640)
        case .syslog: return openSyslog()
        }
    }

    /// A datagram socket connected to the system's log; the facility goes into each line.
    private static func openSyslog() -> Int32 {
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0, let address = SocketAddress(unixPath: "/dev/log") else { return descriptor }
        if address.connect(descriptor) == 0 { return descriptor }
        let failure = errno
        close(descriptor)
        errno = failure
        return -1
    }

    private static func name(_ output: LogSettings.Output) -> String {
        switch output {
        case .file(let path): path
        case .syslog: "/dev/log (syslog)"
        case .stdout: "standard output"
        case .stderr: "standard error"
        }
    }
}

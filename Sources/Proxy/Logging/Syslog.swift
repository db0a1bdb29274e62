import CUring
import Glibc

/// Where a line belongs in the system's log (RFC 3164 §4.1.1), by RProxy's words.
enum SyslogFacility: UInt8, Sendable, CaseIterable {
    case kern = 0, user, mail, daemon, auth, syslog, lpr, news, uucp, cron, authpriv, ftp
    case local0 = 16, local1, local2, local3, local4, local5, local6, local7

    /// Reads a word in any case; RProxy spelt the printer's `lptr`, and its files keep working.
    init?(word: String) {
        let lower = word.lowercased()
        guard let found = Self.allCases.first(where: { $0.word == lower || (lower == "lptr" && $0 == .lpr) }) else { return nil }
        self = found
    }

    var word: String { String(describing: self) }
}

/// How grave a line is, by RFC 3164; a smaller number is graver.
enum SyslogSeverity: UInt8, Sendable, CaseIterable {
    case emergency = 0, alert, critical, error, warning, notice, informational, debug
}

/// What stands before the message of a datagram: `<134>Aug 27 13:05:59 weir[4711]: `.
struct SyslogHeader: BitwiseCopyable, Sendable {
    let facility: SyslogFacility
    let severity: SyslogSeverity
    let process: Int32

    init(_ facility: SyslogFacility, _ severity: SyslogSeverity, process: Int32 = getpid()) {
        self.facility = facility
        self.severity = severity
        self.process = process
    }

    /// Writes it, at most `LogFraming.headerBytesMax` bytes, and returns how many.
    func write(_ nanoseconds: UInt64, _ clock: inout LogClock, to target: UnsafeMutablePointer<UInt8>) -> Int {
        var line = LogLine(at: target, spare: 0, style: .text)
        line.byte(UInt8(ascii: "<"))
        line.number(UInt64(facility.rawValue) * 8 + UInt64(severity.rawValue))
        line.byte(UInt8(ascii: ">"))
        line.syslogTime(nanoseconds, &clock)
        line.literal(ByteSlice(" weir["))
        line.number(UInt64(UInt32(bitPattern: process)))
        line.literal(ByteSlice("]: "))
        return line.cursor - target
    }
}

/// Connects a datagram socket to the system's logger.
func openSyslog(path: String = "/dev/log") -> Result<Int32, LogOpenFailure> {
    let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { return .failure(LogOpenFailure(target: path, error: errno)) }
    let result = connectSyslog(descriptor, path: path)
    if result == 0 { return .success(descriptor) }
    close(descriptor)
    return .failure(LogOpenFailure(target: path, error: result))
}

/// Connects the socket again, after its listener was restarted; 0 or an errno. Does not block.
func connectSyslog(_ descriptor: Int32, path: String = "/dev/log") -> Int32 {
    guard let address = SocketAddress(unixPath: path) else { return ENAMETOOLONG }
    let result = withUnsafeBytes(of: address.storage) {
        connect(descriptor, $0.baseAddress!.assumingMemoryBound(to: sockaddr.self), address.length)
    }
    return result == 0 ? 0 : errno
}

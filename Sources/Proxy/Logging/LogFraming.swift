import CUring
import Glibc

/// How lines must be cut into writes so that a reader finds each of them whole.
enum LogFraming: BitwiseCopyable, Sendable {
    /// A file or a terminal: as much as there is, because appending writes do not mix.
    case stream
    /// A pipe or a stream socket, shared with other writers: only writes of up to `PIPE_BUF` bytes do not mix.
    case pipe
    /// A datagram socket to the system's logger: one line each, without its line break.
    case syslog(SyslogHeader)

    /// The most that `SyslogHeader` writes.
    static let headerBytesMax = 64
    private static let pipeBytesMax = 4_096

    var isDatagram: Bool {
        switch self {
        case .stream, .pipe: false
        case .syslog: true
        }
    }

    /// Most bytes of a line. Loggers commonly cut datagrams at 8 KiB.
    var lineBytesMax: Int {
        switch self {
        case .stream, .pipe: 16 * 1024
        case .syslog: 8 * 1024 - Self.headerBytesMax
        }
    }

    /// How many of the waiting bytes, whole lines all, the next write takes; a line break that ends a datagram is
    /// not counted.
    func nextWrite(from start: UnsafePointer<UInt8>, count: Int) -> Int {
        switch self {
        case .stream: return count
        case .pipe:
            if count <= Self.pipeBytesMax { return count }
            var end = Self.pipeBytesMax
            while end > 0, start[end - 1] != UInt8(ascii: "\n") { end -= 1 }
            return end > 0 ? end : lineLength(start, count) + 1
        case .syslog: return lineLength(start, count)
        }
    }

    private func lineLength(_ start: UnsafePointer<UInt8>, _ count: Int) -> Int {
        guard let end = memchr(start, Int32(UInt8(ascii: "\n")), count) else { return count }
        return UnsafeRawPointer(end) - UnsafeRawPointer(start)
    }

    /// The framing that fits an open descriptor.
    ///
    /// - Parameters:
    ///   - facility: of the lines, should the descriptor be a datagram socket.
    ///   - severity: of the lines, likewise.
    static func of(
        descriptor: Int32, facility: SyslogFacility = .local0, severity: SyslogSeverity = .informational
    ) -> LogFraming {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { return .stream }
        switch status.st_mode & S_IFMT {
        case S_IFIFO: return .pipe
        case S_IFSOCK:
            var kind: Int32 = 0
            var length = socklen_t(MemoryLayout<Int32>.size)
            getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &kind, &length)
            return kind == Int32(SOCK_DGRAM.rawValue) ? .syslog(SyslogHeader(facility, severity)) : .pipe
        default: return .stream
        }
    }
}

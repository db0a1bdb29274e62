import Glibc

/// Why a start did not come about: one sentence an operator can act on, without a full stop.
struct LaunchFailure: Error, Equatable, CustomStringConvertible {
    var description: String
    init(_ sentence: String) { description = sentence }
}

/// The words of the C library for an errno; negative numbers are taken as the shim returns them.
func errorText(_ number: Int32) -> String {
    String(cString: strerror(abs(number)))
}

/// Writes all of `text` to a descriptor and gives up silently when nobody reads it any more.
func write(_ text: String, to descriptor: Int32) {
    let bytes = Array(text.utf8)
    var start = 0
    while start < bytes.count {
        let count = bytes[start...].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
        if count > 0 {
            start += count
        } else if count < 0 && errno == EINTR {
            continue
        } else if count < 0 && errno == EAGAIN {
            var ready = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
            if poll(&ready, 1, 1_000) <= 0 { return }
        } else {
            return
        }
    }
}

/// One line of the operator's view on standard error, before any log is open.
func say(_ line: String) {
    write("weir: \(line)\n", to: STDERR_FILENO)
}

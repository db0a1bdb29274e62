import CUring
import Glibc

/// The background side of `daemonize`: a session of its own, whose success or failure the command waits for.
struct Daemon {
    /// Closing it without a word tells the command that the start has failed.
    private let report: Int32

    enum Side {
        /// The command: what to exit with.
        case command(exitCode: Int32)
        case daemon(Daemon)
    }

    /// Splits the process in two. On the command's side it returns once the other side serves or has ended.
    ///
    /// To be called while there is one thread, and before anything is opened that only one process may have.
    /// - Parameter kept: descriptors that the daemon needs; others that the caller left open are closed, because whoever
    ///   waits for their end would wait as long as the daemon lives.
    static func detach(keeping kept: [Int32]) throws(LaunchFailure) -> Side {
        var word: Int32 = -1
        var report: Int32 = -1
        let made = cprocess_pipe(&word, &report)
        guard made == 0 else { throw LaunchFailure("cannot go to the background: \(errorText(made))") }
        let child = cprocess_fork()
        guard child >= 0 else {
            close(word)
            close(report)
            throw LaunchFailure("cannot go to the background: \(errorText(child))")
        }
        if child == 0 {
            close(word)
            setsid()
            closeAll(but: kept + [STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO, report])
            return .daemon(Daemon(report: report))
        }
        close(report)
        defer { close(word) }
        return .command(exitCode: waitForWord(word) ? 0 : exitCode(of: child))
    }

    private static func closeAll(but kept: [Int32]) {
        guard let entries = opendir("/proc/self/fd") else { return }
        defer { closedir(entries) }
        var open: [Int32] = []
        while let entry = readdir(entries) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            if let descriptor = Int32(name), descriptor != dirfd(entries), !kept.contains(descriptor) { open.append(descriptor) }
        }
        for descriptor in open { close(descriptor) }
    }

    /// Whether the word came, before the pipe was closed.
    private static func waitForWord(_ word: Int32) -> Bool {
        var byte: UInt8 = 0
        var count = read(word, &byte, 1)
        while count < 0 && errno == EINTR { count = read(word, &byte, 1) }
        return count == 1
    }

    /// What a failed start exits with; it has said why on the standard error that both sides share.
    private static func exitCode(of child: Int32) -> Int32 {
        var status: Int32 = 0
        while waitpid(child, &status, 0) < 0 {
            if errno != EINTR { return 1 }
        }
        let signal = status & 0x7f
        return signal == 0 ? max(1, (status >> 8) & 0xff) : 128 + signal
    }

    /// Lets the command end with 0, and leaves the terminal.
    func succeed() {
        leaveStandardStreams()
        var word: UInt8 = 1
        _ = Glibc.write(report, &word, 1)
        close(report)
    }
}

/// Turns the standard streams to /dev/null, so that whoever waits for their end is not kept waiting.
func leaveStandardStreams() {
    let nowhere = open("/dev/null", O_RDWR | O_CLOEXEC)
    guard nowhere >= 0 else { return }
    for stream in [STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO] where stream != nowhere { dup2(nowhere, stream) }
    if nowhere > STDERR_FILENO { close(nowhere) }
}

import CUring
import Glibc

/// A program that is measured or helps to measure: pinned to CPUs, its output in a file, gone with this value.
///
/// It dies when the thread that started it ends, so that an aborted run leaves nothing behind.
final class MeasuredProcess {
    let name: String
    let pid: Int32
    /// File with all it printed.
    let logPath: String
    private var ended: cprocess_ending?

    /// - Parameter cpus: where it may run; empty = wherever the caller may.
    init(_ name: String, _ command: [String], cpus: [Int], logPath: String) throws(BenchFailure) {
        self.name = name
        self.logPath = logPath
        let output = open(logPath, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
        guard output >= 0 else { throw BenchFailure("cannot write \(logPath): \(String(cString: strerror(errno)))") }
        defer { close(output) }
        var arguments: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) } + [nil]
        defer { for argument in arguments { free(argument) } }
        let mask = cpus.map(Int32.init)
        pid = mask.withUnsafeBufferPointer { cprocess_start(&arguments, output, $0.baseAddress, UInt32($0.count)) }
        guard pid > 0 else {
            throw BenchFailure("cannot start \(command.first ?? name): \(String(cString: strerror(-pid)))")
        }
    }

    deinit { stop() }

    /// The exit code, or 128 and the signal; nil while it runs.
    func exitCode() -> Int? {
        if ended == nil { reap(waits: false) }
        return ended.map { $0.exit_code >= 0 ? Int($0.exit_code) : 128 + Int($0.signal) }
    }

    /// Waits for its end, looking at `meanwhile` about every ten milliseconds; nil when the time is over before.
    func waitForEnd(seconds: Double, meanwhile: (Double) -> Void = { _ in }) -> Int? {
        let begun = monotonicSeconds()
        while true {
            if let code = exitCode() { return code }
            let passed = monotonicSeconds() - begun
            if passed > seconds { return nil }
            meanwhile(passed)
            usleep(10_000)
        }
    }

    func signal(_ number: Int32) { if exitCode() == nil { kill(pid, number) } }

    /// Asks it to end, and makes it after `seconds`; what it started goes too, so that nothing drains into the next measurement.
    func stop(seconds: Double = 4) {
        guard ended == nil else { return }
        // Now, while it can be told who belongs to whom.
        let family = ProcessFamily(of: pid)
        signal(SIGTERM)
        if waitForEnd(seconds: seconds) == nil {
            kill(pid, SIGKILL)
            reap(waits: true)
        }
        family.end()
    }

    private func reap(waits: Bool) {
        guard ended == nil else { return }
        var ending = cprocess_ending()
        let result = cprocess_wait(pid, waits ? 1 : 0, &ending)
        guard result != 0 else { return }
        // Whatever became of it, it is no child any more.
        if result < 0 { ending.exit_code = 127 }
        ended = ending
        kill(-pid, SIGKILL)
    }

    var log: String { textOfFile(logPath) ?? "" }

    /// The last lines it printed, for a failure's sentence.
    var lastWords: String {
        let lines = log.split(separator: "\n").suffix(4)
        return lines.isEmpty ? "it said nothing" : "it said: " + lines.joined(separator: " / ")
    }
}

/// Runs a helper to its end; what it printed and its exit code, nil when it cannot be started or takes too long.
func runToEnd(_ command: [String], seconds: Double = 20, logPath: String) -> (output: String, code: Int)? {
    // Emptied, not removed: it may be a device.
    truncate(logPath, 0)
    guard let process = try? MeasuredProcess(command.first ?? "", command, cpus: [], logPath: logPath),
        let code = process.waitForEnd(seconds: seconds)
    else { return nil }
    return (process.log, code)
}

/// Seconds of a clock that nobody sets.
func monotonicSeconds() -> Double {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return Double(now.tv_sec) + Double(now.tv_nsec) / 1e9
}

/// The whole of a file, those of /proc too; nil when it cannot be read.
func textOfFile(_ path: String) -> String? { bytesOfFile(path).map { String(decoding: $0, as: UTF8.self) } }

func bytesOfFile(_ path: String) -> [UInt8]? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65_536)
    while true {
        let count = read(descriptor, &chunk, chunk.count)
        if count > 0 { bytes += chunk[..<count] } else if count == 0 { return bytes } else if errno != EINTR { return nil }
    }
}

/// Writes a file anew, or adds to its end.
func writeFile(_ path: String, _ text: String, adds: Bool = false) throws(BenchFailure) {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | (adds ? O_APPEND : O_TRUNC), 0o644)
    guard descriptor >= 0 else { throw BenchFailure("cannot write \(path): \(String(cString: strerror(errno)))") }
    defer { close(descriptor) }
    let bytes = Array(text.utf8)
    var start = 0
    while start < bytes.count {
        let count = bytes[start...].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
        if count > 0 { start += count } else if errno != EINTR { throw BenchFailure("cannot write \(path): \(String(cString: strerror(errno)))") }
    }
}

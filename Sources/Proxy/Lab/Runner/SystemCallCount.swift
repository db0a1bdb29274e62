import Glibc

/// Counts the system calls of processes with `perf stat`, which stays out of their way; `strace` would slow them many times over.
///
/// Where perf or the right to it is missing there is no count, and `lack` says why.
final class SystemCallCount {
    private let perf: MeasuredProcess
    private let outputPath: String

    init(of processes: [Int32], folder: String) throws(BenchFailure) {
        outputPath = "\(folder)/perf.txt"
        unlink(outputPath)
        let ids = processes.map { "\($0)" }.joined(separator: ",")
        perf = try MeasuredProcess(
            "perf", ["perf", "stat", "-x", ",", "-e", "raw_syscalls:sys_enter", "-p", ids, "-o", outputPath], cpus: [], logPath: "\(folder)/perf.log")
    }

    /// Waits until perf has its counters; a second at most.
    func waitUntilCounting() {
        let folder = "/proc/\(perf.pid)/fd"
        _ = perf.waitForEnd(seconds: 0)
        for _ in 0..<100 {
            let counts = entries(folder).contains { link in
                var target = [CChar](repeating: 0, count: 64)
                return readlink("\(folder)/\(link)", &target, target.count - 1) > 0 && String(decoding: target.map(UInt8.init(bitPattern:)), as: UTF8.self).contains("perf_event")
            }
            // The last ones are opened right after the first.
            if counts { return _ = usleep(50_000) }
            usleep(10_000)
        }
    }

    /// The calls since the beginning; nil when perf could not count.
    func end() -> Double? {
        perf.signal(SIGINT)
        guard perf.waitForEnd(seconds: 5) != nil else { return nil }
        // COUNT,UNIT,EVENT,…
        for line in (textOfFile(outputPath) ?? "").split(separator: "\n") where line.contains("sys_enter") {
            return line.split(separator: ",").first.flatMap { Double($0) }
        }
        return nil
    }

    /// Why system calls cannot be counted here; nil when they can.
    static func lack(folder: String) -> String? {
        guard let tried = runToEnd(["perf", "stat", "-x", ",", "-e", "raw_syscalls:sys_enter", "--", "true"], logPath: "\(folder)/perf-try.log") else {
            return "perf is not installed (Debian's linux-perf)"
        }
        if tried.code == 0, !tried.output.contains("<not") { return nil }
        return "perf may not count raw_syscalls:sys_enter (be root, or set kernel.perf_event_paranoid to -1)"
    }
}

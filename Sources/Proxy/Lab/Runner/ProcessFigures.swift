import Glibc

/// What a process and everything it started have used so far, as the kernel tells it.
struct ProcessFigures: Equatable, Sendable {
    /// User and system time of all threads, those that ended too, to the nanosecond; and of children that ended and were waited
    /// for, to the hundredth of a second.
    var cpuSeconds = 0.0
    /// Times that a thread gave its CPU away, and that one was taken from it. Threads that have ended are not in it any more.
    var contextSwitches = 0.0
    /// Memory that is theirs: anonymous pages, and a fair share of shared memory. Pages of programs and libraries are not in it,
    /// because their share depends on who else runs the same file, and the generator may.
    var ownKiB = 0.0
    /// The most that was ever resident, summed.
    var peakKiB = 0.0
    /// How many processes that were.
    var processes = 0

    /// - Parameter memory: false leaves the memory out, which takes the kernel longest.
    init(of pid: Int32, memory: Bool = true) {
        for process in ProcessFamily.members(of: pid) {
            processes += 1
            cpuSeconds += Self.cpuSeconds(of: process)
            for thread in entries("/proc/\(process)/task") {
                for line in (textOfFile("/proc/\(process)/task/\(thread)/status") ?? "").split(separator: "\n") where line.contains("ctxt_switches:") {
                    contextSwitches += line.split(whereSeparator: \.isWhitespace).last.flatMap { Double($0) } ?? 0
                }
            }
            guard memory else { continue }
            ownKiB += Self.kibibytes("/proc/\(process)/smaps_rollup", "Pss_Anon:") + Self.kibibytes("/proc/\(process)/smaps_rollup", "Pss_Shmem:")
            peakKiB += Self.kibibytes("/proc/\(process)/status", "VmHWM:")
        }
    }

    /// CPU time of one process and of its children that have ended; 0 for one that is gone.
    static func cpuSeconds(of process: Int32) -> Double {
        // The clock of the process, where the time of a thread stays when the thread has ended.
        var clock = clockid_t()
        var time = timespec()
        guard clock_getcpuclockid(process, &clock) == 0, clock_gettime(clock, &time) == 0 else { return 0 }
        let ended = ProcessStat(textOfFile("/proc/\(process)/stat") ?? "")?.endedChildrenSeconds ?? 0
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9 + ended
    }

    private static func kibibytes(_ path: String, _ name: String) -> Double {
        for line in (textOfFile(path) ?? "").split(separator: "\n") where line.hasPrefix(name) {
            return line.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Double($0) } ?? 0
        }
        return 0
    }
}

/// Names in a folder, without those that begin with a dot unless `hidden`; none when it cannot be read.
func entries(_ folder: String, hidden: Bool = false) -> [String] {
    guard let directory = opendir(folder) else { return [] }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
        let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        if hidden ? name != "." && name != ".." : !name.hasPrefix(".") { names.append(name) }
    }
    return names.sorted()
}

import Glibc

/// What a process and everything it started have used so far, as /proc tells it.
struct ProcessFigures: Equatable, Sendable {
    /// User and system time of all threads, to the nanosecond where the kernel keeps it so.
    var cpuSeconds = 0.0
    /// Times that a thread gave its CPU away, and that one was taken from it.
    var contextSwitches = 0.0
    /// Memory that is theirs, with a fair share of what is shared.
    var proportionalKiB = 0.0
    /// The most that was ever resident, summed.
    var peakKiB = 0.0
    /// How many processes that were.
    var processes = 0

    /// - Parameter memory: false leaves the memory out, which takes the kernel longest.
    init(of pid: Int32, memory: Bool = true) {
        for process in Self.family(of: pid) {
            processes += 1
            for thread in entries("/proc/\(process)/task") {
                let folder = "/proc/\(process)/task/\(thread)"
                // The first number is the time on a CPU in nanoseconds.
                if let word = textOfFile("\(folder)/schedstat")?.split(separator: " ").first { cpuSeconds += (Double(word) ?? 0) / 1e9 }
                for line in (textOfFile("\(folder)/status") ?? "").split(separator: "\n") where line.contains("ctxt_switches:") {
                    contextSwitches += line.split(whereSeparator: \.isWhitespace).last.flatMap { Double($0) } ?? 0
                }
            }
            guard memory else { continue }
            proportionalKiB += Self.kibibytes("/proc/\(process)/smaps_rollup", "Pss:")
            peakKiB += Self.kibibytes("/proc/\(process)/status", "VmHWM:")
        }
    }

    /// The process and its descendants.
    static func family(of pid: Int32) -> [Int32] {
        var found: [Int32] = []
        var waiting = [pid]
        while let process = waiting.popLast(), found.count < 4_096 {
            found.append(process)
            for thread in entries("/proc/\(process)/task") {
                let children = textOfFile("/proc/\(process)/task/\(thread)/children") ?? ""
                waiting += children.split(separator: " ").compactMap { Int32($0) }
            }
        }
        return found
    }

    private static func kibibytes(_ path: String, _ name: String) -> Double {
        for line in (textOfFile(path) ?? "").split(separator: "\n") where line.hasPrefix(name) {
            return line.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Double($0) } ?? 0
        }
        return 0
    }
}

/// Names in a folder, without those that begin with a dot; none when it cannot be read.
func entries(_ folder: String) -> [String] {
    guard let directory = opendir(folder) else { return [] }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
        let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        if !name.hasPrefix(".") { names.append(name) }
    }
    return names.sorted()
}

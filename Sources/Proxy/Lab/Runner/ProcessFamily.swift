import Glibc

/// A process and everything it started, found while their parents live, to be ended even when these are gone.
///
/// A server of Weir leads a process group of its own and outlives its supervisor for as long as it drains; neither a signal to
/// the group nor the end of the parent reaches it.
struct ProcessFamily {
    /// Who it was: the number of a process that ended may belong to another one.
    private struct Member: Hashable {
        var pid: Int32
        var startTicks: UInt64
    }

    private var found: Set<Member> = []

    /// - Parameter without: whom to leave out, such as the caller.
    init(of pid: Int32, without: Int32? = nil) {
        for process in Self.members(of: pid) where process != without {
            if let stat = Self.stat(process) { found.insert(Member(pid: process, startTicks: stat.startTicks)) }
        }
    }

    /// Those that still run; a process that ended and was not waited for does not.
    private var living: [Int32] {
        found.filter { member in Self.stat(member.pid).map { $0.startTicks == member.startTicks && !$0.hasEnded } ?? false }.map(\.pid)
    }

    var count: Int { found.count }
    var isGone: Bool { living.isEmpty }

    func signal(_ number: Int32) { for process in living { kill(process, number) } }

    /// Ends those that still run, by force, and waits until they are gone; a second at most.
    func end() {
        for _ in 0..<200 {
            let left = living
            if left.isEmpty { return }
            for process in left { kill(process, SIGKILL) }
            usleep(5_000)
        }
    }

    private static func stat(_ process: Int32) -> ProcessStat? { textOfFile("/proc/\(process)/stat").flatMap { ProcessStat($0) } }

    /// The process and its descendants.
    static func members(of pid: Int32) -> [Int32] {
        var found: [Int32] = []
        var waiting = [pid]
        while let process = waiting.popLast(), found.count < membersMax {
            found.append(process)
            for thread in entries("/proc/\(process)/task") {
                let children = textOfFile("/proc/\(process)/task/\(thread)/children") ?? ""
                waiting += children.split(separator: " ").compactMap { Int32($0) }
            }
        }
        return found
    }

    private static let membersMax = 4_096
}

/// What `/proc/PID/stat` says of a process, as far as it matters here.
struct ProcessStat: Equatable {
    var hasEnded: Bool
    /// User and system time of children that ended and were waited for.
    var endedChildrenSeconds: Double
    /// When it began, in the kernel's ticks since the machine did.
    var startTicks: UInt64

    init?(_ text: String) {
        // The name stands in parentheses and may hold anything, parentheses too.
        guard let close = text.lastIndex(of: ")") else { return nil }
        let words = text[text.index(after: close)...].split(whereSeparator: \.isWhitespace)
        // The first word here is the third of proc(5): state; the 16th and 17th are cutime and cstime, the 22nd is starttime.
        guard words.count > 19, let user = Double(words[13]), let system = Double(words[14]), let start = UInt64(words[19]) else { return nil }
        hasEnded = words[0] == "Z" || words[0] == "X"
        endedChildrenSeconds = (user + system) / Double(max(sysconf(Int32(_SC_CLK_TCK)), 1))
        startTicks = start
    }
}

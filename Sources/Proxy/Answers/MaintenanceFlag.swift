import CUring
import Glibc

/// Whether a maintenance file exists, as last seen: a word in memory that the control thread writes and workers read.
///
/// One for each path, for the life of the process; so it outlives every plan, and a file that two plans name is looked
/// for once.
struct MaintenanceFlag: BitwiseCopyable, @unchecked Sendable {
    private let word: UnsafeMutablePointer<UInt64>

    @inline(__always)
    var isSet: Bool { clinux_load_relaxed(word) != 0 }

    /// The flag of a path, looked for at once when it is new.
    static func of(_ path: String) -> MaintenanceFlag {
        known.withLock { known in
            if let flag = known[path] { return flag }
            let word = UnsafeMutablePointer<UInt64>.allocate(capacity: 1)
            word.initialize(to: exists(path) ? 1 : 0)
            let flag = MaintenanceFlag(word: word)
            known[path] = flag
            return flag
        }
    }

    /// Looks for every file again; for the control thread, once a second.
    static func lookAtFiles() {
        let flags = known.withLock { $0 }
        for (path, flag) in flags { clinux_store_relaxed(flag.word, exists(path) ? 1 : 0) }
    }

    /// Whatever it is: a link that leads nowhere counts too, because somebody has put it there.
    private static func exists(_ path: String) -> Bool {
        var status = stat()
        return lstat(path, &status) == 0
    }

    private static let known = Locked<[String: MaintenanceFlag]>([:])
}

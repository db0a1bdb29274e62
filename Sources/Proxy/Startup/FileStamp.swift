import Glibc

/// What the file system says of a file without reading it: another stamp means another content.
struct FileStamp: Equatable, Hashable {
    var device: UInt64
    var inode: UInt64
    var size: Int
    var changedNanoseconds: Int

    /// How long after a change another one may leave the same stamp: the kernel's clock for files moves in steps.
    private static let doubtNanoseconds = 1_000_000_000

    /// nil when there is no such file, or it cannot be looked at.
    init?(_ path: String) {
        var found = stat()
        guard stat(path, &found) == 0 else { return nil }
        self.init(found)
    }

    init(_ found: stat) {
        device = UInt64(found.st_dev)
        inode = UInt64(found.st_ino)
        size = Int(found.st_size)
        changedNanoseconds = Int(found.st_mtim.tv_sec) &* 1_000_000_000 &+ Int(found.st_mtim.tv_nsec)
    }

    /// The file was changed so shortly before this time that the next change might not show.
    func isInDoubt(at nanoseconds: UInt64) -> Bool { changedNanoseconds > Int(clamping: nanoseconds) - Self.doubtNanoseconds }
}

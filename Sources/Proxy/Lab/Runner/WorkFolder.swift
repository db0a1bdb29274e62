import Glibc

/// A folder for the files of one run, gone with it: below TMPDIR, or /tmp.
///
/// A run that was killed leaves its folder behind; the next one removes it. Which folders are in use is told by a lock, because
/// process numbers of a container mean nothing outside.
final class WorkFolder {
    let path: String
    private var lock: Int32
    private var isGone = false

    /// - Parameter name: the beginning of the folder's name.
    init(_ name: String, below folder: String? = nil) throws(BenchFailure) {
        let parent = folder ?? getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        Self.removeLeftBehind(name, below: parent)
        var template = Array("\(parent)/\(name).XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw BenchFailure("cannot make a folder in \(parent): \(String(cString: strerror(errno)))") }
        path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
        lock = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        if lock >= 0 { flock(lock, LOCK_EX | LOCK_NB) }
        // Proxies that give up their rights must still read what is in it.
        chmod(path, 0o755)
    }

    deinit { remove() }

    /// Removes it with all that is in it.
    func remove() {
        guard !isGone else { return }
        isGone = true
        Self.removeTree(path)
        if lock >= 0 { close(lock) }
        lock = -1
    }

    /// Removes folders whose runs have ended without removing them.
    private static func removeLeftBehind(_ name: String, below parent: String) {
        for entry in entries(parent) where entry.hasPrefix(name + ".") {
            let path = "\(parent)/\(entry)"
            let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)
            guard descriptor >= 0 else { continue }
            defer { close(descriptor) }
            var status = stat()
            // A young one may be about to be locked.
            guard fstat(descriptor, &status) == 0, status.st_uid == geteuid(), time(nil) - status.st_mtim.tv_sec > youngSeconds else { continue }
            if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { removeTree(path) }
        }
    }

    private static let youngSeconds = 60

    static func removeTree(_ path: String) {
        var status = stat()
        if lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR {
            for name in entries(path, hidden: true) { removeTree("\(path)/\(name)") }
        }
        Glibc.remove(path)
    }
}

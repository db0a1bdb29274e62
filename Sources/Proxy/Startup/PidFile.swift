import Glibc

/// The file with the number of the supervisor, for scripts that send signals.
///
/// It is held by a lock, not by its content: the lock of a process that died is gone, whatever number the file still has
/// and whoever has that number now.
struct PidFile {
    let path: String
    private let descriptor: Int32

    /// Takes hold of the file, and leaves it empty until `write`.
    static func claim(_ path: String) throws(LaunchFailure) -> PidFile {
        for _ in 0..<10 {
            let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK, 0o644)
            guard descriptor >= 0 else {
                let link = errno == ELOOP ? "it is a symbolic link, which could lead anywhere" : errorText(errno)
                throw LaunchFailure("cannot make the pid-file \(path): \(link)")
            }
            do throws(LaunchFailure) {
                if try hold(descriptor, path) { return PidFile(path: path, descriptor: descriptor) }
            } catch {
                close(descriptor)
                throw error
            }
            close(descriptor)  // its last holder removed it meanwhile
        }
        throw LaunchFailure("cannot make the pid-file \(path): others keep making and removing it")
    }

    /// Locks an open file and empties it; false when the path names another file by now.
    private static func hold(_ descriptor: Int32, _ path: String) throws(LaunchFailure) -> Bool {
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw LaunchFailure("the pid-file \(path) is no file")
        }
        let content = text(descriptor)
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let holder = Int(content).map { "process \($0)" } ?? "a process that is just starting"
            throw LaunchFailure("the pid-file \(path) is held by \(holder), which is alive; stop it, or give this one a file of its own")
        }
        var named = stat()
        guard stat(path, &named) == 0, named.st_ino == status.st_ino, named.st_dev == status.st_dev else { return false }
        guard content.isEmpty || Int(content) != nil else {
            throw LaunchFailure("\(path) is no pid-file: it holds something else than a number; nothing was changed")
        }
        ftruncate(descriptor, 0)
        return true
    }

    /// What it holds, as far as a number is long.
    private static func text(_ descriptor: Int32) -> String {
        var bytes = [UInt8](repeating: 0, count: 64)
        let count = pread(descriptor, &bytes, bytes.count, 0)
        return String(decoding: bytes[..<max(0, count)], as: UTF8.self).trimmedLine
    }

    /// Writes the number of this process; false when that fails.
    func write() -> Bool {
        let line = Array("\(getpid())\n".utf8)
        return pwrite(descriptor, line, line.count, 0) == line.count
    }

    /// Removes the file, and then lets go of it.
    func remove() {
        unlink(path)
        close(descriptor)
    }
}

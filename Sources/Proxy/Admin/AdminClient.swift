import CUring
import Glibc

/// Asks a running Weir by its admin socket.
enum AdminClient {
    /// Sends one line and returns the whole answer.
    static func ask(_ command: String, at path: String) throws(LaunchFailure) -> String {
        guard let address = SocketAddress(unixPath: path) else {
            throw LaunchFailure("\(path) is no path of a socket: it has 107 bytes at most")
        }
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw LaunchFailure("no socket: \(errorText(errno))") }
        defer { close(descriptor) }
        var patience = timeval(tv_sec: 5, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        guard address.connect(descriptor) == 0 else {
            let reason =
                switch errno {
                case ENOENT: "no Weir has its admin socket there"
                case ECONNREFUSED: "the Weir that made it is gone"
                case EACCES: "only the user who started Weir (and root) may ask it"
                default: errorText(errno)
                }
            throw LaunchFailure("cannot reach \(path): \(reason)")
        }
        write(command + "\n", to: descriptor)
        guard let bytes = readToEnd(descriptor) else { throw LaunchFailure("\(path) does not answer: \(errorText(errno))") }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// Where admin sockets stand when no path is set: one directory for each user, one socket for each supervisor.
enum AdminPath {
    /// The directory for `user`; root has /run, others what their session gives them.
    static func directory(user: UInt32, environment: [String: String]) -> String {
        if user == 0 { return "/run/weir" }
        if let session = environment["XDG_RUNTIME_DIR"], session.hasPrefix("/") { return session + "/weir" }
        return "/tmp/weir-\(user)"
    }

    static func socket(process: Int32, in directory: String) -> String { "\(directory)/\(process).sock" }

    /// Makes the directory, for its owner alone; false when it cannot be trusted or made.
    static func prepare(_ directory: String, user: UInt32) -> Bool {
        if mkdir(directory, 0o700) == 0 { return true }
        var status = stat()
        // A directory that somebody else made, or can write to, could hold a socket of theirs.
        return lstat(directory, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR && status.st_uid == user
            && status.st_mode & 0o022 == 0
    }

    /// The sockets in a directory, without those of dead processes, which are removed.
    static func living(in directory: String) -> [String] {
        guard let entries = opendir(directory) else { return [] }
        defer { closedir(entries) }
        var found: [String] = []
        while let entry = readdir(entries) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard name.hasSuffix(".sock"), let process = Int32(name.dropLast(5)) else { continue }
            let path = "\(directory)/\(name)"
            if kill(process, 0) < 0, errno == ESRCH {
                unlink(path)
            } else {
                found.append(path)
            }
        }
        return found.sorted()
    }

    /// The one running Weir's socket; when there are several, somebody must say which.
    static func only(in directory: String) throws(LaunchFailure) -> String {
        let found = living(in: directory)
        switch found.count {
        case 0: throw LaunchFailure("no Weir of this user is running (looked in \(directory)); name its socket with --socket PATH")
        case 1: return found[0]
        default:
            throw LaunchFailure("several Weirs of this user are running; name one with --socket PATH: " + found.joined(separator: " "))
        }
    }
}

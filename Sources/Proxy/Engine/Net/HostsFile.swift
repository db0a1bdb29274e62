import Glibc

/// The names of `/etc/hosts` that somebody asked for, read again when the file changes.
struct HostsFile {
    /// Larger files are cut here: a list of millions of blocked names is no list of backends.
    private static let bytesMax = 16 << 20

    private let path: String
    private let wanted: Set<String>
    private var entries: [String: [SocketAddress]] = [:]
    private var version = Version()

    /// Tells one state of the file from another without reading it.
    private struct Version: Equatable {
        var inode: UInt64 = 0
        var size: Int = -1
        var seconds = 0
        var nanoseconds = 0
    }

    init(path: String, names: [String]) {
        self.path = path
        wanted = Set(names.map(Self.canonical))
    }

    /// Addresses of `name` in the order of the file, without ports; nil when the file does not know it. One `stat` when nothing has changed.
    mutating func addresses(of name: String) -> [SocketAddress]? {
        refresh()
        let key = Self.canonical(name)
        if let found = entries[key] { return found }
        // RFC 6761 §6.3: never a question to a name server.
        guard key == "localhost" || key.hasSuffix(".localhost") else { return nil }
        return ["127.0.0.1", "::1"].compactMap { SocketAddress(literal: $0, port: 0) }
    }

    private mutating func refresh() {
        var status = stat()
        guard stat(path, &status) == 0 else {
            entries = [:]
            version = Version()
            return
        }
        let found = Version(
            inode: UInt64(status.st_ino), size: Int(status.st_size), seconds: status.st_mtim.tv_sec, nanoseconds: status.st_mtim.tv_nsec)
        guard found != version, let text = readText() else { return }
        version = found
        entries = [:]
        for line in text.split(whereSeparator: \.isNewline) {
            let words = line.prefix { $0 != "#" }.split(whereSeparator: \.isWhitespace)
            guard words.count > 1 else { continue }
            for word in words.dropFirst() {
                let key = Self.canonical(String(word))
                guard wanted.contains(key), let address = SocketAddress(literal: String(words[0]), port: 0) else { continue }
                if entries[key]?.contains(address) != true { entries[key, default: []].append(address) }
            }
        }
    }

    private func readText() -> String? {
        let fd = open(path, O_RDONLY | O_CLOEXEC)
        guard fd >= 0 else { return nil }
        defer { close(fd) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        while bytes.count < Self.bytesMax {
            let count = read(fd, &chunk, chunk.count)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { return count == 0 ? String(decoding: bytes, as: UTF8.self) : nil }
            bytes.append(contentsOf: chunk[..<count])
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Names compare without case and without the dot of the root.
    private static func canonical(_ name: String) -> String {
        let lower = name.lowercased()
        return lower.hasSuffix(".") ? String(lower.dropLast()) : lower
    }
}

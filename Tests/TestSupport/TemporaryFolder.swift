import Glibc

/// A folder of one scenario that disappears with it.
public final class TemporaryFolder: Sendable {
    public let path: String

    /// The name is short, because unix socket paths are.
    public init() throws {
        var template = Array("/tmp/weir-test-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw systemError("mkdtemp") }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        // Servers that drop their rights must be able to walk in.
        chmod(path, 0o755)
    }

    deinit { Self.removeTree(path) }

    public func path(_ name: String) -> String { path + "/" + name }

    @discardableResult
    public func write(_ name: String, _ content: Bytes) throws -> String {
        let target = path(name)
        try FileContent.write(target, content)
        return target
    }
    @discardableResult
    public func write(_ name: String, _ text: String) throws -> String { try write(name, Bytes(text)) }

    public func makeFolder(_ name: String) throws -> String {
        let target = path(name)
        guard mkdir(target, 0o777) == 0 else { throw systemError("mkdir \(target)") }
        chmod(target, 0o777)
        return target
    }

    private static func removeTree(_ path: String) {
        for name in FolderContent.names(path) { removeTree(path + "/" + name) }
        remove(path)
    }
}

/// Whole files in and out.
public enum FileContent {
    public static func write(_ path: String, _ content: Bytes) throws {
        let fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard fd >= 0 else { throw systemError("open \(path)") }
        defer { Glibc.close(fd) }
        var written = 0
        while written < content.count {
            let count = content.withUnsafeBytes { Glibc.write(fd, $0.baseAddress! + written, content.count - written) }
            guard count > 0 else { throw systemError("write \(path)") }
            written += count
        }
    }

    public static func move(_ path: String, to target: String) throws {
        guard rename(path, target) == 0 else { throw systemError("rename \(path)") }
    }

    /// The content, or nil when there is no such file.
    public static func read(_ path: String) -> Bytes? {
        let fd = open(path, O_RDONLY | O_CLOEXEC)
        guard fd >= 0 else { return nil }
        defer { Glibc.close(fd) }
        var content: Bytes = []
        while true {
            let piece = Bytes(unsafeUninitializedCapacity: 64 * 1024) { buffer, initialized in
                initialized = max(Glibc.read(fd, buffer.baseAddress!, buffer.count), 0)
            }
            if piece.isEmpty { return content }
            content += piece
        }
    }
}

/// What a folder contains.
public enum FolderContent {
    /// The names in it, without the two dots; empty when it cannot be read.
    public static func names(_ path: String) -> [String] {
        guard let folder = opendir(path) else { return [] }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { Bytes($0.prefix { $0 != 0 }).text }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }
}

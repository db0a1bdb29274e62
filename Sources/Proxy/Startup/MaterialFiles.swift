import Glibc

/// Certificates, keys and their like, as a configuration names them: read with the supervisor's rights.
enum MaterialFiles {
    /// Reads from the disk.
    static var reader: MaterialReader { MaterialReader(file: readFile, directory: listDirectory) }

    /// The bytes go from the file to where they stay; nothing else ever holds them.
    private static func readFile(_ path: String, _ bytesMax: Int) throws(ReadFailure) -> SecretBytes {
        // Without O_NONBLOCK, a pipe under that name would stop the supervisor.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
        guard descriptor >= 0 else { throw ReadFailure(reason: errorText(errno)) }
        defer { close(descriptor) }
        var found = stat()
        guard fstat(descriptor, &found) == 0 else { throw ReadFailure(reason: errorText(errno)) }
        guard found.st_mode & S_IFMT == S_IFREG else { throw ReadFailure(reason: "it is not a regular file") }
        guard Int(found.st_size) <= bytesMax else { throw .tooLarge(bytesMax) }
        // One byte more, so that a file that grows meanwhile is noticed.
        return try SecretBytes(capacity: Int(found.st_size) + 1) { room throws(ReadFailure) in
            var count = 0
            while count < room.count {
                let more = read(descriptor, room.baseAddress! + count, room.count - count)
                if more == 0 { return count }
                if more > 0 { count += more } else if errno != EINTR { throw ReadFailure(reason: errorText(errno)) }
            }
            throw ReadFailure(reason: "it grew while it was read")
        }
    }

    /// Names that begin with a dot are nobody's certificates, and hashed names lead to files that are there under another.
    private static func listDirectory(_ path: String) throws(ReadFailure) -> [String] {
        guard let directory = opendir(path) else { throw ReadFailure(reason: errorText(errno)) }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { tuple in
                tuple.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name.hasPrefix(".") { continue }
            names.append(name)
            if names.count > MaterialReader.filesMax { throw ReadFailure(reason: "it has more than \(MaterialReader.filesMax) entries") }
        }
        var seen: Set<[UInt64]> = []
        return names.sorted().filter { name in
            var found = stat()
            guard stat(filePath(name, in: path), &found) == 0, found.st_mode & S_IFMT == S_IFREG else { return false }
            return seen.insert([UInt64(found.st_dev), UInt64(found.st_ino)]).inserted
        }
    }
}

/// A file or a directory that was read for a configuration, with what was in it.
struct Material: Equatable, Sendable {
    enum Content: Equatable, Sendable {
        case file(SecretBytes)
        case directory([String])
    }
    var path: String
    var content: Content
    /// What was seen of it before it was read; stays with the process that read it.
    var seen: FileSighting?

    var isDirectory: Bool {
        if case .directory = content { true } else { false }
    }

    func encode(into writer: inout HandoverWriter) {
        writer.put(path)
        switch content {
        case .file(let bytes):
            writer.put(0)
            writer.put(bytes)
        case .directory(let names):
            writer.put(1)
            writer.put(names)
        }
    }

    init(path: String, content: Content, seen: FileSighting? = nil) {
        self.path = path
        self.content = content
        self.seen = seen
    }

    init?(from reader: inout HandoverReader) {
        guard let path = reader.text() else { return nil }
        self.path = path
        switch reader.number() {
        case 0:
            guard let bytes = reader.secret() else { return nil }
            content = .file(bytes)
        case 1:
            guard let names = reader.texts() else { return nil }
            content = .directory(names)
        default: return nil
        }
    }
}

/// Reads from the disk, and keeps all that was read.
final class MaterialRecorder {
    private(set) var materials: [Material] = []

    var reader: MaterialReader {
        MaterialReader(
            file: { [self] path, bytesMax throws(ReadFailure) in
                var seen = FileSighting(file: path)
                let bytes = try MaterialFiles.reader.file(path, bytesMax)
                seen.note(bytes)
                materials.append(Material(path: path, content: .file(bytes), seen: seen))
                return bytes
            },
            directory: { [self] path throws(ReadFailure) in
                let names = try MaterialFiles.reader.directory(path)
                materials.append(Material(path: path, content: .directory(names), seen: FileSighting(directory: names)))
                return names
            })
    }
}

extension MaterialReader {
    /// Answers from what another process has read.
    static func kept(_ materials: [Material]) -> MaterialReader {
        let known = Dictionary(materials.map { ($0.path, $0.content) }, uniquingKeysWith: { first, _ in first })
        let unread = ReadFailure(reason: "it was not read by the supervisor")
        return MaterialReader(
            file: { path, _ throws(ReadFailure) in
                guard case .file(let bytes)? = known[path] else { throw unread }
                return bytes
            },
            directory: { path throws(ReadFailure) in
                guard case .directory(let names)? = known[path] else { throw unread }
                return names
            })
    }
}

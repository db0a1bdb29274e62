/// Gives the files that sections name beside the texts of the configuration: certificates, keys, lists of revoked ones.
///
/// Only the supervisor has the right to read them. What it reads goes to the server process with the texts, and there the
/// same questions get the same answers.
struct MaterialReader {
    /// All bytes of a regular file, which may have so many at most.
    var file: (_ path: String, _ bytesMax: Int) throws(ReadFailure) -> SecretBytes
    /// Names of the regular files in a directory, in order; no file twice under several names.
    var directory: (_ path: String) throws(ReadFailure) -> [String]

    /// Most files of one directory, and of a configuration.
    static let filesMax = 4_096
    /// Most bytes of all of them together.
    static let totalBytesMax = 64 << 20

    /// Reads as the texts of the configuration are read; knows no directories.
    static func through(_ read: @escaping (String) throws(ReadFailure) -> [UInt8]) -> MaterialReader {
        MaterialReader(
            file: { path, bytesMax throws(ReadFailure) in
                let bytes = try read(path)
                if bytes.count > bytesMax { throw .tooLarge(bytesMax) }
                return SecretBytes(bytes)
            },
            directory: { _ throws(ReadFailure) in throw ReadFailure(reason: "Not a directory") })
    }
}

func filePath(_ name: String, in directory: String) -> String { directory.hasSuffix("/") ? directory + name : "\(directory)/\(name)" }

extension ReadFailure {
    static func tooLarge(_ bytesMax: Int) -> ReadFailure { ReadFailure(reason: "it has more than \(sizeText(bytesMax)) bytes") }
}

/// The files that were read for one configuration: each once, however often it is named.
final class MaterialShelf {
    private let reader: MaterialReader
    private var files: [String: Result<SecretBytes, ReadFailure>] = [:]
    private var directories: [String: Result<[String], ReadFailure>] = [:]
    private var totalBytes = 0

    init(_ reader: MaterialReader) { self.reader = reader }

    func file(_ path: String, bytesMax: Int) throws(ReadFailure) -> SecretBytes {
        if let known = files[path] {
            let bytes = try known.get()
            if bytes.count > bytesMax { throw .tooLarge(bytesMax) }
            return bytes
        }
        let result: Result<SecretBytes, ReadFailure>
        do throws(ReadFailure) {
            if files.count >= MaterialReader.filesMax {
                throw ReadFailure(reason: "it is one of more than \(MaterialReader.filesMax) files that this configuration names")
            }
            let bytes = try reader.file(path, min(bytesMax, MaterialReader.totalBytesMax - totalBytes))
            totalBytes += bytes.count
            result = .success(bytes)
        } catch {
            result = .failure(error)
        }
        files[path] = result
        return try result.get()
    }

    func directory(_ path: String) throws(ReadFailure) -> [String] {
        if let known = directories[path] { return try known.get() }
        let result: Result<[String], ReadFailure>
        do throws(ReadFailure) {
            result = .success(try reader.directory(path))
        } catch {
            result = .failure(error)
        }
        directories[path] = result
        return try result.get()
    }
}

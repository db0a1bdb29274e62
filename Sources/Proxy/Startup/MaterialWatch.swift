/// What was seen of a file or a directory at one time.
struct FileSighting: Equatable, Sendable {
    /// nil = it is a directory, or it is not there.
    var stamp: FileStamp?
    /// Of the names in a directory; of a file's content while its stamp might not show the next change.
    var digest: Int?

    /// Taken before the file is read; `noting` what is read then.
    init(file path: String) { stamp = FileStamp(path) }

    init(directory names: [String]?) { digest = names.hashValue }

    mutating func note(_ bytes: SecretBytes, at nanoseconds: UInt64 = wallClockNanoseconds()) {
        guard stamp?.isInDoubt(at: nanoseconds) ?? false else { return }
        digest = Self.digest(of: bytes)
    }

    /// Whether the file is another one, or has another content, than when this was taken.
    func differs(from now: FileSighting, _ path: String) -> Bool {
        if stamp != now.stamp { return true }
        guard stamp != nil else { return digest != now.digest }
        return digest != nil && digest != (now.digest ?? Self.digest(ofFile: path))
    }

    /// As it is now, with a digest where the stamp is in doubt.
    static func ofFile(_ path: String) -> FileSighting {
        var sighting = FileSighting(file: path)
        if sighting.stamp?.isInDoubt(at: wallClockNanoseconds()) ?? false { sighting.digest = digest(ofFile: path) }
        return sighting
    }

    private static func digest(ofFile path: String) -> Int? { (try? MaterialFiles.reader.file(path, MaterialReader.totalBytesMax)).map(digest) }

    private static func digest(of bytes: SecretBytes) -> Int {
        var hasher = Hasher()
        bytes.withBytes { hasher.combine(bytes: $0) }
        return hasher.finalize()
    }
}

/// Looks now and then whether the files of `ssl` sections have changed since they were read, or since the last look.
///
/// What is seen is noted before anything is read: a change in between is seen the next time. That a file can be used again need
/// not show in it (its mode, the clock): who has failed to use one tries again at each look.
struct MaterialWatch {
    private let files: [String]
    private let directories: [String]
    private let intervalMilliseconds: Int
    private var seen: [String: FileSighting]
    /// When to look again.
    private(set) var looksAt: Int

    /// nil when there is nothing to look at.
    init?(_ source: ConfigurationSource, every milliseconds: Int?, now: Int) {
        guard let milliseconds, case .file(_, _, let materials) = source, !materials.isEmpty else { return nil }
        files = materials.filter { !$0.isDirectory }.map(\.path)
        directories = materials.filter(\.isDirectory).map(\.path)
        seen = Dictionary(materials.map { ($0.path, $0.seen ?? FileSighting(file: $0.path)) }, uniquingKeysWith: { first, _ in first })
        intervalMilliseconds = milliseconds
        looksAt = now + milliseconds
    }

    /// Whether something has changed since the last look.
    mutating func hasChanged(now: Int) -> Bool {
        looksAt = now + intervalMilliseconds
        var current: [String: FileSighting] = [:]
        for directory in directories {
            let names = try? MaterialFiles.reader.directory(directory)
            current[directory] = FileSighting(directory: names)
            for name in names ?? [] { current[filePath(name, in: directory)] = .ofFile(filePath(name, in: directory)) }
        }
        for file in files where current[file] == nil { current[file] = .ofFile(file) }
        let before = seen
        seen = current
        return current.contains { path, sighting in before[path]?.differs(from: sighting, path) ?? true }
    }
}

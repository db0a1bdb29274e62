import Glibc
import TestSupport
import Testing

@testable import Proxy

@Suite("Certificates and keys: reading and watching")
struct MaterialWatchTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// Reads files and directories as a configuration that names them would.
    private func source(files: [String], directories: [String] = []) throws -> ConfigurationSource {
        let recorder = MaterialRecorder()
        for file in files { _ = try recorder.reader.file(folder.path(file), 1000) }
        for directory in directories {
            for name in try recorder.reader.directory(folder.path(directory)) { _ = try recorder.reader.file(folder.path("\(directory)/\(name)"), 1000) }
        }
        return .file(path: "weir.conf", texts: [], materials: recorder.materials)
    }

    /// A watch that can be asked within an expectation.
    private final class Watch {
        var watch: MaterialWatch

        init(_ watch: MaterialWatch) { self.watch = watch }

        var looksAt: Int { watch.looksAt }

        func hasChanged(now: Int) -> Bool { watch.hasChanged(now: now) }
    }

    private func watch(files: [String], directories: [String] = []) throws -> Watch {
        Watch(try #require(MaterialWatch(try source(files: files, directories: directories), every: 1_000, now: 0)))
    }

    /// Sets the time of the last change, so that nothing is in doubt.
    private func age(_ name: String, seconds: Int) {
        var times = [timespec(tv_sec: seconds, tv_nsec: 0), timespec(tv_sec: seconds, tv_nsec: 0)]
        utimensat(AT_FDCWD, folder.path(name), &times, 0)
    }

    @Test("nothing has changed until something changes, and a change is told once")
    func change() throws {
        try folder.write("a", "one")
        age("a", seconds: 1_000)
        let watch = try watch(files: ["a"])
        #expect(watch.looksAt == 1_000)
        #expect(!watch.hasChanged(now: 1_000) && watch.looksAt == 2_000)
        try folder.write("a", "two!")
        age("a", seconds: 2_000)
        #expect(watch.hasChanged(now: 2_000))
        #expect(!watch.hasChanged(now: 3_000))
    }

    @Test("a change that leaves size and time as they were is seen while the time is fresh")
    func sameStamp() throws {
        try folder.write("a", "one")
        var before = stat()
        stat(folder.path("a"), &before)
        let watch = try watch(files: ["a"])
        try folder.write("a", "two")
        var times = [before.st_atim, before.st_mtim]
        utimensat(AT_FDCWD, folder.path("a"), &times, 0)
        #expect(watch.hasChanged(now: 1_000))
        #expect(!watch.hasChanged(now: 2_000))
    }

    @Test("another file under the same name, one that goes and one that comes back are changes")
    func replaced() throws {
        try folder.write("a", "one")
        try folder.write("b", "one")
        for name in ["a", "b"] { age(name, seconds: 1_000) }
        let watch = try watch(files: ["a"])
        try FileContent.move(folder.path("b"), to: folder.path("a"))
        #expect(watch.hasChanged(now: 1_000))
        unlink(folder.path("a"))
        #expect(watch.hasChanged(now: 2_000))
        #expect(!watch.hasChanged(now: 3_000))
        try folder.write("a", "one")
        #expect(watch.hasChanged(now: 4_000))
    }

    @Test("a file that comes into a directory, leaves it or changes in it is a change; one with a dot before its name is none")
    func directory() throws {
        _ = try folder.makeFolder("d")
        try folder.write("d/a", "one")
        age("d/a", seconds: 1_000)
        let watch = try watch(files: [], directories: ["d"])
        try folder.write("d/.b", "hidden")
        #expect(!watch.hasChanged(now: 1_000))
        try folder.write("d/b", "two")
        #expect(watch.hasChanged(now: 2_000))
        try folder.write("d/b", "three")
        #expect(watch.hasChanged(now: 3_000))
        unlink(folder.path("d/b"))
        #expect(watch.hasChanged(now: 4_000))
        #expect(!watch.hasChanged(now: 5_000))
    }

    @Test("a directory gives each file once, by the first of its names, and no directories")
    func listing() throws {
        let path = try folder.makeFolder("d")
        _ = try folder.makeFolder("d/inner")
        try folder.write("d/real.pem", "x")
        symlink("real.pem", "\(path)/1a2b3c4d.0")
        symlink("nowhere", "\(path)/dangling")
        #expect(try MaterialFiles.reader.directory(path) == ["1a2b3c4d.0"])
    }

    @Test("what is no regular file, too large or absent is refused without waiting for it")
    func refused() throws {
        #expect(mkfifo(folder.path("pipe"), 0o600) == 0)
        try folder.write("large", String(repeating: "x", count: 101))
        func reason(_ name: String) -> String? {
            do throws(ReadFailure) {
                _ = try MaterialFiles.reader.file(folder.path(name), 100)
                return nil
            } catch { return error.reason }
        }
        #expect(reason("pipe") == "it is not a regular file")
        #expect(reason("large") == "it has more than 100 bytes")
        #expect(reason("none") == "No such file or directory")
        #expect(try MaterialFiles.reader.file(folder.path("large"), 101).count == 101)
    }

    @Test("what the supervisor has read is all that the server process reads")
    func kept() throws {
        _ = try folder.makeFolder("d")
        try folder.write("d/a", "one")
        let source = try source(files: [], directories: ["d"])
        var writer = HandoverWriter()
        source.encode(into: &writer)
        var reader = HandoverReader(writer.bytes)
        guard case .file(_, _, let materials)? = ConfigurationSource(from: &reader) else {
            Issue.record("a source that was written down cannot be read")
            return
        }
        let kept = MaterialReader.kept(materials)
        #expect(try kept.directory(folder.path("d")) == ["a"])
        #expect(try kept.file(folder.path("d/a"), 100) == SecretBytes(Array("one".utf8)))
        #expect(throws: ReadFailure.self) { try kept.file(folder.path("d/b"), 100) }
    }

    @Test("a secret for tickets is 32 bytes, and never the same twice")
    func secret() throws {
        let one = try randomTicketSecret()
        let other = try randomTicketSecret()
        #expect(one.count == 32 && one != other)
    }
}

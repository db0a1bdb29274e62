import Glibc
import Testing

@testable import Proxy

@Suite("Files of benchmarks")
struct BenchFilesTests {
    private let folder: Folder

    init() throws { folder = try Folder() }

    private func result(_ name: String, run: String = "one", time: Int = 1, seconds: Double = 2, commit: String? = "abc") -> BenchResult {
        let scenario = BenchResult.Scenario(
            name: "small-hot", sentence: "s", settings: .object([]), atFixedRate: false, seconds: seconds,
            rounds: [BenchRound(round: 0, turn: 0, figures: [.cpuPerRequest: 10])])
        return BenchResult(
            run: run, time: time, subject: BenchSubject(name: name, kind: .weir, rival: Rival(), commit: commit), machine: .object([]), generator: "this build",
            scenarios: [scenario])
    }

    @Test("an entry of the history holds rounds, duration and generator, and is read as it was written")
    func entry() throws {
        let written = BenchHistory.entries(of: result("weir"))
        let read = BenchHistory(lines: written.map(BenchHistory.line).joined()).entries
        #expect(read == written)
        let entry = try #require(read.first)
        #expect(entry.rounds == 1 && entry.seconds == 2 && entry.generator == "this build" && entry.figures == [.cpuPerRequest: 10])
    }

    @Test("entries are added on lines of their own, also behind a line that has no end")
    func append() throws {
        let path = folder.path + "/history.jsonl"
        try BenchHistory.append(BenchHistory.entries(of: result("weir", time: 1)), to: path)
        let text = try #require(textOfFile(path))
        try writeFile(path, String(text.dropLast()))
        try BenchHistory.append(BenchHistory.entries(of: result("weir", time: 2)), to: path)
        try BenchHistory.append([], to: path)
        #expect(textOfFile(path).map { BenchHistory(lines: $0).entries.map(\.time) } == [1, 2])
        #expect(textOfFile(path)?.split(separator: "\n", omittingEmptySubsequences: false).count == 3)
    }

    @Test("measurements of another length make no line with the last ones")
    func series() {
        var history = BenchHistory(lines: "")
        for (time, seconds) in [(1, 1.0), (2, 2), (3, 1), (4, 1)] { history.entries += BenchHistory.entries(of: result("weir", time: time, seconds: seconds)) }
        #expect(history.series(of: "small-hot").map(\.time) == [1, 3, 4])
    }

    @Test("noise, changed files and unknown commits have no place in the history")
    func refused() {
        func refusal(_ commit: String?, noise: Bool = false) -> String? {
            BenchHistory.refusal(of: result("weir", commit: commit).subject, acceptsNoise: noise)
        }
        #expect(refusal("abc") == nil)
        #expect(refusal("abc", noise: true) == "noise was accepted")
        #expect(refusal("abc-changed") == "files differ from the commit")
        #expect(refusal(nil) == "the commit of this build is not known")
    }

    @Test("results of an earlier run go when the next one begins, and what is none stays")
    func output() throws {
        let first = try BenchOutput(folder: folder.path)
        try first.write([result("weir"), result("weir-0123")])
        try writeFile(first.pagePath, "page")
        _ = try folder.write("compared.json", "{\"schema\": \"weir-bench-comparison/1\"}")
        _ = try folder.write("mine.json", "{}")
        _ = try folder.write("notes.txt", "x")
        let second = try BenchOutput(folder: folder.path)
        #expect(entries(folder.path) == ["compared.json", "mine.json", "notes.txt"])
        try second.write([result("weir")])
        #expect(entries(folder.path).contains("weir.json"))
    }

    @Test("of a folder the newest run is reported, and what is no result is told and left out")
    func newest() throws {
        let output = try BenchOutput(folder: folder.path)
        try output.write([result("old", run: "one", time: 1), result("weir", run: "two", time: 2), result("nginx", run: "two", time: 2)])
        _ = try folder.write("compared.json", "{\"schema\": \"weir-bench-comparison/1\"}")
        var told: [String] = []
        let found = try BenchOutput.newestRun(in: folder.path) { told.append($0) }
        #expect(found.map(\.subject.name) == ["nginx", "weir"])
        #expect(told.count == 2 && told.contains { $0.contains("compared.json is no result") } && told.contains { $0.contains("old in") })
    }

    @Test("variants are the same build under names and settings of their own")
    func variants() {
        let build = BenchSubject(name: "weir", kind: .weir, rival: Rival(), program: "/bin/weir", commit: "abc")
        let variants = BenchSubject.variants(of: build, settings: ["a = 1", "b = 2"])
        #expect(variants.map(\.name) == ["weir+1", "weir+2"] && variants.map(\.settings) == ["a = 1", "b = 2"])
        #expect(variants.allSatisfy { $0.program == build.program && $0.commit == "abc" })
    }
}

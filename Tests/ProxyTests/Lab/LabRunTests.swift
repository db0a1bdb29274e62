import Glibc
import TestSupport
import Testing

@testable import Proxy

/// The lab for real, to the end: the binary finishes a small experiment, and what it leaves is what it should.
@Suite("Lab, finished", .serialized)
struct LabRunTests {
    private let folder: TemporaryFolder
    /// Where it can be had: a lock of its own, so that a lab at work on this machine is not in the way.
    private let holder: RunningHolder?

    init() throws {
        folder = try TemporaryFolder()
        holder = try LabRestoreTests.canRun ? RunningHolder() : nil
    }

    /// An experiment of the stub backend, six rounds of a moment each.
    private static func experiment(_ knob: String) -> String {
        """
        # A moment.
        question = "Does it end?"
        target = origin
        rounds = 6
        metrics = { cpu-per-request, p50 }
        scenario { duration = "100ms" warm-up = 0 connections = 2 }
        \(knob)

        """
    }

    /// Runs an experiment to its end.
    private func finish(_ file: String) throws -> RunningWeir {
        let words = ["lab", "run", file, "--accept-noise", "--yes", "--journal", folder.path("journal"), "--results", folder.path("results")]
        let lab = try RunningWeir(words, wrapper: holder?.inside ?? [])
        // Each half has a patience of its own, for builds with sanitizers.
        try lab.wait("half of the rounds") { $0.standardOutput.contains("round 4 of 6, ") }
        let code = try lab.end()
        #expect(code == 0, "\(lab.standardError)")
        return lab
    }

    private func result(_ name: String) throws -> JSONText {
        let bytes = try #require(readBytes(folder.path("results/\(name)/raw.json")))
        return try JSONText(parsing: bytes)
    }

    /// The measurements that were not to be taken again.
    private func counted(_ raw: JSONText) -> [JSONText] {
        let all = raw["measurements"]?.elements ?? []
        return all.filter { $0["complaint"]?.string == nil }
    }

    /// The variants in the order of six rounds.
    private static func order(_ first: String, _ second: String) -> [String] {
        [first, second, second, first, first, second, second, first, first, second, second, first]
    }

    @Test("an experiment leaves its figures, its page, its file's text and the list of results")
    func finished() throws {
        let text = Self.experiment(
            "knob --lab-single-shot { kind = origin-option values = { off, on } labels = { multishot, \"single shot\" } }")
        let file = try folder.write("receive.conf", text)
        let lab = try finish(file)
        let raw = try result("receive")
        #expect(raw["schema"]?.string == "weir-lab/1" && raw["experiment"]?.string == "receive")
        #expect(raw["source"]?.string == text)
        let measurements = counted(raw)
        let variants = measurements.compactMap { $0["variant"]?.string }
        #expect(variants == Self.order("multishot", "single shot"))
        let rounds = measurements.compactMap { $0["round"]?.whole }
        #expect(rounds == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5])
        for measurement in measurements {
            let processorTime = measurement["figures"]?["cpu-per-request"]?.real ?? 0
            #expect(processorTime > 0)
            #expect(measurement["load"]?["schema"]?.string == "weir-load/1")
        }
        let sentence = try #require(raw["verdict"]?.string)
        #expect(sentence.contains("'single shot'") && lab.standardOutput.contains(sentence))
        let page = try #require(readTextFile(folder.path("results/receive/index.html")))
        #expect(page.contains("<svg") && page.contains("Does it end?"))
        let list = try #require(readTextFile(folder.path("results/index.html")))
        #expect(list.contains("receive/index.html"))
    }

    @Test("after an experiment that ended by itself the setting is back, and the journal is empty", .enabled(if: LabRestoreTests.canRun))
    func restored() throws {
        let holder = try #require(self.holder)
        let before = holder.somaxconn
        #expect(!before.isEmpty && before != "77" && before != "78")
        let file = try folder.write("somaxconn.conf", Self.experiment("knob net.core.somaxconn { kind = sysctl values = { 77, 78 } }"))
        let lab = try finish(file)
        #expect(lab.standardOutput.contains("\(LabRestoreTests.setting) is '\(before)' again"))
        #expect(holder.somaxconn == before)
        #expect(readTextFile(folder.path("journal")) == "")
        let raw = try result("somaxconn")
        let variants = counted(raw).compactMap { $0["variant"]?.string }
        #expect(variants == Self.order("net.core.somaxconn 77", "net.core.somaxconn 78"))
    }
}

import Glibc
import TestSupport
import Testing

@testable import Proxy

/// The command itself, on a suite of one short scenario.
@Suite("Runs of benchmarks", .serialized)
struct BenchRunTests {
    private let folder: TemporaryFolder
    private var output: String { folder.path("results") }

    init() throws {
        folder = try TemporaryFolder()
        for name in ["suite", "suite/Scenarios", "suite/Rivals", "suite/Rivals/weir", "suite/Rivals/broken", "work"] { _ = try folder.makeFolder(name) }
        try folder.write("suite/Scenarios/short.conf", "about = \"A moment.\"\nload { connections = 2 }\n")
        let here: String = #filePath
        let root = here[..<(try #require(here.firstRange(of: "/Tests/ProxyTests/"))).lowerBound]
        for name in ["rival.conf", "weir.conf"] {
            try folder.write("suite/Rivals/weir/\(name)", try #require(textOfFile("\(root)/Benchmarks/Rivals/weir/\(name)")))
        }
        try folder.write("suite/Rivals/broken/rival.conf", "command = { sh, \"-c\", \"echo I cannot; exit 7\" }\n")
    }

    private func start(_ words: [String]) throws -> RunningWeir {
        let common = ["bench", "run", "--suite", folder.path("suite"), "--out", output, "--accept-noise", "--seconds", "0.2"]
        return try RunningWeir(common + words, variables: ["TMPDIR=\(folder.path("work"))"])
    }

    private func result(_ name: String) throws -> BenchResult.Scenario { try #require(try BenchResult.read("\(output)/\(name).json").scenarios.first) }

    @Test("a subject that fails is left out of the scenario with its reason, and the others are measured")
    func failing() throws {
        let run = try start(["--rivals", "broken", "--with", "efficiency-mode = true", "--rounds", "2"])
        #expect(try run.end() == 0, "\(run.standardError)")
        #expect(try result("broken").lack == "broken ended with 7; it said: I cannot")
        #expect(try result("broken").rounds.isEmpty)
        #expect(try result("weir").rounds.count == 2 && result("weir").isMeasured)
        let variant = try BenchResult.read("\(output)/weir+1.json")
        #expect(variant.subject.settings == "efficiency-mode = true" && variant.scenarios.first?.rounds.count == 2)
        for metric in [BenchMetric.cpuPerRequest, .requestRate, .enters, .memory] {
            #expect(try result("weir").rounds.allSatisfy { $0.figures[metric] ?? 0 > 0 }, "\(metric)")
        }
        #expect(run.standardOutput.contains("short") && run.standardOutput.contains("weir+1"))
        #expect(textOfFile("\(output)/report.html")?.contains("broken ended with 7") == true)
        #expect(entries(folder.path("work"), hidden: true).isEmpty)
    }

    @Test("in slices all are measured at the same time, and who fails is left out")
    func sliced() throws {
        try folder.write("suite/Scenarios/short.conf", "about = \"A moment.\"\nslice = \"200ms\"\nload { connections = 2 }\n")
        let run = try start(["--rivals", "broken", "--with", "efficiency-mode = true", "--rounds", "2", "--seconds", "0.4"])
        #expect(try run.end() == 0, "\(run.standardError)")
        #expect(try result("broken").lack == "broken ended with 7; it said: I cannot")
        #expect(run.standardError.contains("round 1 of 2, weir and weir+1 and broken"))
        #expect(run.standardError.contains("round 2 of 2, weir+1 and weir;"))
        for name in ["weir", "weir+1"] {
            let rounds = try result(name).rounds
            #expect(rounds.count == 2, "\(name)")
            for metric in [BenchMetric.cpuPerRequest, .requestRate, .latency50, .latency9999, .enters, .memory] {
                #expect(rounds.allSatisfy { $0.figures[metric] ?? 0 > 0 }, "\(name): \(metric)")
            }
            // Two pieces, which have to add up.
            #expect(rounds.allSatisfy { $0.requests / ($0.figures[.requestRate] ?? 1) > 0.35 }, "\(name)")
        }
        #expect(entries(folder.path("work"), hidden: true).isEmpty)
    }

    @Test("in slices a round that one subject cannot take is tried again with all, and then left out for that one alone")
    func slicedAndRefused() throws {
        try folder.write("suite/Scenarios/short.conf", "about = \"A moment.\"\nslice = \"200ms\"\nload { connections = 2 }\n")
        _ = try folder.makeFolder("suite/Rivals/unwilling")
        try folder.write("suite/Rivals/unwilling/rival.conf", "command = { \"\(RunningWeir.built("weir"))\", run, \"{{folder}}/u.conf\" }\ntemplates = { u.conf }\n")
        try folder.write("suite/Rivals/unwilling/u.conf", "server {\n  addr = 127.0.0.1\n  port = {{front}}\n  respond = 500\n}\n")
        let run = try start(["--rivals", "unwilling", "--rounds", "1", "--seconds", "0.4"])
        #expect(try run.end() == 0, "\(run.standardError)")
        #expect(try result("weir").rounds.map(\.round) == [0])
        #expect(try result("unwilling").rounds.isEmpty)
        let refused = try result("unwilling").remarks.filter { $0.contains("requests failed") }
        #expect(refused.count == 3 && refused.allSatisfy { $0.contains("was refused: ") }, "\(refused)")
        #expect(try result("weir").remarks.count { $0.contains("was taken again with unwilling, which was refused: ") } == 2)
        #expect(run.standardError.contains("unwilling refused: ") && run.standardError.contains("; the round is left out"))
    }

    @Test("a build is measured beside another one and compared with it, and is not worse than itself")
    func against() throws {
        let run = try start(["--against-program", RunningWeir.built("weir"), "--rounds", "2"])
        #expect(try run.end() == 0, "\(run.standardError)")
        for name in ["weir", "weir-base"] { #expect(try result(name).rounds.count == 2, "\(name)") }
        #expect(run.standardOutput.contains("base weir-base") && run.standardOutput.contains("new  weir"), "\(run.standardOutput)")
        #expect(textOfFile("\(output)/report.html")?.contains("weir-base") == true)
    }

    @Test("noise leaves the history alone, unless it is asked for")
    func history() throws {
        let file = folder.path("history.jsonl")
        let refused = try start(["--rounds", "1", "--history", file])
        #expect(try refused.end() == 0)
        #expect(refused.standardError.contains("nothing is added to \(file): noise was accepted") && textOfFile(file) == nil)
        let asked = try start(["--rounds", "1", "--history", file, "--history-anyway"])
        #expect(try asked.end() == 0)
        #expect(textOfFile(file).map { BenchHistory(lines: $0).entries.map(\.scenario) } == ["short"])
    }

    @Test("a signal ends a run in good order: what it started is gone, and what it measured is kept", arguments: [SIGINT, SIGTERM])
    func ended(by signal: Int32) throws {
        let run = try start(["--rounds", "1000"])
        try run.waitForError("round 3 of 1000")
        let family = ProcessFamily(of: run.process, without: run.process)
        #expect(!family.isGone)
        run.signal(signal)
        #expect(try run.end() == 128 + signal)
        #expect(family.isGone)
        #expect(try result("weir").rounds.count >= 2)
        #expect(try result("weir").remarks.contains { $0.contains("the run was ended after") })
        #expect(entries(folder.path("work"), hidden: true).isEmpty)
    }

    @Test("what a run started goes with it when it is killed, servers of Weir too")
    func killed() throws {
        let run = try start(["--rounds", "1000"])
        var family = ProcessFamily(of: run.process, without: run.process)
        // Origin, supervisor and its server, load.
        try eventually("a load is under way") {
            family = ProcessFamily(of: run.process, without: run.process)
            return family.count >= 4
        }
        run.signal(SIGKILL)
        #expect(try run.end() == -SIGKILL)
        try eventually("all are gone") { family.isGone }
    }
}

import TestSupport
import Testing

@testable import Proxy

/// The commands themselves, on results that were never measured.
@Suite("Commands on results of benchmarks")
struct BenchCommandTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// A result of twelve rounds; its path.
    private func write(_ name: String, cost: Double) throws -> String {
        var scenario = BenchResult.Scenario(name: "small-hot", sentence: "s", settings: .object([]), atFixedRate: false)
        for round in 0..<12 {
            let drift = 1 + 0.001 * Double(round)
            scenario.rounds.append(
                BenchRound(round: round, turn: round * 2, figures: [.cpuPerRequest: cost * drift, .requestRate: 90_000 * drift, .latency50: 600 * drift]))
        }
        let result = BenchResult(
            run: "one", time: 1, subject: BenchSubject(name: name, kind: .weir, rival: Rival(), commit: "abc"), machine: .object([]), generator: "weir", scenarios: [scenario])
        return try folder.write("\(name).json", result.json.printed())
    }

    @Test("a comparison ends with 0 when nothing is worse and with 1 when something is, and writes both files", arguments: [(10.0, Int32(0)), (12.0, Int32(1))])
    func compare(cost: Double, code: Int32) throws {
        let base = try write("weir-base", cost: 10)
        let new = try write("weir", cost: cost)
        let (page, file) = (folder.path("page.html"), folder.path("comparison"))
        let run = try RunningWeir.result(["bench", "compare", base, new, "--html", page, "--json", file])
        #expect(run.code == code, "\(run.errors)")
        #expect(run.output.contains("0 better, \(code) worse"), "\(run.output)")
        let html = try #require(textOfFile(page))
        #expect(html.contains("<svg") && html.contains("weir-base"))
        let json = try JSONText(parsing: try #require(bytesOfFile(file)))
        #expect(json["schema"]?.string == "weir-bench-comparison/1")
        #expect(json["worse"]?.whole == Int(code))
        #expect(json["rows"]?.elements.count == 3)
    }

    @Test("what is no result, is not there or has nothing in common is told with 2")
    func nothingToCompare() throws {
        let base = try write("weir", cost: 10)
        let other = try folder.write("other", "{\"schema\": \"weir-load/1\"}")
        let empty = BenchResult(
            run: "one", time: 1, subject: BenchSubject(name: "empty", kind: .weir, rival: Rival()), machine: .object([]), generator: "weir")
        let without = try folder.write("empty", empty.json.printed())
        for (path, reason) in [(other, "is no result of 'weir bench run'"), (folder.path("nowhere"), "cannot read"), (without, "no scenario in common")] {
            let run = try RunningWeir.result(["bench", "compare", base, path])
            #expect(run.code == 2)
            #expect(run.errors.contains(reason), "\(run.errors)")
        }
    }

    @Test("a report of a folder writes page and plot, and leaves out what is no result")
    func report() throws {
        _ = try write("weir", cost: 10)
        _ = try write("weir-base", cost: 11)
        try folder.write("other.json", "{}")
        let (page, plot) = (folder.path("page.html"), folder.path("plot.svg"))
        let run = try RunningWeir.result(["bench", "report", folder.path, "--html", page, "--plot", plot])
        #expect(run.code == 0, "\(run.errors)")
        #expect(run.output.contains("small-hot"))
        #expect(run.errors.contains("other.json") && run.errors.contains("it is left out"), "\(run.errors)")
        #expect(textOfFile(page)?.contains("weir-base") == true)
        #expect(textOfFile(plot)?.contains("<svg") == true)
        let none = try RunningWeir.result(["bench", "report", try folder.makeFolder("empty"), "--html", page])
        #expect(none.code == 2)
        #expect(none.errors.contains("there are no results"), "\(none.errors)")
    }

    @Test("a list names scenarios, which of them are quick, and rivals with what they lack")
    func list() throws {
        for name in ["Scenarios", "Rivals", "Rivals/absent"] { _ = try folder.makeFolder(name) }
        try folder.write("Scenarios/short.conf", "about = \"A moment.\"\nquick = true\n")
        try folder.write("Scenarios/long.conf", "about = \"Two moments.\"\n")
        try folder.write("Rivals/absent/rival.conf", "command = { \"weir-test-no-such-program\" }\nlacks = { tls, websocket }\n")
        let run = try RunningWeir.result(["bench", "list", "--suite", folder.path])
        #expect(run.code == 0, "\(run.errors)")
        let lines = run.output.split(separator: "\n").map { $0.split(separator: " ").joined(separator: " ") }
        for line in ["* short A moment.", "long Two moments.", "absent not installed, lacks tls, websocket"] {
            #expect(lines.contains(line), "\(run.output)")
        }
    }
}

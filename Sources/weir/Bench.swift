import ArgumentParser
import Proxy

struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measure this build beside other builds and other proxies, and compare results.",
        discussion: "To be run in the project's folder, or with --suite. docs/BENCHMARKS.md is the manual.",
        subcommands: [BenchRun.self, BenchCompare.self, BenchPage.self, BenchList.self])
}

struct BenchRun: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Measure in turn, round by round, and write results and a page.",
        discussion: "Exits with 1 when this build is worse than the one of --against or --against-program, with 2 when nothing could be measured.")

    @Option(help: ArgumentHelp("Scenarios, separated by commas; all when missing.", valueName: "names"))
    var scenario: String?

    @Flag(help: "Only the scenarios marked as quick.")
    var quick = false

    @Option(help: ArgumentHelp("Other proxies, separated by commas; those that are not installed are left out.", valueName: "names"))
    var rivals: String?

    @Option(help: ArgumentHelp("A revision of the source to compare with; it is built in .build/bench.", valueName: "revision"))
    var against: String?

    @Option(help: ArgumentHelp("A Weir that is already built to compare with.", valueName: "path"), completion: .file())
    var againstProgram: String?

    @Option(help: ArgumentHelp("Measure this build with these settings too; may be given more than once.", valueName: "settings"))
    var with: [String] = []

    @Option(help: "Rounds in which all take their turn.")
    var rounds = 10

    @Option(help: "Seconds of each measurement, in place of the scenarios' own.")
    var seconds: Double?

    @Option(help: ArgumentHelp("Folder for results and page; Benchmarks/Results/latest when missing.", valueName: "folder"), completion: .directory)
    var out: String?

    @Option(help: ArgumentHelp("File of JSON lines to which the medians of this build are added.", valueName: "file"), completion: .file())
    var history: String?

    @Option(help: ArgumentHelp("The Weir whose load generator and origin are used; this one when missing.", valueName: "path"), completion: .file())
    var generator: String?

    @Option(help: ArgumentHelp("Folder with Scenarios and Rivals.", valueName: "folder"), completion: .directory)
    var suite = "Benchmarks"

    func validate() throws {
        if !(1...1_000).contains(rounds) { throw ValidationError("--rounds takes 1 to 1000.") }
        if let seconds, !(0.1...600).contains(seconds) { throw ValidationError("--seconds takes 0.1 to 600.") }
        if against != nil, againstProgram != nil { throw ValidationError("Give --against or --against-program, not both.") }
    }

    func run() throws {
        var request = BenchRequest()
        request.scenarios = names(scenario)
        request.quickOnly = quick
        request.rivals = names(rivals)
        request.against = against
        request.againstProgram = againstProgram
        request.variants = with
        request.rounds = rounds
        request.seconds = seconds
        request.output = out
        request.history = history
        request.generator = generator
        request.suite = suite
        try end(benchRun(request))
    }

    private func names(_ list: String?) -> [String] { list?.split(separator: ",").map(String.init) ?? [] }
}

struct BenchCompare: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compare",
        abstract: "Hold one result against another: better, worse, or no evidence, for each figure.",
        discussion: "Exits with 1 when something is worse, with 2 when they cannot be compared.")

    @Argument(help: "Result of the build that is known.", completion: .file())
    var base: String

    @Argument(help: "Result of the build in question.", completion: .file())
    var new: String

    @Option(help: ArgumentHelp("Write a page too.", valueName: "file"), completion: .file())
    var html: String?

    @Option(help: ArgumentHelp("Write the comparison as JSON too.", valueName: "file"), completion: .file())
    var json: String?

    func run() throws { try end(benchCompare(base: base, new: new, html: html, json: json)) }
}

struct BenchPage: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "report", abstract: "Make the page of results, with plots, that opens from disk.")

    @Argument(help: "Results, or folders of them.", completion: .file())
    var paths: [String]

    @Option(help: ArgumentHelp("The page.", valueName: "file"), completion: .file())
    var html: String

    @Option(help: ArgumentHelp("History to show, as 'run --history' writes it.", valueName: "file"), completion: .file())
    var history: String?

    @Option(help: ArgumentHelp("Write the plot of CPU time alone, as SVG.", valueName: "file"), completion: .file())
    var plot: String?

    func run() throws { try end(benchReport(paths, html: html, history: history, plot: plot)) }
}

struct BenchList: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "List scenarios and rivals.")

    @Option(help: ArgumentHelp("Folder with Scenarios and Rivals.", valueName: "folder"), completion: .directory)
    var suite = "Benchmarks"

    func run() throws { try end(benchList(suite: suite)) }
}

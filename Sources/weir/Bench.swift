import ArgumentParser
import Proxy

struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measure this build beside other builds and other proxies, and compare results.",
        discussion: """
            To be run in the project's folder, or with --suite. docs/BENCHMARKS.md is the manual.
            What does it cost beside nginx?  weir bench run --quick --rounds 3 --rivals nginx
            Is it slower than main?          weir bench run --against main --scenario small-hot --rounds 12
            What is a setting worth?         weir bench run --scenario small-hot --with 'efficiency-mode = true'
            """,
        subcommands: [BenchRun.self, BenchCompare.self, BenchPage.self, BenchList.self])
}

/// Where scenarios and rivals are.
struct SuiteOption: ParsableArguments {
    @Option(help: ArgumentHelp("Folder with Scenarios and Rivals.", valueName: "folder"), completion: .directory)
    var suite = "Benchmarks"
}

/// Figures over commits.
struct HistoryOption: ParsableArguments {
    @Option(
        help: ArgumentHelp("File of JSON lines, one for each scenario and run of this build: 'run' adds to it, pages draw it.", valueName: "file"), completion: .file())
    var history: String?
}

struct BenchRun: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Measure in turn, round by round, and write results and a page.",
        discussion: """
            Every subject takes its turn in each round, as a process of its own. Who fails in a scenario is left out of it, and the others go on.
            Results are written after each scenario; SIGINT ends in good order with what there is, a second one ends at once.
            Exits with 1 when this build is worse than the one of --against or --against-program, or fails where that one does not, with 2
            when nothing could be measured, with 128 and its number after a signal.
            """)

    @Option(help: ArgumentHelp("Scenarios, separated by commas; all when missing.", valueName: "names"))
    var scenario: String?

    @Flag(help: "Only the scenarios marked as quick.")
    var quick = false

    @Option(help: ArgumentHelp("Other proxies, separated by commas; those that are not installed are left out.", valueName: "names"))
    var rivals: String?

    @Option(help: ArgumentHelp("A revision of the source to compare with; built in .build/bench, where the last three builds are kept.", valueName: "revision"))
    var against: String?

    @Option(help: ArgumentHelp("A Weir that is already built to compare with.", valueName: "path"), completion: .file())
    var againstProgram: String?

    @Option(help: ArgumentHelp("Measure this build with these settings too; may be given more than once.", valueName: "settings"))
    var with: [String] = []

    @Option(help: ArgumentHelp("Rounds in which all take their turn; fewer than six prove nothing.", valueName: "count"))
    var rounds = 10

    @Option(help: ArgumentHelp("Length of each measurement, in place of the scenarios' own.", valueName: "seconds"))
    var seconds: Double?

    @Option(
        help: ArgumentHelp("Folder for results and page; results of an earlier run in it go. Results/latest of the suite when missing.", valueName: "folder"),
        completion: .directory)
    var out: String?

    @OptionGroup var history: HistoryOption

    @Flag(help: "Add medians to the history although noise was accepted or files differ from the commit.")
    var historyAnyway = false

    @Option(help: ArgumentHelp("The Weir whose load generator and origin are used; this one when missing.", valueName: "path"), completion: .file())
    var generator: String?

    @Flag(help: "Keep rounds although others use the machine: to try things out, not for figures to be shown.")
    var acceptNoise = false

    @OptionGroup var suite: SuiteOption

    func validate() throws {
        if !(1...1_000).contains(rounds) { throw ValidationError("--rounds takes 1 to 1000.") }
        if let seconds, !(0.1...600).contains(seconds) { throw ValidationError("--seconds takes 0.1 to 600.") }
        if historyAnyway, history.history == nil { throw ValidationError("--history-anyway needs --history.") }
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
        request.history = history.history
        request.keepsHistoryAnyway = historyAnyway
        request.generator = generator
        request.acceptsNoise = acceptNoise
        request.suite = suite.suite
        try end(benchRun(request))
    }

    private func names(_ list: String?) -> [String] { list?.split(separator: ",").map(String.init) ?? [] }
}

struct BenchCompare: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compare",
        abstract: "Hold one result against another: better, worse, or no evidence, for each figure.",
        discussion: """
            Results are the files that 'weir bench run' writes: weir bench compare weir-3f2a91c0b7de.json weir.json
            Rounds are compared in pairs. For each figure: the change, its 95 % interval, and better, worse or no evidence, at 5 % for all
            figures together. Rates and latencies are shown and not judged where the load generator was at its own limit.
            Exits with 1 when something is worse, with 2 when they cannot be compared.
            """)

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
    static let configuration = CommandConfiguration(
        commandName: "report",
        abstract: "Make the page of results, with plots, that opens from disk.",
        discussion: """
            weir bench report Benchmarks/Results/latest --html page.html
            Of a folder the newest run counts; files are taken as they are named. The table of costs goes to standard output.
            """)

    @Argument(help: "Results, or folders of them.", completion: .file())
    var paths: [String]

    @Option(help: ArgumentHelp("The page.", valueName: "file"), completion: .file())
    var html: String

    @OptionGroup var history: HistoryOption

    @Option(help: ArgumentHelp("Write the plot of CPU time alone, as SVG.", valueName: "file"), completion: .file())
    var plot: String?

    func run() throws { try end(benchReport(paths, html: html, history: history.history, plot: plot)) }
}

struct BenchList: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List scenarios and rivals.",
        discussion: "Scenarios with a star are the quick ones; of rivals it tells what is installed here and what they lack.")

    @OptionGroup var suite: SuiteOption

    func run() throws { try end(benchList(suite: suite.suite)) }
}

import ArgumentParser
import Proxy

struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Read a configuration and list all that is wrong with it.",
        discussion: "Prints FILE:LINE:COLUMN: error: … and exits with 1 when there is an error, with 0 otherwise.")

    @Argument(help: "Configuration file.", completion: .file())
    var file: String

    @Flag(help: "Print the effective configuration, with where each value came from.")
    var print = false

    @Flag(help: "Print what it takes of this machine: listeners, rings, pools, pipes, logs, descriptors (JSON).")
    var plan = false

    func run() throws { try end(check(file: file, prints: print, plans: plan)) }
}

struct Doctor: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Examine this machine: kernel, io_uring, limits, settings; and say what to do about each finding.",
        discussion: "Exits with 1 when a finding is a PROBLEM: Weir cannot serve here before it is solved. Advice leaves it at 0.")

    @Flag(help: "Print the findings as JSON.")
    var json = false

    func run() throws { try end(doctor(json: json)) }
}

struct Stat: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show the counters of a running Weir: per worker, per backend, of its rings.")

    @Flag(help: "Print them as JSON.")
    var json = false

    @Option(help: ArgumentHelp("Its admin socket; not needed while only one runs. 'weir run' prints it.", valueName: "path"))
    var socket: String?

    func run() throws { try end(stat(socket: socket, json: json)) }
}

struct Version: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print the version of Weir and of the libraries it is linked with.")

    func run() throws { try end(version()) }
}

struct SettingsPage: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "help-settings", abstract: "Explain the words of a configuration file.", shouldDisplay: false)

    @Argument(help: "The word to explain; all of them when missing.")
    var word: String?

    func run() throws { try end(settingsPage(word: word)) }
}

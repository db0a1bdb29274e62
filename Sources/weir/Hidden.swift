import ArgumentParser
import Proxy

// Processes that the supervisor and the lab start; not for people.

struct ServerProcess: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "server-process", abstract: "Serve for a supervisor.", shouldDisplay: false)

    func run() throws { try end(runServerProcess()) }
}

struct OriginProcess: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "origin-process", abstract: "Answer for the demo.", shouldDisplay: false)

    func run() throws { try end(runOriginProcess()) }
}

struct LabWatch: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lab-watch", abstract: "Put settings back when a lab is killed.", shouldDisplay: false)

    func run() throws { try end(runLabWatch()) }
}

struct Manual: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print a manual page for man: section 1 or 5.", shouldDisplay: false)

    @Argument(help: "1 for the commands, 5 for the configuration.")
    var section: Int

    func run() throws {
        let commands = Weir.configuration.subcommands.filter { $0.configuration.shouldDisplay }
        let helps = commands.map { (name: $0._commandName, help: Weir.helpMessage(for: $0, columns: 10_000)) }
        try end(manualPage(section: section, program: Weir.helpMessage(columns: 10_000), commands: helps))
    }
}

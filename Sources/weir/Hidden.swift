import ArgumentParser
import Proxy

// Processes that the supervisor starts; not for people.

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

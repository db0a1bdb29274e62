import ArgumentParser
import Glibc
import Proxy

@main
struct Weir: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "weir", abstract: "An io_uring HTTP edge proxy.",
        subcommands: [Run.self, ServerProcess.self])
}

struct Run: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Serve.")
    @Argument var file: String?
    @Option var listen: [String] = []
    @Option var to: [String] = []
    @Option var readyFd: Int32?
    func run() throws {
        let source: RunRequest.Source = file.map { .file($0) } ?? .quick(listen: listen, to: to)
        throw ExitCode(Proxy.run(RunRequest(source, readyDescriptor: readyFd)))
    }
}

struct ServerProcess: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "server-process", shouldDisplay: false)
    func run() throws { throw ExitCode(runServerProcess()) }
}

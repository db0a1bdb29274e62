import ArgumentParser
import Proxy

struct Run: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Serve, by a configuration file or by --listen and --to.",
        discussion: """
            SIGTERM or SIGINT stops accepting and lets exchanges finish; a second one ends at once. SIGUSR1 reopens log files.
            When requests are answered, 'weir: listening on ADDRESS:PORT' appears on standard output, once for each address.
            """)

    @Argument(help: "Configuration file.", completion: .file())
    var file: String?

    @Option(help: ArgumentHelp("Address to listen on: HOST:PORT, [IPV6]:PORT or unix:PATH; port 0 takes a free one.", valueName: "address"))
    var listen: [String] = []

    @Option(help: ArgumentHelp("Backend to send requests to: HOST:PORT, [IPV6]:PORT or unix:PATH.", valueName: "address"))
    var to: [String] = []

    @Option(help: ArgumentHelp("Also write the ready lines to this descriptor, then close it.", valueName: "number"))
    var readyFd: Int32?

    func validate() throws {
        if file != nil, !listen.isEmpty || !to.isEmpty {
            throw ValidationError("Give a FILE, or --listen and --to, not both.")
        }
        if file == nil {
            if listen.isEmpty && to.isEmpty {
                throw ValidationError("Give a FILE, or --listen and --to; 'weir demo' needs neither.")
            }
            if listen.isEmpty || to.isEmpty { throw ValidationError("--listen and --to belong together.") }
        }
        if let readyFd, readyFd < 0 { throw ValidationError("--ready-fd takes the number of an open descriptor.") }
    }

    func run() throws {
        let source: RunRequest.Source = file.map { .file($0) } ?? .quick(listen: listen, to: to)
        try end(Proxy.run(RunRequest(source, readyDescriptor: readyFd)))
    }
}

struct Demo: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Start an origin and the proxy in front of it, and say what to try.",
        discussion: "Listens on 127.0.0.1 alone. Ctrl-C ends it.")

    @Option(help: "Port of the proxy; 0 takes a free one.")
    var port: UInt16 = 8080

    @Option(help: ArgumentHelp("Also write the ready line to this descriptor, then close it.", valueName: "number"))
    var readyFd: Int32?

    func run() throws { try end(demo(port: port, readyDescriptor: readyFd)) }
}

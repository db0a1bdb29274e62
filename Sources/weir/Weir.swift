import ArgumentParser
import Proxy

@main
struct Weir: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "weir", abstract: "An io_uring HTTP edge proxy.")
}

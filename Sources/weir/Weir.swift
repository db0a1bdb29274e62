import ArgumentParser
import Proxy

@main
struct Weir: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "weir",
        abstract: "An HTTP edge proxy on io_uring.",
        discussion: """
            A reverse proxy without a file:  weir --listen 127.0.0.1:8080 --to 127.0.0.1:3000
            The same from a file:            weir run weir.conf
            All words of such a file:        weir help settings [WORD]
            """,
        subcommands: [
            Run.self, Check.self, Doctor.self, Demo.self, Load.self, StubOrigin.self, Bench.self, Lab.self, Stat.self, Version.self,
            SettingsPage.self, ServerProcess.self, OriginProcess.self, LabWatch.self, Manual.self,
        ],
        defaultSubcommand: Run.self)

    static func main() {
        var words = Array(CommandLine.arguments.dropFirst())
        // The parser's own 'help' knows sub-commands only.
        if words.starts(with: ["help", "settings"]) { words.replaceSubrange(..<2, with: [SettingsPage._commandName]) }
        main(words)
    }
}

/// Ends the program with what a command returned.
func end(_ code: Int32) throws -> Never { throw ExitCode(code) }

/// weir(1) in the language of man(7), from the help texts that the parser of the command line makes of its declarations.
func commandManual(program: String, commands: [(name: String, help: String)]) -> String {
    let main = HelpText(program)
    var page = ManualText(name: "weir", section: 1, version: Versions.weir, book: "User Commands")
    page.section("NAME")
    page.text("weir - an HTTP edge proxy on io_uring")
    page.section("SYNOPSIS")
    page.example(commands.compactMap { HelpText($0.help).usage })
    page.section("DESCRIPTION")
    for paragraph in main.overview { page.paragraph(paragraph) }
    page.section("COMMANDS")
    for command in commands {
        let help = HelpText(command.help)
        page.subsection("weir \(command.name)")
        for paragraph in help.overview { page.paragraph(paragraph) }
        for item in help.items where !["-h, --help", "--version"].contains(item.label) { page.item(item.label, "", item.text) }
    }
    page.section("SIGNALS")
    page.text("To be sent to the process that was started, or whose number is in the file that pid-file names.")
    page.item("SIGTERM, SIGINT", "", "Stops accepting and lets exchanges finish until drain-timeout; a second one ends at once.")
    page.item("SIGHUP", "", "Reads the configuration again.")
    page.item("SIGUSR1", "", "Opens log files anew, for rotation.")
    page.section("ENVIRONMENT")
    page.item("NOTIFY_SOCKET", "", "Where a service manager wants to be told of READY, RELOADING and STOPPING; see sd_notify(3).")
    page.item("LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES", "", "Listening sockets that a service manager hands over; see sd_listen_fds(3).")
    page.section("EXIT STATUS")
    page.text(
        "0 after a stop that was asked for, 1 when the start or the configuration failed, 64 when the command line is wrong. "
            + "'weir load' ends with 1 also when too many requests failed, and with 3 when it was itself too slow for figures of the server.")
    page.section("FILES")
    page.item("/etc/weir/weir.conf", "", "The configuration that the service of the Debian package runs with.")
    page.section("SEE ALSO")
    page.text("weir.conf(5)")
    return page.text
}

/// A help text of the command line's parser, taken apart: one line for each option when it was made wide enough.
struct HelpText {
    private(set) var overview: [String] = []
    private(set) var usage: String?
    private(set) var items: [(label: String, text: String)] = []

    init(_ text: String) {
        var inOverview = false
        for line in text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init) {
            if line.hasPrefix("OVERVIEW: ") {
                inOverview = true
                overview.append(String(line.dropFirst(10)))
            } else if line.hasPrefix("USAGE: ") {
                inOverview = false
                usage = String(line.dropFirst(7))
            } else if inOverview {
                if !line.isEmpty { overview.append(line) }
            } else if line.hasPrefix("  ") {
                addItem(line)
            }
        }
    }

    /// `  LABEL   TEXT`, or TEXT alone, deeper in, behind a label that was too long.
    private mutating func addItem(_ line: String) {
        let content = line.drop { $0 == " " }
        let indent = line.count - content.count
        if indent > 2 {
            guard !items.isEmpty else { return }
            items[items.count - 1].text += (items[items.count - 1].text.isEmpty ? "" : " ") + content
        } else if let gap = content.firstRange(of: "  ") {
            items.append((String(content[..<gap.lowerBound]), String(content[gap.upperBound...].drop { $0 == " " })))
        } else {
            items.append((String(content), ""))
        }
    }
}

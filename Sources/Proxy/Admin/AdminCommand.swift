/// A line that the admin socket takes.
enum AdminCommand: Equatable {
    case stat
    case statJSON
    case version
    case help

    /// Longest line that is read; a longer one is nobody's command.
    static let lineBytesMax = 256

    init?(line: String) {
        switch line.split(separator: " ").joined(separator: " ") {
        case "stat": self = .stat
        case "stat json": self = .statJSON
        case "version": self = .version
        case "help": self = .help
        default: return nil
        }
    }

    static let helpText = """
        stat        counters of all workers and backends
        stat json   the same for machines
        version     versions of Weir and of the libraries it is linked with
        help        this list

        """
}

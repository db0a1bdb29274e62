/// One log: where it goes and how a line looks.
struct LogSettings: Sendable, Equatable {
    enum Output: Sendable, Equatable { case file(String), syslog(facility: String), stdout, stderr }
    enum Level: String, Sendable, CaseIterable { case emerg, alert, crit, error, warn, notice, info, debug }
    var enabled = false
    var output = Output.stdout
    var level = Level.error
    /// Format in RProxy's language, or the word `json`.
    var format = "{SRC} {HOST} {URI} {HOST}"
}

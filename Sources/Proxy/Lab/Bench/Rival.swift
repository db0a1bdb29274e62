/// A proxy that can be measured beside Weir, as a folder of `Benchmarks/Rivals` says it.
struct Rival: Equatable, Sendable {
    /// The folder's name.
    var name = ""
    /// The folder itself.
    var folder = ""
    /// How it is started, with places to fill in.
    var command: [String] = []
    /// What prints its version.
    var version: [String] = []
    /// Files of the folder that are filled in and written where the command finds them.
    var templates: [String] = []
    /// What it cannot do at all, in the words of `BenchScenario.needs`.
    var lacks: [String] = []
    /// Something to watch for in its output before the first request; empty = an open port is enough.
    var readyText: String?
}

/// One side of a comparison: a program with a configuration.
struct BenchSubject: Equatable, Sendable {
    enum Kind: String, Sendable { case weir, rival }
    var name: String
    var kind: Kind
    var rival: Rival
    /// The program, in place of `{{program}}` of its command; nil for those found on the path.
    var program: String?
    /// Revision of the source for builds of Weir.
    var commit: String?
    /// Further settings of its configuration, as they would be written.
    var settings = ""
    var version = "unknown"

    var json: JSONText {
        .object([
            ("name", .text(name)), ("kind", .text(kind.rawValue)), ("version", .text(version)),
            ("commit", commit.map(JSONText.text) ?? .null), ("settings", .text(settings)),
        ])
    }
}

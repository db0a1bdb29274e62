import Glibc

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

    /// Stands behind the commit of a build whose files differ from it.
    static let changedMark = "-changed"

    var json: JSONText {
        .object([
            ("name", .text(name)), ("kind", .text(kind.rawValue)), ("version", .text(version)),
            ("commit", commit.map(JSONText.text) ?? .null), ("settings", .text(settings)),
        ])
    }
}

extension Rival {
    /// Whether its program is on the path; Weir's own always is.
    var isInstalled: Bool {
        // The command may begin with 'env'; what tells the version is the program itself.
        guard let program = version.first ?? command.first, !program.hasPrefix("{{") else { return true }
        let folders = program.contains("/") ? [""] : (getenv("PATH").map { String(cString: $0) } ?? "/usr/sbin:/usr/bin").split(separator: ":").map { "\($0)/" }
        return folders.contains { access($0 + program, X_OK) == 0 }
    }
}

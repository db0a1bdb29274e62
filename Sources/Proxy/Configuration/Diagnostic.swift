/// One sentence about a configuration, with the place it speaks of.
struct Diagnostic: Sendable, Equatable, CustomStringConvertible {
    enum Severity: String, Sendable { case error, warning }
    var severity: Severity
    var location: SourceLocation
    var message: String

    /// `FILE:LINE:COLUMN: error: …`; without line and column when the whole file is meant.
    var description: String { "\(location): \(severity.rawValue): \(message)" }
}

extension SourceLocation: CustomStringConvertible {
    var description: String {
        if line > 0 { return "\(file):\(line):\(column)" }
        return file.isEmpty ? "configuration" : file
    }
}

/// Gathers diagnostics while a configuration is read, so that all of them are shown at once.
///
/// Keeps at most `countMax`: a file that is no configuration at all must not bury its first error.
struct DiagnosticList {
    static let countMax = 200
    private(set) var all: [Diagnostic] = []
    private(set) var hasErrors = false
    private var dropped = 0
    /// Further messages are only counted, so that composing them can be saved.
    var isFull: Bool { all.count >= Self.countMax }

    mutating func error(_ location: SourceLocation, _ message: String) {
        hasErrors = true
        add(Diagnostic(severity: .error, location: location, message: message))
    }

    mutating func warning(_ location: SourceLocation, _ message: String) {
        add(Diagnostic(severity: .warning, location: location, message: message))
    }

    private mutating func add(_ diagnostic: Diagnostic) {
        if isFull { dropped += 1 } else { all.append(diagnostic) }
    }

    /// In the order of reading: files as they were opened, then lines, then columns.
    func sorted(fileOrder: [String]) -> [Diagnostic] {
        var rank: [String: Int] = [:]
        for file in fileOrder where rank[file] == nil { rank[file] = rank.count }
        let keyed = all.enumerated().map { index, diagnostic in
            (key: (rank[diagnostic.location.file] ?? -1, diagnostic.location.line, diagnostic.location.column, index), diagnostic)
        }
        var result = keyed.sorted { $0.key < $1.key }.map(\.1)
        if dropped > 0 {
            let last = SourceLocation(file: fileOrder.first ?? "", line: 0, column: 0)
            result.append(
                Diagnostic(severity: hasErrors ? .error : .warning, location: last, message: "\(dropped) further messages are not shown"))
        }
        return result
    }
}

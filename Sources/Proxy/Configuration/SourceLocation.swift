/// A place in a configuration file, for messages: one-based line and column.
struct SourceLocation: Sendable, Equatable {
    var file = ""
    var line = 0
    var column = 0
    static let none = SourceLocation()
}

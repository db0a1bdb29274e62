/// A place in a configuration file, for messages: one-based line and column.
struct SourceLocation: Sendable, Equatable {
    var file = ""
    var line = 0
    var column = 0
    /// `FILE:LINE`, for messages.
    var text: String { "\(file):\(line)" }
    static let none = SourceLocation()
}

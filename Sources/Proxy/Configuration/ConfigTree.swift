/// One word or quoted string of a file, with the place where it starts.
struct ConfigWord: Sendable, Equatable {
    var text: String
    var location: SourceLocation
    var quoted = false
}

/// `name = value`, `name = { value, … }` or `name += …`.
struct ConfigAssignment: Sendable, Equatable {
    var name: ConfigWord
    var values: [ConfigWord]
    /// Values stood in braces, even if there was only one.
    var braced: Bool
    /// `+=`: appends to what earlier lines gave.
    var appends: Bool
}

/// `name { … }` or `name title { … }`.
struct ConfigSection: Sendable, Equatable {
    var name: ConfigWord
    var title: ConfigWord?
    var items: [ConfigItem] = []
}

/// One statement of a file; includes are already replaced by what they include.
enum ConfigItem: Sendable, Equatable {
    case assignment(ConfigAssignment)
    case section(ConfigSection)

    var name: ConfigWord {
        switch self {
        case .assignment(let assignment): assignment.name
        case .section(let section): section.name
        }
    }
}

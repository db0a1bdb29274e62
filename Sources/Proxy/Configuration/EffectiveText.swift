/// Writes a configuration as it is in force: every value, each with the place it came from. The text is itself a configuration.
struct EffectiveText {
    private(set) var text = ""
    private var indent = 0
    private let origins: [String: SourceLocation]

    init(origins: [String: SourceLocation]) { self.origins = origins }

    mutating func setting(_ word: String, _ value: String?, key: String) {
        guard let value else { return line("# \(word) is not set") }
        let statement = "\(word) = \(value)"
        let padding = String(repeating: " ", count: max(1, 48 - indent * 4 - statement.count))
        line("\(statement)\(padding)# \(origins[key + word].map { "\($0)" } ?? "default")")
    }

    /// Says of a secret that it is set, and where.
    mutating func secret(_ word: String, key: String) {
        line("# \(word) is set and not shown" + (origins[key + word].map { ": \($0)" } ?? ""))
    }

    mutating func section(_ word: String, title: String?, _ body: (inout EffectiveText) -> Void) {
        line(title.map { "\(word) \(quotedText($0)) {" } ?? "\(word) {")
        indent += 1
        body(&self)
        indent -= 1
        line("}")
    }

    private mutating func line(_ line: String) { text += String(repeating: " ", count: indent * 4) + line + "\n" }
}

extension SectionRows {
    /// Shows an owner's settings and the sections within it; words that only set others' values are left to those.
    func show(_ owner: Owner, in text: inout EffectiveText, key: String) {
        for row in settings where row.status == .built && row.covers.isEmpty && !row.showsElsewhere {
            if row.isSecret, row.show(owner) != nil {
                text.secret(row.word, key: key)
            } else {
                text.setting(row.word, row.show(owner), key: key)
            }
        }
        for row in sections where row.status == .built { row.show(owner, &text, key) }
    }
}

/// What `weir help settings [WORD]` prints: all words section by section, or everything about one.
func settingsHelp(word: String?) -> String {
    let entries = configurationRows.entries(path: [])
    guard let word = word?.lowercased() else { return overview(entries) }
    let found = entries.filter { $0.word == word }
    if !found.isEmpty { return found.map(detail).joined(separator: "\n") }
    let near = nearest(to: word, among: entries.map(\.word)).map { " Did you mean '\($0)'?" } ?? ""
    return "There is no setting '\(word)'.\(near)\n"
}

private func overview(_ entries: [WordEntry]) -> String {
    var text = "Settings by section; `weir help settings WORD` tells more, docs/CONFIGURATION.md tells all.\n"
    for path in sectionPaths(entries) {
        text += "\n\(path.isEmpty ? "Top level" : path.joined(separator: " / "))\n"
        for entry in entries where entry.path == path {
            let word = entry.isSection ? "\(entry.word) { }" : entry.word
            let padding = String(repeating: " ", count: max(1, 26 - word.count))
            text += "  \(word)\(padding)\(entry.sentence)\(entry.statusText.map { " [\($0)]" } ?? "")\n"
        }
    }
    return text
}

private func detail(_ entry: WordEntry) -> String {
    var text = "\(entry.word) (in \(entry.path.isEmpty ? "the top level" : entry.path.joined(separator: " / ")))\n  \(entry.sentence)\n"
    text += "  Value: \(entry.value)\n"
    if !entry.isSection { text += "  Default: \(entry.defaultText)\n" }
    text += "  Origin: \(entry.origin.rawValue)\n"
    if let status = entry.statusText { text += "  Status: \(status)\n" }
    return text
}

/// The sections in the order in which their words are declared.
func sectionPaths(_ entries: [WordEntry]) -> [[String]] {
    var paths: [[String]] = []
    for entry in entries where !paths.contains(entry.path) { paths.append(entry.path) }
    return paths
}

extension WordEntry {
    /// Nothing for what is built.
    var statusText: String? {
        switch status {
        case .built: nil
        case .coming: "not built yet"
        case .ignored(let reason): "ignored: \(reason)"
        }
    }
}

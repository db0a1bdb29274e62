/// What the reference page and `weir help settings` say of one word in one section.
struct WordEntry: Sendable {
    /// Names of the sections around it.
    var path: [String]
    var word: String
    var isSection: Bool
    var value: String
    var defaultText: String
    var origin: WordOrigin
    var status: FeatureStatus
    var sentence: String

    /// The innermost section, quoted for a sentence.
    var sectionName: String { path.last.map { "'\($0)'" } ?? "the top level" }
}

extension SectionRows {
    /// All words that may be written directly in this section.
    var words: [String] { settings.map(\.word) + sections.map(\.word) }

    /// All words of this section and of those within it, sections after settings.
    func entries(path: [String], feature: FeatureStatus = .built) -> [WordEntry] {
        let own = settings.map { row in
            WordEntry(
                path: path, word: row.word, isSection: false, value: row.kind.text(zero: row.zero),
                defaultText: row.defaultText ?? row.show(blank).map { $0.replacing("'", with: "").replacing("\"", with: "") } ?? "not set",
                origin: row.origin, status: row.status == .built ? feature : row.status, sentence: row.sentence)
        }
        return own
            + sections.flatMap { row in
                let title = row.title == .required ? " NAME" : row.title == .optional ? " [NAME]" : ""
                let header = WordEntry(
                    path: path, word: row.word, isSection: true, value: "section\(title)\(row.repeatable ? ", repeatable" : "")",
                    defaultText: "", origin: row.origin, status: row.status == .built ? feature : row.status, sentence: row.sentence)
                return [header] + row.entries(path)
            }
    }
}

extension ValueKind {
    /// Type, unit and range in a few words.
    func text(zero: ZeroMeaning = .ordinary) -> String {
        let orZero = zero == .off ? ", 0 = no limit" : ""
        switch self {
        case .flag: return "true or false"
        case .count(let range): return "number\(limits(range) { "\($0)" })\(orZero)"
        case .size(let range): return "size\(limits(range, sizeText))\(orZero)"
        case .duration(let range): return range == anyDuration ? "duration\(orZero)" : "duration\(limits(range, durationText))\(orZero)"
        case .text: return "text"
        case .choice(let words): return words.joined(separator: ", ")
        case .list: return "list"
        case .path: return "path"
        }
    }

    private func limits(_ range: ClosedRange<Int>, _ text: (Int) -> String) -> String {
        if range.upperBound == Int.max { return range.lowerBound <= 0 ? "" : ", at least \(text(range.lowerBound))" }
        return " \(text(range.lowerBound)) … \(text(range.upperBound))"
    }
}

/// Everything that may stand in one kind of section.
struct SectionRows<Owner> {
    /// The section as it is when nothing is written in it; its values are the defaults.
    let blank: Owner
    var settings: [Setting<Owner>]
    var sections: [NestedRows<Owner>] = []
    /// Checks what must hold between the settings, and fills in what follows from them, once all are read.
    var finish: (inout Owner, ReadSection) -> Void = { _, _ in }
}

enum TitleRule: Sendable, Equatable {
    case none, required, optional
}

/// A kind of section within another, its own kind of owner hidden behind closures.
struct NestedRows<Owner> {
    let word: String
    let origin: WordOrigin
    let sentence: String
    let title: TitleRule
    let repeatable: Bool
    let status: FeatureStatus
    let inBothDialects: Bool
    let read: (ConfigSection, inout Owner, ConfigReader, SectionPlace) -> Void
    let show: (Owner, inout EffectiveText, String) -> Void
    let entries: ([String]) -> [WordEntry]

    /// - Parameters:
    ///   - blank: the child before anything is read; may look at its parent and at whether a title is there.
    ///   - asksNothing: a section that asks for nothing, and so is fine even though its feature is still to come.
    ///   - store: puts the child that was read into its parent.
    ///   - all: the children of a parent with their titles, to be shown.
    static func section<Child>(
        _ word: String, _ origin: WordOrigin, _ rows: SectionRows<Child>, title: TitleRule = .none, repeatable: Bool = false,
        status: FeatureStatus = .built, inBothDialects: Bool = false, _ sentence: String,
        blank: @escaping (Owner, ConfigSection) -> Child,
        asksNothing: @escaping (ConfigSection) -> Bool = { _ in false },
        store: @escaping (inout Owner, Child, ConfigSection) -> Void,
        all: @escaping (Owner) -> [(title: String?, child: Child)]
    ) -> NestedRows<Owner> {
        NestedRows(
            word: word, origin: origin, sentence: sentence, title: title, repeatable: repeatable, status: status, inBothDialects: inBothDialects,
            read: { section, owner, reader, parent in
                var place = parent.inner(section)
                if case .coming(let feature) = status {
                    place.asksNothing = place.asksNothing || asksNothing(section)
                    place.feature = place.asksNothing ? nil : feature
                }
                if let feature = place.feature { reader.reportComing(word, feature, in: parent, at: section.name.location) }
                var child = blank(owner, section)
                reader.read(section.items, by: rows, into: &child, at: place)
                store(&owner, child, section)
            },
            show: { owner, text, key in
                for (index, entry) in all(owner).enumerated() {
                    text.section(word, title: entry.title) { text in
                        rows.show(entry.child, in: &text, key: "\(key)\(word)#\(index)/")
                    }
                }
            },
            entries: { rows.entries(path: $0 + [word], feature: status) })
    }
}

/// Where a section stands, and what is to be made of the words in it.
struct SectionPlace {
    /// Names of the sections around and including it.
    var path: [String] = []
    /// Path with the numbers of repeated sections, for the origin of values.
    var key = ""
    var header = ConfigWord(text: "", location: .none)
    /// The feature that is missing for everything in here.
    var feature: String?
    /// Switched off as a whole: words of missing features are harmless in here.
    var asksNothing = false
    /// Number of this section among those of its name.
    var index = 0

    func inner(_ section: ConfigSection) -> SectionPlace {
        SectionPlace(
            path: path + [section.name.text.lowercased()], key: "\(key)\(section.name.text.lowercased())#\(index)/",
            header: section.name, feature: feature, asksNothing: asksNothing)
    }

    /// `'server'`, or the file as a whole.
    var name: String { path.last.map { "'\($0)'" } ?? "the top level" }
}

/// What a section's `finish` may ask: which words were written, and where.
struct ReadSection {
    let place: SectionPlace
    let given: [String: SourceLocation]
    let reader: ConfigReader

    func has(_ word: String) -> Bool { given[word] != nil }

    /// Where the word is written, else where the section begins.
    func location(of word: String) -> SourceLocation { given[word] ?? place.header.location }

    /// Notes that the value shown under a key within this section came from a word of another shape.
    func credit(_ key: String, to word: String) {
        if let location = given[word] { reader.setOrigin(of: place.key + key, location) }
    }

    func error(_ word: String, _ message: String) { reader.diagnostics.error(location(of: word), message) }

    func warning(_ word: String, _ message: String) { reader.diagnostics.warning(location(of: word), message) }
}

/// Reads a tree of statements by the rows of its sections; gathers what is wrong with it and where each value came from.
final class ConfigReader {
    var diagnostics: DiagnosticList
    /// Where each value that was written came from, by section path and word.
    private(set) var origins: [String: SourceLocation] = [:]
    /// The first word that only RProxy 1 has, and the first that only RProxy 2 has.
    private var dialectMarks: [WordOrigin: ConfigWord] = [:]
    private var comingReported: Set<String> = []
    /// Every word there is, to say where a misplaced one belongs.
    lazy var allEntries = configurationRows.entries(path: [])

    let foreign: ForeignTexts
    /// Gives the bytes of a path, as for the files of the configuration themselves.
    let readFile: (String) throws(ReadFailure) -> [UInt8]
    /// Certificates and their like.
    let materials: MaterialShelf
    private var told: Set<String> = []

    init(
        diagnostics: DiagnosticList, foreign: ForeignTexts, readFile: @escaping (String) throws(ReadFailure) -> [UInt8],
        materials: MaterialReader? = nil
    ) {
        self.diagnostics = diagnostics
        self.foreign = foreign
        self.readFile = readFile
        self.materials = MaterialShelf(materials ?? .through(readFile))
    }

    /// Applies the statements of a section to its owner: settings first, in the order of the rows, then sections, then relations.
    ///
    /// The last assignment of a word counts, and so does the last of a section that may stand only once, which begins from the defaults again.
    func read<Owner>(_ items: [ConfigItem], by rows: SectionRows<Owner>, into owner: inout Owner, at place: SectionPlace) {
        var given: [String: ConfigAssignment] = [:]
        var nested: [String: [ConfigSection]] = [:]
        var titles: [String: SourceLocation] = [:]
        for item in items {
            switch item {
            case .assignment(let assignment): collect(assignment, by: rows, into: &given, at: place)
            case .section(let section): collect(section, by: rows, into: &nested, titles: &titles, at: place)
            }
        }
        for row in rows.settings {
            if let assignment = given[row.word] { apply(assignment, by: row, to: &owner, at: place) }
        }
        for row in rows.settings where given[row.word] != nil {
            for covered in row.covers where given[covered] == nil {
                origins[place.key + covered] = given[row.word]?.name.location
            }
        }
        for row in rows.sections {
            for (index, section) in (nested[row.word] ?? []).enumerated() {
                var numbered = place
                numbered.index = index
                row.read(section, &owner, self, numbered)
            }
        }
        var locations = given.mapValues(\.name.location)
        for (word, sections) in nested where locations[word] == nil { locations[word] = sections.first?.name.location }
        rows.finish(&owner, ReadSection(place: place, given: locations, reader: self))
    }

    private func collect<Owner>(
        _ assignment: ConfigAssignment, by rows: SectionRows<Owner>, into given: inout [String: ConfigAssignment], at place: SectionPlace
    ) {
        let word = assignment.name.text.lowercased()
        guard let row = rows.settings.first(where: { $0.word == word }) else {
            if rows.sections.contains(where: { $0.word == word }) {
                return diagnostics.error(assignment.name.location, "'\(word)' is a section: \(word) { … }")
            }
            return unknown(assignment.name, known: rows.words, at: place)
        }
        markDialect(assignment.name, row.origin, row.inBothDialects)
        guard assignment.appends else {
            if let earlier = given[word] {
                diagnostics.warning(
                    assignment.name.location, "'\(word)' is written again; this one counts, not the one at line \(earlier.name.location.line)")
            }
            given[word] = assignment
            return
        }
        guard row.kind == .list else {
            return diagnostics.error(assignment.name.location, "'+=' is for lists; '\(word)' is none")
        }
        var merged = given[word] ?? assignment
        if given[word] != nil { merged.values += assignment.values }
        merged.braced = true
        given[word] = merged
    }

    private func collect<Owner>(
        _ section: ConfigSection, by rows: SectionRows<Owner>, into nested: inout [String: [ConfigSection]],
        titles: inout [String: SourceLocation], at place: SectionPlace
    ) {
        let word = section.name.text.lowercased()
        guard let row = rows.sections.first(where: { $0.word == word }) else {
            if rows.settings.contains(where: { $0.word == word }) {
                return diagnostics.error(section.name.location, "'\(word)' is a setting: \(word) = …")
            }
            return unknown(section.name, known: rows.words, at: place)
        }
        markDialect(section.name, row.origin, row.inBothDialects)
        if row.title == .required && section.title == nil {
            return diagnostics.error(section.name.location, "'\(word)' needs a title: \(word) NAME { … }")
        }
        if row.title == .none, let title = section.title {
            return diagnostics.error(title.location, "'\(word)' takes no title")
        }
        if let title = section.title {
            let key = "\(word) \(title.text.lowercased())"
            if let twin = titles[key] {
                diagnostics.error(title.location, "a second '\(word)' with the title '\(title.text)'; the first is at line \(twin.line)")
            } else {
                titles[key] = section.name.location
            }
        }
        if !row.repeatable, let earlier = nested[word]?.first {
            diagnostics.warning(
                section.name.location,
                "a second '\(word)' in \(place.name): it begins from the defaults, and what line \(earlier.name.location.line) began is lost")
            nested[word] = [section]
        } else {
            nested[word, default: []].append(section)
        }
    }

    private func apply<Owner>(_ assignment: ConfigAssignment, by row: Setting<Owner>, to owner: inout Owner, at place: SectionPlace) {
        let location = assignment.name.location
        let valueLocation = assignment.values.first?.location ?? location
        var value: SettingValue
        switch row.kind.value(of: assignment.values, braced: assignment.braced) {
        case .success(let understood): value = understood
        case .failure(_) where row.zero != .ordinary && assignment.isZero: value = .number(0)
        case .failure(let complaint):
            guard let fallback = row.fallback, assignment.values.count == 1, !assignment.braced else {
                return diagnostics.error(valueLocation, "'\(row.word)' \(complaint.sentence)")
            }
            diagnostics.warning(valueLocation, "'\(row.word)' \(complaint.sentence); it is taken as \(fallback), as RProxy took it")
            value = .text(fallback)
        }
        if case .coming(let feature) = row.status {
            if !place.asksNothing && !row.asksNothing(value) { reportComing(row.word, feature, in: place, at: location) }
            return
        }
        if let feature = place.feature { return reportComing(row.word, feature, in: place, at: location) }
        if case .ignored(let reason) = row.status {
            return diagnostics.warning(location, "'\(row.word)' is ignored: \(reason)")
        }
        if value == .number(0) {
            switch row.zero {
            case .ordinary: break
            case .off: diagnostics.warning(valueLocation, "'\(row.word)' is 0: there is no limit")
            case .keepsDefault:
                let kept = row.show(owner) ?? "the default"
                return diagnostics.warning(valueLocation, "'\(row.word)' cannot be switched off by 0; \(kept) stays in force")
            }
        }
        switch row.assign(&owner, value) {
        case .fine: origins[place.key + row.word] = location
        case .warning(let sentence):
            origins[place.key + row.word] = location
            diagnostics.warning(valueLocation, "'\(row.word)' \(sentence)")
        case .error(let sentence): diagnostics.error(valueLocation, "'\(row.word)' \(sentence)")
        case .errorAt(let place, let sentence): diagnostics.error(place, "'\(row.word)' \(sentence)")
        }
    }

    func setOrigin(of key: String, _ location: SourceLocation) { origins[key] = location }

    /// Says once per kind of section that a word waits for a feature.
    func reportComing(_ word: String, _ feature: String, in place: SectionPlace, at location: SourceLocation) {
        guard comingReported.insert((place.path + [word]).joined(separator: ".")).inserted else { return }
        diagnostics.error(location, "'\(word)' is known, but \(feature) is not built yet")
    }

    /// A sentence that several sections may come to.
    func tellOnce(_ severity: Diagnostic.Severity, _ location: SourceLocation, _ sentence: String) {
        guard told.insert("\(location) \(sentence)").inserted else { return }
        switch severity {
        case .error: diagnostics.error(location, sentence)
        case .warning: diagnostics.warning(location, sentence)
        }
    }

    private func unknown(_ name: ConfigWord, known: [String], at place: SectionPlace) {
        guard !diagnostics.isFull else { return diagnostics.error(name.location, "") }
        let word = name.text.lowercased()
        var sentence = "\(place.name) knows no '\(name.text)'"
        let homes = Set(allEntries.filter { $0.word == word }.map { $0.sectionName }).sorted()
        if word.hasSuffix(";") {
            sentence += "; ';' does not end a statement here, leave it out"
        } else if let near = nearest(to: word, among: known) {
            sentence += "; did you mean '\(near)'?"
        } else if !homes.isEmpty {
            sentence += "; it belongs in \(homes.joined(separator: " or "))"
        } else if let near = nearest(to: word, among: allEntries.map(\.word)) {
            sentence += "; did you mean '\(near)'?"
        }
        diagnostics.error(name.location, sentence)
    }

    private func markDialect(_ name: ConfigWord, _ origin: WordOrigin, _ inBothDialects: Bool) {
        guard !inBothDialects, origin == .rproxy1 || origin == .rproxy2, dialectMarks[origin] == nil else { return }
        markDialect(name, origin)
    }

    /// Remembers that a word shows which dialect the file is written in.
    func markDialect(_ name: ConfigWord, _ origin: WordOrigin) {
        if dialectMarks[origin] == nil { dialectMarks[origin] = name }
    }

    /// Warns of a file that is written in both dialects at once.
    func reportMixedDialects() {
        guard let one = dialectMarks[.rproxy1], let two = dialectMarks[.rproxy2] else { return }
        diagnostics.warning(
            two.location,
            "two dialects in one configuration: '\(one.text)' (\(one.location)) as RProxy 1 writes it, '\(two.text)' as RProxy 2 does")
    }
}

extension ConfigAssignment {
    /// The value is nothing but zeros: `0`, `{ 0, 0 }`, "0s".
    fileprivate var isZero: Bool {
        !values.isEmpty && values.allSatisfy { cInteger($0.text) == 0 || durationMilliseconds($0.text) == 0 || byteCount($0.text) == 0 }
    }
}

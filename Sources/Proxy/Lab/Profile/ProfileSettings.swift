/// A set of choices for one purpose; every one has its reason and says where it was measured.
struct ProfileSettings: Equatable, Sendable {
    /// The file's name without its ending.
    var name = ""
    var purpose: String?
    var lines: [ProfileLine] = []
}

/// One choice of a profile.
struct ProfileLine: Equatable, Sendable {
    var knob: Knob
    var value: String?
    var reason: String?
    /// The experiment that measured it, by its name.
    var experiment: String?
    /// Why it could not be measured on the machine of the experiments.
    var notMeasurable: String?
    var location = SourceLocation.none

    /// Where the line was measured, or why it was not: names only what is there.
    func evidence(in folder: TuningFolder) -> String {
        guard let experiment else { return "not measurable here: \(notMeasurable ?? "")" }
        if let page = folder.page(ofExperiment: experiment) { return "measured: \(page)" }
        if let file = folder.file(ofExperiment: experiment) { return "no result is here; measure it: weir lab run \(file)" }
        return "measured by an experiment that is not here: \(experiment)"
    }
}

/// The words of a profile's file, in the grammar of Weir's configuration.
func profileRows() -> SectionRows<ProfileSettings> {
    SectionRows(
        blank: ProfileSettings(),
        settings: [.text("purpose", .weir, \.purpose, "What the profile is for, in one sentence.")],
        sections: [
            .section(
                "set", .weir, profileLineRows(), title: .required, repeatable: true, "One choice, by the name of what it sets.",
                blank: { _, section in
                    ProfileLine(knob: Knob(kind: .setting, name: section.title?.text ?? ""), location: section.title?.location ?? section.name.location)
                },
                store: { profile, line, _ in profile.lines.append(line) }, all: { $0.lines.map { ($0.knob.name, $0) } })
        ],
        finish: { profile, section in
            if profile.purpose == nil { section.error("purpose", "there is no 'purpose'") }
        })
}

private func profileLineRows() -> SectionRows<ProfileLine> {
    SectionRows(
        blank: ProfileLine(knob: Knob(kind: .setting, name: "")),
        settings: [
            .custom(
                "kind", .weir, .choice(Knob.Kind.allCases.filter { $0 != .originOption && $0 != .loadOption }.map(\.rawValue)),
                "What kind of thing it is.", assign: { $0.knob.kind = Knob.Kind(rawValue: $1.text) ?? .setting }, show: { $0.knob.kind.rawValue }),
            .custom(
                "in", .weir, .choice(["global", "server", backendWord]), "Where a setting stands.",
                assign: { $0.knob.place = $1.text }, show: { $0.knob.place }),
            .text("value", .weir, \.value, "The value it gets."),
            .text("reason", .weir, \.reason, "Why."),
            .text("experiment", .weir, \.experiment, "The experiment that measured it."),
            .text("not-measurable", .weir, \.notMeasurable, "Why there is none."),
        ],
        finish: { line, section in
            let name = line.knob.name
            let location = line.location
            let diagnostics = { (sentence: String) in section.reader.diagnostics.error(location, sentence) }
            if let complaint = line.knob.complaint { diagnostics("'\(name)' \(complaint)") }
            if line.knob.kind == .setting, let complaint = settingComplaint(line.knob) { diagnostics(complaint) }
            if line.value == nil { diagnostics("'\(name)' has no value") }
            if line.reason?.isEmpty ?? true { diagnostics("'\(name)' has no reason; a line without one is superstition") }
            switch (line.experiment, line.notMeasurable) {
            case (nil, nil): diagnostics("'\(name)' says neither which experiment measured it nor why it is not-measurable")
            case (.some, .some): diagnostics("'\(name)' cannot be measured by an experiment and not-measurable too")
            case (.some, nil), (nil, .some): break
            }
        })
}

/// Reads the file of a profile; settings are nil exactly when there is an error.
func loadProfile(
    path: String, environment: [String: String], read: @escaping (String) throws(ReadFailure) -> [UInt8]
) -> (settings: ProfileSettings?, diagnostics: [Diagnostic]) {
    var (profile, diagnostics) = readLabFile(path, by: profileRows(), environment: environment, read: read)
    profile?.name = fileName(path)
    return (profile, diagnostics)
}

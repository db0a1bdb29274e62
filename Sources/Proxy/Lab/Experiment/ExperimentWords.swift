/// The words of an experiment's file, in the grammar of Weir's configuration.
func experimentRows() -> SectionRows<ExperimentSettings> {
    SectionRows(
        blank: ExperimentSettings(),
        settings: [
            .text("question", .weir, \.question, "What the experiment asks, in one sentence.", check: emptyComplaint),
            .text("belief", .weir, \.belief, "What is believed until now; shown beside the verdict.", check: emptyComplaint),
            .text("document", .weir, \.document, kind: .path, "The page that says so.", check: emptyComplaint),
            .custom(
                "target", .weir, .choice(ExperimentSettings.Target.allCases.map(\.rawValue)),
                "Who is under test: the proxy, or the origin alone.",
                assign: { $0.target = ExperimentSettings.Target(rawValue: $1.text) ?? .proxy }, show: { $0.target.rawValue }),
            .count(
                "rounds", .weir, \.rounds, ExperimentSettings.roundsRange,
                "How often each variant is measured; six is the least that can convince."),
            .checked(
                "metrics", .weir, .list, "The figures that are looked at; the first one decides.",
                assign: { experiment, value in
                    guard case .list(let words) = value, !words.isEmpty else { return .error("names no metric") }
                    var metrics: [Metric] = []
                    for word in words {
                        guard let metric = Metric(rawValue: word.text.lowercased()) else {
                            let names = Metric.allCases.map(\.rawValue)
                            let hint = nearest(to: word.text.lowercased(), among: names).map { "; did you mean '\($0)'?" } ?? ""
                            return .errorAt(word.location, "knows no '\(word.text)', but \(names.joined(separator: ", "))\(hint)")
                        }
                        metrics.append(metric)
                    }
                    experiment.metrics = metrics
                    return .fine
                },
                show: { "{ \($0.metrics.map(\.rawValue).joined(separator: ", ")) }" }),
        ],
        sections: [
            .section(
                "scenario", .weir, scenarioRows(), "The load.", blank: { _, _ in ScenarioSettings() },
                store: { experiment, scenario, _ in experiment.scenario = scenario }, all: { [(nil, $0.scenario)] }),
            .section(
                "knob", .weir, knobRows(), title: .required, repeatable: true, "What is varied, by its name; with one value it is fixed.",
                blank: { _, section in
                    KnobSettings(knob: Knob(kind: .setting, name: section.title?.text ?? ""), location: section.title?.location ?? section.name.location)
                },
                store: { experiment, knob, _ in experiment.knobs.append(knob) },
                all: { $0.knobs.map { ($0.knob.name, $0) } }),
        ],
        finish: finishExperiment)
}

private func scenarioRows() -> SectionRows<ScenarioSettings> {
    SectionRows(
        blank: ScenarioSettings(),
        settings: [
            .custom(
                "path", .weir, .text, "The path that is asked for.", assign: { $0.path = $1.text }, show: { quotedText($0.path) }),
            .size("body-size", .weir, \.bodyBytes, 0...(1 << 32), "Bytes of each answer."),
            .count("connections", .weir, \.connections, 1...100_000, "Client connections."),
            .count("rate", .weir, \.rate, 0...10_000_000, "Requests per second by timetable; 0 = as many as are answered."),
            .duration("duration", .weir, \.durationMilliseconds, 100...3_600_000, "How long one measurement takes."),
            .duration("warm-up", .weir, \.warmUpMilliseconds, 0...600_000, "Load before it that does not count."),
            .duration("rest", .weir, \.restMilliseconds, 0...600_000, "Rest after it, before memory is looked at."),
            .count(
                "trickle", .weir, \.trickleRate, 0...1_000_000, "Requests per second during the rest, which keep the program awake; 0 = none."),
            .count("backend-connections", .weir, \.backendConnections, 0...65_535, "Connections to the origin; 0 = as many as clients."),
            processors("tested-cpus", \.testedCPUs, "CPUs of the program under test, as 0 or 0-1,4; else the first that the lab may use."),
            processors("other-cpus", \.otherCPUs, "CPUs of load and origin; else the next two that are left."),
        ])
}

private func processors(_ word: String, _ path: WritableKeyPath<ScenarioSettings, [Int]>, _ sentence: String) -> Setting<ScenarioSettings> {
    .checked(
        word, .weir, .text, sentence,
        assign: { scenario, value in
            guard let cpus = cpuNumbers(value.text) else { return .error("takes numbers of CPUs, as 0 or 0-1,4") }
            scenario[keyPath: path] = cpus
            return .fine
        },
        show: { $0[keyPath: path].isEmpty ? nil : $0[keyPath: path].map { "\($0)" }.joined(separator: ",") })
}

/// `0-1,4` → 0, 1, 4; nil for what is no such list.
func cpuNumbers(_ text: String) -> [Int]? {
    var numbers: Set<Int> = []
    for part in text.split(separator: ",", omittingEmptySubsequences: false) {
        let ends = part.split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
        guard (1...2).contains(ends.count), let first = ends[0], let last = ends[ends.count - 1], (0...1_023).contains(first),
            (first...1_023).contains(last)
        else { return nil }
        numbers.formUnion(first...last)
    }
    return numbers.sorted()
}

private func knobRows() -> SectionRows<KnobSettings> {
    SectionRows(
        blank: KnobSettings(knob: Knob(kind: .setting, name: "")),
        settings: [
            .custom(
                "kind", .weir, .choice(Knob.Kind.allCases.filter { !$0.isForProfiles }.map(\.rawValue)), "What kind of thing it is.",
                assign: { $0.knob.kind = Knob.Kind(rawValue: $1.text) ?? .setting }, show: { $0.knob.kind.rawValue }),
            .custom(
                "in", .weir, .choice(["global", "server", backendWord]), "Where a setting stands.",
                assign: { $0.knob.place = $1.text }, show: { $0.knob.place }),
            .custom(
                "values", .weir, .list, "The values it takes; the first is what the others are compared with.",
                assign: { knob, value in
                    guard case .list(let words) = value else { return }
                    knob.values = words.map(\.text)
                    knob.valueLocations = words.map(\.location)
                }, show: { "{ \($0.values.map(quotedText).joined(separator: ", ")) }" }),
            .custom(
                "labels", .weir, .list, "What the values are called on the page.",
                assign: { knob, value in
                    guard case .list(let words) = value else { return }
                    knob.labels = words.map(\.text)
                }, show: { "{ \($0.labels.map(quotedText).joined(separator: ", ")) }" }),
        ],
        finish: finishKnob)
}

private func emptyComplaint(_ text: String) -> String? { text.isEmpty ? "is empty" : nil }

private func finishKnob(_ settings: inout KnobSettings, _ section: ReadSection) {
    let name = settings.knob.name
    if let complaint = settings.knob.complaint { section.reader.diagnostics.error(settings.location, "'\(name)' \(complaint)") }
    if settings.values.isEmpty { section.error("values", "'\(name)' has no values") }
    if settings.knob.kind == .setting, let complaint = settingComplaint(settings.knob) {
        section.reader.diagnostics.error(settings.location, complaint)
    }
    if settings.knob.kind != .setting, section.has("in") { section.error("in", "'in' is for settings of the configuration") }
    if !settings.labels.isEmpty, settings.labels.count != settings.values.count {
        section.error("labels", "'\(name)' has \(settings.values.count) values, but \(settings.labels.count) labels")
    }
    for (at, value) in settings.values.enumerated() where settings.values[..<at].contains(value) {
        section.reader.diagnostics.error(settings.valueLocations[at], "the value '\(value)' of '\(name)' is there twice")
    }
}

/// Why a word is none of the configuration's; nil when it may be written at its place.
func settingComplaint(_ knob: Knob) -> String? {
    let path = knob.place == "global" ? [] : knob.place == "server" ? ["server"] : ["server", backendWord]
    let words = configurationRows.entries(path: []).filter { $0.path == path && !$0.isSection && $0.status == .built }.map(\.word)
    let word = knob.name.lowercased()
    if words.contains(word) { return nil }
    let place = knob.place == "global" ? "the top level of a configuration" : "'\(knob.place)'"
    let homes = configurationRows.entries(path: []).filter { $0.word == word && !$0.isSection }.map { $0.path.last ?? "global" }
    if let home = homes.first(where: { ["global", "server", backendWord].contains($0) }) {
        return "\(place) has no word '\(knob.name)'; write in = \(home)"
    }
    let near = nearest(to: word, among: words).map { "; did you mean '\($0)'?" } ?? ""
    return "\(place) has no word '\(knob.name)'\(near)"
}

private func finishExperiment(_ experiment: inout ExperimentSettings, _ section: ReadSection) {
    if !experiment.decidingMetric.isJudged(hasTimetable: experiment.scenario.rate > 0) {
        let why = experiment.decidingMetric == .sharing ? "tells how figures come about" : "is what the timetable says ('rate')"
        section.error("metrics", "'\(experiment.decidingMetric.rawValue)' \(why) and cannot decide; put another one first")
    }
    if experiment.metrics.contains(.sharing), experiment.target == .origin {
        section.error("metrics", "the origin has no backends; 'sharing' needs target = proxy")
    }
    if experiment.scenario.trickleRate > 0, experiment.scenario.restMilliseconds == 0 {
        section.error("scenario", "'trickle' is what happens during a 'rest', and there is none")
    }
    if experiment.question == nil { section.error("question", "there is no 'question'") }
    let varied = experiment.knobs.filter { $0.values.count > 1 }
    if varied.isEmpty { section.error("knob", "nothing is varied: give one 'knob' two values or more") }
    let variants = varied.reduce(1) { count, knob in count > 1_000 ? count : count * knob.values.count }
    if variants > ExperimentSettings.variantsMax {
        section.error("knob", "the knobs make \(variants) variants, more than \(ExperimentSettings.variantsMax); ask a smaller question")
    }
    if experiment.target == .origin {
        for knob in experiment.knobs where knob.knob.kind == .setting {
            section.reader.diagnostics.error(knob.location, "the origin reads no configuration; a setting needs target = proxy")
        }
    }
}

/// The words of a scenario's file, in the grammar of Weir's configuration.
func benchScenarioRows() -> SectionRows<BenchScenario> {
    SectionRows(
        blank: BenchScenario(),
        settings: [
            .text("about", .weir, \.sentence, "What it is about, in one sentence.") { $0.isEmpty ? "is empty" : nil },
            .flag("quick", .weir, \.isQuick, "Whether `make bench` takes it."),
            .duration("duration", .weir, \.durationMilliseconds, 100...600_000, "How long one measurement takes."),
            .duration("warm-up", .weir, \.warmUpMilliseconds, 100...60_000, "Load before each measurement."),
            .duration(
                "slice", .weir, \.sliceMilliseconds, 200...60_000,
                "How long one has the load before it is the next one's turn, all running at the same time; each has its time in one piece when missing."),
            .count("failures", .weir, \.failuresPercentMax, 0...100, "Requests of a hundred that may fail."),
        ],
        sections: [
            .section(
                "proxy", .weir, proxyRows(), "What the proxies are set to.", blank: { _, _ in BenchScenario.ProxyWork() },
                store: { scenario, proxy, _ in scenario.proxy = proxy }, all: { [(nil, $0.proxy)] }),
            .section(
                "origin", .weir, originRows(), "What stands behind them.", blank: { _, _ in BenchScenario.OriginWork() },
                store: { scenario, origin, _ in scenario.origin = origin }, all: { [(nil, $0.origin)] }),
            .section(
                "load", .weir, loadRows(), "What is sent to them.", blank: { _, _ in BenchScenario.LoadWork() },
                store: { scenario, load, _ in scenario.load = load }, all: { [(nil, $0.load)] }),
        ],
        finish: finishScenario)
}

private func proxyRows() -> SectionRows<BenchScenario.ProxyWork> {
    SectionRows(
        blank: BenchScenario.ProxyWork(),
        settings: [
            .flag("tls", .weir, \.tls, "Whether clients speak TLS."),
            .flag("resumption", .weir, \.resumption, "Whether TLS sessions are taken up again."),
            .flag("access-log", .weir, \.accessLog, "Whether each request is logged, buffered, to a file."),
            .count("rules", .weir, \.rules, 0...ConfigTemplate.repeatedMax, "Rules for paths under /rule0/, /rule1/ … that a request is chosen by."),
            .count("backend-connections", .weir, \.backendConnections, 1...65_535, "Connections to the origin that are kept."),
            .count("pipeline", .weir, \.pipeline, 1...64, "Requests that share one of four backend connections, where a proxy can do that."),
        ],
        finish: { proxy, section in
            if !proxy.resumption, !proxy.tls { section.error("resumption", "'resumption' is for 'tls', which is off") }
        })
}

private func originRows() -> SectionRows<BenchScenario.OriginWork> {
    SectionRows(
        blank: BenchScenario.OriginWork(),
        settings: [
            .size("body", .weir, \.bodyBytes, 0...(1 << 32), "Bytes of each answer."),
            .flag("chunked", .weir, \.chunked, "Whether the length is not told ahead."),
            .duration("delay", .weir, \.delayMilliseconds, 1...60_000, "What an answer takes."),
        ])
}

private func loadRows() -> SectionRows<BenchScenario.LoadWork> {
    SectionRows(
        blank: BenchScenario.LoadWork(),
        settings: [
            .text("path", .weir, \.path, "What is asked for.") { $0.hasPrefix("/") ? nil : "begins with a slash" },
            .count("connections", .weir, \.connections, 1...100_000, "Clients."),
            .count("rate", .weir, \.rate, 0...10_000_000, "Requests per second by timetable; 0 = each client asks as soon as it is answered."),
            .flag("poisson", .weir, \.poisson, "At random distances around that rate."),
            .flag("close", .weir, \.close, "A connection for each request."),
            .flag("websocket", .weir, \.websocket, "Messages through a WebSocket, echoed."),
            .size("read-rate", .weir, \.readRateBytes, 1...(1 << 30), "Bytes per second that each client takes at most."),
            .count("pipeline", .weir, \.pipeline, 1...1_024, "Requests that a client sends before the first answer."),
            .size("body", .weir, \.requestBodyBytes, 0...(1 << 30), "Bytes of each request's body."),
            .text("mix", .weir, \.mix, kind: .path, "A file of weighted requests, from the folder of this one."),
        ],
        finish: finishLoad)
}

/// What `weir load` would refuse, or not look at.
private func finishLoad(_ load: inout BenchScenario.LoadWork, _ section: ReadSection) {
    if load.close, load.pipeline > 1 { section.error("pipeline", "'pipeline' and 'close' exclude each other") }
    if load.websocket, load.close { section.error("close", "'close' and 'websocket' exclude each other") }
    if load.websocket, load.requestBodyBytes > 0 { section.error("body", "'body' and 'websocket' exclude each other") }
    guard load.mix != nil else { return }
    if load.websocket { section.error("mix", "'mix' and 'websocket' exclude each other") }
    if load.requestBodyBytes > 0 { section.error("body", "'body' does nothing beside 'mix', whose lines say what is sent") }
    if section.has("path") { section.error("path", "'path' does nothing beside 'mix', whose lines say what is asked for") }
}

private func finishScenario(_ scenario: inout BenchScenario, _ section: ReadSection) {
    if scenario.sentence == nil { section.error("about", "'about' is missing: one sentence on what is measured") }
    if scenario.load.poisson, scenario.load.rate == 0 { section.error("load", "'poisson' needs a rate") }
    if scenario.load.websocket, scenario.proxy.tls { section.error("load", "'websocket' and 'tls' are not measured together") }
}

/// Reads `NAME.conf`; all that is wrong at once, each with file, line and column.
func loadBenchScenario(
    path: String, read: @escaping (String) throws(ReadFailure) -> [UInt8]
) -> (scenario: BenchScenario?, diagnostics: [Diagnostic]) {
    var (scenario, diagnostics) = readBenchFile(path, by: benchScenarioRows(), read: read)
    let file = path.split(separator: "/").last.map(String.init) ?? path
    scenario?.name = file.hasSuffix(".conf") ? String(file.dropLast(5)) : file
    if let mix = scenario?.load.mix { scenario?.load.mix = ConfigParser.resolved(mix, besides: path) }
    return (scenario, diagnostics)
}

/// The words of `rival.conf`.
private func rivalRows() -> SectionRows<Rival> {
    func list(_ word: String, _ path: WritableKeyPath<Rival, [String]>, _ sentence: String) -> Setting<Rival> {
        .custom(
            word, .weir, .list, sentence,
            assign: { rival, value in
                if case .list(let words) = value { rival[keyPath: path] = words.map(\.text) }
            }, show: { "{ \($0[keyPath: path].map(quotedText).joined(separator: ", ")) }" })
    }
    return SectionRows(
        blank: Rival(),
        settings: [
            list("command", \.command, "How it is started, word by word, with places to fill in."),
            list("version", \.version, "What prints its version."),
            list("templates", \.templates, "Files of this folder that are filled in."),
            list("lacks", \.lacks, "What it cannot do: tls, resumption, access-log, rules, websocket."),
            .text("ready", .weir, \.readyText, "A text in its output before which it does not serve."),
        ],
        finish: { rival, section in
            if rival.command.isEmpty { section.error("command", "'command' is missing") }
        })
}

/// Reads `FOLDER/rival.conf`.
func loadRival(folder: String, read: @escaping (String) throws(ReadFailure) -> [UInt8]) -> (rival: Rival?, diagnostics: [Diagnostic]) {
    var (rival, diagnostics) = readBenchFile("\(folder)/rival.conf", by: rivalRows(), read: read)
    rival?.folder = folder
    rival?.name = folder.split(separator: "/").last.map(String.init) ?? folder
    return (rival, diagnostics)
}

/// Reads a file whose words are those of `rows`: a language of its own in the grammar of the configuration.
private func readBenchFile<Owner>(
    _ path: String, by rows: SectionRows<Owner>, read: @escaping (String) throws(ReadFailure) -> [UInt8]
) -> (settings: Owner?, diagnostics: [Diagnostic]) {
    var parser = ConfigParser(environment: [:], read: read)
    let items = parser.parse(path: path)
    let reader = ConfigReader(diagnostics: parser.diagnostics, foreign: ForeignTexts(), readFile: read)
    reader.allEntries = rows.entries(path: [])
    var owner = rows.blank
    if !(items.isEmpty && parser.diagnostics.hasErrors) {
        var place = SectionPlace()
        place.header.location = SourceLocation(file: path, line: 1, column: 1)
        reader.read(items, by: rows, into: &owner, at: place)
    }
    return (reader.diagnostics.hasErrors ? nil : owner, reader.diagnostics.sorted(fileOrder: parser.files))
}

/// Words of the `logging` sections, in both shapes: RProxy 2 has a section per log, RProxy 1 one flat list.

/// A `logging` section while it is read.
struct LoggingDraft {
    var request = LogSettings()
    var error = LogSettings()
    /// The operator's log, as RProxy 2 promised it and never wrote it.
    var general = LogSettings(level: .info, format: "")
    // The flat shape.
    var enabled = false
    var type = "file"
    var fileName: String?
    var errorFileName: String?
    var facility = "local0"
    var format: String?
    /// Logs that are inherited are not shown.
    var showsRequest = true
    var showsError = true
}

private let noFormat = "lines of this log have one shape"

/// The four words of one log.
private func logRows(_ origin: WordOrigin = .rproxy2, hasFormat: Bool, blank: LogSettings) -> SectionRows<LogSettings> {
    let format: Setting<LogSettings> = .custom(
        "format", origin, .text, "How a line looks: text with {TOKENS}, or the word json.",
        assign: { $0.format = $1.text }, show: { $0.format.isEmpty ? nil : quotedText($0.format) })
    return SectionRows(
        blank: blank,
        settings: [
            .flag("enabled", origin, \.enabled, "Whether this log is written at all."),
            .checked(
                "output", origin, .text, "Where it goes: file:PATH, syslog:FACILITY, stdout or stderr; {WORKER} in a path gives each worker a file.",
                assign: { log, value in assignOutput(value.text, to: &log) }, show: { quotedText(outputText($0.output)) }),
            .custom(
                "level", origin, .choice(LogSettings.Level.allCases.map(\.rawValue)), "Least severe messages that are written.",
                assign: { $0.level = LogSettings.Level(rawValue: $1.text) ?? .error }, show: { $0.level.rawValue }
            ).with { $0.fallback = "emerg" },
            hasFormat ? format : format.with { $0.status = .ignored(noFormat) },
        ],
        finish: { log, section in
            if hasFormat {
                checkFormat(log.format, section)
            } else if log.isPerWorker {
                section.error("output", "'output': the operator's log belongs to the whole process, there is no worker to name in its path")
            }
            if let word = section.given.keys.min(), !section.has("enabled"), !blank.enabled {
                section.warning(word, "this log is not written: it says nothing about 'enabled'")
            }
        })
}

/// Has the format looked at, if it is written and will be used.
private func checkFormat(_ format: String?, _ section: ReadSection) {
    guard section.has("format"), section.place.feature == nil, let format, let complaint = section.reader.foreign.format(format) else { return }
    section.error("format", "'format': \(complaint)")
}

/// `logging` at the top level: the operator's log alone.
func operatorLoggingRows() -> SectionRows<LogSettings> {
    let fresh = GlobalSettings().operatorLog
    return SectionRows(
        blank: fresh, settings: [],
        sections: [
            .section(
                "general", .weir, logRows(.weir, hasFormat: false, blank: fresh), "The operator's log: starts, stops, troubles.",
                blank: { parent, _ in parent }, store: { parent, log, _ in parent = log }, all: { [(nil, $0)] })
        ])
}

/// `logging` with a section per log, and in a server also in RProxy 1's flat shape.
func loggingRows(alsoFlat: Bool) -> SectionRows<LoggingDraft> {
    let fresh = LoggingDraft()
    return SectionRows(
        blank: fresh,
        settings: alsoFlat ? flatRows(fresh) : [],
        sections: [
            .section(
                "request", .rproxy2, logRows(hasFormat: true, blank: fresh.request), "The access log: one line for every answer.",
                blank: { parent, _ in parent.request }, store: { parent, log, _ in parent.request = log }, all: { $0.showsRequest ? [(nil, $0.request)] : [] }),
            .section(
                "error", .rproxy2, logRows(hasFormat: true, blank: fresh.error), "One line for every exchange that failed, with the reason.",
                blank: { parent, _ in parent.error }, store: { parent, log, _ in parent.error = log }, all: { $0.showsError ? [(nil, $0.error)] : [] }),
            .section(
                "general", .rproxy2, logRows(hasFormat: false, blank: fresh.general), "The operator's log of the whole process.",
                blank: { parent, _ in parent.general }, store: { parent, log, _ in parent.general = log }, all: { _ in [] }),
        ],
        finish: finishLogging)
}

/// `logging` of a virtual host or a rule: a log that says whether it is enabled takes the place of the one of the next level up;
/// the others are inherited.
func loggingSection<Owner>(_ scope: WritableKeyPath<Owner, ScopeSettings>) -> NestedRows<Owner> {
    .section(
        "logging", .rproxy2, loggingRows(alsoFlat: false), "Logs of its own; what it leaves out is written to those of the next level up.",
        blank: { _, _ in LoggingDraft() },
        store: { owner, logging, section in
            owner[keyPath: scope].accessLog = section.decides("request") ? logging.request : nil
            owner[keyPath: scope].errorLog = section.decides("error") ? logging.error : nil
            owner[keyPath: scope].operatorLog = logging.general.enabled ? logging.general : nil
        },
        all: { owner in
            let settings = owner[keyPath: scope]
            guard settings.accessLog != nil || settings.errorLog != nil else { return [] }
            var logging = LoggingDraft()
            logging.showsRequest = settings.accessLog != nil
            logging.showsError = settings.errorLog != nil
            logging.request = settings.accessLog ?? logging.request
            logging.error = settings.errorLog ?? logging.error
            return [(nil, logging)]
        })
}

extension ConfigSection {
    /// Whether the last section of that name in here says if it is enabled.
    fileprivate func decides(_ log: String) -> Bool {
        var decides = false
        for case .section(let inner) in items where inner.name.text.lowercased() == log {
            decides = inner.items.contains { item in
                guard case .assignment(let assignment) = item else { return false }
                return assignment.name.text.lowercased() == "enabled"
            }
        }
        return decides
    }
}

private func flatRows(_ fresh: LoggingDraft) -> [Setting<LoggingDraft>] {
    [
        flat(
            .custom(
                "enabled", .rproxy1, .flag, "Whether requests are logged (and errors, with errorlog).",
                assign: { $0.enabled = $1.flag }, show: { _ in nil }), default: "false"),
        flat(
            .custom(
                "type", .rproxy1, .choice(["file", "syslog", "fd"]), "Where the log goes: a file, syslog, or standard output (fd).",
                assign: { $0.type = $1.text }, show: { _ in nil }
            ).with { $0.fallback = "file" }, default: "file"),
        flat(
            .custom(
                "filename", .rproxy1, .path, "File of the request log.", assign: { $0.fileName = $1.text }, show: { _ in nil }),
            default: "not set"),
        flat(
            .custom(
                "format", .rproxy1, .text, "How a line looks: text with {TOKENS}, or the word json.",
                assign: { $0.format = $1.text }, show: { _ in nil }), default: fresh.request.format),
        flat(
            .checked(
                "facility", .rproxy1, .text, "Facility for syslog.",
                assign: { draft, value in
                    guard let facility = syslogFacility(value.text) else { return .error(unknownFacility(value.text)) }
                    draft.facility = facility
                    return .fine
                }, show: { _ in nil }), default: "local0"),
        flat(
            .custom(
                "errorlog", .rproxy1, .path, "File of the error log.", assign: { $0.errorFileName = $1.text }, show: { _ in nil }),
            default: "not set"),
    ]
}

/// A word of the flat shape: it sets values that the other shape's words show.
private func flat(_ row: Setting<LoggingDraft>, default defaultText: String) -> Setting<LoggingDraft> {
    row.with {
        $0.defaultText = defaultText
        $0.showsElsewhere = true
    }
}

private func finishLogging(_ draft: inout LoggingDraft, _ section: ReadSection) {
    checkFormat(draft.format, section)
    guard draft.enabled else { return }
    if section.has("request") || section.has("error") {
        return section.error("enabled", "'logging' is written in both shapes; keep either the section per log or the flat words")
    }
    draft.request.enabled = true
    draft.request.format = draft.format ?? draft.request.format
    draft.error.format = draft.request.format
    section.credit("request#0/enabled", to: "enabled")
    section.credit("request#0/output", to: draft.type == "syslog" && section.has("facility") ? "facility" : section.has("filename") ? "filename" : "type")
    for log in ["request", "error"] { section.credit("\(log)#0/format", to: "format") }
    switch draft.type {
    case "syslog": draft.request.output = .syslog(facility: draft.facility)
    case "fd": draft.request.output = .stdout
    default:
        if let fileName = draft.fileName, !fileName.isEmpty {
            draft.request.output = fileOutput(fileName)
        } else {
            section.error("enabled", "'logging' to a file needs 'filename'")
        }
    }
    if let errorFileName = draft.errorFileName {
        draft.error.enabled = true
        section.credit("error#0/enabled", to: "errorlog")
        section.credit("error#0/output", to: "errorlog")
        draft.error.output = fileOutput(errorFileName)
    }
}

/// RProxy's `file:PATH` and `syslog:FACILITY`; only the first colon divides, so that paths may have colons.
private func assignOutput(_ text: String, to log: inout LogSettings) -> Assigned {
    switch text.lowercased() {
    case "stdout": log.output = .stdout; return .fine
    case "stderr": log.output = .stderr; return .fine
    default: break
    }
    if text.hasPrefix("/") {
        log.output = fileOutput(text)
        return .fine
    }
    guard let colon = text.firstIndex(of: ":") else {
        return .error("takes file:PATH, syslog:FACILITY, stdout or stderr, not '\(text)'")
    }
    let scheme = text[..<colon].lowercased()
    let rest = String(text[text.index(after: colon)...])
    if scheme == "syslog" {
        guard let facility = syslogFacility(rest) else { return .error(unknownFacility(rest)) }
        log.output = .syslog(facility: facility)
        return .fine
    }
    if rest.isEmpty { return .error("names no path after '\(scheme):'") }
    log.output = fileOutput(rest)
    return scheme == "file" ? .fine : .warning("has the unknown scheme '\(scheme)'; it is taken as file:\(rest)")
}

private func fileOutput(_ path: String) -> LogSettings.Output {
    switch path {
    case "/dev/stdout": .stdout
    case "/dev/stderr": .stderr
    default: .file(withWorkerToken(path))
    }
}

/// The path with `{WORKER}` in capitals, as the tokens of formats may be written in any case.
private func withWorkerToken(_ path: String) -> String {
    let token = Array(LogSettings.workerToken.utf8)
    var bytes = Array(path.utf8)
    var start = 0
    while start + token.count <= bytes.count {
        let found = bytes[start..<start + token.count]
        if String(decoding: found, as: UTF8.self).uppercased() == LogSettings.workerToken {
            bytes.replaceSubrange(start..<start + token.count, with: token)
            start += token.count
        } else {
            start += 1
        }
    }
    return String(decoding: bytes, as: UTF8.self)
}

private func outputText(_ output: LogSettings.Output) -> String {
    switch output {
    case .file(let path): "file:\(path)"
    case .syslog(let facility): "syslog:\(facility)"
    case .stdout: "stdout"
    case .stderr: "stderr"
    }
}

private let facilities =
    ["kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp"] + (0...7).map { "local\($0)" }

/// The facility in lower case; RProxy's misspelt `lptr` is `lpr`.
private func syslogFacility(_ text: String) -> String? {
    let lowered = text.lowercased()
    if lowered == "lptr" { return "lpr" }
    return facilities.contains(lowered) ? lowered : nil
}

private func unknownFacility(_ text: String) -> String {
    "names the unknown facility '\(text)'" + (nearest(to: text, among: facilities).map { "; did you mean '\($0)'?" } ?? "")
}

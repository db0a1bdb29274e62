/// Words about answers of our own: redirects, fixed answers, error pages, maintenance; the same in servers, hosts and rules.

/// - Parameter path: where the owner keeps what it hands down.
func answerRows<Owner>(_ path: WritableKeyPath<Owner, ScopeSettings>) -> [Setting<Owner>] {
    let answers = path.appending(path: \.answers)
    return [redirectRow(answers), respondRow(answers)] + maintenanceRows(answers.appending(path: \.maintenance))
}

func answerSections<Owner>(_ path: WritableKeyPath<Owner, ScopeSettings>) -> [NestedRows<Owner>] {
    let answers = path.appending(path: \.answers)
    return [redirectSection(answers), respondSection(answers), errorPageSection(answers)]
}

// MARK: - Redirects

private let redirectStatusText = RedirectSettings.statuses.map { "\($0)" }.joined(separator: ", ")

private func redirectRow<Owner>(_ path: WritableKeyPath<Owner, AnswerSettings>) -> Setting<Owner> {
    .checked(
        "redirect", .weir, .list, "Answers { STATUS, TARGET }: sends the client elsewhere. TARGET may have the tokens of the logs.",
        assign: { owner, value in
            guard case .list(let words) = value, words.count == 2, let status = cInteger(words[0].text) else {
                return .error("takes a status and a target: { 308, \"https://{HOSTNAME}{URI}\" }")
            }
            guard RedirectSettings.statuses.contains(status) else {
                return .error("takes one of the statuses \(redirectStatusText), not \(status)")
            }
            if let complaint = redirectTargetComplaint(words[1].text) { return .error("leads to a target that \(complaint)") }
            owner[keyPath: path].redirect = RedirectSettings(status: status, target: words[1].text)
            return .fine
        },
        show: { owner in
            guard let redirect = owner[keyPath: path].redirect, redirect.keepsQuery == nil else { return nil }
            return "{ \(redirect.status), \(quotedText(redirect.target)) }"
        })
}

/// A redirect while it is read.
private struct RedirectDraft {
    var settings = RedirectSettings()
    /// What else the same section answers with.
    var rival: String?
}

private func redirectSection<Owner>(_ path: WritableKeyPath<Owner, AnswerSettings>) -> NestedRows<Owner> {
    let rows = SectionRows(
        blank: RedirectDraft(),
        settings: [
            .checked(
                "status", .weir, .count(300...308), "One of \(redirectStatusText).",
                assign: { draft, value in
                    guard RedirectSettings.statuses.contains(value.number) else { return .error("takes one of \(redirectStatusText)") }
                    draft.settings.status = value.number
                    return .fine
                }, show: { "\($0.settings.status)" }),
            .checked(
                "to", .weir, .text, "Where to: a URI or an absolute path, in which the tokens of the logs may stand.",
                assign: { draft, value in
                    if let complaint = redirectTargetComplaint(value.text) { return .error(complaint) }
                    draft.settings.target = value.text
                    return .fine
                }, show: { $0.settings.target.isEmpty ? nil : quotedText($0.settings.target) }),
            .custom(
                "query", .weir, .flag, "Appends the query of the request.",
                assign: { $0.settings.keepsQuery = $1.flag }, show: { draft in draft.settings.keepsQuery.map { $0 ? "true" : "false" } }
            ).with { $0.defaultText = "true, unless 'to' names the query itself or has a fragment" },
        ],
        finish: { draft, section in
            if let rival = draft.rival { section.error("redirect", "'redirect' stands beside '\(rival)': one of them can be the answer") }
            if draft.settings.target.isEmpty { return section.error("to", "'redirect' needs a target: to = …") }
            if draft.settings.keepsQuery == true && draft.settings.target.contains("#") {
                section.error("query", "'query' cannot be appended to a target with a fragment ('#')")
            }
        })
    return .section(
        "redirect", .weir, rows, "Answers by sending the client elsewhere.",
        blank: { owner, _ in RedirectDraft(rival: rival(of: "redirect", owner[keyPath: path])) },
        store: { owner, draft, _ in owner[keyPath: path].redirect = draft.settings },
        all: { owner in
            guard let redirect = owner[keyPath: path].redirect, redirect.keepsQuery != nil else { return [] }
            return [(nil, RedirectDraft(settings: redirect))]
        })
}

/// What must be asked of other rooms: the tokens in a target are their language.
func finishAnswers(_ scope: ScopeSettings, _ section: ReadSection) {
    guard let target = scope.answers.redirect?.target, section.place.feature == nil,
        let complaint = section.reader.foreign.target(target)
    else { return }
    section.error("redirect", "'redirect': \(complaint)")
}

/// A target must begin with what the operator wrote: else a client's path such as `//elsewhere` would name the host.
private func redirectTargetComplaint(_ text: String) -> String? {
    guard text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f && !"\"<>\\^`|".utf8.contains($0) }) else {
        return "must not have spaces, quotes or other bytes that a URI has not"
    }
    let lowered = text.lowercased()
    for scheme in ["https://", "http://"] where lowered.hasPrefix(scheme) {
        return text.utf8.count > scheme.utf8.count ? nil : "names no host"
    }
    let bytes = Array(text.utf8.prefix(2))
    if bytes.first == UInt8(ascii: "/") {
        let second = bytes.count > 1 ? bytes[1] : UInt8(ascii: "a")
        return second == UInt8(ascii: "/") || second == UInt8(ascii: "{") ? "begins with '//' or '/{', which would let a client name the host" : nil
    }
    return "must begin with http://, https:// or a path"
}

private func rival(of word: String, _ answers: AnswerSettings) -> String? {
    if answers.redirect != nil { return word == "redirect" ? "redirect = …" : "redirect" }
    if answers.respond != nil { return word == "respond" ? "respond = …" : "respond" }
    return nil
}

// MARK: - Fixed answers

private func respondRow<Owner>(_ path: WritableKeyPath<Owner, AnswerSettings>) -> Setting<Owner> {
    .checked(
        "respond", .weir, .list, "Answers with a status, or with { STATUS, TEXT }.",
        assign: { owner, value in
            guard case .list(let words) = value, words.count == 1 || words.count == 2, let status = cInteger(words[0].text) else {
                return .error("takes a status, or a status and a text: { 200, \"hello\" }")
            }
            if let complaint = respondStatusComplaint(status) { return .error(complaint) }
            if owner[keyPath: path].redirect != nil { return .error("stands beside 'redirect': one of them can be the answer") }
            var respond = RespondSettings(status: status)
            if words.count == 2 {
                guard hasBody(status) else { return .error("has a text, but \(status) has no body") }
                respond.body = AnswerBodySettings(bytes: Array(words[1].text.utf8), contentType: plainText)
            }
            owner[keyPath: path].respond = respond
            return .fine
        },
        show: { owner in
            guard let respond = owner[keyPath: path].respond, respond.isShort else { return nil }
            guard let body = respond.body else { return "\(respond.status)" }
            return "{ \(respond.status), \(quotedText(String(decoding: body.bytes, as: UTF8.self))) }"
        })
}

private let plainText = "text/plain; charset=utf-8"

extension RespondSettings {
    /// What the word without braces can say.
    fileprivate var isShort: Bool {
        guard let body else { return true }
        return body == AnswerBodySettings(bytes: body.bytes, contentType: plainText)
    }
}

private func hasBody(_ status: Int) -> Bool { status != 204 && status != 205 }

private func respondStatusComplaint(_ status: Int) -> String? {
    switch status {
    case 200..<300, 400..<600: nil
    case 300..<400: "is no place for \(status): use 'redirect'"
    default: "takes a status from 200 to 599, not \(status)"
    }
}

/// A body while it is read: of a fixed answer or of an error page.
private struct BodyDraft {
    var status = 200
    var statuses: [Int] = []
    var text: String?
    var file: String?
    var contentType: String?
    var bytesMax = AnswerBodySettings.bytesMaxDefault
    var title: ConfigWord?
    var rival: String?
    var settings: AnswerBodySettings?
}

private func bodyRows(textWord: String) -> [Setting<BodyDraft>] {
    [
        .text(textWord, .weir, \.text, "The body itself.").with { $0.defaultText = "none" },
        .text("file", .weir, \.file, kind: .path, "File whose bytes are the body; read once, at the start and at each reload."),
        .text("content-type", .weir, \.contentType, "Media type of the body.") { text in
            text.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7f } && text.contains("/") ? nil : "must be a media type such as text/html, not '\(text)'"
        }.with { $0.defaultText = "by the name of the file, else \(plainText)" },
        .size("max-size", .weir, \.bytesMax, 1...AnswerBodySettings.bytesMaxEver, "Largest file that is taken."),
    ]
}

private func respondSection<Owner>(_ path: WritableKeyPath<Owner, AnswerSettings>) -> NestedRows<Owner> {
    let rows = SectionRows(
        blank: BodyDraft(),
        settings: [
            .checked(
                "status", .weir, .count(200...599), "Status of the answer.",
                assign: { draft, value in
                    if let complaint = respondStatusComplaint(value.number) { return .error(complaint) }
                    draft.status = value.number
                    return .fine
                }, show: { "\($0.status)" })
        ] + bodyRows(textWord: "body"),
        finish: { draft, section in
            if let rival = draft.rival { section.error("respond", "'respond' stands beside '\(rival)': one of them can be the answer") }
            finishBody(&draft, "respond", textWord: "body", section)
            if draft.settings != nil, !hasBody(draft.status) {
                section.error(draft.file == nil ? "body" : "file", "'respond' has a body, but \(draft.status) has none")
            }
        })
    return .section(
        "respond", .weir, rows, "Answers with a fixed text or file.",
        blank: { owner, _ in BodyDraft(rival: rival(of: "respond", owner[keyPath: path])) },
        store: { owner, draft, _ in owner[keyPath: path].respond = RespondSettings(status: draft.status, body: draft.settings) },
        all: { owner in
            guard let respond = owner[keyPath: path].respond, !respond.isShort else { return [] }
            var draft = BodyDraft(respond.body)
            draft.status = respond.status
            return [(nil, draft)]
        })
}

private func errorPageSection<Owner>(_ path: WritableKeyPath<Owner, AnswerSettings>) -> NestedRows<Owner> {
    let rows = SectionRows(
        blank: BodyDraft(), settings: bodyRows(textWord: "text"),
        finish: { draft, section in
            finishBody(&draft, "error-page", textWord: "text", section)
            if draft.settings == nil { section.error("text", "'error-page' needs a 'text' or a 'file'") }
            finishStatuses(&draft, section)
        })
    return .section(
        "error-page", .weir, rows, title: .required, repeatable: true,
        "Body of the proxy's own answers with these statuses, as in error-page \"502 503 504\" { … }.",
        blank: { _, section in
            var draft = BodyDraft()
            draft.title = section.title
            return draft
        },
        store: { owner, draft, _ in
            guard let body = draft.settings else { return }
            owner[keyPath: path].errorPages.append(ErrorPageSettings(statuses: draft.statuses, body: body))
        },
        all: { owner in
            owner[keyPath: path].errorPages.map { page in
                (page.statuses.map { "\($0)" }.joined(separator: " "), BodyDraft(page.body))
            }
        })
}

extension BodyDraft {
    /// The words that would give this body again.
    fileprivate init(_ body: AnswerBodySettings?) {
        guard let body else { return }
        settings = body
        file = body.file
        if file == nil { text = String(decoding: body.bytes, as: UTF8.self) }
        contentType = body.contentType
        bytesMax = body.bytesMax
    }
}

private func finishStatuses(_ draft: inout BodyDraft, _ section: ReadSection) {
    guard let title = draft.title else { return }
    for part in title.text.split(whereSeparator: { " ,\t".contains($0) }) {
        guard let status = Int(part), (400..<600).contains(status) else {
            section.reader.diagnostics.error(title.location, "'error-page' takes statuses from 400 to 599, not '\(part)'")
            continue
        }
        draft.statuses.append(status)
    }
    if draft.statuses.isEmpty { section.reader.diagnostics.error(title.location, "'error-page' names no status") }
}

/// Reads the file, or takes the text; every byte is kept from here on.
private func finishBody(_ draft: inout BodyDraft, _ word: String, textWord: String, _ section: ReadSection) {
    if draft.text != nil, draft.file != nil {
        return section.error("file", "'\(word)' has both '\(textWord)' and 'file': one of them can be the body")
    }
    var body = AnswerBodySettings(contentType: draft.contentType ?? plainText, bytesMax: draft.bytesMax)
    if let text = draft.text {
        body.bytes = Array(text.utf8)
    } else if let file = draft.file, section.place.feature == nil {
        let location = section.location(of: "file")
        let path = ConfigParser.resolved(file, besides: location.file)
        body.file = path
        draft.file = path
        if draft.contentType == nil { body.contentType = mediaType(of: path) }
        do throws(ReadFailure) {
            body.bytes = try section.reader.readFile(path)
        } catch {
            return section.error("file", "cannot read '\(path)': \(error.reason)")
        }
    } else {
        return
    }
    if body.bytes.count > draft.bytesMax {
        let source = draft.file.map { "'\($0)'" } ?? "'\(textWord)'"
        return section.error(
            draft.file == nil ? textWord : "file",
            "\(source) has \(body.bytes.count) bytes, more than 'max-size' (\(sizeText(draft.bytesMax)))")
    }
    draft.settings = body
}

private func mediaType(of path: String) -> String {
    switch path.split(separator: ".").last.map({ $0.lowercased() }) {
    case "html", "htm": "text/html; charset=utf-8"
    case "json": "application/json"
    case "xml": "application/xml"
    case "svg": "image/svg+xml"
    case "png": "image/png"
    case "ico": "image/x-icon"
    case "css": "text/css; charset=utf-8"
    default: plainText
    }
}

// MARK: - Maintenance

private func maintenanceRows<Owner>(_ path: WritableKeyPath<Owner, MaintenanceSettings>) -> [Setting<Owner>] {
    [
        .custom(
            "maintenance", .weir, .flag, "Answers 503 with Retry-After; false in a rule or host exempts it.",
            assign: { $0[keyPath: path].isOn = $1.flag }, show: { owner in owner[keyPath: path].isOn.map { $0 ? "true" : "false" } }
        ).with { $0.defaultText = "false" },
        .text(
            "maintenance-file", .weir, path.appending(path: \.file), kind: .path,
            "Does the same while this file exists; looked for once a second."
        ) { $0.hasPrefix("/") ? nil : "must be an absolute path, not '\($0)'" },
        .custom(
            "maintenance-retry", .weir, .duration(1_000...365 * 86_400_000), "What Retry-After says then.",
            assign: { $0[keyPath: path].retrySeconds = ($1.number + 999) / 1_000 },
            show: { owner in owner[keyPath: path].retrySeconds.map { durationLiteral($0 * 1_000) } }
        ).with { $0.defaultText = durationText(MaintenanceSettings.retrySecondsDefault * 1_000) },
    ]
}

// MARK: - A server's own

/// Words of a server alone: a health path is looked at before host and rule are known.
func healthRows() -> [Setting<ServerDraft>] {
    [
        .text(
            "health-path", .weir, \.settings.healthPath,
            "Path that is answered 200 while this server serves, 503 while it drains or is in maintenance; no backend is asked."
        ) { text in
            text.hasPrefix("/") && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "?") && $0 != UInt8(ascii: "#") }
                ? nil : "must be a path that begins with '/' and has no query, not '\(text)'"
        },
        .flag("health-log", .weir, \.settings.logsHealth, "Writes such answers to the access log."),
    ]
}

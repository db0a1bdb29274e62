/// Words about the target and the host of requests, and about mapping back what backends say of their place.

/// `rewrite` of a rule.
func rewriteSection<Owner>(_ path: WritableKeyPath<Owner, RewriteSettings?>) -> NestedRows<Owner> {
    .section(
        "rewrite", .weir, rewriteRows(isRProxy1: false),
        "Changes the target of what the rule takes: src with dst or to, or prefix with with; and query and host.",
        blank: { _, section in RewriteDraft(section) }, store: { owner, draft, _ in owner[keyPath: path] = draft.settings },
        all: { owner in owner[keyPath: path].map { [(nil, RewriteDraft($0))] } ?? [] })
}

/// A `rewrite` section while it is read.
struct RewriteDraft {
    var location = SourceLocation.none
    var settings = RewriteSettings()
    var source: String?
    var destination: String?
    var target: String?
    var prefix: String?
    var with: String?

    init(_ section: ConfigSection? = nil) { location = section?.name.location ?? .none }

    init(_ settings: RewriteSettings) {
        self.settings = settings
        switch settings.path {
        case .keep: break
        case .afterLastGroup(let pattern, let text): (source, destination) = (pattern, text)
        case .replace(let pattern, let text): (source, target) = (pattern, text)
        case .prefix(let from, let to): (prefix, with) = (from.isEmpty ? "/" : from, to.isEmpty ? "/" : to)
        }
    }
}

/// - Parameter isRProxy1: the section chooses requests as well, and has only the two words it had there.
func rewriteRows(isRProxy1: Bool) -> SectionRows<RewriteDraft> {
    func text(_ word: String, _ origin: WordOrigin, _ path: WritableKeyPath<RewriteDraft, String?>, _ sentence: String) -> Setting<RewriteDraft> {
        .text(word, origin, path, sentence)
    }
    let old = isRProxy1 ? WordOrigin.rproxy1 : .weir
    var rows = [
        text("src", old, \.source, "Regular expression (PCRE2) for the path, with at least one group where dst is used."),
        text("dst", old, \.destination, "What takes the place of everything up to the end of the last group of src."),
    ]
    if !isRProxy1 {
        rows += [
            text("to", .weir, \.target, "The new path; $1 to $9 are the groups of src, $0 is what it matched, $$ is a dollar sign."),
            text("prefix", .weir, \.prefix, "Beginning of the path as clients know it, at the end of a segment."),
            text("with", .weir, \.with, "What backends get in its place."),
            .checked(
                "query", .weir, .text, "The query: keep, drop, replace:TEXT or append:TEXT; TEXT may have $1 and its like.",
                assign: { draft, value in assignQuery(value.text, to: &draft.settings) }, show: { quotedText(queryText($0.settings.query)) }),
            .checked(
                "host", .weir, .text, "The Host for backends: client (what it sent), backend (as configured), or a NAME or NAME:PORT.",
                assign: { draft, value in assignHost(value.text, to: &draft.settings) }, show: { quotedText(hostText($0.settings.host)) }),
            .flag(
                "reverse", .weir, \.settings.mapsBack,
                "With prefix: maps Location, Content-Location, Refresh and the Path and Domain of cookies back to what clients know."),
        ]
    }
    return SectionRows(blank: RewriteDraft(), settings: rows, finish: { draft, section in finishRewrite(&draft, isRProxy1: isRProxy1, section) })
}

private func finishRewrite(_ draft: inout RewriteDraft, isRProxy1: Bool, _ section: ReadSection) {
    let kinds = [("dst", draft.destination != nil), ("to", draft.target != nil), ("with", draft.with != nil)].filter(\.1).map(\.0)
    if kinds.count > 1 { return section.error(kinds[1], "'\(kinds[1])' stands beside '\(kinds[0])': one of them says where the path goes") }
    if let source = draft.source {
        if let complaint = section.reader.foreign.pattern(source) { return section.error("src", "'src' \(complaint)") }
        guard let kind = kinds.first, kind != "with" else { return section.error("src", "'src' needs 'dst'\(isRProxy1 ? "" : " or 'to'")") }
        let groups = section.reader.foreign.groups(source)
        if let text = draft.destination {
            if groups == 0 { return section.error("src", "'src' needs a group in parentheses: 'dst' takes the place of everything up to its end") }
            checkPath(text, "dst", section)
            draft.settings.path = .afterLastGroup(pattern: source, text: text)
        } else if let text = draft.target {
            checkPath(text, "to", section)
            checkReferences(text, "to", groups, section)
            draft.settings.path = .replace(pattern: source, text: text)
        }
        if case .replace(let text) = draft.settings.query { checkReferences(text, "query", groups, section) }
        if case .append(let text) = draft.settings.query { checkReferences(text, "query", groups, section) }
        return
    }
    if isRProxy1 || kinds.first == "dst" || kinds.first == "to" { return section.error("src", "this 'rewrite' has no 'src'") }
    if let prefix = draft.prefix {
        guard let with = draft.with else { return section.error("prefix", "'prefix' needs 'with'; with = \"/\" takes it off") }
        checkPath(prefix, "prefix", section)
        checkPath(with, "with", section)
        draft.settings.path = .prefix(withoutSlash(prefix), with: withoutSlash(with))
    } else if draft.with != nil {
        section.error("with", "'with' needs 'prefix'")
    }
    switch draft.settings.query {
    case .keep, .drop: break
    case .replace(let text), .append(let text): checkReferences(text, "query", 0, section)
    }
    if section.has("reverse") && draft.prefix == nil {
        section.warning("reverse", "'reverse' has no effect without 'prefix'; sections 'reverse' of the rule map back what they name")
    }
    if draft.settings == RewriteSettings() { section.warning("rewrite", "this 'rewrite' changes nothing") }
}

/// Paths are sent as they are written, so they have to be paths.
private func checkPath(_ text: String, _ word: String, _ section: ReadSection) {
    if !text.hasPrefix("/") { return section.error(word, "'\(word)' must begin with '/', not '\(text)'") }
    if let complaint = targetComplaint(text) { return section.error(word, "'\(word)' \(complaint)") }
    if text.contains("?") { return section.error(word, "'\(word)' has a '?'; 'query' says what becomes of the query") }
    if text.split(separator: "/").contains(where: { $0 == "." || $0 == ".." }) {
        section.error(word, "'\(word)' has a segment '.' or '..', which leads to another place than it says")
    }
}

/// What is wrong with a text as part of a target.
private func targetComplaint(_ text: String) -> String? {
    let bytes = Array(text.utf8)
    for (index, byte) in bytes.enumerated() {
        if byte <= 0x20 || byte >= 0x7f || byte == UInt8(ascii: "#") || byte == UInt8(ascii: "\\") {
            return "has a byte that no target may hold, at character \(index + 1); write it as %HH"
        }
        if byte == UInt8(ascii: "%") {
            guard index + 2 < bytes.count, isHexadecimal(bytes[index + 1]), isHexadecimal(bytes[index + 2]) else {
                return "has a '%' without two hexadecimal digits, at character \(index + 1)"
            }
        }
    }
    return nil
}

private func isHexadecimal(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 || (byte | 0x20) &- 0x61 < 6 }

private func checkReferences(_ text: String, _ word: String, _ groups: Int, _ section: ReadSection) {
    let bytes = Array(text.utf8)
    var index = 0
    while index < bytes.count {
        guard bytes[index] == UInt8(ascii: "$") else {
            index += 1
            continue
        }
        let next = index + 1 < bytes.count ? bytes[index + 1] : 0
        if next &- 0x30 < 10 {
            let number = Int(next - 0x30)
            if number > groups || groups == 0 && !section.has("src") {
                return section.error(word, "'\(word)' refers to group \(number) at character \(index + 1), but 'src' has \(groups == 0 ? "none" : "\(groups)")")
            }
        } else if next != UInt8(ascii: "$") {
            return section.error(word, "'\(word)' has a '$' before no digit at character \(index + 1); write '$$' for the sign itself")
        }
        index += 2
    }
}

func withoutSlash(_ path: String) -> String {
    var path = path[...]
    while path.hasSuffix("/") { path = path.dropLast() }
    return String(path)
}

private func assignQuery(_ text: String, to settings: inout RewriteSettings) -> Assigned {
    let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    switch (parts[0].lowercased(), parts.count) {
    case ("keep", 1): settings.query = .keep
    case ("drop", 1): settings.query = .drop
    case ("replace", 2) where !parts[1].isEmpty: settings.query = .replace(parts[1])
    case ("append", 2) where !parts[1].isEmpty: settings.query = .append(parts[1])
    default: return .error("takes keep, drop, replace:TEXT or append:TEXT, not '\(text)'")
    }
    if parts.count == 2, let complaint = targetComplaint(parts[1]) { return .error(complaint) }
    return .fine
}

private func queryText(_ query: RewriteSettings.Query) -> String {
    switch query {
    case .keep: "keep"
    case .drop: "drop"
    case .replace(let text): "replace:\(text)"
    case .append(let text): "append:\(text)"
    }
}

private func assignHost(_ text: String, to settings: inout RewriteSettings) -> Assigned {
    switch text.lowercased() {
    case "client": settings.host = .client
    case "backend": settings.host = .backend
    default:
        guard isAuthority(text) else { return .error("takes client, backend, or a NAME, an address, with :PORT or without, not '\(text)'") }
        settings.host = .name(text)
    }
    return .fine
}

private func hostText(_ host: RewriteSettings.Host) -> String {
    switch host {
    case .client: "client"
    case .backend: "backend"
    case .name(let text): text
    }
}

/// `name`, `name:80`, `1.2.3.4:80`, `[::1]:80`.
private func isAuthority(_ text: String) -> Bool {
    let bytes = Array(text.utf8)
    return parseAuthority(bytes.span, start: 0, end: bytes.count) != nil
}

// MARK: - The other way

/// `reverse` of a rule.
func reverseSection<Owner>(_ path: WritableKeyPath<Owner, [ReverseSettings]>) -> NestedRows<Owner> {
    func row(
        _ word: String, _ path: WritableKeyPath<ReverseSettings, ReverseSettings.Pair?>, _ sentence: String,
        check: @escaping (String, Bool) -> String?
    ) -> Setting<ReverseSettings> {
        .checked(
            word, .weir, .list, sentence,
            assign: { settings, value in
                guard case .list(let words) = value, words.count == 2 else { return .error("takes { FROM, TO }: what the backend says, what clients read") }
                for (index, word) in words.enumerated() {
                    if let complaint = check(word.text, index == 0) { return .errorAt(word.location, complaint) }
                }
                settings[keyPath: path] = ReverseSettings.Pair(from: words[0].text, to: words[1].text)
                return .fine
            },
            show: { settings in settings[keyPath: path].map { "{ \(quotedText($0.from)), \(quotedText($0.to)) }" } }
        ).with { $0.defaultText = "not set" }
    }
    let rows = SectionRows(
        blank: ReverseSettings(),
        settings: [
            row("location", \.location, "In Location, Content-Location and Refresh: a path or URL of the backend, and what clients read.") { text, _ in
                placeComplaint(text)
            },
            row("cookie-path", \.cookiePath, "The same for Path of cookies.") { text, _ in
                text.hasPrefix("/") ? targetComplaint(text) ?? (text.contains(";") ? "must not have a ';'" : nil) : "takes paths, which begin with '/', not '\(text)'"
            },
            row("cookie-domain", \.cookieDomain, "The same for Domain of cookies; an empty TO takes the attribute out.") { text, isFrom in
                text.isEmpty && !isFrom || isAuthority(text) && !text.contains(":") ? nil : "takes host names, not '\(text)'"
            },
        ],
        finish: { settings, section in
            if settings == ReverseSettings() { section.warning("reverse", "this 'reverse' maps nothing") }
        })
    return .section(
        "reverse", .weir, rows, repeatable: true,
        "Maps back what backends say of their place, beside what 'prefix' of 'rewrite' maps; the first that applies counts.",
        blank: { _, _ in ReverseSettings() }, store: { owner, child, _ in owner[keyPath: path].append(child) },
        all: { owner in owner[keyPath: path].map { (nil, $0) } })
}

/// A path, or `http://host[:port][/path]`, without query.
private func placeComplaint(_ text: String) -> String? {
    if let complaint = targetComplaint(text) { return complaint }
    if text.contains("?") { return "must not have a query" }
    let bytes = Array(text.utf8)
    return parseURIReference(bytes.span, start: 0, end: bytes.count).form == .other || text.hasPrefix("//")
        ? "takes paths and http:// or https:// URLs, not '\(text)'" : nil
}

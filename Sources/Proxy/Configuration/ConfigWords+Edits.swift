/// Words about fields that are added to heads and taken out of them, and about whose fields are believed.

/// `strip-headers` of a server, a virtual host or a rule.
///
/// - Parameter origin: RProxy 2 has the word in virtual hosts alone.
func editRows<Owner>(_ path: WritableKeyPath<Owner, ScopeSettings>, _ origin: WordOrigin = .weir) -> [Setting<Owner>] {
    let stripped = path.appending(path: \.strippedFields)
    return [
        .checked(
            "strip-headers", origin, .list, "Fields of answers that clients do not get: every instance, in any case.",
            assign: { owner, value in
                guard case .list(let words) = value else { return .error("is a list of field names") }
                for word in words {
                    if let complaint = fieldNameComplaint(word.text) { return .errorAt(word.location, complaint) }
                }
                owner[keyPath: stripped] = words.map(\.text)
                return .fine
            },
            show: { owner in owner[keyPath: stripped].map { "{ \($0.map(quotedText).joined(separator: ", ")) }" } }
        ).with { $0.defaultText = "as the next level up, else empty" }
    ]
}

/// `request-headers` and `response-headers` of a server, a virtual host or a rule.
func headerSections<Owner>(_ path: WritableKeyPath<Owner, ScopeSettings>) -> [NestedRows<Owner>] {
    [
        editSection("request-headers", path.appending(path: \.requestEdits), isRequest: true, "Changes fields on their way to backends."),
        editSection("response-headers", path.appending(path: \.responseEdits), isRequest: false, "Changes fields on their way to clients."),
    ]
}

/// One of these sections while it is read; words keep their places until they have been checked.
private struct EditDraft {
    var set: [ConfigWord] = []
    var add: [ConfigWord] = []
    var remove: [ConfigWord] = []
    var settings = HeaderEditSettings()

    init() {}

    init(_ settings: HeaderEditSettings) {
        func words(_ fields: [HeaderEditSettings.Field]) -> [ConfigWord] {
            fields.map { ConfigWord(text: "\($0.name): \($0.value)", location: .none) }
        }
        set = words(settings.set)
        add = words(settings.add)
        remove = settings.remove.map { ConfigWord(text: $0, location: .none) }
        self.settings = settings
    }
}

private func editSection<Owner>(
    _ word: String, _ path: WritableKeyPath<Owner, HeaderEditSettings?>, isRequest: Bool, _ sentence: String
) -> NestedRows<Owner> {
    func row(_ word: String, _ path: WritableKeyPath<EditDraft, [ConfigWord]>, _ sentence: String) -> Setting<EditDraft> {
        .checked(
            word, .weir, .list, sentence,
            assign: { draft, value in
                guard case .list(let words) = value else { return .error("is a list") }
                draft[keyPath: path] = words
                return .fine
            },
            show: { draft in
                let words = draft[keyPath: path]
                return words.isEmpty ? nil : "{ \(words.map { quotedText($0.text) }.joined(separator: ", ")) }"
            }
        ).with { $0.defaultText = "empty" }
    }
    let ownAnswers = Setting<EditDraft>.flag(
        "own-answers", .weir, \.settings.coversOwnAnswers,
        "Changes what Weir answers itself too; Cache-Control and Expires are not written on its own errors.")
    let rows = SectionRows(
        blank: EditDraft(),
        settings: [
            row("set", \.set, "\"Name: value\": takes the place of every instance. Values may have the tokens of the logs; an empty one is left out."),
            row("add", \.add, "\"Name: value\": stands beside the instances that are there."),
            row("remove", \.remove, "Names: every instance goes, in any case, with - and _ taken as equal."),
        ] + (isRequest ? [] : [ownAnswers]),
        finish: { draft, section in finishEdits(&draft, isRequest: isRequest, section) })
    return .section(
        word, .weir, rows, "\(sentence) Takes the place of the next level's section as a whole.",
        blank: { _, _ in EditDraft() }, store: { owner, draft, _ in owner[keyPath: path] = draft.settings },
        all: { owner in owner[keyPath: path].map { [(nil, EditDraft($0))] } ?? [] })
}

private func finishEdits(_ draft: inout EditDraft, isRequest: Bool, _ section: ReadSection) {
    let reader = section.reader
    func fields(_ word: String, _ words: [ConfigWord]) -> [HeaderEditSettings.Field] {
        words.compactMap { line in
            switch readField(line.text, isRequest: isRequest, reader.foreign.value) {
            case .success(let field): return field
            case .failure(let complaint):
                reader.diagnostics.error(line.location, "'\(word)' \(complaint.sentence)")
                return nil
            }
        }
    }
    draft.settings.set = fields("set", draft.set)
    draft.settings.add = fields("add", draft.add)
    if draft.settings.bytes > HeaderEditSettings.bytesMax {
        section.error("set", "'set' and 'add' have \(draft.settings.bytes) bytes together; \(HeaderEditSettings.bytesMax) are the most, with 64 for a token")
    }
    draft.settings.remove = []
    for word in draft.remove {
        if let complaint = fieldNameComplaint(word.text) {
            reader.diagnostics.error(word.location, "'remove' \(complaint)")
        } else {
            draft.settings.remove.append(word.text)
        }
    }
    for (index, line) in draft.set.enumerated() where draft.settings.set.count == draft.set.count {
        let name = draft.settings.set[index].name.lowercased()
        if draft.settings.set[..<index].contains(where: { $0.name.lowercased() == name }) {
            reader.diagnostics.error(line.location, "'set' names '\(draft.settings.set[index].name)' twice; 'add' gives a field several instances")
        }
    }
}

/// `Name: value` taken apart and judged.
private func readField(
    _ text: String, isRequest: Bool, _ valueComplaint: (String) -> String?
) -> Result<HeaderEditSettings.Field, ValueError> {
    guard let colon = text.firstIndex(of: ":") else {
        return .failure(ValueError("takes \"Name: value\", not '\(text)'"))
    }
    let name = String(text[..<colon])
    if let complaint = fieldNameComplaint(name) { return .failure(ValueError(complaint)) }
    let value = text[text.index(after: colon)...].trimmed
    if value.isEmpty { return .failure(ValueError("gives '\(name)' no value; 'remove' takes a field out")) }
    guard value.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7f || $0 == 0x09 }) else {
        return .failure(ValueError("gives '\(name)' a value with a control character, which would end the field"))
    }
    if let complaint = valueComplaint(value) { return .failure(ValueError("gives '\(name)' a value that cannot be read: \(complaint)")) }
    let early = isRequest ? tokensOfAnswers : tokensOfTheEnd
    if let token = early.first(where: { value.uppercased().contains("{\($0)}") }) {
        return .failure(ValueError("gives '\(name)' the token {\(token)}, which is not known yet when the field is written"))
    }
    return .success(HeaderEditSettings.Field(name: name, value: value))
}

/// What is known only when an exchange is over.
private let tokensOfTheEnd = ["BYTES_OUT", "BODY_OUT", "SPLICED", "REASON"]
/// What is known only when a backend has answered.
private let tokensOfAnswers =
    tokensOfTheEnd + ["STATUS", "BACKEND_STATUS", "DS_HDR", "BODY_IN", "BACKEND_BYTES_IN", "BACKEND_BYTES_OUT", "DURATION", "FIRST_BYTE"]

extension Substring {
    /// Without blanks at its ends.
    fileprivate var trimmed: String {
        String(drop { $0 == " " || $0 == "\t" }.reversed().drop { $0 == " " || $0 == "\t" }.reversed())
    }
}

/// What is wrong with a name for an edit; nil = nothing.
func fieldNameComplaint(_ name: String) -> String? {
    guard isTokenText(name) else { return "takes field names, not '\(name)'" }
    guard name.utf8.count <= 128 else { return "names a field with more than 128 bytes" }
    switch name.lowercased().replacing("_", with: "-") {
    case "content-length", "transfer-encoding", "trailer", "expect":
        return "names '\(name)', which frames the message and is written by the proxy alone"
    case "connection", "keep-alive", "proxy-connection", "te", "upgrade", "http2-settings", "proxy-authenticate", "proxy-authorization",
        "proxy-authentication-info":
        return "names '\(name)', which concerns one connection and never passes"
    case "host": return "names 'Host'; 'host' in a 'rewrite' section sets what backends get"
    default: return nil
    }
}

/// `trusted-peers` of a server.
func trustedPeersRow<Owner>(_ path: WritableKeyPath<Owner, [AddressBlock]>) -> Setting<Owner> {
    .checked(
        "trusted-peers", .weir, .list,
        "Proxies in front, as addresses, blocks such as 10.0.0.0/8, or unix: what they say about their clients is believed.",
        assign: { owner, value in
            guard case .list(let words) = value else { return .error("is a list of addresses") }
            var blocks: [AddressBlock] = []
            for word in words {
                do throws(AddressBlockError) {
                    let block = try AddressBlock(word.text)
                    if block == .everybody { return .errorAt(word.location, "cannot be all: then every client could pose as another") }
                    blocks.append(block)
                } catch {
                    return .errorAt(word.location, error.sentence)
                }
            }
            owner[keyPath: path] = blocks
            return .fine
        },
        show: { owner in
            let blocks = owner[keyPath: path]
            return blocks.isEmpty ? nil : "{ \(blocks.map { quotedText($0.description) }.joined(separator: ", ")) }"
        }
    ).with { $0.defaultText = "empty" }
}

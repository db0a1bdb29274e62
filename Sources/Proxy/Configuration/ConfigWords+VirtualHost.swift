/// Words of `vhost` and `rule` sections, and RProxy 1's `rewrite`, which is a rule in a virtual host for every name.

/// A `vhost` section while it is read.
struct VirtualHostDraft {
    var settings = VirtualHostSettings()
    /// Its title, then its aliases.
    var names: [ConfigWord] = []
    var rules: [RuleDraft] = []
    var tls: TLSDraft?
    /// What its own section leaves out is as here.
    let serverTLS: TLSDraft?

    init(_ section: ConfigSection? = nil, serverTLS: TLSDraft? = nil) {
        self.serverTLS = serverTLS
        guard let section else { return }
        settings.location = section.name.location
        settings.name = section.title?.text ?? ""
        names = section.title.map { [$0] } ?? []
    }
}

/// A `rule` section while it is read.
struct RuleDraft {
    var settings = RuleSettings()
    var exact: String?
    var glob: String?
    var pattern: String?
    /// nil = not written.
    var backends: [ConfigWord]?
    /// What is written of it counts, the rest is the server's.
    var balancing = BalancingSettings()
    var balancingWords: Set<String> = []

    init(_ section: ConfigSection? = nil) {
        guard let section else { return }
        settings.location = section.name.location
        settings.name = section.title?.text ?? ""
    }
}

/// `vhost` with everything in it.
func virtualHostSection() -> NestedRows<ServerDraft> {
    .section(
        "vhost", .rproxy2, virtualHostRows(), title: .required, repeatable: true,
        "A site, chosen by the name in Host; its title is a name, or a pattern with * for anything.",
        blank: { server, section in VirtualHostDraft(section, serverTLS: server.tls) }, store: { server, host, _ in server.virtualHosts.append(host) },
        all: { $0.virtualHosts.map { ($0.settings.name, $0) } })
}

private func virtualHostRows() -> SectionRows<VirtualHostDraft> {
    SectionRows(
        blank: VirtualHostDraft(),
        settings: [
            .checked(
                "aliases", .rproxy2, .list, "Further names and patterns.",
                assign: { host, value in
                    guard case .list(let words) = value else { return .error("is a list of names") }
                    host.names += words
                    return .fine
                },
                show: { $0.names.count < 2 ? nil : "{ \($0.names.dropFirst().map { quotedText($0.text) }.joined(separator: ", ")) }" }),
            .flag("default", .weir, \.settings.isDefault, "Takes the requests whose name no virtual host has.").with { $0.inBothDialects = true },
        ] + answerRows(\.settings.scope) + editRows(\.settings.scope, .rproxy2),
        sections: [
            siteTLSSection(), loggingSection(\.settings.scope), siteHeaders(\.settings.scope),
            .section(
                "rule", .rproxy2, ruleRows(), title: .required, repeatable: true,
                "Which paths go to which backends; the first rule that takes a path counts.",
                blank: { _, section in RuleDraft(section) }, store: { host, rule, _ in host.rules.append(rule) },
                all: { $0.rules.map { ($0.settings.name, $0) } }),
        ] + answerSections(\.settings.scope) + admissionSections(\.settings.scope) + headerSections(\.settings.scope),
        finish: { host, section in
            finishAnswers(host.settings.scope, section)
            host.settings.tls = host.tls?.outcome
            host.settings.aliases = host.names.dropFirst().map(\.text)
            if host.rules.isEmpty && !host.settings.scope.answers.answersAll {
                section.warning("rule", "vhost '\(host.settings.name)' has no 'rule': all its requests will be answered 404")
            }
        })
}

private func ruleRows() -> SectionRows<RuleDraft> {
    func matcher(_ word: String, _ path: WritableKeyPath<RuleDraft, String?>, _ sentence: String) -> Setting<RuleDraft> {
        .text(word, .rproxy2, path, sentence)
    }
    func timer(_ word: String, _ path: WritableKeyPath<RuleDraft, Int?>, _ sentence: String) -> Setting<RuleDraft> {
        .custom(
            word, .rproxy2, .duration(anyDuration), zero: .off, sentence,
            assign: { $0[keyPath: path] = $1.number }, show: { $0[keyPath: path].map(durationLiteral) }
        ).with { $0.defaultText = "the server's" }
    }
    return SectionRows(
        blank: RuleDraft(),
        settings: [
            matcher("uri-match", \.exact, "Takes the path that is exactly this."),
            matcher("uri-gmatch", \.glob, "Takes the paths of a pattern with * for anything; \"*\" takes every request."),
            matcher("uri-rmatch", \.pattern, "Takes the paths in which a regular expression (PCRE2) is found."),
            .checked(
                "downstreams", .rproxy2, .list, "Backends for what it takes, by their titles.",
                assign: { rule, value in
                    guard case .list(let words) = value, !words.isEmpty else { return .error("names no \(backendWord)") }
                    rule.backends = words
                    return .fine
                },
                show: { $0.backends.map { "{ \($0.map { quotedText($0.text) }.joined(separator: ", ")) }" } }),
        ]
            + balancingRows(\.balancing) { !$0.balancingWords.isEmpty }.map { row in row.with { $0.defaultText = "the server's" } } + [
                timer("upstream-read-timeout", \.settings.bodyGapMilliseconds, "Longest pause of a client in the body of a request."),
                timer("upstream-write-timeout", \.settings.writeProgressMilliseconds, "Longest time a client may take nothing of an answer."),
                passthroughRow(\.settings.isPassthrough),
            ] + delegationRows(\.settings.delegation) + answerRows(\.settings.scope) + editRows(\.settings.scope),
        sections: [
            loggingSection(\.settings.scope).new, siteHeaders(\.settings.scope),
            rewriteSection(\.settings.rewrite), reverseSection(\.settings.reverses),
        ] + answerSections(\.settings.scope) + admissionSections(\.settings.scope) + headerSections(\.settings.scope),
        finish: { rule, section in
            finishRule(&rule, section)
            finishAnswers(rule.settings.scope, section)
            finishDelegation(rule.settings.delegation, isPassthrough: rule.settings.isPassthrough, section)
        })
}

/// RProxy 1's `rewrite`: a pattern that takes requests, and what takes the place of their path.
func rewriteSection() -> NestedRows<ServerDraft> {
    .section(
        "rewrite", .rproxy1, rewriteRows(isRProxy1: true), repeatable: true,
        "Takes the paths in which src is found, and changes them; the first one counts.",
        blank: { _, section in RewriteDraft(section) },
        store: { server, rewrite, _ in if rewrite.settings.path != .keep { server.rewrites.append(rewrite) } },
        all: { $0.rewrites.map { (nil, $0) } })
}

/// `headers` of a virtual host or a rule: takes the place of those of the next level up as a whole.
private func siteHeaders<Owner>(_ scope: WritableKeyPath<Owner, ScopeSettings>) -> NestedRows<Owner> {
    .section(
        "headers", .rproxy2, headersRows(), "What its backends are told about the client, in place of what the next level up says.",
        blank: { _, _ in HeadersDraft() }, store: { owner, headers, _ in owner[keyPath: scope].forwarded = headers.settings },
        all: { owner in owner[keyPath: scope].forwarded.map { [(nil, HeadersDraft($0))] } ?? [] })
}

extension NestedRows {
    /// The section where RProxy has none like it: all its words are new there.
    fileprivate var new: NestedRows {
        NestedRows(
            word: word, origin: .weir, sentence: sentence, title: title, repeatable: repeatable, status: status, inBothDialects: inBothDialects,
            read: read, show: show,
            entries: { path in
                entries(path).map { entry in
                    var entry = entry
                    entry.origin = .weir
                    return entry
                }
            })
    }
}

/// What must hold of virtual hosts and rules: each has a matcher and backends that exist, and can be reached.

/// Which paths a rule takes; RProxy's order where several matchers are written.
func finishRule(_ draft: inout RuleDraft, _ section: ReadSection) {
    let name = draft.settings.name
    let written = ["uri-match", "uri-gmatch", "uri-rmatch"].filter(section.has)
    if written.count > 1 {
        section.warning(written[1], "rule '\(name)' has several matchers; '\(written[0])' counts, as in RProxy")
    }
    if let path = draft.exact {
        draft.settings.matcher = .exact(path)
        warnOfPath(path, "uri-match", section)
    } else if let pattern = draft.glob {
        draft.settings.matcher = .glob(pattern)
        warnOfPath(pattern, "uri-gmatch", section)
    } else if let pattern = draft.pattern {
        draft.settings.matcher = .pattern(pattern)
        if let complaint = section.reader.foreign.pattern(pattern) { section.error("uri-rmatch", "'uri-rmatch' \(complaint)") }
    } else if written.isEmpty {
        section.error("uri-match", "rule '\(name)' has no matcher: it needs uri-match, uri-gmatch or uri-rmatch; uri-gmatch = \"*\" takes every request")
    }
    if section.has("downstreams"), draft.backends == nil { draft.backends = [] }
    draft.balancingWords = Set(balancingWords.filter(section.has))
    (draft.exact, draft.glob, draft.pattern) = draft.settings.matcher.words
}

/// Paths begin with a slash and are compared without their query.
private func warnOfPath(_ path: String, _ word: String, _ section: ReadSection) {
    if path.contains("?") {
        section.warning(word, "'\(word)' has a '?', but paths are compared without their query: it matches nothing")
    } else if !path.hasPrefix("/") && !path.hasPrefix("*") {
        section.warning(word, "'\(word)' matches nothing: every path begins with '/'")
    }
}

extension RuleSettings.Matcher {
    /// The values of `uri-match`, `uri-gmatch` and `uri-rmatch`, of which one is set.
    fileprivate var words: (String?, String?, String?) {
        switch self {
        case .exact(let path): (path, nil, nil)
        case .glob(let pattern): (nil, pattern, nil)
        case .pattern(let pattern): (nil, nil, pattern)
        case .all: (nil, nil, nil)
        }
    }

    fileprivate var takesEverything: Bool {
        switch self {
        case .all: true
        case .glob(let pattern): !pattern.isEmpty && pattern.allSatisfy { $0 == "*" }
        case .exact, .pattern: false
        }
    }
}

/// Puts together the virtual hosts of a server whose backends are known.
func finishVirtualHosts(_ draft: inout ServerDraft, _ section: ReadSection) {
    for host in draft.virtualHosts.indices {
        for rule in draft.virtualHosts[host].rules.indices {
            let isAnswered = [draft.virtualHosts[host].rules[rule].settings.scope, draft.virtualHosts[host].settings.scope, draft.settings.scope]
                .contains { $0.answers.answersAll }
            finishBackends(of: &draft.virtualHosts[host].rules[rule], draft.settings, isAnswered: isAnswered, section.reader)
        }
        draft.virtualHosts[host].settings.rules = draft.virtualHosts[host].rules.map(\.settings)
        warnOfUnreachable(draft.virtualHosts[host].settings.rules, section.reader)
    }
    checkNames(&draft.virtualHosts, section.reader)
    draft.settings.virtualHosts = draft.virtualHosts.map(\.settings)
    if !draft.rewrites.isEmpty { draft.settings.virtualHosts.append(siteOfRewrites(draft, section.reader)) }
}

/// RProxy 1 chooses by its rewrites alone, whatever the name, and uses all backends for each.
private func siteOfRewrites(_ draft: ServerDraft, _ reader: ConfigReader) -> VirtualHostSettings {
    var site = VirtualHostSettings()
    site.location = draft.rewrites[0].location
    site.name = "*"
    site.rules = draft.rewrites.map { rewrite in
        var rule = RuleSettings()
        rule.location = rewrite.location
        rule.name = rewrite.source ?? ""
        rule.matcher = .pattern(rule.name)
        rule.rewrite = rewrite.settings
        rule.backends = draft.backends.indices.filter { draft.backends[$0].untitled }
        return rule
    }
    if !draft.backends.contains(where: \.untitled) {
        reader.diagnostics.error(site.location, "'rewrite' sends requests to each \(backendWord) without a title, but this 'server' has none")
    }
    return site
}

/// Resolves the names of a rule's backends, and fills in how one of them is chosen.
///
/// - Parameter isAnswered: a redirect or a fixed answer holds for it, so that it needs none.
private func finishBackends(of rule: inout RuleDraft, _ server: ServerSettings, isAnswered: Bool, _ reader: ConfigReader) {
    if rule.backends != nil, rule.settings.scope.answers.answersAll {
        reader.diagnostics.warning(
            rule.settings.location, "rule '\(rule.settings.name)' answers what it takes itself; its 'downstreams' get none of it")
    }
    if rule.backends == nil && !isAnswered {
        reader.diagnostics.error(rule.settings.location, "rule '\(rule.settings.name)' has no 'downstreams', 'redirect' or 'respond': nothing answers what it takes")
    }
    for word in rule.backends ?? [] {
        let wanted = word.text.lowercased()
        guard let place = server.backends.firstIndex(where: { $0.name.lowercased() == wanted }) else {
            let near = nearest(to: wanted, among: server.backends.map(\.name)).map { "; did you mean '\($0)'?" } ?? ""
            reader.diagnostics.error(word.location, "'downstreams' names '\(word.text)', but this 'server' has no such \(backendWord)\(near)")
            continue
        }
        if rule.settings.backends.contains(place) {
            reader.diagnostics.warning(word.location, "'downstreams' names '\(word.text)' twice")
        } else {
            rule.settings.backends.append(place)
        }
    }
    if !rule.settings.backends.isEmpty, !rule.settings.backends.contains(where: { server.backends[$0].enabled }) {
        reader.diagnostics.warning(
            rule.settings.location,
            "every \(backendWord) of rule '\(rule.settings.name)' is disabled; what it takes will be answered 503")
    }
    guard !rule.balancingWords.isEmpty else { return }
    let own = rule.balancing
    var balancing = server.balancing
    if rule.balancingWords.contains("lb-method") { balancing.method = own.method }
    if rule.balancingWords.contains("hash-key") { balancing.hashKey = own.hashKey }
    if rule.balancingWords.contains("hash-load-percent") { balancing.hashLoadPercentMax = own.hashLoadPercentMax }
    if rule.balancingWords.contains("sticky-cookie") { balancing.stickyCookie = own.stickyCookie }
    for word in ["hash-key", "hash-load-percent"] where rule.balancingWords.contains(word) && balancing.method != .hash {
        reader.diagnostics.error(
            rule.settings.location, "'\(word)' of rule '\(rule.settings.name)' needs 'lb-method = hash', not \(balancing.method.rawValue)")
    }
    rule.balancing = balancing
    rule.settings.balancing = balancing
}

/// Rules behind one that takes everything, or that look for what an earlier one looks for.
private func warnOfUnreachable(_ rules: [RuleSettings], _ reader: ConfigReader) {
    if let last = rules.firstIndex(where: \.matcher.takesEverything), last + 1 < rules.count {
        let more = rules.count - last - 2
        let others = more == 0 ? "is" : more == 1 ? "and one more are" : "and \(more) more are"
        reader.diagnostics.warning(
            rules[last + 1].location,
            "rule '\(rules[last + 1].name)' \(others) never reached: '\(rules[last].name)' (line \(rules[last].location.line)) takes every request before")
    }
    var known: [RuleSettings.Matcher: Int] = [:]
    for (index, rule) in rules.enumerated() where !rule.matcher.takesEverything {
        if let earlier = known[rule.matcher].map({ rules[$0] }) {
            reader.diagnostics.warning(
                rule.location, "rule '\(rule.name)' is never reached: '\(earlier.name)' (line \(earlier.location.line)) looks for the same")
        } else {
            known[rule.matcher] = index
        }
    }
}

/// Names that are none, that two virtual hosts have, or that the default takes.
private func checkNames(_ hosts: inout [VirtualHostDraft], _ reader: ConfigReader) {
    var owners: [HostName: VirtualHostSettings] = [:]
    var known: VirtualHostSettings?
    for index in hosts.indices {
        let host = hosts[index].settings
        if host.isDefault, let known {
            reader.diagnostics.warning(
                host.location, "vhost '\(host.name)' is a second default; '\(known.name)' (line \(known.location.line)) stays it")
            hosts[index].settings.isDefault = false
        } else if host.isDefault {
            known = host
        }
        for word in hosts[index].names {
            do throws(HostName.Complaint) {
                let name = try HostName(word.text)
                if let owner = owners[name], owner.location != host.location {
                    reader.diagnostics.warning(
                        word.location,
                        "vhost '\(host.name)': requests for '\(name.text)' go to '\(owner.name)' (line \(owner.location.line)), which has that name already; ports are not compared"
                    )
                } else {
                    owners[name] = host
                }
            } catch {
                reader.diagnostics.warning(word.location, "vhost '\(host.name)': the name '\(word.text)' \(error.sentence); it matches nothing")
            }
        }
    }
    if let known, let any = owners[.any], any.location != known.location {
        reader.diagnostics.warning(
            any.location, "'*' of vhost '\(any.name)' matches nothing: names that nobody has go to the default, '\(known.name)' (line \(known.location.line))")
    }
}

/// Words of a rule about what its backends may ask for: raw bytes, and requests sent on elsewhere.

func passthroughRow<Owner>(_ path: WritableKeyPath<Owner, Bool>) -> Setting<Owner> {
    .flag("passthrough", .rproxy2, path, "After the request's head, bytes pass both ways unread; the connection serves nothing else.")
}

func delegationRows<Owner>(_ path: WritableKeyPath<Owner, DelegationSettings>) -> [Setting<Owner>] {
    [
        .flag(
            "allow-redirect", .rproxy2, path.appending(path: \.isAllowed),
            "Sends a request on to the host:port that a backend names with status 377 and X-Internal-Redirect."),
        .checked(
            "redirect-filter", .rproxy2, .list, "Where 377 may lead: patterns for host:port, with * for anything.",
            assign: { owner, value in
                guard case .list(let words) = value else { return .error("is a list of patterns") }
                if let empty = words.first(where: { $0.text.isEmpty }) { return .error("has an empty pattern in line \(empty.location.line)") }
                owner[keyPath: path].filters = words.map(\.text)
                return .fine
            }, show: { shownList($0[keyPath: path].filters) }
        ).with { $0.defaultText = "nowhere" },
        .checked(
            "redirect-networks", .weir, .list, "Addresses that 377 may lead to though they are not public, as ADDRESS or ADDRESS/BITS.",
            assign: { owner, value in
                guard case .list(let words) = value else { return .error("is a list of address ranges") }
                owner[keyPath: path].networks = words.map(\.text)
                return .fine
            }, show: { shownList($0[keyPath: path].networks) }
        ).with { $0.defaultText = "public addresses only" },
        .size(
            "redirect-body-max", .weir, path.appending(path: \.bodyBytesMax), 0...(1 << 20),
            "Most bytes of a request's body that are kept to be sent on; a longer one is answered 502 at a 377."),
        .count("redirect-max", .weir, path.appending(path: \.hopsMax), 1...100, "How often one request may be sent on."),
    ]
}

private func shownList(_ words: [String]) -> String? {
    words.isEmpty ? nil : "{ \(words.map(quotedText).joined(separator: ", ")) }"
}

/// What must hold between these words of a rule.
func finishDelegation(_ delegation: DelegationSettings, isPassthrough: Bool, _ section: ReadSection) {
    if delegation.isAllowed && delegation.filters.isEmpty {
        section.warning("allow-redirect", "'allow-redirect' without 'redirect-filter' allows no target: every 377 is answered 401")
    }
    for word in ["redirect-filter", "redirect-networks", "redirect-body-max", "redirect-max"] where section.has(word) && !delegation.isAllowed {
        section.warning(word, "'\(word)' has no effect: 'allow-redirect' is false")
    }
    if isPassthrough && delegation.isAllowed {
        section.warning("allow-redirect", "'allow-redirect' has no effect in a rule with 'passthrough', whose answers are not read")
    }
    for network in delegation.networks {
        if let complaint = section.reader.foreign.network(network) { section.error("redirect-networks", "'redirect-networks' \(complaint)") }
    }
}

/// Words about who may come in and how much of it: `rate-limit` and `access`, and the PROXY protocol of a server.

/// `rate-limit` and `access`, which may stand in a server, a virtual host and a rule; each holds for all that is in it.
func admissionSections<Owner>(_ path: WritableKeyPath<Owner, ScopeSettings>) -> [NestedRows<Owner>] {
    let limits = path.appending(path: \.limits)
    let access = path.appending(path: \.access)
    return [
        .section(
            "rate-limit", .rproxy2, limitRows(), "How much may happen here, counted over all workers; what stands around it holds as well.",
            blank: { _, _ in LimitSettings() }, store: { owner, child, _ in owner[keyPath: limits] = child },
            all: { $0[keyPath: limits] == LimitSettings() ? [] : [(nil, $0[keyPath: limits])] }),
        .section(
            "access", .weir, accessRows(), "Which client addresses may come in; the longest prefix that holds one decides.",
            blank: { _, _ in AccessSettings() }, store: { owner, child, _ in owner[keyPath: access] = child },
            all: { $0[keyPath: access] == AccessSettings() ? [] : [(nil, $0[keyPath: access])] }),
    ]
}

private func limitRows() -> SectionRows<LimitSettings> {
    SectionRows(
        blank: LimitSettings(), settings: rateRows(\.all),
        sections: [
            .section(
                "client", .weir,
                SectionRows(blank: RateSettings(), settings: rateRows(\.self), finish: { finishRates($0, $1) }),
                "The same for each client address; IPv6 addresses count by their /64.",
                blank: { _, _ in RateSettings() }, store: { limits, client, _ in limits.client = client },
                all: { $0.client == RateSettings() ? [] : [(nil, $0.client)] })
        ], finish: { finishRates($0.all, $1) })
}

private func rateRows<Owner>(_ path: WritableKeyPath<Owner, RateSettings>) -> [Setting<Owner>] {
    func row(
        _ word: String, _ origin: WordOrigin, _ kind: ValueKind, _ path: WritableKeyPath<Owner, Int>, _ literal: @escaping (Int) -> String,
        _ sentence: String
    ) -> Setting<Owner> {
        .custom(
            word, origin, kind, zero: .off, sentence, assign: { $0[keyPath: path] = $1.number },
            show: { $0[keyPath: path] == 0 ? nil : literal($0[keyPath: path]) }
        ).with { $0.defaultText = "no limit" }
    }
    let burst = path.appending(path: \.requestsBurst)
    return [
        row(
            "read", .rproxy2, .size(1...(1 << 40)), path.appending(path: \.readBytesPerSecond), sizeLiteral,
            "Bytes of bodies and tunnels per second from clients; what is more has to wait."),
        row(
            "write", .rproxy2, .size(1...(1 << 40)), path.appending(path: \.writeBytesPerSecond), sizeLiteral,
            "Bytes of bodies and tunnels per second to clients; what is more has to wait."),
        row(
            "requests", .weir, .count(1...1_000_000_000), path.appending(path: \.requestsPerSecond), { "\($0)" },
            "Requests per second; one more is answered 429 with Retry-After."),
        .custom(
            "requests-burst", .weir, .count(1...1_000_000_000), "How many requests may come at once after a pause.",
            assign: { $0[keyPath: burst] = $1.number }, show: { $0[keyPath: burst].map { "\($0)" } }
        ).with { $0.defaultText = "as requests" },
        row(
            "connections", .weir, .count(1...1_000_000_000), path.appending(path: \.connectionsMax), { "\($0)" },
            "In a server client connections, else requests in progress, at one time; one more is answered 429."),
    ]
}

private func finishRates(_ rates: RateSettings, _ section: ReadSection) {
    if rates.requestsBurst != nil && rates.requestsPerSecond == 0 {
        section.error("requests-burst", "'requests-burst' says nothing without 'requests'")
    }
}

private func accessRows() -> SectionRows<AccessSettings> {
    SectionRows(
        blank: AccessSettings(),
        settings: [
            blocksRow("allow", \.allow, "Who may come in: addresses, blocks such as 10.0.0.0/8, unix, or all. If it is there, others may not."),
            blocksRow("deny", \.deny, "Who may not come in."),
            .custom(
                "refuse", .weir, .choice(["answer", "close"]), "Others are answered 403 and closed, or closed at once.",
                assign: { $0.refusal = $1.text == "close" ? .close : .answer }, show: { $0.refusal == .close ? "close" : "answer" }),
        ],
        finish: { access, section in
            for block in Set(access.allow).intersection(access.deny).map(\.description).sorted() {
                section.error("deny", "'\(block)' is both in 'allow' and in 'deny'")
            }
        })
}

/// A list of addresses and blocks; a bad one is told at its own place.
private func blocksRow<Owner>(_ word: String, _ path: WritableKeyPath<Owner, [AddressBlock]>, _ sentence: String) -> Setting<Owner> {
    .checked(
        word, .weir, .list, sentence,
        assign: { owner, value in
            guard case .list(let words) = value, !words.isEmpty else { return .error("names no address") }
            var blocks: [AddressBlock] = []
            for word in words {
                do throws(AddressBlockError) {
                    blocks.append(try AddressBlock(word.text))
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

/// The PROXY protocol toward what stands before a server.
func proxyProtocolRows<Owner>(_ path: WritableKeyPath<Owner, ProxyProtocolSettings>) -> [Setting<Owner>] {
    let mode = path.appending(path: \.mode)
    let others = path.appending(path: \.others)
    return [
        .custom(
            "proxy-protocol", .weir, .choice(["off", "accept", "require"]),
            "Connections begin with a PROXY head (version 1 or 2) that names the client: may (accept) or must (require), from proxy-protocol-from.",
            assign: { $0[keyPath: mode] = $1.text == "accept" ? .accept : $1.text == "require" ? .require : .off },
            show: { $0[keyPath: mode] == .accept ? "accept" : $0[keyPath: mode] == .require ? "require" : "off" }),
        blocksRow("proxy-protocol-from", path.appending(path: \.from), "Whose PROXY heads are believed: addresses, blocks, unix, or all."),
        .custom(
            "proxy-protocol-others", .weir, .choice(["refuse", "ignore"]),
            "A PROXY head of somebody else is refused with 400, or skipped without believing it.",
            assign: { $0[keyPath: others] = $1.text == "ignore" ? .ignore : .refuse },
            show: { $0[keyPath: others] == .ignore ? "ignore" : "refuse" }),
    ]
}

/// What must hold between them.
func finishProxyProtocol(_ settings: ProxyProtocolSettings, _ section: ReadSection) {
    if settings.mode != .off && settings.from.isEmpty {
        section.error("proxy-protocol", "'proxy-protocol' needs 'proxy-protocol-from': whose word is taken for the client's address")
    }
    if settings.mode == .off && !settings.from.isEmpty {
        section.warning("proxy-protocol-from", "'proxy-protocol-from' has no effect while 'proxy-protocol' is off")
    }
}

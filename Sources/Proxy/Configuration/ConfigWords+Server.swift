/// Words of a `server` section.

/// A `server` section while it is read.
struct ServerDraft {
    var settings = ServerSettings()
    /// `addr` as written; becomes listen addresses together with `port`.
    var addresses = [ConfigWord(text: "127.0.0.1", location: .none)]
    var port = 8080
    // RProxy's switches against Nagle's algorithm, as far as they are written.
    var noDelayListener: Bool?
    var noDelayClient: Bool?
    var noDelayBackend: Bool?
    /// The operator's log, where this server's `logging` sets it.
    var operatorLog: LogSettings?
    var tls: TLSDraft?
    var backends: [BackendDraft] = []
    var virtualHosts: [VirtualHostDraft] = []
    var rewrites: [RewriteDraft] = []

    init(_ section: ConfigSection? = nil) {
        settings.location = section?.name.location ?? .none
    }
}

extension BalancingSettings {
    /// RProxy's methods, then ours; `first` is another name for `none`.
    static var words: [String] { Method.allCases.map(\.rawValue) + ["first"] }

    static func method(_ word: String) -> Method { word == "first" ? .none : Method(rawValue: word) ?? .rtt }
}

private typealias Rows = [Setting<ServerDraft>]

func serverRows() -> SectionRows<ServerDraft> {
    SectionRows(
        blank: ServerDraft(),
        settings: listenerRows() + proxyProtocolRows(\.settings.proxyProtocol) + timerRows() + limitRows() + relayRows()
            + balancingRows(\.settings.balancing) + socketRows() + healthRows() + answerRows(\.settings.scope)
            + [trustedPeersRow(\.settings.trustedPeers)] + editRows(\.settings.scope),
        sections: serverSections(),
        finish: finishServer)
}

private func listenerRows() -> Rows {
    [
        .checked(
            "addr", .rproxy, .list, "Addresses to listen on: IPv4, IPv6 (also ipv6:…), or unix:PATH.",
            assign: { draft, value in
                guard case .list(let words) = value, !words.isEmpty else { return .error("names no address") }
                draft.addresses = words
                return .fine
            },
            show: { draft in
                let literals = draft.addresses.map { quotedText($0.text) }
                return literals.count == 1 ? literals[0] : "{ \(literals.joined(separator: ", ")) }"
            }),
        .count("port", .rproxy, \.port, 0...65_535, "Port to listen on; 0 lets the system pick one. Not for unix sockets."),
        Setting(
            word: "host", kind: .text, origin: .rproxy1, sentence: "Nothing.",
            status: .ignored("it never had a meaning"), assign: { _, _ in .fine }, show: { _ in nil }),
        .custom(
            "threads", .rproxy, .count(1...1024), "How many of the workers listen here.",
            assign: { $0.settings.threads = $1.number }, show: { $0.settings.threads.map { "\($0)" } }
        ).with { $0.defaultText = "all" },
        .count(
            "backlog", .rproxy, \.settings.backlog, 1...1_000_000, zero: .keepsDefault,
            "Connections the kernel keeps until they are accepted; net.core.somaxconn caps it."),
        .count(
            "max-clients", .weir, \.settings.connectionsMax, 0...10_000_000,
            "Most client connections per worker; 0 = what the descriptor limit allows."),
    ]
}

private func timerRows() -> Rows {
    [
        .duration(
            "header-timeout", .weir, \.settings.timers.headMilliseconds, 1...86_400_000, zero: .keepsDefault,
            "How long a client may take for the head of a request."),
        .custom(
            "read-timeout", .rproxy, .duration(anyDuration), zero: .off, "Longest silence of a client: sets body-timeout and idle-timeout.",
            assign: {
                $0.settings.timers.bodyGapMilliseconds = $1.number
                $0.settings.timers.keepAliveIdleMilliseconds = $1.number
            }, show: { _ in nil }
        ).with {
            $0.defaultText = "as these"
            $0.covers = ["body-timeout", "idle-timeout"]
        },
        .duration(
            "body-timeout", .weir, \.settings.timers.bodyGapMilliseconds, zero: .off,
            "Longest pause of a client in the body of a request."),
        .duration(
            "idle-timeout", .weir, \.settings.timers.keepAliveIdleMilliseconds, zero: .off,
            "How long a connection may wait for its next request."),
        .duration(
            "write-timeout", .rproxy, \.settings.timers.writeProgressMilliseconds, zero: .off,
            "Longest time a client may take nothing of an answer."),
        .size(
            "min-rate", .weir, \.settings.timers.rateMinBytesPerSecond, 1...(1 << 40), zero: .off,
            "Least bytes per second of a body in either direction, once min-rate-grace has passed."),
        .duration("min-rate-grace", .weir, \.settings.timers.rateGraceMilliseconds, 0...3_600_000, "How long a body may be slower than min-rate."),
        .duration(
            "tunnel-timeout", .weir, \.settings.timers.tunnelIdleMilliseconds, zero: .off,
            "How long a tunnel (WebSocket) may be silent in both directions."),
    ]
}

private func limitRows() -> Rows {
    [
        .size("request-line-max", .weir, \.settings.limits.requestLineBytesMax, 64...60_000, "Longest request line; a longer one is answered 414."),
        .size("request-head-max", .weir, \.settings.limits.headBytesMax, 256...60_000, "Most bytes of a request's head; more is answered 431."),
        .count("request-fields-max", .weir, \.settings.limits.fieldsMax, 1...256, "Most fields of a request's head; more is answered 431."),
        .custom(
            "request-body-max", .weir, .size(0...Int.max), "Most bytes of a request's body; more is answered 413. 0 = no limit.",
            assign: { $0.settings.limits.bodyBytesMax = UInt64($1.number) }, show: { sizeLiteral(Int(clamping: $0.settings.limits.bodyBytesMax)) }),
        .count(
            "requests-per-connection", .weir, \.settings.limits.requestsPerConnectionMax, 0...Int(Int32.max),
            "Requests on one client connection before it is closed; 0 = no limit."),
        .size(
            "refused-drain-max", .weir, \.settings.limits.drainBytesMax, 0...(1 << 30),
            "How much of a refused request is read and thrown away, so that the client can read the answer."),
        .flag("trace", .weir, \.settings.allowTrace, "Lets TRACE requests pass."),
        .duration(
            "pending-timeout", .rproxy, \.settings.pending.timeoutMilliseconds, zero: .off,
            "How long a request waits for a free backend connection; then 503."),
        .count(
            "max-pending", .rproxy, \.settings.pending.countMax, 1...10_000_000, zero: .off,
            "Most requests that wait so, per worker; one more is answered 503."),
    ]
}

private func relayRows() -> Rows {
    [
        .size(
            "high-watermark", .rproxy, \.settings.watermark.highBytes, watermarkRange, zero: .keepsDefault,
            "Bytes on their way to a client at which reading from its backend pauses."),
        .size("low-watermark", .weir, \.settings.watermark.lowBytes, 0...watermarkRange.upperBound, "Bytes at which it goes on.")
            .with { $0.defaultText = "a quarter of high-watermark" },
        .flag("splice", .weir, \.settings.splice.enabled, "Moves large bodies through the kernel without copying."),
        .size64("splice-min-body", .weir, \.settings.splice.bodyBytesMin, "Smallest body that is spliced."),
        .size64(
            "splice-min-remaining", .weir, \.settings.splice.remainingBytesMin, "Least that must still be to come when the head has been read."),
        .text("via", .weir, \.settings.via, "Name for Via in both directions; without it there is no Via.") {
            isTokenText($0) ? nil : "must be a name without spaces or separators, not '\($0)'"
        },
    ]
}

/// A watermark may be small (tests do that), but not absurdly large.
let watermarkRange = 1...(1 << 40)

/// The words that say how a backend is chosen.
let balancingWords = ["lb-method", "hash-key", "hash-load-percent", "sticky-cookie"]

/// - Parameter isShown: whether there is anything of its own to show.
func balancingRows<Owner>(
    _ path: WritableKeyPath<Owner, BalancingSettings>, isShown: @escaping (Owner) -> Bool = { _ in true }
) -> [Setting<Owner>] {
    func shown(_ text: @escaping (BalancingSettings) -> String?) -> (Owner) -> String? {
        { isShown($0) ? text($0[keyPath: path]) : nil }
    }
    return [
        .custom(
            "lb-method", .rproxy, .choice(BalancingSettings.words), "How a backend is chosen.",
            assign: { $0[keyPath: path].method = BalancingSettings.method($1.text) }, show: shown { $0.method.rawValue }
        ).with { $0.fallback = "rtt" },
        .checked(
            "hash-key", .weir, .text, "What lb-method hash looks at: source, uri, header:NAME or cookie:NAME.",
            assign: { owner, value in assignHashKey(value.text, to: &owner[keyPath: path]) },
            show: shown { $0.method == .hash ? quotedText(hashKeyText($0.hashKey)) : nil }
        ).with { $0.defaultText = "source" },
        .custom(
            "hash-load-percent", .weir, .count(101...10_000),
            "No backend gets more of the hashed load than this percentage of the mean.",
            assign: { $0[keyPath: path].hashLoadPercentMax = $1.number },
            show: shown { $0.method == .hash ? "\($0.hashLoadPercentMax)" : nil }
        ).with { $0.defaultText = "125" },
        .checked(
            "sticky-cookie", .weir, .text, "Name of a cookie that keeps a client at its backend.",
            assign: { owner, value in
                guard isTokenText(value.text) else { return .error("must be a cookie name, not '\(value.text)'") }
                owner[keyPath: path].stickyCookie = value.text
                return .fine
            }, show: shown { $0.stickyCookie.map(quotedText) }),
    ]
}

private func socketRows() -> Rows {
    func nagle(_ word: String, _ side: String, _ path: WritableKeyPath<ServerDraft, Bool?>, inForce: @escaping (ServerDraft) -> Bool) -> Setting<ServerDraft> {
        .custom(
            word, .rproxy2, .flag, "TCP_NODELAY on \(side) sockets; without the word it is on.",
            assign: { $0[keyPath: path] = $1.flag }, show: { inForce($0) ? "true" : "false" })
    }
    let switches = [
        nagle("disable-server-nagle", "listener", \.noDelayListener) { $0.settings.tcp.noDelay },
        nagle("disable-client-nagle", "client", \.noDelayClient) { $0.settings.tcp.noDelay },
        nagle("disable-\(backendWord)-nagle", "backend", \.noDelayBackend) { $0.noDelayBackend ?? true },
    ]
    return switches + tcpRows(\.settings.tcp) + [
        .flag("steer-by-cpu", .weir, \.settings.tcp.steerByCPU, "Gives a connection to the worker on the CPU that received it.")
    ]
}

/// Words about sockets that servers and backends share.
func tcpRows<Owner>(_ tcp: WritableKeyPath<Owner, SocketSettings>) -> [Setting<Owner>] {
    [
        .flag("tcp-keepalive", .weir, tcp.appending(path: \.keepAlive), "Lets the kernel probe silent connections."),
        .duration(
            "tcp-user-timeout", .weir, tcp.appending(path: \.userTimeoutMilliseconds), 0...86_400_000,
            "How long sent bytes may stay unacknowledged, or the peer may keep its window shut, tunnels included; 0 leaves it to the system."
        ).with { $0.defaultText = "30s, or write-timeout if that is longer; 0 if that is 0" },
        .size(
            "tcp-notsent-low", .weir, tcp.appending(path: \.notSentLowBytes), 0...(1 << 30),
            "Unsent bytes in a socket above which it counts as full; 0 leaves it to the system."),
        .text("tcp-congestion", .weir, tcp.appending(path: \.congestionControl), "Congestion control, as the kernel names it.") {
            isTokenText($0) && $0.utf8.count < 16 ? nil : "must be a name such as cubic or bbr, not '\($0)'"
        },
    ]
}

extension Setting {
    fileprivate static func size64(_ word: String, _ origin: WordOrigin, _ path: WritableKeyPath<Owner, UInt64>, _ sentence: String) -> Self {
        .custom(
            word, origin, .size(0...(1 << 50)), sentence,
            assign: { $0[keyPath: path] = UInt64($1.number) }, show: { sizeLiteral(Int(clamping: $0[keyPath: path])) })
    }
}

private func assignHashKey(_ text: String, to balancing: inout BalancingSettings) -> Assigned {
    let parts = text.split(separator: ":", maxSplits: 1).map(String.init)
    let name = parts.count == 2 ? parts[1] : ""
    switch (parts.first?.lowercased(), parts.count) {
    case ("source", 1): balancing.hashKey = .source
    case ("uri", 1): balancing.hashKey = .uri
    case ("header", 2) where isTokenText(name): balancing.hashKey = .header(name)
    case ("cookie", 2) where isTokenText(name): balancing.hashKey = .cookie(name)
    default: return .error("takes source, uri, header:NAME or cookie:NAME, not '\(text)'")
    }
    return .fine
}

private func hashKeyText(_ key: BalancingSettings.HashKey) -> String {
    switch key {
    case .source: "source"
    case .uri: "uri"
    case .header(let name): "header:\(name)"
    case .cookie(let name): "cookie:\(name)"
    }
}

private func serverSections() -> [NestedRows<ServerDraft>] {
    [
        .section(
            "headers", .rproxy, headersRows(sha1Origin: .weir), inBothDialects: true, "What backends are told about the client.",
            blank: { _, _ in HeadersDraft() }, store: { server, headers, _ in server.settings.forwarded = headers.settings },
            all: { [(nil, HeadersDraft($0.settings.forwarded))] }),
        .section(
            "logging", .rproxy, loggingRows(alsoFlat: true), inBothDialects: true, "Logs of this server.",
            blank: { _, _ in LoggingDraft() },
            store: { server, logging, _ in
                server.settings.accessLog = logging.request
                server.settings.errorLog = logging.error
                if logging.general.enabled { server.operatorLog = logging.general }
            },
            all: { server in
                var logging = LoggingDraft()
                logging.request = server.settings.accessLog
                logging.error = server.settings.errorLog
                return [(nil, logging)]
            }),
        .section(
            backendWord, .rproxy, backendRows(), title: .optional, repeatable: true, "A backend: an HTTP server behind the proxy.",
            blank: { server, section in BackendDraft(section, noDelay: server.noDelayBackend ?? true) },
            store: { server, backend, _ in server.backends.append(backend) },
            all: { $0.backends.map { ($0.settings.name, $0) } }),
        tlsSection(), virtualHostSection(), rewriteSection(),
    ] + answerSections(\.settings.scope) + admissionSections(\.settings.scope) + headerSections(\.settings.scope)
}

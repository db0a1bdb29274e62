/// Words of a `downstream` section.

/// A `downstream` section while it is read. With a title it is RProxy 2's, without one RProxy 1's: their defaults differ.
struct BackendDraft {
    var settings = BackendSettings()
    var address = ConfigWord(text: "", location: .none)
    var port = 0
    var connectionsMax: Int?
    var retry = RetryDraft()
    var pendingMilliseconds: Int?
    var pendingMax: Int?
    var untitled = false
    var tls: BackendTLSDraft?

    /// As a section with a title begins, which is what the reference page shows.
    init() {
        settings.connections = 1
    }

    init(_ section: ConfigSection, noDelay: Bool) {
        settings.location = section.name.location
        settings.name = section.title?.text ?? ""
        settings.tcp.noDelay = noDelay
        untitled = section.title == nil
        if untitled {
            address.text = "127.0.0.1"
            port = 80
            settings.connections = 8
            settings.retryMilliseconds = 1_000
        } else {
            settings.connections = 1
        }
    }
}

/// RProxy 1's `retry` section.
struct RetryDraft {
    var seconds = 1
    var microseconds = 0
    var written = false
}

private typealias Rows = [Setting<BackendDraft>]

func backendRows() -> SectionRows<BackendDraft> {
    SectionRows(
        blank: BackendDraft(),
        settings: placeRows() + poolRows() + timerRows() + answerRows() + tcpRows(\.settings.tcp),
        sections: [
            backendTLSSection(),
            .section(
                "retry", .rproxy1, retryRows(), "The first pause before a reconnect, as RProxy 1 writes it.",
                blank: { _, _ in RetryDraft() },
                store: { backend, retry, _ in
                    backend.retry = retry
                    backend.retry.written = true
                }, all: { _ in [] }),
        ],
        finish: finishBackend)
}

private func placeRows() -> Rows {
    [
        .flag("enabled", .rproxy2, \.settings.enabled, "false takes the backend out of use: no connections, no requests.")
            .with { $0.inBothDialects = true },
        .custom(
            "addr", .rproxy, .text, "Where it is: IPv4, IPv6, unix:PATH or a host name.",
            assign: { $0.address.text = $1.text }, show: { $0.address.text.isEmpty ? nil : quotedText($0.address.text) }
        ).with { $0.defaultText = "127.0.0.1 without a title, else required" },
        .custom(
            "port", .rproxy, .count(1...65_535), "Its port. Not for unix sockets.",
            assign: { $0.port = $1.number }, show: { $0.port == 0 ? nil : "\($0.port)" }
        ).with { $0.defaultText = "80 without a title, else required" },
        .count("weight", .weir, \.settings.weight, 1...1000, "Its share of requests, relative to the others."),
    ]
}

private func poolRows() -> Rows {
    [
        .count(
            "connections", .rproxy, \.settings.connections, 0...65_535,
            "Connections per worker that are kept, once opened; opened on demand."
        ).with { $0.defaultText = "8 without a title, else 1" },
        .custom(
            "connections-max", .weir, .count(1...65_535), "Most connections per worker.",
            assign: { $0.connectionsMax = $1.number }, show: { "\($0.settings.connectionsMax)" }
        ).with { $0.defaultText = "as connections; 256 if these are 0" },
        .duration("idle-timeout", .weir, \.settings.idleMilliseconds, zero: .off, "How long a kept connection may be unused."),
        .count(
            "requests-per-connection", .weir, \.settings.requestsPerConnectionMax, 0...Int(Int32.max),
            "Requests on one connection before it is closed; 0 = no limit."),
        .count("pipeline", .weir, \.settings.pipeline, 1...64, "Safe requests that may share a connection at one time."),
        .duration(
            "pipeline-latency", .weir, \.settings.pipelineLatencyMilliseconds, 1...3_600_000,
            "Connections are shared only while the backend begins its answers sooner than this, on average."),
        .custom(
            "pending-timeout", .weir, .duration(anyDuration), zero: .off, "How long a request waits for a free connection of this backend.",
            assign: { $0.pendingMilliseconds = $1.number }, show: { $0.settings.pending.map { durationLiteral($0.timeoutMilliseconds) } }
        ).with { $0.defaultText = "the server's" },
        .custom(
            "max-pending", .weir, .count(1...10_000_000), zero: .off, "Most requests that wait for it, per worker.",
            assign: { $0.pendingMax = $1.number }, show: { $0.settings.pending.map { "\($0.countMax)" } }
        ).with { $0.defaultText = "the server's" },
    ]
}

private func timerRows() -> Rows {
    [
        .duration("connect-timeout", .weir, \.settings.connectMilliseconds, anyDuration, "How long a connection may take to be made."),
        .duration(
            "read-timeout", .rproxy, \.settings.readMilliseconds, zero: .off,
            "Longest wait for the first byte of an answer, and longest pause in it."),
        .duration("write-timeout", .rproxy, \.settings.writeMilliseconds, zero: .off, "Longest time a backend may take nothing of a request."),
        .duration(
            "retry", .rproxy2, \.settings.retryMilliseconds, 1...3_600_000, zero: .keepsDefault,
            "First pause before a reconnect; doubles up to retry-max, with jitter."
        ).with { $0.defaultText = "1s without a title, else 50ms" },
        .duration("retry-max", .weir, \.settings.retryMillisecondsMax, 1...3_600_000, "Longest pause before a reconnect."),
    ]
}

private func answerRows() -> Rows {
    [
        .size("response-head-max", .weir, \.settings.headBytesMax, 256...60_000, "Most bytes of an answer's head; more becomes 502."),
        .count("response-fields-max", .weir, \.settings.fieldsMax, 1...256, "Most fields of an answer's head; more becomes 502."),
        .size(
            "high-watermark", .rproxy, \.settings.watermark.highBytes, watermarkRange, zero: .keepsDefault,
            "Bytes on their way to the backend at which reading from its client pauses."),
        .size("low-watermark", .weir, \.settings.watermark.lowBytes, 0...watermarkRange.upperBound, "Bytes at which it goes on.")
            .with { $0.defaultText = "a quarter of high-watermark" },
        .flag("tcp-nodelay", .weir, \.settings.tcp.noDelay, "TCP_NODELAY on sockets to this backend.")
            .with { $0.defaultText = "as disable-downstream-nagle of the server" },
        .custom(
            "send-proxy-protocol", .weir, .choice(BackendSettings.SentProxyHead.allCases.map(\.rawValue)),
            "Connections begin with a PROXY head that names the client, and serve that client alone.",
            assign: { $0.settings.proxyHead = .init(rawValue: $1.text) ?? .off }, show: { $0.settings.proxyHead.rawValue }),
    ]
}

private func retryRows() -> SectionRows<RetryDraft> {
    SectionRows(
        blank: RetryDraft(),
        settings: [
            .count("seconds", .rproxy1, \.seconds, 0...3_600, "Whole seconds."),
            .count("useconds", .rproxy1, \.microseconds, 0...3_600_000_000, "Microseconds beside them."),
        ])
}

private func finishBackend(_ draft: inout BackendDraft, _ section: ReadSection) {
    section.reader.markDialect(section.place.header, draft.untitled ? .rproxy1 : .rproxy2)
    finishPlace(&draft, section)
    finishBackendTLS(&draft, section)
    finishPool(&draft, section)
    finishWatermark(&draft.settings.watermark, section)
    finishUserTimeout(&draft.settings.tcp, writeMilliseconds: draft.settings.writeMilliseconds, section)
    if draft.retry.written {
        let milliseconds = draft.retry.seconds * 1000 + (draft.retry.microseconds + 999) / 1000
        if milliseconds == 0 {
            section.warning("retry", "'retry' cannot be 0; \(durationText(draft.settings.retryMilliseconds)) stays in force")
        } else {
            draft.settings.retryMilliseconds = milliseconds
            section.credit("retry", to: "retry")
        }
    }
    if draft.settings.retryMilliseconds > draft.settings.retryMillisecondsMax {
        if section.has("retry-max") {
            section.error("retry-max", "'retry-max' is less than 'retry' (\(durationText(draft.settings.retryMilliseconds)))")
        } else {
            draft.settings.retryMillisecondsMax = draft.settings.retryMilliseconds
        }
    }
}

private func finishPlace(_ draft: inout BackendDraft, _ section: ReadSection) {
    if draft.address.text.isEmpty && !section.has("addr") {
        section.error("addr", "this \(backendWord) has no 'addr'")
    } else {
        do throws(AddressError) {
            draft.settings.address = try parseAddress(draft.address.text)
        } catch {
            section.error("addr", "'addr' \(error.sentence)")
        }
    }
    var name = draft.address.text
    if case .unix = draft.settings.address {
        if section.has("port") { section.warning("port", "'port' has no meaning for a unix socket") }
        draft.port = 0
    } else {
        if draft.port == 0 && !section.has("port") { section.error("port", "this \(backendWord) has no 'port'") }
        name += ":\(draft.port)"
    }
    draft.settings.port = UInt16(draft.port)
    if draft.settings.name.isEmpty { draft.settings.name = name }
}

private func finishPool(_ draft: inout BackendDraft, _ section: ReadSection) {
    if draft.settings.proxyHead != .off && draft.settings.pipeline > 1 {
        section.error("pipeline", "'pipeline' shares connections between clients, which 'send-proxy-protocol' forbids")
    }
    let kept = draft.settings.connections
    draft.settings.connectionsMax = draft.connectionsMax ?? (kept == 0 ? 256 : kept)
    if kept > draft.settings.connectionsMax {
        section.error("connections-max", "'connections-max' (\(draft.settings.connectionsMax)) is less than 'connections' (\(kept))")
    }
}

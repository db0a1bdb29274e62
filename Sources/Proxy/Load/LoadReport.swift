/// The figures of a run in the forms in which they are told; docs/internals/load.md describes the JSON.
struct LoadReport: Sendable {
    var urls: [String]
    var settings: LoadSettingsReport
    var tally: LoadTally
    var verdict: LoadVerdict
    /// Entries of the timetable; nil where nobody knew before.
    var planned: UInt64?
    /// Requests by second that the timetable wanted; nil in closed loop.
    var wantedRate: Double?
    var isInterrupted = false
    /// Figures are told though they are the generator's.
    var isForced = false
    /// The histogram of latencies is told whole.
    var hasCounts = false

    static let schema = "weir-load/1"

    var isRefused: Bool { verdict.isBottleneck && !isForced }
    var seconds: Double { Double(tally.measuredNanoseconds) / 1e9 }
    /// Answers by second of the measured time; one that comes late makes it neither longer nor fuller.
    var achievedRate: Double { tally.rateNanoseconds > 0 ? Double(tally.answeredInTime) / (Double(tally.rateNanoseconds) / 1e9) : 0 }

    var json: JSONText {
        let fields = summary
        guard hasCounts, !isRefused else { return .object(fields) }
        let counts = tally.latency.counts.map { JSONText.list([.number($0.nanoseconds), .number($0.count)]) }
        return .object(fields + [("latency_counts_ns", .list(counts))])
    }

    private var summary: [(String, JSONText)] {
        [
            ("schema", .text(Self.schema)),
            ("urls", .list(urls.map(JSONText.text))),
            ("settings", settings.json),
            ("interrupted", .truth(isInterrupted)),
            (
                "verdict",
                .object([
                    ("bottleneck", .truth(verdict.isBottleneck)), ("refused", .truth(isRefused)),
                    ("reasons", .list(verdict.reasons.map(JSONText.text))),
                ])
            ),
            ("seconds", Self.rounded(seconds, 1e6)),
            (
                "requests",
                .object([
                    ("planned", planned.map(JSONText.number) ?? .null), ("started", .number(tally.started)),
                    ("answered", .number(tally.answered)), ("failed", .number(tally.failed)),
                ])
            ),
            ("responses", .object((1...5).map { ("\($0)xx", JSONText.number(tally.responses[$0])) })),
            (
                "errors",
                .object(LoadError.allCases.map { ($0.word, JSONText.number(tally[$0])) } + [("total", .number(tally.errorsTotal))])
            ),
            (
                "bytes",
                .object([
                    ("sent", .number(tally.bytesSent)), ("received", .number(tally.bytesReceived)), ("bodies", .number(tally.bodyBytes)),
                ])
            ),
            (
                "rate",
                .object([
                    ("wanted", wantedRate.map { Self.rounded($0, 1e3) } ?? .null),
                    ("achieved", isRefused ? .null : Self.rounded(achievedRate, 1e3)),
                ])
            ),
            ("latency_us", isRefused ? .null : Self.json(tally.latency)),
            ("service_us", isRefused ? .null : Self.json(tally.service)),
            ("send_lag_us", Self.json(tally.lag)),
            (
                "connections",
                .object([
                    ("opened", .number(tally.connectionsOpened)), ("failed", .number(tally.connectionsFailed)),
                    ("tls_handshakes", .number(tally.handshakes)), ("tls_resumed", .number(tally.resumed)),
                ])
            ),
            (
                "own",
                .object([
                    ("cpu_seconds", Self.rounded(Double(tally.cpuNanoseconds) / 1e9, 1e6)),
                    ("cpu_share_max", Self.rounded(tally.cpuShareMax, 1e4)),
                    ("busy_share_max", Self.rounded(tally.busyShareMax, 1e4)),
                    ("run_queue_seconds", Self.rounded(Double(tally.runQueueNanoseconds) / 1e9, 1e6)),
                ])
            ),
        ]
    }

    static let percentiles: [(name: String, value: Double)] = [
        ("p50", 50), ("p75", 75), ("p90", 90), ("p99", 99), ("p99.9", 99.9), ("p99.99", 99.99),
    ]

    private static func json(_ histogram: LatencyHistogram) -> JSONText {
        var fields: [(String, JSONText)] = [
            ("count", .number(histogram.count)), ("mean", microseconds(histogram.meanNanoseconds)),
        ]
        fields += percentiles.map { ($0.name, microseconds(Double(histogram.nanoseconds(percentile: $0.value)))) }
        fields.append(("max", microseconds(Double(histogram.maxNanoseconds))))
        return .object(fields)
    }

    private static func microseconds(_ nanoseconds: Double) -> JSONText { rounded(nanoseconds / 1e3, 10) }

    static func rounded(_ value: Double, _ parts: Double) -> JSONText { .decimal((value * parts).rounded() / parts) }
}

/// What a run was asked to do, for its report.
struct LoadSettingsReport: Sendable {
    var mode: String
    var rates: [Double]
    var plan: LoadPlan
    /// nil = a number of requests ends it.
    var durationNanoseconds: UInt64?
    var requestsMax: UInt64?

    var json: JSONText {
        .object([
            ("mode", .text(mode)), ("rates", .list(rates.map { LoadReport.rounded($0, 1e3) })),
            ("connections", .number(plan.connections)), ("threads", .number(plan.threads)), ("pipeline", .number(plan.pipeline)),
            ("close", .truth(plan.closes)), ("duration_seconds", durationNanoseconds.map(Self.seconds) ?? .null),
            ("warm_up_seconds", Self.seconds(plan.warmUpNanoseconds)), ("requests_max", requestsMax.map(JSONText.number) ?? .null),
            ("timeout_seconds", Self.seconds(plan.timeoutNanoseconds)), ("queue_max", .number(plan.queueMax)),
            ("tls", .truth(plan.tls != nil)), ("resumption", .truth(plan.resumes)), ("websocket", .truth(plan.isWebSocket)),
            ("read_rate", plan.readRate > 0 ? .number(plan.readRate) : .null),
            ("write_rate", plan.writeRate > 0 ? .number(plan.writeRate) : .null), ("seed", .number(plan.seed)),
            ("cpus", .list(plan.cpus.map { JSONText.number($0) })),
        ])
    }

    private static func seconds(_ nanoseconds: UInt64) -> JSONText { LoadReport.rounded(Double(nanoseconds) / 1e9, 1e6) }
}

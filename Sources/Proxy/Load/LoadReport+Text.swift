/// The report for people.
extension LoadReport {
    var text: String {
        var lines = [headline]
        func line(_ name: String, _ rest: String) {
            lines.append("  " + name + String(repeating: " ", count: max(1, 11 - name.count)) + rest)
        }
        let rate = isRefused ? "" : "  \(Self.short(achievedRate))/s" + (wantedRate.map { " of \(Self.short($0))/s wanted" } ?? "")
        line("requests", "\(tally.started) started  \(tally.answered) answered" + rate)
        let classes = (1...5).filter { tally.responses[$0] > 0 }.map { "\($0)xx \(tally.responses[$0])" }
        if !classes.isEmpty { line("responses", classes.joined(separator: "  ")) }
        let errors = LoadError.allCases.filter { tally[$0] > 0 }.map { "\($0.word) \(tally[$0])" }
        line("errors", errors.isEmpty ? "none" : errors.joined(separator: "  "))
        if isRefused {
            lines.append("  no figures: the generator was itself the bottleneck")
        } else {
            line("latency", Self.row(tally.latency) + (wantedRate == nil ? "" : "  from the intended start"))
            if wantedRate != nil { line("service", Self.row(tally.service) + "  from the real one") }
        }
        if tally.lag.count > 0 { line("send lag", Self.row(tally.lag)) }
        for reason in verdict.reasons { lines.append("  bottleneck: \(reason)") }
        line("bytes", "\(Self.size(tally.bytesSent)) sent  \(Self.size(tally.bytesReceived)) received  \(Self.size(tally.bodyBytes)) of bodies")
        var connections = "\(tally.connectionsOpened) opened  \(tally.connectionsFailed) failed"
        if tally.handshakes > 0 { connections += "  \(tally.handshakes) TLS handshakes  \(tally.resumed) resumed" }
        line("connections", connections)
        let share = Int((tally.cpuShareMax * 100).rounded())
        line("own CPU", "\(Self.time(tally.cpuNanoseconds))  at most \(share) % of a CPU  waited \(Self.time(tally.runQueueNanoseconds)) for one")
        return lines.joined(separator: "\n") + "\n"
    }

    private var headline: String {
        var text = "\(Self.time(tally.measuredNanoseconds)) of \(settings.mode)"
        if !settings.rates.isEmpty { text += " " + settings.rates.map(Self.short).joined(separator: ", ") + "/s" }
        let plan = settings.plan
        if plan.warmUpNanoseconds > 0 { text += " after \(Self.time(plan.warmUpNanoseconds)) of warm-up" }
        text += ", \(plan.connections) connection\(plan.connections == 1 ? "" : "s"), \(plan.threads) thread\(plan.threads == 1 ? "" : "s")"
        return text + (isInterrupted ? ", interrupted" : "")
    }

    private static func row(_ histogram: LatencyHistogram) -> String {
        if histogram.count == 0 { return "no values" }
        var parts = percentiles.filter { $0.name != "p75" }.map { "\($0.name) \(time(histogram.nanoseconds(percentile: $0.value)))" }
        parts.append("max \(time(histogram.maxNanoseconds))")
        return parts.joined(separator: "  ")
    }

    /// Three digits and a unit.
    static func time(_ nanoseconds: UInt64) -> String {
        let value = Double(nanoseconds)
        if value < 999.5e3 { return digits(value / 1e3) + " us" }
        if value < 999.5e6 { return digits(value / 1e6) + " ms" }
        return digits(value / 1e9) + " s"
    }

    static func size(_ bytes: UInt64) -> String {
        var value = Double(bytes)
        for unit in ["B", "KiB", "MiB", "GiB"] {
            if value < 1_024 { return (unit == "B" ? "\(bytes)" : digits(value)) + " " + unit }
            value /= 1_024
        }
        return digits(value) + " TiB"
    }

    static func short(_ value: Double) -> String { value == value.rounded() && value < 1e15 ? "\(Int(value))" : digits(value) }

    private static func digits(_ value: Double) -> String {
        let places = value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2
        let factor = [1.0, 10, 100][places]
        let whole = Int((value * factor).rounded())
        if places == 0 { return "\(whole)" }
        let rest = "\(whole % Int(factor))"
        return "\(whole / Int(factor))." + String(repeating: "0", count: places - rest.count) + rest
    }
}

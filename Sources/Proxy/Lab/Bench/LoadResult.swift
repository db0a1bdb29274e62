/// What `weir load` tells, as far as it matters here; the format is described in docs/internals/load.md.
struct LoadResult: Equatable, Sendable {
    var answered = 0.0
    var failed = 0.0
    var seconds = 0.0
    var bodyBytes = 0.0
    /// Microseconds by quantile; empty when they say nothing.
    var latencies: [BenchMetric: Double] = [:]
    /// How often each latency was seen, in nanoseconds; empty where the generator was not asked for it.
    var counts: [Pair] = []
    /// The generator was at its own limit: rates and latencies are its own, not the proxy's.
    var isBottleneck = false
    var reasons: [String] = []
    /// CPU time of the generator itself.
    var ownSeconds = 0.0

    struct Pair: Equatable, Sendable {
        var nanoseconds: UInt64
        var count: UInt64
    }

    private static let names: [(metric: BenchMetric, name: String, percentile: Double)] = [
        (.latency50, "p50", 50), (.latency90, "p90", 90), (.latency99, "p99", 99), (.latency999, "p99.9", 99.9), (.latency9999, "p99.99", 99.99),
    ]

    /// The results of loads that came one after the other, as if they had been one.
    init(sum parts: [LoadResult]) {
        guard parts.count != 1 else {
            self = parts[0]
            return
        }
        var histogram = LatencyHistogram()
        for part in parts {
            answered += part.answered
            failed += part.failed
            seconds += part.seconds
            bodyBytes += part.bodyBytes
            ownSeconds += part.ownSeconds
            for reason in part.reasons where !reasons.contains(reason) { reasons.append(reason) }
            for pair in part.counts { histogram.record(pair.nanoseconds, count: pair.count) }
        }
        // As a round among rounds: one slice of eight makes no rule.
        isBottleneck = parts.count(where: \.isBottleneck) * 2 > parts.count
        guard histogram.count > 0 else { return }
        for (metric, _, percentile) in Self.names { latencies[metric] = (Double(histogram.nanoseconds(percentile: percentile)) / 100).rounded() / 10 }
    }

    init(_ json: JSONText) throws(BenchFailure) {
        guard let schema = json["schema"]?.string, schema.hasPrefix("weir-load/1") else {
            throw BenchFailure("the load generator wrote no result that this build can read")
        }
        answered = json["requests"]?["answered"]?.real ?? 0
        failed = json["requests"]?["failed"]?.real ?? 0
        seconds = json["seconds"]?.real ?? 0
        bodyBytes = json["bytes"]?["bodies"]?.real ?? 0
        isBottleneck = json["verdict"]?["bottleneck"]?.isTrue ?? false
        reasons = (json["verdict"]?["reasons"]?.elements ?? []).compactMap(\.string)
        ownSeconds = json["own"]?["cpu_seconds"]?.real ?? 0
        counts = (json["latency_counts_ns"]?.elements ?? []).compactMap { pair in
            let both = pair.elements
            guard both.count == 2, let nanoseconds = both[0].whole, let count = both[1].whole else { return nil }
            return Pair(nanoseconds: UInt64(clamping: nanoseconds), count: UInt64(clamping: count))
        }
        for (metric, name, _) in Self.names {
            if let value = json["latency_us"]?[name]?.real { latencies[metric] = value }
        }
    }
}

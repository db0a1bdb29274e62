/// What `weir load` tells, as far as it matters here; the format is described in docs/internals/load.md.
struct LoadResult: Equatable, Sendable {
    var answered = 0.0
    var failed = 0.0
    var seconds = 0.0
    var bodyBytes = 0.0
    /// Microseconds by quantile; empty when they say nothing.
    var latencies: [BenchMetric: Double] = [:]
    /// The generator was at its own limit: rates and latencies are its own, not the proxy's.
    var isBottleneck = false
    var reasons: [String] = []
    /// CPU time of the generator itself.
    var ownSeconds = 0.0

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
        let names: [(BenchMetric, String)] = [
            (.latency50, "p50"), (.latency90, "p90"), (.latency99, "p99"), (.latency999, "p99.9"), (.latency9999, "p99.99"),
        ]
        for (metric, name) in names {
            if let value = json["latency_us"]?[name]?.real { latencies[metric] = value }
        }
    }
}

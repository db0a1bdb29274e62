/// A figure that is taken of each measurement.
enum Metric: String, CaseIterable, Sendable {
    case processorTime = "cpu-per-request"
    case processorTimeOfBytes = "cpu-per-gib"
    case medianLatency = "p50"
    case highLatency = "p99"
    case rate = "rate"
    case throughput = "throughput"
    /// After the rest.
    case memory = "memory"
    /// As soon as the load has ended.
    case memoryAfterLoad = "memory-after-load"
    case switches = "switches-per-request"
    /// How many of a hundred requests joined others on a backend connection: says whether sharing took place at all.
    case sharing = "sharing"

    var unit: String {
        switch self {
        case .processorTime: "CPU-µs per request"
        case .processorTimeOfBytes: "CPU-seconds per GiB"
        case .medianLatency: "p50 in µs"
        case .highLatency: "p99 in µs"
        case .rate: "requests per second"
        case .throughput: "MiB per second"
        case .memory: "MiB of memory"
        case .memoryAfterLoad: "MiB of memory as soon as the load had ended"
        case .switches: "times a thread left the CPU per request"
        case .sharing: "% of requests that joined others on a backend connection"
        }
    }

    /// What it is in a sentence.
    var noun: String {
        switch self {
        case .processorTime: "CPU time per request"
        case .processorTimeOfBytes: "CPU time per GiB"
        case .medianLatency: "median latency"
        case .highLatency: "latency at the 99th percentile"
        case .rate: "rate of requests"
        case .throughput: "throughput"
        case .memory: "memory"
        case .memoryAfterLoad: "memory at the end of the load"
        case .switches: "the number of sleeps per request"
        case .sharing: "the share of requests that joined others"
        }
    }

    var direction: Direction { self == .rate || self == .throughput ? .higherIsBetter : .lowerIsBetter }

    /// Whether a change of it is a change of the variant for better or worse: what a timetable fixes, and what only tells how a figure
    /// came about, is shown and not judged.
    func isJudged(hasTimetable: Bool) -> Bool {
        switch self {
        case .rate, .throughput: !hasTimetable
        case .sharing: false
        default: true
        }
    }
}

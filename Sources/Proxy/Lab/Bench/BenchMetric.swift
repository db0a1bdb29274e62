/// Everything that is measured of a proxy at work.
enum BenchMetric: String, CaseIterable, Sendable {
    case cpuPerRequest = "cpu_us_per_request"
    case cpuPerGibibyte = "cpu_s_per_gib"
    case requestRate = "requests_per_s"
    case bodyRate = "mib_per_s"
    case latency50 = "latency_p50_us"
    case latency90 = "latency_p90_us"
    case latency99 = "latency_p99_us"
    case latency999 = "latency_p99_9_us"
    case latency9999 = "latency_p99_99_us"
    case contextSwitches = "context_switches_per_request"
    case enters = "ring_enters_per_request"
    case completions = "ring_completions_per_request"
    case copied = "copied_bytes_per_request"
    case systemCalls = "system_calls_per_request"
    case memory = "memory_kib"
    case memoryPeak = "memory_peak_kib"

    var title: String {
        switch self {
        case .cpuPerRequest: "CPU time a request"
        case .cpuPerGibibyte: "CPU time a GiB"
        case .requestRate: "requests"
        case .bodyRate: "bodies"
        case .latency50: "latency p50"
        case .latency90: "latency p90"
        case .latency99: "latency p99"
        case .latency999: "latency p99.9"
        case .latency9999: "latency p99.99"
        case .contextSwitches: "context switches a request"
        case .enters: "io_uring_enter a request"
        case .completions: "completions a request"
        case .copied: "bytes copied a request"
        case .systemCalls: "system calls a request"
        case .memory: "memory under load"
        case .memoryPeak: "most memory"
        }
    }

    var unit: String {
        switch self {
        case .cpuPerRequest, .latency50, .latency90, .latency99, .latency999, .latency9999: "µs"
        case .cpuPerGibibyte: "s"
        case .requestRate: "/s"
        case .bodyRate: "MiB/s"
        case .copied: "bytes"
        case .memory, .memoryPeak: "KiB"
        case .contextSwitches, .enters, .completions, .systemCalls: ""
        }
    }

    var direction: Direction {
        switch self {
        case .requestRate, .bodyRate: .higherIsBetter
        default: .lowerIsBetter
        }
    }

    /// Latencies by quantile, for curves.
    static let latencies: [(metric: BenchMetric, quantile: Double)] = [
        (.latency50, 0.5), (.latency90, 0.9), (.latency99, 0.99), (.latency999, 0.999), (.latency9999, 0.9999),
    ]

    /// Whether a change of it is a change of the build: counted once only, fixed by the load, or the generator's own, it is shown
    /// and not judged.
    ///
    /// - Parameter generatorBound: the load generator was at its limit in most rounds. A timetable that it could not keep is refused
    ///   before that; in a closed loop it sets the rate, and with the rate the latencies.
    func isJudged(atFixedRate: Bool, generatorBound: Bool = false) -> Bool {
        switch self {
        case .systemCalls, .memoryPeak: false
        case .requestRate, .bodyRate: !atFixedRate && !generatorBound
        case .latency50, .latency90, .latency99, .latency999, .latency9999: !generatorBound
        default: true
        }
    }
}

import Glibc

/// One load against a port; with the counts of its latencies where it is to be added to others.
struct BenchLoad {
    private let command: [String]
    private let folder: String
    private let cpus: [Int]
    private let seconds: Double
    private var process: MeasuredProcess?

    init(_ plan: BenchPlan, _ scenario: BenchScenario, port: UInt16, seconds: Double, counts: Bool = false) throws(BenchFailure) {
        folder = plan.folder
        cpus = plan.layout.load
        self.seconds = seconds
        let url = "\(scenario.proxy.tls ? "https" : "http")://127.0.0.1:\(port)\(scenario.load.path ?? "/")"
        command =
            [plan.generator, "load", url, "--duration", "\(Int(seconds * 1_000))ms", "--warm-up", "0s", "--json", "\(folder)/load.json", "--report-anyway"]
            + (counts ? ["--histogram"] : []) + scenario.loadOptions
    }

    mutating func start() throws(BenchFailure) {
        unlink("\(folder)/load.json")
        unlink("\(folder)/load.log")
        process = try MeasuredProcess("load", command, cpus: cpus, logPath: "\(folder)/load.log")
    }

    func waitForEnd(_ meanwhile: (Double) -> Void) -> Bool { process?.waitForEnd(seconds: seconds + 60, meanwhile: meanwhile) != nil }

    func result() throws(BenchFailure) -> LoadResult {
        guard let bytes = bytesOfFile("\(folder)/load.json"), let json = try? JSONText(parsing: bytes) else {
            throw BenchFailure("the load generator wrote no result; \(process?.lastWords ?? "")")
        }
        return try LoadResult(json)
    }
}

import Glibc

/// The backend of a scenario, running for all its rounds.
final class BenchOrigin {
    let process: MeasuredProcess
    let port: UInt16

    init(_ plan: BenchPlan, _ scenario: BenchScenario) throws(BenchFailure) {
        let log = "\(plan.folder)/origin.log"
        unlink(log)
        process = try MeasuredProcess(
            "origin", [plan.generator, "origin", "--listen", "127.0.0.1:0"] + scenario.originOptions, cpus: plan.layout.origin, logPath: log)
        port = try process.waitForPort("weir: listening on 127.0.0.1:", seconds: 10)
    }

    func stop() { process.stop() }
}

import Glibc

extension ExperimentRunner {
    /// One load to its end: what it wrote, as JSON and as text, and its exit code.
    ///
    /// - Parameter trickles: a request now and then on one connection in place of the load of the scenario.
    func load(_ address: String, _ variant: Variant, milliseconds: Int, trickles: Bool = false) throws(LabFailure) -> (JSONText?, String, Int) {
        let scenario = experiment.scenario
        let file = folder + "/load.json"
        unlink(file)
        let rate = trickles ? scenario.trickleRate : scenario.rate
        let mode = rate == 0 ? ["--closed"] : ["--rate", "\(rate)"]
        let command =
            [program, "load", "http://\(address)\(scenario.path)"] + mode
            + ["--duration", "\(milliseconds)ms", "--warm-up", "0s", "--connections", "\(trickles ? 1 : scenario.connections)"]
            // In a closed loop the generator is at its limit by design, beside the origin; a timetable that it missed is a complaint.
            + ["--json", file, "--report-anyway", "--allow-failures", "1%"] + variant.options(.loadOption)
        let process = try start("load", command, environment: [], cpus: scenario.otherCPUs)
        defer { stop(process) }
        guard let code = process.waitForEnd(seconds: Double(milliseconds) / 1_000 + 30) else {
            throw LabFailure("\(experiment.name): the load does not end; \(process.lastWords)")
        }
        guard let bytes = bytesOfFile(file), let json = try? JSONText(parsing: bytes) else { return (nil, process.lastWords, code) }
        return (json, String(decoding: bytes, as: UTF8.self), code)
    }

    func start(_ name: String, _ command: [String], environment: [String], cpus: [Int]) throws(LabFailure) -> MeasuredProcess {
        let log = "\(folder)/\(name).log"
        unlink(log)
        do throws(BenchFailure) {
            let process = try MeasuredProcess(
                name, environment.isEmpty ? command : ["env"] + environment + command, cpus: cpus, logPath: log)
            machine.adopt(process.pid)
            return process
        } catch {
            throw LabFailure("\(experiment.name): \(error)")
        }
    }

    func stop(_ process: MeasuredProcess) {
        process.stop()
        machine.release(process.pid)
    }

    /// Where a program listens, as it says when it is ready.
    func address(of process: MeasuredProcess) throws(LabFailure) -> String {
        let mark = "weir: listening on "
        let deadline = monotonicSeconds() + Self.startSeconds
        while monotonicSeconds() < deadline {
            let lines = process.log.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
            if let line = lines.first(where: { $0.hasPrefix(mark) }) { return String(line.dropFirst(mark.count)) }
            if let code = process.exitCode() { throw LabFailure("\(experiment.name): the \(process.name) ended with \(code); \(process.lastWords)") }
            usleep(2_000)
        }
        throw LabFailure("\(experiment.name): the \(process.name) is not ready after \(Int(Self.startSeconds)) s; \(process.lastWords)")
    }

    func writeText(_ path: String, _ text: String) throws(LabFailure) {
        do throws(BenchFailure) { try writeFile(path, text) } catch { throw LabFailure("\(error)") }
    }
}

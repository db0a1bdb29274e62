import Glibc

/// Starts the programs of an experiment anew for each measurement, and takes the figures of the one under test.
final class ExperimentRunner {
    private let experiment: ExperimentSettings
    private let machine: LabGuard
    /// The path of this program, which is proxy, origin and load.
    private let program: String
    /// For configurations, logs and results of the load; goes with the lab.
    private let folder: String
    private let variants: [Variant]

    private static let startSeconds = 10.0
    private static let complaintsMax = 3

    init(_ experiment: ExperimentSettings, machine: LabGuard, program: String, folder: String) {
        self.experiment = experiment
        self.machine = machine
        self.program = program
        self.folder = folder
        variants = experiment.variants
    }

    /// All measurements in their order; `tell` gets a line after each.
    func run(tell: (String) -> Void) throws(LabFailure) -> [Measurement] {
        var measurements: [Measurement] = []
        var complaintsInLine = 0
        for (turn, place) in experiment.order.enumerated() {
            let measurement = try measure(place.variant, round: place.round, turn: turn)
            measurements.append(measurement)
            complaintsInLine = measurement.complaint == nil ? 0 : complaintsInLine + 1
            let metric = experiment.decidingMetric
            let figure = measurement.figures[metric].map { "\(FigureText.significant($0)) \(metric.unit)" } ?? "no figure"
            tell("  round \(place.round + 1) of \(experiment.rounds), \(ExperimentPlan.letter(place.variant)): \(measurement.complaint ?? figure)")
            if complaintsInLine >= Self.complaintsMax {
                throw LabFailure("\(experiment.name): \(measurement.complaint ?? "no figures"), \(complaintsInLine) times in a row")
            }
        }
        return measurements
    }

    private func measure(_ number: Int, round: Int, turn: Int) throws(LabFailure) -> Measurement {
        let variant = variants[number]
        for change in variant.machineChanges { try machine.change(change.path, to: change.value) }
        let scenario = experiment.scenario
        let environment = variant.of(.environment).map { "\($0.knob.name)=\($0.value)" }
        let originIsTested = experiment.target == .origin
        let origin = try start(
            "origin", [program, "origin", "--listen", "127.0.0.1:0", "--size", "\(scenario.bodyBytes)"] + variant.options(.originOption),
            environment: originIsTested ? environment : [], cpus: originIsTested ? scenario.testedCPUs : scenario.otherCPUs)
        defer { stop(origin) }
        let originAddress = try address(of: origin)
        var tested = origin
        var asked = originAddress
        if !originIsTested {
            let file = folder + "/weir.conf"
            try writeText(file, experiment.configuration(variant, origin: originAddress))
            tested = try start("proxy", [program, "run", file], environment: environment, cpus: scenario.testedCPUs)
            do throws(LabFailure) {
                asked = try address(of: tested)
            } catch {
                stop(tested)
                throw error
            }
        }
        defer { if !originIsTested { stop(tested) } }
        var result = Measurement(round: round, variant: number, turn: turn, figures: [:], loadResult: "null", complaint: nil)
        if scenario.warmUpMilliseconds > 0 {
            _ = try load(asked, variant, milliseconds: scenario.warmUpMilliseconds)
        }
        let before = ProcessFigures(of: tested.pid, memory: false)
        let (json, text, code) = try load(asked, variant, milliseconds: scenario.durationMilliseconds)
        let after = ProcessFigures(of: tested.pid, memory: false)
        if scenario.restMilliseconds > 0 { usleep(UInt32(scenario.restMilliseconds) * 1_000) }
        let memory = ProcessFigures(of: tested.pid)
        result.loadResult = text
        guard let json else {
            result.complaint = "the load ended with \(code) and no result: \(text)"
            return result
        }
        result.figures = Self.figures(json, before: before, after: after, memory: memory)
        if tested.exitCode() != nil { result.complaint = "the \(experiment.target.rawValue) ended during the measurement; \(tested.lastWords)" }
        let answered = json["requests"]?["answered"]?.real ?? 0
        let failed = json["requests"]?["failed"]?.real ?? 0
        if answered < 1 { result.complaint = "no request was answered" }
        if failed > answered / 100 { result.complaint = "\(Int(failed)) requests failed" }
        return result
    }

    /// The figures of one measurement from what the load saw and what /proc says of the program under test.
    static func figures(_ load: JSONText, before: ProcessFigures, after: ProcessFigures, memory: ProcessFigures) -> [Metric: Double] {
        var figures: [Metric: Double] = [:]
        let answered = load["requests"]?["answered"]?.real ?? 0
        let seconds = load["seconds"]?.real ?? 0
        let bytes = max(load["bytes"]?["bodies"]?.real ?? 0, load["bytes"]?["sent"]?.real ?? 0)
        let processorSeconds = after.cpuSeconds - before.cpuSeconds
        if answered > 0 {
            figures[.processorTime] = processorSeconds / answered * 1e6
            figures[.switches] = (after.contextSwitches - before.contextSwitches) / answered
        }
        if bytes > 0 { figures[.processorTimeOfBytes] = processorSeconds / (bytes / Double(1 << 30)) }
        if seconds > 0 { figures[.throughput] = bytes / Double(1 << 20) / seconds }
        figures[.rate] = load["rate"]?["achieved"]?.real
        figures[.medianLatency] = load["latency_us"]?["p50"]?.real
        figures[.highLatency] = load["latency_us"]?["p99"]?.real
        figures[.memory] = memory.proportionalKiB / 1_024
        return figures
    }

    private func load(_ address: String, _ variant: Variant, milliseconds: Int) throws(LabFailure) -> (JSONText?, String, Int) {
        let scenario = experiment.scenario
        let file = folder + "/load.json"
        unlink(file)
        let mode = scenario.rate == 0 ? ["--closed"] : ["--rate", "\(scenario.rate)"]
        let command =
            [program, "load", "http://\(address)\(scenario.path)"] + mode
            + ["--duration", "\(milliseconds)ms", "--warm-up", "0s", "--connections", "\(scenario.connections)"]
            // Load and origin share a CPU, so that the generator is at its limit by design; what is compared is the one under test.
            + ["--json", file, "--report-anyway", "--allow-failures", "1%"] + variant.options(.loadOption)
        let process = try start("load", command, environment: [], cpus: scenario.otherCPUs)
        defer { stop(process) }
        guard let code = process.waitForEnd(seconds: Double(milliseconds) / 1_000 + 30) else {
            throw LabFailure("\(experiment.name): the load does not end; \(process.lastWords)")
        }
        guard let bytes = bytesOfFile(file), let json = try? JSONText(parsing: bytes) else { return (nil, process.lastWords, code) }
        return (json, String(decoding: bytes, as: UTF8.self), code)
    }

    private func start(_ name: String, _ command: [String], environment: [String], cpus: [Int]) throws(LabFailure) -> MeasuredProcess {
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

    private func stop(_ process: MeasuredProcess) {
        process.stop()
        machine.release(process.pid)
    }

    /// Where a program listens, as it says when it is ready.
    private func address(of process: MeasuredProcess) throws(LabFailure) -> String {
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

    private func writeText(_ path: String, _ text: String) throws(LabFailure) {
        do throws(BenchFailure) { try writeFile(path, text) } catch { throw LabFailure("\(error)") }
    }
}

import Glibc

/// One proxy started for one measurement, which may come in slices.
///
/// Fresh, because where a process lies in memory is part of its speed, and a second one of the same program differs as builds do.
final class BenchTurn {
    private let plan: BenchPlan
    private let scenario: BenchScenario
    private let subject: BenchSubject
    private let origin: BenchOrigin
    private let process: MeasuredProcess
    private let port: UInt16
    private let adminPath: String
    private var ringBefore: [BenchMetric: Double] = [:]
    private var loads: [LoadResult] = []
    private var cpuSeconds = 0.0
    private var contextSwitches = 0.0
    private var memoryKiB = 0.0

    /// - Parameter at: the subject's place in the plan; two of one program may run at the same time.
    init(_ plan: BenchPlan, _ scenario: BenchScenario, subject at: Int, _ origin: BenchOrigin) throws(BenchFailure) {
        let subject = plan.subjects[at]
        self.plan = plan
        self.scenario = scenario
        self.subject = subject
        self.origin = origin
        port = try freePort()
        let folder = "\(plan.folder)/\(subject.rival.name)-\(at)"
        mkdir(folder, 0o755)
        adminPath = "\(folder)/admin.sock"
        var values = scenario.templateValues
        values["front"] = .number(Int(port))
        values["back"] = .number(Int(origin.port))
        values["folder"] = .text(folder)
        values["certificate"] = .text("\(plan.folder)/certificate.pem")
        values["key"] = .text("\(plan.folder)/key.pem")
        values["both"] = .text("\(plan.folder)/both.pem")
        values["root"] = .flag(geteuid() == 0)
        values["settings"] = .text(subject.settings)
        values["program"] = .text(subject.program ?? subject.rival.name)
        for name in subject.rival.templates {
            let path = "\(subject.rival.folder)/\(name)"
            guard let text = textOfFile(path) else { throw BenchFailure("cannot read \(path)") }
            try writeFile("\(folder)/\(name)", try ConfigTemplate(text, name: path).filled(values))
        }
        var command: [String] = []
        for word in subject.rival.command { command.append(try ConfigTemplate(word, name: "\(subject.rival.folder)/rival.conf").filled(values)) }
        let log = "\(folder)/output.log"
        unlink(log)
        process = try MeasuredProcess(subject.name, command, cpus: plan.layout.subject, logPath: log)
        do throws(BenchFailure) {
            try process.waitUntilReady(port: port, text: subject.rival.readyText, seconds: 60)
        } catch {
            process.stop()
            throw error
        }
    }

    func stop() { process.stop() }

    /// A short load that nothing is made of, whole or one of so many pieces of it.
    func warmUp(piece count: Int) throws(BenchFailure) {
        _ = try load(seconds: plan.warmUpSeconds(of: scenario) / Double(count))
        ringBefore = ring()
    }

    /// A load that counts: one of `slices` of the measurement's time.
    func measure(slice: Int, of slices: Int) throws(BenchFailure) {
        let seconds = plan.seconds(of: scenario) / Double(slices)
        var load = try BenchLoad(plan, scenario, port: port, seconds: seconds, counts: slices > 1)
        let before = ProcessFigures(of: process.pid, memory: false)
        try load.start()
        let finished = load.waitForEnd { passed in
            // In the middle, while connections are open and bytes under way.
            if memoryKiB == 0, slice == slices / 2, passed > seconds * 0.6 { memoryKiB = ProcessFigures(of: process.pid).ownKiB }
        }
        let after = ProcessFigures(of: process.pid, memory: false)
        guard finished else { throw BenchFailure("the load of \(scenario.name) does not end with \(subject.name)") }
        try checkAlive()
        loads.append(try load.result())
        cpuSeconds += after.cpuSeconds - before.cpuSeconds
        contextSwitches += max(0, after.contextSwitches - before.contextSwitches)
    }

    /// What all slices came to.
    func finish(into round: inout BenchRound, countsSystemCalls: Bool) throws(BenchFailure) {
        try checkAlive()
        let ringAfter = ring()
        let resting = ProcessFigures(of: process.pid)
        let result = LoadResult(sum: loads)
        // A timetable that was missed once was missed.
        round.isGeneratorBound = scenario.load.rate > 0 ? loads.contains(where: \.isBottleneck) : result.isBottleneck
        round.requests = result.answered
        round.failed = result.failed
        let requests = max(result.answered, 1)
        var figures = result.latencies
        figures[.cpuPerRequest] = cpuSeconds * 1e6 / requests
        figures[.requestRate] = result.answered / max(result.seconds, 0.001)
        if scenario.movesBodies {
            let bytes = result.bodyBytes + Double(scenario.load.requestBodyBytes) * result.answered
            figures[.cpuPerGibibyte] = cpuSeconds / max(bytes / 1_073_741_824, 1e-9)
            figures[.bodyRate] = bytes / 1_048_576 / max(result.seconds, 0.001)
        }
        figures[.contextSwitches] = contextSwitches / requests
        figures[.memory] = memoryKiB > 0 ? memoryKiB : resting.ownKiB
        figures[.memoryPeak] = resting.peakKiB
        for (metric, value) in ringAfter { if let earlier = ringBefore[metric] { figures[metric] = (value - earlier) / requests } }
        round.figures = figures
        if countsSystemCalls { round.figures[.systemCalls] = try systemCalls() }
    }

    private func checkAlive() throws(BenchFailure) { if process.exitCode() != nil { throw notLived() } }

    private func notLived() -> BenchFailure { BenchFailure("\(subject.name) did not live through \(scenario.name); \(process.lastWords)") }

    private func load(seconds: Double) throws(BenchFailure) -> LoadResult {
        var load = try BenchLoad(plan, scenario, port: port, seconds: seconds)
        try load.start()
        guard load.waitForEnd({ _ in }) else { throw BenchFailure("the load of \(scenario.name) does not end") }
        return try load.result()
    }

    /// A load of its own, because counting slows the proxy down.
    private func systemCalls() throws(BenchFailure) -> Double? {
        let count = try SystemCallCount(of: ProcessFamily.members(of: process.pid), folder: plan.folder)
        count.waitUntilCounting()
        let result = try load(seconds: min(plan.seconds(of: scenario), 1))
        return count.end().map { $0 / max(result.answered, 1) }
    }

    /// What the rings of a Weir count; nothing for others, and nothing of what an older build did not count.
    private func ring() -> [BenchMetric: Double] {
        guard subject.kind == .weir,
            let asked = runToEnd([plan.generator, "stat", "--json", "--socket", adminPath], logPath: "\(plan.folder)/stat.json"), asked.code == 0,
            let total = try? JSONText(parsing: Array(asked.output.utf8))["total"]
        else { return [:] }
        var figures: [BenchMetric: Double] = [:]
        figures[.enters] = total["enters"]?.real
        figures[.completions] = total["completions"]?.real
        figures[.copied] = total["copiedBytes"]?.real
        return figures
    }
}

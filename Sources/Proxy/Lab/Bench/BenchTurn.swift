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

extension MeasuredProcess {
    /// Waits for a line that begins so, and reads the port at its end.
    func waitForPort(_ beginning: String, seconds: Double) throws(BenchFailure) -> UInt16 {
        let end = monotonicSeconds() + seconds
        while monotonicSeconds() < end {
            for line in log.split(separator: "\n") where line.hasPrefix(beginning) {
                if let port = UInt16(line.dropFirst(beginning.count).prefix { $0.isNumber }) { return port }
            }
            if let code = exitCode() { throw BenchFailure("\(name) ended with \(code); \(lastWords)") }
            usleep(10_000)
        }
        throw BenchFailure("\(name) is not ready after \(Int(seconds)) s; \(lastWords)")
    }

    /// Waits until a text stands in what it printed and its port takes connections.
    func waitUntilReady(port: UInt16, text: String?, seconds: Double) throws(BenchFailure) {
        let end = monotonicSeconds() + seconds
        while monotonicSeconds() < end {
            if let code = exitCode() { throw BenchFailure("\(name) ended with \(code); \(lastWords)") }
            if text.map({ log.contains($0) }) ?? true, takesConnections(port) { return }
            usleep(10_000)
        }
        throw BenchFailure("\(name) is not ready after \(Int(seconds)) s; \(lastWords)")
    }

    private func takesConnections(_ port: UInt16) -> Bool {
        guard let address = SocketAddress(literal: "127.0.0.1", port: port) else { return false }
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        return withUnsafePointer(to: address.storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, address.length) == 0 }
        }
    }
}

/// One proxy started for one measurement: fresh, because where a process lies in memory is part of its speed, and a second one
/// of the same program differs as builds do.
final class BenchTurn {
    private let plan: BenchPlan
    private let scenario: BenchScenario
    private let subject: BenchSubject
    private let origin: BenchOrigin
    private let process: MeasuredProcess
    private let port: UInt16
    private let adminPath: String

    init(_ plan: BenchPlan, _ scenario: BenchScenario, _ subject: BenchSubject, _ origin: BenchOrigin) throws(BenchFailure) {
        self.plan = plan
        self.scenario = scenario
        self.subject = subject
        self.origin = origin
        port = try freePort()
        let folder = "\(plan.folder)/\(subject.rival.name)"
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

    /// A short load to warm up, then the one that counts.
    func measure(into round: inout BenchRound, countsSystemCalls: Bool) throws(BenchFailure) {
        _ = try load(seconds: plan.warmUpSeconds(of: scenario))
        var load = try BenchLoad(plan, scenario, port: port, seconds: plan.seconds(of: scenario))
        let begun = monotonicSeconds()
        let machine = MachineWatch.now()
        let before = ProcessFigures(of: process.pid, memory: false)
        let originBefore = ProcessFigures(of: origin.process.pid, memory: false)
        let selfBefore = ProcessFigures(of: getpid(), memory: false)
        let ringBefore = ring()
        try load.start()
        var memory = 0.0
        let finished = load.waitForEnd { passed in
            // In the middle, while connections are open and bytes under way.
            if memory == 0, passed > self.plan.seconds(of: self.scenario) * 0.6 { memory = ProcessFigures(of: self.process.pid).proportionalKiB }
        }
        let after = ProcessFigures(of: process.pid)
        let ringAfter = ring()
        let originAfter = ProcessFigures(of: origin.process.pid, memory: false)
        let machineAfter = MachineWatch.now()
        let passed = monotonicSeconds() - begun
        let selfAfter = ProcessFigures(of: getpid(), memory: false)
        guard finished, process.exitCode() == nil else { throw BenchFailure("\(subject.name) did not live through \(scenario.name); \(process.lastWords)") }
        let result = try load.result()

        let cpu = after.cpuSeconds - before.cpuSeconds
        let ours = cpu + (originAfter.cpuSeconds - originBefore.cpuSeconds) + (selfAfter.cpuSeconds - selfBefore.cpuSeconds) + result.ownSeconds
        round.foreignShare = max(0, (machineAfter.busySeconds - machine.busySeconds - ours) / max(passed, 0.001))
        round.stolenShare = max(0, (machineAfter.stolenSeconds - machine.stolenSeconds) / max(passed, 0.001))
        round.isGeneratorBound = result.isBottleneck
        round.requests = result.answered
        round.failed = result.failed
        let requests = max(result.answered, 1)
        var figures = result.latencies
        figures[.cpuPerRequest] = cpu * 1e6 / requests
        figures[.requestRate] = result.answered / max(result.seconds, 0.001)
        if scenario.movesBodies {
            let bytes = result.bodyBytes + Double(scenario.load.requestBodyBytes) * result.answered
            figures[.cpuPerGibibyte] = cpu / max(bytes / 1_073_741_824, 1e-9)
            figures[.bodyRate] = bytes / 1_048_576 / max(result.seconds, 0.001)
        }
        figures[.contextSwitches] = (after.contextSwitches - before.contextSwitches) / requests
        figures[.memory] = memory > 0 ? memory : after.proportionalKiB
        figures[.memoryPeak] = after.peakKiB
        for (metric, value) in ringAfter { figures[metric] = (value - (ringBefore[metric] ?? 0)) / requests }
        round.figures = figures
        if countsSystemCalls { round.figures[.systemCalls] = try systemCalls() }
    }

    private func load(seconds: Double) throws(BenchFailure) -> LoadResult {
        var load = try BenchLoad(plan, scenario, port: port, seconds: seconds)
        try load.start()
        guard load.waitForEnd({ _ in }) else { throw BenchFailure("the load of \(scenario.name) does not end") }
        return try load.result()
    }

    /// A load of its own, because counting slows the proxy down.
    private func systemCalls() throws(BenchFailure) -> Double? {
        let count = try SystemCallCount(of: ProcessFigures.family(of: process.pid), folder: plan.folder)
        count.waitUntilCounting()
        let result = try load(seconds: min(plan.seconds(of: scenario), 1))
        return count.end().map { $0 / max(result.answered, 1) }
    }

    /// What the rings of a Weir count; nothing for others.
    private func ring() -> [BenchMetric: Double] {
        guard subject.kind == .weir,
            let asked = runToEnd([plan.generator, "stat", "--json", "--socket", adminPath], logPath: "\(plan.folder)/stat.json"), asked.code == 0,
            let total = try? JSONText(parsing: Array(asked.output.utf8))["total"]
        else { return [:] }
        var figures: [BenchMetric: Double] = [:]
        figures[.enters] = total["ticks"]?.real
        figures[.completions] = total["completions"]?.real
        figures[.copied] = total["copiedBytes"]?.real
        return figures
    }
}

/// One load against a port.
struct BenchLoad {
    private let command: [String]
    private let folder: String
    private let cpus: [Int]
    private let seconds: Double
    private var process: MeasuredProcess?

    init(_ plan: BenchPlan, _ scenario: BenchScenario, port: UInt16, seconds: Double) throws(BenchFailure) {
        folder = plan.folder
        cpus = plan.layout.load
        self.seconds = seconds
        let url = "\(scenario.proxy.tls ? "https" : "http")://127.0.0.1:\(port)\(scenario.load.path ?? "/")"
        command =
            [plan.generator, "load", url, "--duration", "\(Int(seconds * 1_000))ms", "--warm-up", "0s", "--json", "\(folder)/load.json", "--report-anyway"]
            + scenario.loadOptions
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

/// A port of loopback that is free now.
func freePort() throws(BenchFailure) -> UInt16 {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { throw BenchFailure("no socket: \(String(cString: strerror(errno)))") }
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let bound = withUnsafeMutablePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, length) == 0 && getsockname(descriptor, $0, &length) == 0 }
    }
    guard bound else { throw BenchFailure("no free port: \(String(cString: strerror(errno)))") }
    return UInt16(bigEndian: address.sin_port)
}

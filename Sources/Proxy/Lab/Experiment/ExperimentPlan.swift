/// What an experiment will do to the machine and for how long: shown before anything is done.
struct ExperimentPlan {
    /// One setting of the kernel that an experiment changes and puts back.
    struct MachineChange: Equatable {
        var path: String
        /// Nil when it cannot be read.
        var now: String?
        var values: [String]
        /// Why it cannot be set; nil when it can.
        var lack: String?
    }

    let experiment: ExperimentSettings
    let changes: [MachineChange]
    /// CPUs of its file that this process may not use.
    private let missingCPUs: [Int]
    private let cpus: [Int]

    /// - Parameter cpus: those that this process may use.
    init(_ experiment: ExperimentSettings, files: KernelFiles = KernelFiles(), cpus: [Int] = usableCPUs()) {
        self.experiment = experiment.placed(on: cpus)
        self.cpus = cpus
        missingCPUs = Set(self.experiment.scenario.testedCPUs + self.experiment.scenario.otherCPUs).subtracting(cpus).sorted()
        var changes: [MachineChange] = []
        for knob in experiment.knobs {
            guard let path = knob.knob.path else { continue }
            changes.append(MachineChange(path: path, now: files.read(path), values: knob.values, lack: files.lack(path)))
        }
        self.changes = changes
    }

    /// Rights and files that this process lacks, a sentence each.
    var lacks: [String] { cpuLacks + changes.compactMap(\.lack) }

    private var cpuLacks: [String] {
        missingCPUs.isEmpty
            ? [] : ["CPU \(Self.list(missingCPUs)) is none of those that this process may use (\(Self.list(cpus))); change tested-cpus and other-cpus"]
    }

    var changesMachine: Bool { !changes.isEmpty }

    var text: String {
        let scenario = experiment.scenario
        let variants = experiment.variants
        var text = "\(experiment.name): \(experiment.question ?? "")\n"
        for (number, variant) in variants.enumerated() {
            text += "  \(Self.letter(number))  \(variant.name)\(number == 0 ? "  (what the others are compared with)" : "")\n"
        }
        let fixed = experiment.knobs.filter { $0.values.count == 1 }.map { "\($0.knob.name) = \($0.values[0])" }
        if !fixed.isEmpty { text += "  in all of them: \(fixed.joined(separator: ", "))\n" }
        let load = scenario.rate == 0 ? "each asking as soon as it is answered" : "\(scenario.rate) requests per second"
        let rest =
            scenario.restMilliseconds == 0
            ? "" : ", then \(durationText(scenario.restMilliseconds)) " + (scenario.trickleRate == 0 ? "of rest" : "of \(scenario.trickleRate) requests per second")
        text +=
            "  \(experiment.target.rawValue) on CPU \(Self.list(scenario.testedCPUs)), the rest on CPU \(Self.list(scenario.otherCPUs)): answers of \(byteCount(UInt64(scenario.bodyBytes))), "
        text += "\(plural(scenario.connections, "connection")), \(load)\n"
        let order = experiment.order.prefix(variants.count * 2).map { Self.letter($0.variant) }.joined(separator: " ")
        text +=
            "  \(plural(experiment.rounds, "round")) (\(order) …) of \(durationText(scenario.durationMilliseconds)) after \(durationText(scenario.warmUpMilliseconds)) of warm-up\(rest): "
        text += "about \((experiment.milliseconds + 59_999) / 60_000) min\n"
        for lack in cpuLacks { text += "    LACKS: \(lack)\n" }
        if changes.isEmpty { text += "  changes nothing on this machine but for the programs it starts\n" }
        for change in changes {
            text += "  changes \(change.path): now '\(change.now ?? "unreadable")', takes \(change.values.map { "'\($0)'" }.joined(separator: ", ")), is put back after\n"
            if let lack = change.lack { text += "    LACKS: \(lack)\n" }
        }
        return text
    }

    private static func list(_ cpus: [Int]) -> String { cpus.map { "\($0)" }.joined(separator: " and ") }

    static func letter(_ number: Int) -> String { String(UnicodeScalar(UInt8(ascii: "A") + UInt8(clamping: number))) }
}

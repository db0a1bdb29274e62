import Glibc

/// `weir lab run FILE…`: shows all plans, asks where the machine is changed, measures, and writes results and verdicts.
///
/// - Parameters:
///   - results: folder of the results; nil = `results` of the folder of the lab.
///   - rounds: in place of the files' own; for a quick look.
///   - acceptsNoise: measurements count whatever else the machine did meanwhile.
/// - Returns: 1 when an experiment could not be run or is wrong, whatever the verdicts are.
public func labRun(
    files: [String], results: String?, rounds: Int?, acceptsNoise: Bool, folder: String?, _ options: LabOptions
) -> Int32 {
    do throws(LabFailure) {
        var experiments: [ExperimentSettings] = []
        var isWrong = false
        for file in files {
            let (settings, diagnostics) = loadExperiment(path: file, environment: currentEnvironment(), read: readConfigurationFile)
            var all = diagnostics
            if let settings { all += configurationComplaints(settings) }
            for diagnostic in all { say("\(diagnostic)") }
            if all.contains(where: { $0.severity == .error }) { isWrong = true }
            guard var settings = settings?.placed(on: usableCPUs()) else { continue }
            if let rounds { settings.rounds = rounds }
            experiments.append(settings)
        }
        if isWrong { throw LabFailure("nothing was run") }
        let plans = experiments.map { ExperimentPlan($0) }
        let milliseconds = experiments.reduce(0) { $0 + $1.milliseconds }
        write(plans.map(\.text).joined(separator: "\n") + "\n", to: STDOUT_FILENO)
        write("\(plural(plans.count, "experiment")), about \((milliseconds + 59_999) / 60_000) min in all\n", to: STDOUT_FILENO)
        if options.dryRun { return 0 }
        let runnable = plans.filter { $0.lacks.isEmpty }
        let changed = Set(runnable.flatMap(\.changes).map(\.path)).sorted()
        if !changed.isEmpty { try agree("change \(changed.joined(separator: ", ")) for a while", options) }
        var code: Int32 = 0
        if !runnable.isEmpty {
            let machine = try LabGuard(journalPath: options.journalPath("lab"), changesMachine: !changed.isEmpty, lock: try MachineLock())
            let folder = results ?? TuningFolder(folder).path + "/results"
            code = try LabRun(machine: machine, results: folder, acceptsNoise: acceptsNoise).run(runnable.map(\.experiment))
        }
        for plan in plans where !plan.lacks.isEmpty {
            for lack in plan.lacks { say("\(plan.experiment.name) was not run: \(lack)") }
            code = 1
        }
        return code
    } catch {
        say("\(error)")
        return 1
    }
}

/// Whether every variant of an experiment makes a configuration that the proxy takes.
func configurationComplaints(_ experiment: ExperimentSettings) -> [Diagnostic] {
    guard experiment.target == .proxy else { return [] }
    for variant in experiment.variants {
        let text = experiment.configuration(variant, origin: "127.0.0.1:80")
        let loaded = loadConfiguration(path: "variant", environment: [:], foreign: .ofTheProduct) { (_: String) throws(ReadFailure) in Array(text.utf8) }
        if let first = loaded.diagnostics.first(where: { $0.severity == .error }) {
            let place = experiment.knobs.first { first.message.contains("'\($0.knob.name)'") }?.location ?? experiment.location
            return [Diagnostic(severity: .error, location: place, message: "with \(variant.name.isEmpty ? "its values" : variant.name): \(first.message)")]
        }
    }
    return []
}

/// One run of the lab over several experiments.
private struct LabRun {
    let machine: LabGuard
    let results: String
    let acceptsNoise: Bool

    func run(_ experiments: [ExperimentSettings]) throws(LabFailure) -> Int32 {
        var template = Array("/tmp/weir-lab-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw LabFailure("cannot make a folder in /tmp: \(errorText(errno))") }
        let scratch = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        try machine.scratch(scratch)
        machine.handleSignals()
        var code: Int32 = 0
        for experiment in experiments {
            write("\n\(experiment.name): \(experiment.question ?? "")\n", to: STDOUT_FILENO)
            do throws(LabFailure) {
                let sentence = try run(experiment, scratch)
                write("\(sentence)\n", to: STDOUT_FILENO)
            } catch {
                say("\(error)")
                code = 1
            }
            for outcome in machine.restore() { write(outcome.sentence + "\n", to: STDOUT_FILENO) }
        }
        if machine.end().contains(where: \.isFailure) { code = 1 }
        try writeIndex()
        return code
    }

    private func run(_ experiment: ExperimentSettings, _ scratch: String) throws(LabFailure) -> String {
        let runner = ExperimentRunner(experiment, machine: machine, program: ownPath, folder: scratch, acceptsNoise: acceptsNoise)
        let measurements = try runner.run { write($0 + "\n", to: STDOUT_FILENO) }
        let verdict = ExperimentVerdict(experiment, measurements)
        let page = ExperimentPage(
            experiment: experiment, measurements: measurements, verdict: verdict, date: today(), machine: .gather(), versions: Versions.all,
            source: readTextFile(experiment.location.file) ?? "")
        let folder = "\(results)/\(experiment.name)"
        ensureFolders(folder)
        try write(file: folder + "/raw.json", page.raw.printed() + "\n")
        try write(file: folder + "/index.html", page.html)
        return verdict.sentence + "\n\(folder)/index.html"
    }

    /// The list of everything that stands in the folder, old results too.
    private func writeIndex() throws(LabFailure) {
        var found: [(name: String, raw: JSONText)] = []
        for name in directoryEntries(results) {
            guard let bytes = readBytes("\(results)/\(name)/raw.json"), let raw = try? JSONText(parsing: bytes) else { continue }
            found.append((name, raw))
        }
        try write(file: results + "/index.html", resultsPage(found))
    }

    private func write(file: String, _ text: String) throws(LabFailure) {
        do throws(BenchFailure) { try writeFile(file, text) } catch { throw LabFailure("\(error)") }
    }

    private func write(_ text: String, to descriptor: Int32) { Proxy.write(text, to: descriptor) }

    /// The program itself, whatever it is called and wherever the command stands.
    private var ownPath: String {
        var room = [UInt8](repeating: 0, count: 4_096)
        let length = room.withUnsafeMutableBytes {
            readlink("/proc/self/exe", $0.baseAddress!.assumingMemoryBound(to: CChar.self), $0.count)
        }
        return String(decoding: room[..<max(0, length)], as: UTF8.self)
    }

    private func today() -> String {
        var now = time(nil)
        var parts = tm()
        gmtime_r(&now, &parts)
        func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
        return "\(parts.tm_year + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday)) \(two(parts.tm_hour)):\(two(parts.tm_min)) UTC"
    }
}

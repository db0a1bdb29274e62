import CUring
import Glibc

/// What `weir bench run` was asked for.
public struct BenchRequest: Sendable {
    /// Names; empty = all, or the quick ones.
    public var scenarios: [String] = []
    public var quickOnly = false
    public var rivals: [String] = []
    /// A revision of the source that is built and measured beside this build, as the base of a comparison.
    public var against: String?
    /// A program that is already built, in place of a revision.
    public var againstProgram: String?
    /// Settings of further variants of this build.
    public var variants: [String] = []
    public var rounds = 10
    public var seconds: Double?
    public var output: String?
    /// JSON lines to which medians of this build are added.
    public var history: String?
    /// The Weir whose load generator and origin are used; nil = this one.
    public var generator: String?
    public var suite = "Benchmarks"
    public init() {}
}

/// `weir bench run`: measures and writes results; 1 when this build is worse than the one it was to be compared with.
public func benchRun(_ request: BenchRequest) -> Int32 {
    do throws(BenchFailure) {
        let suite = BenchSuite(folder: request.suite, say: say)
        let scenarios = try suite.scenarios(named: request.scenarios, quickOnly: request.quickOnly)
        raiseOpenFiles()
        let folder = try makeWorkFolder()
        defer { _ = runToEnd(["rm", "-rf", folder], logPath: "/dev/null") }
        let program = try ownProgram()
        var subjects = [try suite.thisBuild(program: program, folder: folder)]
        if let base = try suite.base(revision: request.against, program: request.againstProgram, folder: folder) { subjects.append(base) }
        for settings in request.variants {
            var variant = subjects[0]
            variant.name = "weir+\(subjects.count(where: { $0.kind == .weir && !$0.settings.isEmpty }) + 1)"
            variant.settings = settings
            subjects.append(variant)
        }
        for name in request.rivals {
            if let rival = try suite.rival(name, folder: folder) { subjects.append(rival) }
        }
        if scenarios.contains(where: \.proxy.tls) { try makeCertificate(folder) }
        let plan = BenchPlan(
            scenarios: scenarios, subjects: subjects, rounds: request.rounds, seconds: request.seconds, generator: request.generator ?? program,
            layout: .ofThisProcess(), folder: folder)
        say("measuring \(subjects.map(\.name).joined(separator: ", ")) in \(scenarios.count) scenarios, \(plan.rounds) rounds: about \(Int(plan.estimate / 60) + 1) minutes")
        let now = time(nil)
        let runner = BenchRunner(plan, say: say)
        let results = try runner.run(id: "\(now)-\(getpid())", time: now)

        let output = request.output ?? "\(request.suite)/Results/latest"
        try makeFolders(output)
        for result in results { try writeFile("\(output)/\(result.subject.fileName).json", result.json.printed() + "\n") }
        if let path = request.history {
            for entry in BenchHistory.entries(of: results[0]) { try writeFile(path, BenchHistory.line(entry), adds: true) }
        }
        let comparisons = compared(results)
        let page = "\(output)/report.html"
        try writeFile(page, reportPage(results, comparisons, history: request.history))
        write(BenchReport(results: results, history: BenchHistory(lines: ""), comparisons: []).text, to: STDOUT_FILENO)
        for comparison in comparisons { write("\n" + comparison.text, to: STDOUT_FILENO) }
        write("\nresults in \(output), the page is \(page)\n", to: STDOUT_FILENO)
        let isGated = request.against != nil || request.againstProgram != nil
        return isGated && (comparisons.first?.worse ?? 0) > 0 ? 1 : 0
    } catch {
        say("\(error)")
        return 2
    }
}

/// `weir bench compare`: 0 = nothing is worse, 1 = something is, 2 = they cannot be compared.
public func benchCompare(base: String, new: String, html: String?, json: String?) -> Int32 {
    do throws(BenchFailure) {
        let results = (base: try BenchResult.read(base), new: try BenchResult.read(new))
        let comparison = BenchComparison(base: results.base, new: results.new)
        guard !comparison.rows.isEmpty else { throw BenchFailure("\(base) and \(new) have no scenario in common") }
        write(comparison.text, to: STDOUT_FILENO)
        if let html { try writeFile(html, reportPage([results.new, results.base], [comparison], history: nil)) }
        if let json { try writeFile(json, comparison.json.printed() + "\n") }
        return comparison.worse > 0 ? 1 : 0
    } catch {
        say("\(error)")
        return 2
    }
}

/// `weir bench report`: the page of results, given as files or as folders of them; `plot` writes the first plot alone.
public func benchReport(_ paths: [String], html: String, history: String?, plot: String?) -> Int32 {
    do throws(BenchFailure) {
        var results: [BenchResult] = []
        for path in paths {
            let files = path.hasSuffix(".json") ? [path] : entries(path).filter { $0.hasSuffix(".json") }.map { "\(path)/\($0)" }
            for file in files { results.append(try BenchResult.read(file)) }
        }
        guard !results.isEmpty else { throw BenchFailure("there are no results in \(paths.joined(separator: " "))") }
        // This build first, then other builds, then rivals.
        func rank(_ result: BenchResult) -> Int { result.subject.name == "weir" ? 0 : result.subject.kind == .weir ? 1 : 2 }
        results.sort { (rank($0), $0.subject.name) < (rank($1), $1.subject.name) }
        try writeFile(html, reportPage(results, compared(results), history: history))
        if let plot {
            let report = BenchReport(results: results, history: BenchHistory(lines: ""), comparisons: [])
            guard let picture = report.costPlot(byBytes: false) ?? report.costPlot(byBytes: true) else { throw BenchFailure("there is nothing to plot") }
            try writeFile(plot, picture.svg(isAlone: true))
        }
        write(BenchReport(results: results, history: BenchHistory(lines: ""), comparisons: []).text, to: STDOUT_FILENO)
        return 0
    } catch {
        say("\(error)")
        return 2
    }
}

/// `weir bench list`: scenarios and rivals, and what is missing here.
public func benchList(suite folder: String) -> Int32 {
    do throws(BenchFailure) {
        let suite = BenchSuite(folder: folder, say: say)
        var text = "scenarios (* = quick)\n"
        for scenario in try suite.scenarios(named: [], quickOnly: false) {
            text += "  \(scenario.isQuick ? "*" : " ") \(padded(scenario.name, 20))\(scenario.sentence ?? "")\n"
        }
        text += "rivals\n"
        for name in suite.rivalNames {
            let rival = try suite.readRival(name)
            let lacks = rival.lacks.isEmpty ? "" : ", lacks \(rival.lacks.joined(separator: ", "))"
            text += "    \(padded(name, 20))\(name == "weir" ? "this build" : rival.isInstalled ? "installed" : "not installed")\(lacks)\n"
        }
        write(text, to: STDOUT_FILENO)
        return 0
    } catch {
        say("\(error)")
        return 2
    }
}

private func padded(_ text: String, _ width: Int) -> String { text + String(repeating: " ", count: max(1, width - text.count)) }

private func reportPage(_ results: [BenchResult], _ comparisons: [BenchComparison], history: String?) -> String {
    let past = history.flatMap { textOfFile($0) }.map { BenchHistory(lines: $0) } ?? BenchHistory(lines: "")
    return BenchReport(results: results, history: past, comparisons: comparisons).html
}

/// This build against the one it was to be compared with; variants of this build against it.
private func compared(_ results: [BenchResult]) -> [BenchComparison] {
    guard let own = results.first(where: { $0.subject.name == "weir" }) else { return [] }
    return results.filter { $0.subject.kind == .weir && $0.subject.name != "weir" }.map { other in
        other.subject.settings.isEmpty ? BenchComparison(base: other, new: own) : BenchComparison(base: own, new: other)
    }
}

private func raiseOpenFiles() {
    var soft: UInt64 = 0
    var hard: UInt64 = 0
    // Many clients are many descriptors; whoever may not have more finds out in the scenario that needs them.
    if cprocess_limit(cprocess_open_files, &soft, &hard) == 0, soft < hard { cprocess_set_limit(cprocess_open_files, hard, hard) }
}

private func makeWorkFolder() throws(BenchFailure) -> String {
    var template = Array("/tmp/weir-bench.XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw BenchFailure("cannot make a folder in /tmp: \(errorText(errno))") }
    let folder = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    // Proxies that give up their rights must still read what is in it.
    chmod(folder, 0o755)
    return folder
}

private func makeFolders(_ path: String) throws(BenchFailure) {
    var sofar = path.hasPrefix("/") ? "/" : ""
    for part in path.split(separator: "/") {
        sofar += part
        if mkdir(sofar, 0o755) != 0, errno != EEXIST { throw BenchFailure("cannot make the folder \(sofar): \(errorText(errno))") }
        sofar += "/"
    }
}

private func ownProgram() throws(BenchFailure) -> String {
    var path = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
    let length = readlink("/proc/self/exe", &path, path.count - 1)
    guard length > 0 else { throw BenchFailure("cannot find this program: \(errorText(errno))") }
    return String(decoding: path[..<length].map(UInt8.init(bitPattern:)), as: UTF8.self)
}

/// A key on P-256 and a certificate of its own, as certificate, key, and both in one file.
private func makeCertificate(_ folder: String) throws(BenchFailure) {
    let command = [
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "\(folder)/key.pem", "-out",
        "\(folder)/certificate.pem", "-days", "30", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
    ]
    guard let made = runToEnd(command, logPath: "\(folder)/openssl.log"), made.code == 0, let certificate = textOfFile("\(folder)/certificate.pem"),
        let key = textOfFile("\(folder)/key.pem")
    else { throw BenchFailure("cannot make a certificate: is the command 'openssl' installed?") }
    try writeFile("\(folder)/both.pem", certificate + key)
}

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
    /// Adds them although noise was accepted or files differ from the commit.
    public var keepsHistoryAnyway = false
    /// The Weir whose load generator and origin are used; nil = this one.
    public var generator: String?
    /// Takes rounds although others use the machine.
    public var acceptsNoise = false
    public var suite = "Benchmarks"
    public init() {}
}

/// `weir bench run`: measures and writes results; 1 when this build is worse than the one it was to be compared with or fails
/// where that one does not, 128 and the signal when it was ended early.
public func benchRun(_ request: BenchRequest) -> Int32 {
    // Before anything is started, so that nothing that was stays.
    let end = BenchGuard()
    end.handleSignals()
    do throws(BenchFailure) {
        let code = try benchRun(request, end)
        return end.endedBy.map { 128 + $0 } ?? code
    } catch {
        if let signal = end.endedBy { return 128 + signal }
        say("\(error)")
        return 2
    }
}

private func benchRun(_ request: BenchRequest, _ end: BenchGuard) throws(BenchFailure) -> Int32 {
    let suite = BenchSuite(folder: request.suite, say: say)
    let scenarios = try suite.scenarios(named: request.scenarios, quickOnly: request.quickOnly)
    raiseOpenFiles()
    let work = try WorkFolder("weir-bench")
    end.protect(work)
    defer { work.remove() }
    let program = try ownProgram()
    let subjects = try benchSubjects(request, suite, program: program, folder: work.path)
    if scenarios.contains(where: \.proxy.tls) { try makeCertificate(work.path) }
    var plan = BenchPlan(
        scenarios: scenarios, subjects: subjects, rounds: request.rounds, seconds: request.seconds, generator: request.generator ?? program,
        layout: .ofThisProcess(), folder: work.path, acceptsNoise: request.acceptsNoise)
    if let path = request.generator { plan.generatorTold = "\(path), \(suite.generatorVersion(path, folder: work.path))" }
    let output = try BenchOutput(folder: request.output ?? "\(request.suite)/Results/latest")
    say("measuring \(subjects.map(\.name).joined(separator: ", ")) in \(scenarios.count) scenarios, \(plan.rounds) rounds: about \(Int(plan.estimate / 60) + 1) minutes")

    let now = time(nil)
    let runner = BenchRunner(plan, isEnded: { end.endedBy != nil }, say: say)
    let results = try runner.run(id: "\(now)-\(getpid())", time: now) { (results) throws(BenchFailure) in try output.write(results) }
    if end.endedBy == nil, let path = request.history { try addToHistory(results[0], path, request) }
    let comparisons = compared(results)
    try writeFile(output.pagePath, reportPage(results, comparisons, history: request.history))
    write(BenchReport(results: results, history: BenchHistory(lines: ""), comparisons: []).text, to: STDOUT_FILENO)
    for comparison in comparisons { write("\n" + comparison.text, to: STDOUT_FILENO) }
    write("\nresults in \(output.folder), the page is \(output.pagePath)\n", to: STDOUT_FILENO)
    if results.allSatisfy({ !$0.scenarios.contains(where: \.isMeasured) }) { throw BenchFailure("no round was fit to be kept; see the remarks in \(output.pagePath)") }
    guard request.against != nil || request.againstProgram != nil else { return 0 }
    // A build that cannot do a scenario is not as good as one that can.
    let fails = zip(results[0].scenarios, results[1].scenarios).contains { $0.lack != nil && $1.isMeasured }
    return fails || (comparisons.first?.worse ?? 0) > 0 ? 1 : 0
}

/// This build first, then the one to compare it with, variants, and rivals.
private func benchSubjects(_ request: BenchRequest, _ suite: BenchSuite, program: String, folder: String) throws(BenchFailure) -> [BenchSubject] {
    var subjects = [try suite.thisBuild(program: program, folder: folder)]
    if let base = try suite.base(revision: request.against, program: request.againstProgram, folder: folder) { subjects.append(base) }
    subjects += BenchSubject.variants(of: subjects[0], settings: request.variants)
    for name in request.rivals {
        if let rival = try suite.rival(name, folder: folder) { subjects.append(rival) }
    }
    return subjects
}

private func addToHistory(_ result: BenchResult, _ path: String, _ request: BenchRequest) throws(BenchFailure) {
    if !request.keepsHistoryAnyway, let refusal = BenchHistory.refusal(of: result.subject, acceptsNoise: request.acceptsNoise) {
        return say("nothing is added to \(path): \(refusal); --history-anyway adds it all the same")
    }
    try BenchHistory.append(BenchHistory.entries(of: result), to: path)
}

private func raiseOpenFiles() {
    var soft: UInt64 = 0
    var hard: UInt64 = 0
    // Many clients are many descriptors; whoever may not have more finds out in the scenario that needs them.
    if cprocess_limit(cprocess_open_files, &soft, &hard) == 0, soft < hard { cprocess_set_limit(cprocess_open_files, hard, hard) }
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

import Glibc

/// The folder with scenarios and rivals, and how to come by what is measured.
struct BenchSuite {
    let folder: String
    /// Told what takes long, and what is left out.
    let say: (String) -> Void

    /// All of them or those named, in the order of their names or of the naming.
    func scenarios(named names: [String], quickOnly: Bool) throws(BenchFailure) -> [BenchScenario] {
        let known = entries("\(folder)/Scenarios").filter { $0.hasSuffix(".conf") }.map { String($0.dropLast(5)) }
        guard !known.isEmpty else { throw BenchFailure("there are no scenarios in \(folder)/Scenarios; run it in the project's folder or name it with --suite") }
        for name in names where !known.contains(name) {
            throw BenchFailure("there is no scenario '\(name)'\(nearest(to: name, among: known).map { "; did you mean '\($0)'?" } ?? "")")
        }
        var scenarios: [BenchScenario] = []
        var complaints: [String] = []
        for name in names.isEmpty ? known : names {
            let (scenario, diagnostics) = loadBenchScenario(path: "\(folder)/Scenarios/\(name).conf", read: Self.read)
            complaints += diagnostics.map(\.description)
            if let scenario, !quickOnly || scenario.isQuick || !names.isEmpty { scenarios.append(scenario) }
        }
        guard complaints.isEmpty else { throw BenchFailure("a scenario is wrong\n" + complaints.joined(separator: "\n")) }
        return scenarios
    }

    var rivalNames: [String] { entries("\(folder)/Rivals") }

    func readRival(_ name: String) throws(BenchFailure) -> Rival {
        guard rivalNames.contains(name) else {
            throw BenchFailure("there is no rival '\(name)'\(nearest(to: name, among: rivalNames).map { "; did you mean '\($0)'?" } ?? "")")
        }
        let (rival, diagnostics) = loadRival(folder: "\(folder)/Rivals/\(name)", read: Self.read)
        guard let rival, diagnostics.isEmpty else { throw BenchFailure("a rival is wrong\n" + diagnostics.map(\.description).joined(separator: "\n")) }
        return rival
    }

    private static func read(_ path: String) throws(ReadFailure) -> [UInt8] {
        guard let bytes = bytesOfFile(path) else { throw ReadFailure(reason: String(cString: strerror(errno))) }
        return bytes
    }

    // MARK: - Subjects

    func thisBuild(program: String, folder work: String) throws(BenchFailure) -> BenchSubject {
        BenchSubject(
            name: "weir", kind: .weir, rival: try readRival("weir"), program: program, commit: revision(of: ".", work),
            version: firstLine([program, "version"], work))
    }

    /// The build to compare with: another revision, which is built first, or a program.
    func base(revision: String?, program: String?, folder work: String) throws(BenchFailure) -> BenchSubject? {
        let weir = try readRival("weir")
        if let program {
            guard access(program, X_OK) == 0 else { throw BenchFailure("\(program) is no program") }
            return BenchSubject(name: "weir-base", kind: .weir, rival: weir, program: program, version: firstLine([program, "version"], work))
        }
        guard let revision else { return nil }
        let build = BenchRevision(commit: try BenchRevision.commit(of: revision, work: work), allocator: .live)
        try build.build(work: work, say: say)
        return BenchSubject(
            name: "weir-\(build.commit)", kind: .weir, rival: weir, program: build.program, commit: build.commit,
            version: firstLine([build.program, "version"], work))
    }

    /// Nil, with a word on standard error, when it is not installed.
    func rival(_ name: String, folder work: String) throws(BenchFailure) -> BenchSubject? {
        let rival = try readRival(name)
        guard rival.isInstalled else {
            say("\(name) is not installed and is left out")
            return nil
        }
        return BenchSubject(name: name, kind: .rival, rival: rival, version: firstLine(rival.version, work))
    }

    /// What a generator is, for results: `weir 0.1.0`.
    func generatorVersion(_ program: String, folder work: String) -> String { firstLine([program, "version"], work) }

    private func firstLine(_ command: [String], _ work: String) -> String {
        guard !command.isEmpty, let told = runToEnd(command, logPath: "\(work)/version.log"), let line = told.output.split(separator: "\n").first else { return "unknown" }
        return String(line.prefix(60)).trimmedOfSpace
    }

    /// The commit that is checked out, with a mark when what is built or how it is measured differs from it.
    private func revision(of tree: String, _ work: String) -> String? {
        guard let found = runToEnd(["git", "-C", tree, "rev-parse", "--short=12", "HEAD"], logPath: "\(work)/git.log"), found.code == 0 else { return nil }
        // Results and their history change with every run.
        let places = ["Sources", "Package.swift", "Benchmarks/Rivals", "Benchmarks/Scenarios"]
        let changed = runToEnd(["git", "-C", tree, "status", "--porcelain", "--"] + places, logPath: "\(work)/git.log")?.output.trimmedOfSpace ?? ""
        return found.output.trimmedOfSpace + (changed.isEmpty ? "" : BenchSubject.changedMark)
    }
}

extension BenchSubject {
    /// Its name as a file's.
    var fileName: String { String(name.map { $0.isLetter || $0.isNumber || "-._+".contains($0) ? $0 : "_" }) }

    /// The same build with further settings, one for each of `settings`: `weir+1`, `weir+2`, …
    static func variants(of subject: BenchSubject, settings: [String]) -> [BenchSubject] {
        settings.enumerated().map { number, text in
            var variant = subject
            variant.name = "\(subject.name)+\(number + 1)"
            variant.settings = text
            return variant
        }
    }
}

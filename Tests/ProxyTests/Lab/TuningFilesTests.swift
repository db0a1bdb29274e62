import Glibc
import Testing

@testable import Proxy

@Suite("Files of tuning")
struct TuningFilesTests {
    private static let folder = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(4).joined(separator: "/") + "/tuning"
    private static var experiments: [String] { directoryEntries(folder + "/experiments").filter { $0.hasSuffix(".conf") } }
    private static var results: [String] { directoryEntries(folder + "/results").filter { access("\(folder)/results/\($0)/raw.json", F_OK) == 0 } }
    private static var profiles: [String] { directoryEntries(folder + "/profiles").filter { $0.hasSuffix(".conf") } }

    @Test("every experiment can be run: no complaint about its file nor about its configurations")
    func runnable() {
        #expect(Self.experiments.count >= 8)
        for name in Self.experiments {
            let path = "\(Self.folder)/experiments/\(name)"
            let loaded = loadExperiment(path: path, environment: [:], read: readConfigurationFile)
            #expect(loaded.diagnostics.map(\.description) == [])
            if let settings = loaded.settings { #expect(configurationComplaints(settings).map(\.description) == []) }
        }
    }

    @Test("every line of a profile has its reason, and an experiment that is there or why there is none")
    func profiles() throws {
        #expect(Self.profiles == ["baseline.conf", "latency.conf", "many-connections.conf", "memory.conf", "throughput.conf"])
        for name in Self.profiles {
            let loaded = loadProfile(path: "\(Self.folder)/profiles/\(name)", environment: [:], read: readConfigurationFile)
            #expect(loaded.diagnostics.map(\.description) == [])
            for line in loaded.settings?.lines ?? [] {
                guard let experiment = line.experiment else { continue }
                #expect(Self.experiments.contains(experiment + ".conf"), "\(name): \(line.knob.name)")
                #expect(access("\(Self.folder)/results/\(experiment)/raw.json", F_OK) == 0, "\(name): \(line.knob.name) was not measured")
            }
        }
    }

    @Test("what a profile has from an experiment was varied there, and its value was measured")
    func measuredValues() throws {
        for name in Self.profiles {
            let profile = try #require(loadProfile(path: "\(Self.folder)/profiles/\(name)", environment: [:], read: readConfigurationFile).settings)
            for line in profile.lines {
                guard let experiment = line.experiment, let bytes = readBytes("\(Self.folder)/results/\(experiment)/raw.json") else { continue }
                let source = try #require(JSONText(parsing: bytes)["source"]?.string)
                let loaded = loadExperiment(path: experiment + ".conf", environment: [:]) { (_: String) throws(ReadFailure) in Array(source.utf8) }
                let knobs = try #require(loaded.settings, "\(loaded.diagnostics)").knobs.filter { $0.knob.name == line.knob.name }
                let knob = try #require(knobs.first, "\(name): \(line.knob.name) is no knob of \(experiment)")
                #expect(knob.values.count > 1 || Self.fixedBeside.contains(line.knob.name), "\(name): \(line.knob.name) was not varied by \(experiment)")
                let value = try #require(line.value)
                let taken = Self.sameFlags[value] ?? [value]
                #expect(knob.values.contains { taken.contains($0) }, "\(name): \(line.knob.name) = \(value) was not measured by \(experiment)")
            }
        }
    }

    /// `listen-queue` varies what the kernel cuts a backlog to, which is the same as to vary the backlog.
    private static let fixedBeside = ["backlog"]
    private static let sameFlags = ["true": ["true", "on"], "false": ["false", "off"]]

    @Test("a result is kept of the experiment's file as it is now, but for comments and for what is believed")
    func sources() throws {
        for name in Self.results {
            let bytes = try #require(readBytes("\(Self.folder)/results/\(name)/raw.json"))
            let source = try #require(JSONText(parsing: bytes)["source"]?.string)
            let file = try #require(readTextFile("\(Self.folder)/experiments/\(name).conf"), "there is no experiment \(name)")
            #expect(Self.measuredLines(source) == Self.measuredLines(file), "\(name)")
        }
    }

    /// The lines of an experiment's file that change what is measured.
    private static func measuredLines(_ text: String) -> [String] {
        let others = ["#", "belief =", "document ="]
        return text.split(separator: "\n").map(String.init).filter { line in !others.contains { line.hasPrefix($0) } }
    }

    @Test("the page that an experiment names for what is believed is there")
    func documents() {
        for name in Self.experiments {
            let loaded = loadExperiment(path: "\(Self.folder)/experiments/\(name)", environment: [:], read: readConfigurationFile)
            guard let document = loaded.settings?.document else { continue }
            #expect(access("\(Self.folder)/../\(document)", F_OK) == 0, "\(name): \(document)")
        }
    }

    @Test("the list of results names every result that is kept")
    func list() throws {
        let page = try #require(readTextFile(Self.folder + "/results/index.html"))
        #expect(Self.results.count >= 8)
        for name in Self.results { #expect(page.contains("\(name)/index.html"), "\(name)") }
    }

    @Test("lines of units and of limits say the same in the profile of every machine and in the files for it")
    func sameLimits() throws {
        let path = Self.folder + "/profiles/baseline.conf"
        let lines = try #require(loadProfile(path: path, environment: [:], read: readConfigurationFile).settings).lines
        let unit = try #require(readTextFile(Self.folder + "/systemd/weir.conf")).split(separator: "\n")
        let limits = try #require(readTextFile(Self.folder + "/limits/weir.conf")).split(separator: "\n").map { $0.split(separator: " ").joined(separator: " ") }
        for line in lines {
            let value = try #require(line.value)
            if line.knob.kind == .unit { #expect(unit.contains { $0 == "\(line.knob.name)=\(value)" }, "\(line.knob.name)") }
            if line.knob.kind == .limit { #expect(limits.contains("\(line.knob.name) \(value)"), "\(line.knob.name)") }
        }
        #expect(lines.contains { $0.knob.kind == .unit } && lines.contains { $0.knob.kind == .limit })
    }

    @Test("a profile names no page and no file that is not there")
    func evidence() throws {
        let folder = TuningFolder(Self.folder)
        var line = ProfileLine(knob: Knob(kind: .setting, name: "splice"))
        line.experiment = "pipe-size"
        #expect(line.evidence(in: folder) == "measured: \(Self.folder)/results/pipe-size/index.html")
        let empty = try Folder()
        #expect(line.evidence(in: TuningFolder(empty.path)) == "measured by an experiment that is not here: pipe-size")
        mkdir(empty.path + "/experiments", 0o755)
        let file = try empty.write("experiments/pipe-size.conf", "")
        #expect(line.evidence(in: TuningFolder(empty.path)) == "no result is here; measure it: weir lab run \(file)")
        unlink(file)
        rmdir(empty.path + "/experiments")
        line.experiment = nil
        line.notMeasurable = "no network"
        #expect(line.evidence(in: folder) == "not measurable here: no network")
    }

    @Test("the settings of a profile are words of the configuration with values that it takes")
    func values() throws {
        for name in Self.profiles {
            let profile = try #require(loadProfile(path: "\(Self.folder)/profiles/\(name)", environment: [:], read: readConfigurationFile).settings)
            func lines(_ place: String) -> String {
                profile.lines.filter { $0.knob.kind == .setting && $0.knob.place == place }
                    .map { "\($0.knob.name) = \(quotedText($0.value ?? ""))\n" }.joined()
            }
            let text = "\(lines("global"))server {\n\(lines("server"))downstream { addr = 127.0.0.1 port = 1\n\(lines("downstream"))}\n}\n"
            #expect(ConfigurationFixture(text).load().settings != nil, "\(name): \(ConfigurationFixture(text).messages)")
        }
    }

    @Test(
        "a line without reason or evidence is refused",
        arguments: [
            ("kind = sysctl value = 1 not-measurable = 'x'", "has no reason"),
            ("kind = sysctl value = 1 reason = 'x'", "says neither which experiment measured it nor why"),
            ("kind = sysctl value = 1 reason = 'x' experiment = a not-measurable = 'y'", "cannot be measured by an experiment and not-measurable too"),
            ("kind = sysctl reason = 'x' experiment = a", "has no value"),
        ])
    func refused(line: String, message: String) {
        let text = "purpose = 'x'\nset net.core.somaxconn { \(line) }\n"
        let loaded = loadProfile(path: "p.conf", environment: [:]) { (_: String) throws(ReadFailure) in Array(text.utf8) }
        #expect(loaded.settings == nil)
        #expect(loaded.diagnostics.contains { $0.description.hasPrefix("p.conf:2:5: error: 'net.core.somaxconn' \(message)") }, "\(loaded.diagnostics)")
    }

    @Test("the filter for containers lets rings pass, refuses by default, and lets nobody trace or load modules")
    func filter() throws {
        let bytes = try #require(readBytes("\(Self.folder)/seccomp/weir.json"))
        let filter = try JSONText(parsing: bytes)
        #expect(filter["defaultAction"]?.string == "SCMP_ACT_ERRNO")
        let rules = (filter["syscalls"]?.elements ?? []).filter { $0["action"]?.string == "SCMP_ACT_ALLOW" }
        let allowed = Set(rules.flatMap { $0["names"]?.elements.compactMap(\.string) ?? [] })
        for name in ["io_uring_setup", "io_uring_enter", "io_uring_register", "splice", "accept4", "execve", "clone", "prlimit64"] {
            #expect(allowed.contains(name), "\(name)")
        }
        for name in ["ptrace", "init_module", "bpf", "kexec_load", "mount", "perf_event_open", "reboot", "keyctl", "userfaultfd", "unshare", "clone3"] {
            #expect(!allowed.contains(name), "\(name)")
        }
    }
}

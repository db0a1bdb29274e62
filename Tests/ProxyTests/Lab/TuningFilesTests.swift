import Glibc
import Testing

@testable import Proxy

@Suite("Files of tuning")
struct TuningFilesTests {
    private static let folder = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(4).joined(separator: "/") + "/tuning"
    private static var experiments: [String] { directoryEntries(folder + "/experiments").filter { $0.hasSuffix(".conf") } }
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

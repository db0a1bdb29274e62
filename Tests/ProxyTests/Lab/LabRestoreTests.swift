import Glibc
import TestSupport
import Testing

@testable import Proxy

/// The lab for real: it changes a setting of this machine, is ended in several ways, and the setting is back.
///
/// Runs where the setting can be written, in namespaces of its own for the network, so that nobody else sees the setting, and for /proc,
/// so that its lock is not that of other tests.
@Suite("Lab, ended", .serialized)
struct LabRestoreTests {
    static let setting = "/proc/sys/net/core/somaxconn"
    static let canRun: Bool = {
        let can = geteuid() == 0 && access(setting, W_OK) == 0
        if !can { print("NOT TESTED: that the lab restores a sysctl after being killed; \(setting) cannot be written here") }
        return can
    }()

    /// An experiment that sets somaxconn to 77 and keeps busy.
    private static let experiment = """
        question = "Does it come back?"
        target = origin
        rounds = 6
        scenario { duration = "60s" warm-up = 0 connections = 1 }
        knob net.core.somaxconn { kind = sysctl values = { 77, 78 } }
        """

    /// The same without anything to put back.
    private static let harmless = experiment.replacing("net.core.somaxconn { kind = sysctl", with: "MALLOC_CONF { kind = environment")

    /// What a process has started.
    private func children(of process: pid_t) -> [pid_t] {
        RunningWeir.text("/proc/\(process)/task/\(process)/children").split(separator: " ").compactMap { pid_t($0) }
    }

    /// The folder of a lab, as its load or its proxy is told it; nil while neither runs.
    private func scratchFolder(of lab: pid_t) -> String? {
        let mark = "/tmp/weir-lab-"
        let words = children(of: lab).flatMap { commandLine($0).split(separator: " ") }
        return words.first { $0.hasPrefix(mark) }.map { "/" + $0.split(separator: "/").prefix(2).joined(separator: "/") }
    }

    private func commandLine(_ process: pid_t) -> String { RunningWeir.text("/proc/\(process)/cmdline").replacing("\0", with: " ") }

    @Test(
        "a sysctl is back after the lab was killed, interrupted, ended or left by its terminal", .enabled(if: LabRestoreTests.canRun),
        arguments: [SIGKILL, SIGINT, SIGTERM, SIGHUP])
    func ended(by signal: Int32) throws {
        let folder = try Folder()
        let file = try folder.write("somaxconn.conf", Self.experiment + "\n")
        let journal = folder.path + "/journal"
        let words = ["lab", "run", file, "--yes", "--journal", journal, "--results", folder.path + "/results"]
        // A namespace whose settings are nobody else's: held by a process that outlives the lab.
        let holder = try RunningHolder()
        let before = holder.somaxconn
        #expect(!before.isEmpty && before != "77")
        let lab = try RunningWeir(words, wrapper: holder.inside)
        try eventually("the lab has set it") { holder.somaxconn == "77" }
        #expect(readTextFile(journal)?.contains("set\t\(Self.setting)\t\(before)\t77\n") == true)
        lab.signal(signal)
        let code = try lab.end()
        #expect(code == (signal == SIGKILL ? -SIGKILL : 128 + signal))
        try eventually("the setting is back") { holder.somaxconn == before }
        try eventually("the journal is empty") { readTextFile(journal) == "" }
    }

    /// Starts a lab and kills it together with its watcher: nobody is left who would put the setting back.
    private func leaveChanged(by file: String, journal: String, results: String, in holder: RunningHolder) throws {
        let lab = try RunningWeir(["lab", "run", file, "--yes", "--journal", journal, "--results", results], wrapper: holder.inside)
        try eventually("the lab has set it") { holder.somaxconn == "77" }
        try eventually("the load runs") { scratchFolder(of: lab.process) != nil }
        for child in children(of: lab.process) where commandLine(child).contains("lab-watch") { kill(child, SIGKILL) }
        let scratch = try #require(scratchFolder(of: lab.process))
        lab.signal(SIGKILL)
        _ = try lab.end()
        removeScratch(scratch)
        #expect(holder.somaxconn == "77")
    }

    @Test("where the watcher is killed too, the next lab that changes the machine puts it back first, and says so", .enabled(if: LabRestoreTests.canRun))
    func nextLab() throws {
        let folder = try TemporaryFolder()
        let file = try folder.write("somaxconn.conf", Self.experiment + "\n")
        let short = try folder.write("short.conf", Self.experiment.replacing("60s", with: "100ms") + "\n")
        let journal = folder.path("journal")
        let results = folder.path("results")
        let holder = try RunningHolder()
        let before = holder.somaxconn
        try leaveChanged(by: file, journal: journal, results: results, in: holder)
        let words = ["lab", "run", short, "--rounds", "1", "--accept-noise", "--yes", "--journal", journal, "--results", results]
        let next = try RunningWeir.result(words, wrapper: holder.inside)
        #expect(next.code == 0 && next.errors.contains("left by a lab that was ended: \(Self.setting) is '\(before)' again"), "\(next.errors)")
        // What it changed itself began from there.
        #expect(next.output.contains("\(Self.setting) is '\(before)' again"))
        #expect(holder.somaxconn == before && readTextFile(journal) == "")
        #expect(access(folder.path("results/short/raw.json"), F_OK) == 0)
    }

    @Test("where the watcher is killed too, 'lab restore' shows it, asks, and puts it back", .enabled(if: LabRestoreTests.canRun))
    func bothKilled() throws {
        let folder = try Folder()
        let file = try folder.write("somaxconn.conf", Self.experiment + "\n")
        let journal = folder.path + "/journal"
        let holder = try RunningHolder()
        let before = holder.somaxconn
        let inside = holder.inside
        try leaveChanged(by: file, journal: journal, results: folder.path + "/results", in: holder)
        let shown = try RunningWeir.result(["lab", "restore", "--dry-run", "--journal", journal], wrapper: inside)
        #expect(shown.code == 0 && shown.output == "\(Self.setting): '77' -> '\(before)'\n" && holder.somaxconn == "77")
        let unasked = try RunningWeir.result(["lab", "restore", "--journal", journal], wrapper: inside)
        #expect(unasked.code == 1 && unasked.errors.contains("nothing was changed: add --yes to put 1 setting of this machine back"))
        #expect(holder.somaxconn == "77")
        let restored = try RunningWeir.result(["lab", "restore", "--yes", "--journal", journal], wrapper: inside)
        #expect(restored.code == 0 && restored.output.contains("\(Self.setting) is '\(before)' again"))
        #expect(holder.somaxconn == before)
    }

    @Test("an interrupt ends the lab also when what it started does not end, and nothing of it is left", .enabled(if: LabRestoreTests.canRun))
    func stopped() throws {
        let folder = try Folder()
        let file = try folder.write("somaxconn.conf", Self.experiment + "\n")
        let holder = try RunningHolder()
        let before = holder.somaxconn
        let words = ["lab", "run", file, "--yes", "--journal", folder.path + "/journal", "--results", folder.path + "/results"]
        let lab = try RunningWeir(words, wrapper: holder.inside)
        try eventually("the origin runs") { children(of: lab.process).contains { commandLine($0).contains(" origin ") } }
        let origin = try #require(children(of: lab.process).first { commandLine($0).contains(" origin ") })
        // It takes no signal but SIGKILL now.
        kill(origin, SIGSTOP)
        lab.signal(SIGINT)
        // The setting does not wait for the programs.
        try eventually("the setting is back") { holder.somaxconn == before }
        #expect(try lab.end() == 128 + SIGINT)
        #expect(kill(origin, 0) != 0 && errno == ESRCH)
    }

    @Test("a lab that changes nothing needs no journal, and its folder goes also when it is killed", .enabled(if: LabRestoreTests.canRun))
    func harmless() throws {
        let folder = try Folder()
        let file = try folder.write("harmless.conf", Self.harmless + "\n")
        let journal = try folder.write("journal", "somebody's notes\n")
        let holder = try RunningHolder()
        let words = ["lab", "run", file, "--journal", journal, "--results", folder.path + "/results"]
        let lab = try RunningWeir(words, wrapper: holder.inside)
        try eventually("the load runs") { scratchFolder(of: lab.process) != nil }
        let scratch = try #require(scratchFolder(of: lab.process))
        #expect(access(scratch, F_OK) == 0)
        lab.signal(SIGKILL)
        _ = try lab.end()
        try eventually("its folder is gone") { access(scratch, F_OK) != 0 }
        #expect(readTextFile(journal) == "somebody's notes\n")
    }

    @Test("while a lab works, neither another one nor a profile changes anything, whatever their journals", .enabled(if: LabRestoreTests.canRun))
    func excluded() throws {
        let folder = try Folder()
        let file = try folder.write("somaxconn.conf", Self.experiment + "\n")
        let profile = try folder.write(
            "small.conf", "purpose = 'A test'\nset net.core.somaxconn { kind = sysctl value = 79 reason = 'To see it.' not-measurable = 'a test' }\n")
        let holder = try RunningHolder()
        func words(_ name: String) -> [String] { ["--yes", "--journal", "\(folder.path)/\(name)"] }
        let lab = try RunningWeir(["lab", "run", file, "--results", folder.path + "/results"] + words("one"), wrapper: holder.inside)
        try eventually("the lab has set it") { holder.somaxconn == "77" }
        for other in [["lab", "run", file], ["lab", "profile", "apply", profile], ["lab", "restore"], ["lab", "profile", "revert"]] {
            let refused = try RunningWeir.result(other + words("two"), wrapper: holder.inside)
            #expect(refused.code == 1 && refused.errors.contains("another lab or profile is at work on this machine"), "\(other)")
        }
        #expect(holder.somaxconn == "77")
        lab.signal(SIGTERM)
        _ = try lab.end()
    }

    @Test(
        "an option that would do nothing is refused",
        arguments: [
            ["restore", "--directory", "x"], ["profile", "revert", "--directory", "x"], ["profile", "list", "--yes"], ["profile", "list", "--journal", "x"],
            ["profile", "show", "baseline", "--dry-run"],
        ])
    func refusedOptions(words: [String]) throws {
        #expect(try RunningWeir.result(["lab"] + words).code == 64)
    }

    @Test("without --yes and a terminal nothing is changed, and a dry run changes nothing", .enabled(if: LabRestoreTests.canRun))
    func nothing() throws {
        let folder = try Folder()
        let file = try folder.write("somaxconn.conf", Self.experiment + "\n")
        let holder = try RunningHolder()
        let inside = holder.inside
        let before = holder.somaxconn
        let common = ["--journal", folder.path + "/journal", "--results", folder.path + "/results"]
        let asked = try RunningWeir.result(["lab", "run", file] + common, wrapper: inside)
        #expect(asked.code == 1 && asked.errors.contains("nothing was changed: add --yes to change \(Self.setting)"))
        let shown = try RunningWeir.result(["lab", "run", file, "--dry-run"] + common, wrapper: inside)
        #expect(shown.code == 0 && shown.output.contains("changes \(Self.setting): now '\(before)', takes '77', '78'"))
        #expect(holder.somaxconn == before)
    }

    @Test("a profile is shown, applied and reverted", .enabled(if: LabRestoreTests.canRun))
    func profile() throws {
        let folder = try Folder()
        let file = try folder.write(
            "small.conf",
            """
            purpose = "A test"
            set net.core.somaxconn { kind = sysctl value = 79 reason = "To see it." not-measurable = "a test" }
            set backlog { value = 79 reason = "The same." not-measurable = "a test" }

            """)
        let holder = try RunningHolder()
        let inside = holder.inside
        let before = holder.somaxconn
        let common = ["--journal", folder.path + "/journal"]
        let shown = try RunningWeir.result(["lab", "profile", "show", file], wrapper: inside)
        #expect(shown.output.contains("change  net.core.somaxconn: '\(before)' -> '79'") && shown.output.contains("by hand backlog = 79"))
        #expect(holder.somaxconn == before)
        #expect(try RunningWeir.result(["lab", "profile", "apply", file, "--yes"] + common, wrapper: inside).code == 0)
        #expect(holder.somaxconn == "79")
        #expect(try RunningWeir.result(["lab", "profile", "revert", "--yes"] + common, wrapper: inside).code == 0)
        #expect(holder.somaxconn == before)
    }
}

/// A process with a network and a /proc of its own, for as long as the test wants it.
final class RunningHolder {
    private static let command = "mount -t proc proc /proc; ip link set lo up; exec setpriv --pdeathsig KILL sleep 600"
    let process: pid_t

    init() throws {
        var child = pid_t()
        let command: [String] = ["unshare", "-n", "-m", "sh", "-c", Self.command]
        var words: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        let result = posix_spawnp(&child, "unshare", &actions, nil, &words, nil)
        try #require(result == 0)
        process = child
        try eventually("the namespace is there") { RunningWeir.text("/proc/\(child)/comm").hasPrefix("sleep") }
    }

    /// What runs a command where it is.
    var inside: [String] { ["nsenter", "-t", "\(process)", "-n", "-m"] }

    /// The value of the setting in its network namespace; empty when it cannot be read.
    var somaxconn: String {
        (try? RunningWeir.result(["doctor"], wrapper: ["nsenter", "-t", "\(process)", "-n"]).output)
            .flatMap { text in text.split(separator: "\n").first { $0.contains("net.core.somaxconn: ") } }
            .map { String($0.split(separator: " ").last ?? "") } ?? ""
    }

    deinit {
        kill(process, SIGKILL)
        waitpid(process, nil, 0)
    }
}

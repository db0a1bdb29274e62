import Glibc
import Testing

@testable import Proxy

@Suite("Processes that are measured")
struct BenchProcessTests {
    private let folder: Folder
    private var log: String { "\(folder.path)/log" }

    init() throws { folder = try Folder() }

    /// Keeps a CPU busy for a moment, as a shell does it.
    private static let burning = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done"

    @Test("a process that is started can be waited for, and its output read")
    func process() throws {
        let process = try MeasuredProcess("sh", ["sh", "-c", "echo said; exit 3"], cpus: [], logPath: log)
        #expect(process.waitForEnd(seconds: 20) == 3)
        #expect(process.log == "said\n")
        #expect(throws: BenchFailure.self) { try MeasuredProcess("none", ["/no/such/program"], cpus: [], logPath: log) }
    }

    @Test("CPU time is that of the process, and of children that have ended")
    func time() throws {
        let process = try MeasuredProcess("sh", ["sh", "-c", "echo begun; \(Self.burning); echo own; sh -c '\(Self.burning)'; echo ended; sleep 600"], cpus: [], logPath: log)
        try eventually("it has begun") { process.log.contains("begun") }
        let begun = ProcessFigures(of: process.pid, memory: false)
        try eventually("its own work is done") { process.log.contains("own") }
        let own = ProcessFigures(of: process.pid, memory: false)
        #expect(own.processes >= 1 && own.cpuSeconds > begun.cpuSeconds + 0.02)
        try eventually("the child has ended") { process.log.contains("ended") }
        let ended = ProcessFigures(of: process.pid, memory: false)
        #expect(ended.cpuSeconds > own.cpuSeconds + 0.02)
    }

    @Test("CPU time of a thread that ended is not lost")
    func threads() throws {
        let program = """
            import threading, time
            def burn():
                while time.thread_time() < 0.3: pass
            thread = threading.Thread(target=burn)
            thread.start()
            thread.join()
            print("ended", flush=True)
            time.sleep(600)
            """
        let process = try MeasuredProcess("python", ["python3", "-c", program], cpus: [], logPath: log)
        try eventually("the thread has ended") { process.log.contains("ended") }
        #expect(ProcessFigures(of: process.pid, memory: false).cpuSeconds >= 0.3)
    }

    @Test("what /proc says of a process is read behind a name that may hold anything")
    func stat() throws {
        let fields = (4...52).map { "\($0)" }.joined(separator: " ")
        let read = try #require(ProcessStat("17 (a) b) S \(fields)"))
        let perSecond = Double(sysconf(Int32(_SC_CLK_TCK)))
        #expect(!read.hasEnded && read.endedChildrenSeconds == (16.0 + 17) / perSecond && read.startTicks == 22)
        #expect(ProcessStat("17 (x) Z \(fields)")?.hasEnded == true)
        #expect(ProcessStat("") == nil && ProcessStat("1 (x) S 3") == nil)
    }

    @Test("what a process started ends with it, in a group of its own too, and though it does not want to")
    func family() throws {
        let stubborn = "trap '' TERM; echo started; while :; do sleep 600; done"
        let process = try MeasuredProcess("sh", ["sh", "-c", "setsid sh -c \"\(stubborn)\" & wait"], cpus: [], logPath: log)
        try eventually("the child has begun") { process.log.contains("started") }
        let family = ProcessFamily(of: process.pid)
        #expect(!family.isGone && ProcessFamily.members(of: process.pid).count >= 2)
        process.stop()
        #expect(family.isGone)
    }

    @Test("what a helper prints may go to something that is no file, and that stays")
    func device() throws {
        let link = "\(folder.path)/nowhere"
        symlink("/dev/null", link)
        #expect(runToEnd(["true"], logPath: link)?.code == 0)
        var status = Glibc.stat()
        #expect(lstat(link, &status) == 0 && status.st_mode & S_IFMT == S_IFLNK)
    }

    @Test("a folder goes with its run; one that was left behind goes with the next, one in use stays")
    func folders() throws {
        let parent = folder.path
        let own = try WorkFolder("work", below: parent)
        try writeFile("\(own.path)/.hidden", "x")
        mkdir("\(own.path)/inner", 0o755)
        let left = "\(parent)/work.left"
        mkdir(left, 0o755)
        var long = [timeval(tv_sec: 1, tv_usec: 0), timeval(tv_sec: 1, tv_usec: 0)]
        utimes(left, &long)
        utimes(own.path, &long)
        let next = try WorkFolder("work", below: parent)
        #expect(access(left, F_OK) != 0 && access(own.path, F_OK) == 0)
        own.remove()
        next.remove()
        #expect(entries(parent, hidden: true).filter { $0.hasPrefix("work") }.isEmpty)
    }
}

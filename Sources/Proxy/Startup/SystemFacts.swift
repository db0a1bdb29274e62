import CUring
import Glibc

/// A kernel's version as far as decisions need it.
struct KernelVersion: Equatable {
    var release: String
    var major: Int
    var minor: Int

    init(_ major: Int, _ minor: Int) {
        release = "\(major).\(minor)"
        self.major = major
        self.minor = minor
    }

    /// Reads `6.1.0-13-amd64`; what cannot be read counts as 0.
    init(release: String) {
        self.release = release
        let numbers = release.split(whereSeparator: { !$0.isNumber }).prefix(2).map { Int($0) ?? 0 }
        major = numbers.first ?? 0
        minor = numbers.count > 1 ? numbers[1] : 0
    }

    func isOlder(than other: KernelVersion) -> Bool { (major, minor) < (other.major, other.minor) }
}

struct ResourceLimit: Equatable {
    var soft: UInt64
    var hard: UInt64
}

/// What the machine says about itself, as far as it matters to Weir: gathered once, judged by pure functions.
struct SystemFacts: Equatable {
    var kernel = KernelVersion(6, 1)
    var ring = RingProbe(refusal: 0, features: Set(RingProbe.Feature.allCases))
    /// kernel.io_uring_disabled and kernel.io_uring_group; nil on kernels without them (before 6.6).
    var ringDisabled: Int?
    var ringGroup: Int?
    var openFiles = ResourceLimit(soft: 1_024, hard: 1_048_576)
    /// fs.nr_open: no limit of open files goes above it.
    var openFilesCeiling: UInt64 = 1_048_576
    var lockedMemory = ResourceLimit(soft: 8 << 20, hard: 8 << 20)
    /// Pages of pipes that an unprivileged user may have; 0 = unlimited.
    var pipePagesSoft = 16_384
    var listenQueueMax = 4_096
    var synBacklogMax = 4_096
    var portRange = 32_768...60_999
    var receiveBufferMax = 6 << 20
    var sendBufferMax = 4 << 20
    var notSentLow = UInt64(UInt32.max)
    var congestionControl = "cubic"
    var congestionControls = ["cubic", "reno"]
    var machine = MachineShare(cpus: [0], quota: nil)
    /// 0 = none, 1 = strict, 2 = filter.
    var seccompMode = 0
    /// always, madvise or never.
    var hugePages = "madvise"
    var isRoot = false
    var allocator = "glibc"
    var clockSource = "tsc"
    /// How the processors choose their frequency; nil where they do not, as in most virtual machines.
    var governor: String?
    var devices: [NetworkDevice] = []
    /// net.ipv4.tcp_slow_start_after_idle
    var slowStartsAfterIdle = false
    /// net.core.netdev_max_backlog: packets that wait for a processor.
    var deviceBacklogMax = 1_000
    /// Microseconds that net.core.busy_read and busy_poll let a socket spin; 0 = never.
    var busyPollMicroseconds = 0
    var connectionTracking: ConnectionTracking?
    var kernelTLS = KernelTLS.works
    var openSSL = OpenSSLVersions(built: "3.5.0", loaded: "3.5.0")
    var recordCiphers = VectorCipher.Choice.notNeeded
    /// The CPU has the instructions that make AES-GCM several times as fast.
    var hasVectorAES = false

    /// Asks the kernel. Reads /proc and /sys, and makes two small rings.
    static func gather() -> SystemFacts {
        var facts = SystemFacts()
        facts.kernel = KernelVersion(release: readTextFile("/proc/sys/kernel/osrelease")?.trimmedLine ?? "0.0")
        facts.ring = RingProbe.run()
        facts.ringDisabled = readNumber("/proc/sys/kernel/io_uring_disabled")
        facts.ringGroup = readNumber("/proc/sys/kernel/io_uring_group")
        facts.openFiles = limit(cprocess_open_files) ?? facts.openFiles
        facts.openFilesCeiling = readNumber("/proc/sys/fs/nr_open").map(UInt64.init) ?? facts.openFilesCeiling
        facts.lockedMemory = limit(cprocess_locked_memory) ?? facts.lockedMemory
        facts.pipePagesSoft = readNumber("/proc/sys/fs/pipe-user-pages-soft") ?? facts.pipePagesSoft
        facts.listenQueueMax = readNumber("/proc/sys/net/core/somaxconn") ?? facts.listenQueueMax
        let tcp = "/proc/sys/net/ipv4/"
        facts.synBacklogMax = readNumber(tcp + "tcp_max_syn_backlog") ?? facts.synBacklogMax
        if let ports = readNumbers(tcp + "ip_local_port_range"), ports.count == 2, ports[0] <= ports[1] {
            facts.portRange = ports[0]...ports[1]
        }
        facts.receiveBufferMax = readNumbers(tcp + "tcp_rmem")?.last ?? facts.receiveBufferMax
        facts.sendBufferMax = readNumbers(tcp + "tcp_wmem")?.last ?? facts.sendBufferMax
        facts.notSentLow = readTextFile(tcp + "tcp_notsent_lowat").flatMap { UInt64($0.trimmedLine) } ?? facts.notSentLow
        facts.congestionControl = readTextFile(tcp + "tcp_congestion_control")?.trimmedLine ?? facts.congestionControl
        facts.congestionControls =
            readTextFile(tcp + "tcp_available_congestion_control")?.trimmedLine.split(separator: " ").map(String.init)
            ?? facts.congestionControls
        facts.machine = .current()
        facts.seccompMode = statusNumber("Seccomp:") ?? 0
        facts.hugePages = chosenWord(readTextFile("/sys/kernel/mm/transparent_hugepage/enabled") ?? "[never]")
        facts.isRoot = geteuid() == 0
        facts.allocator = Allocator.live.name
        facts.gatherSurroundings()
        return facts
    }

    static func limit(_ resource: cprocess_resource) -> ResourceLimit? {
        var limit = ResourceLimit(soft: 0, hard: 0)
        return cprocess_limit(resource, &limit.soft, &limit.hard) == 0 ? limit : nil
    }

    private static func readNumbers(_ path: String) -> [Int]? {
        readTextFile(path)?.split(whereSeparator: { !$0.isNumber }).compactMap { Int($0) }
    }

    /// A number of /proc/self/status.
    private static func statusNumber(_ name: String) -> Int? {
        for line in (readTextFile("/proc/self/status") ?? "").split(separator: "\n") where line.hasPrefix(name) {
            return Int(String(line.dropFirst(name.count)).trimmedLine)
        }
        return nil
    }

    /// The word in brackets of `always [madvise] never`.
    private static func chosenWord(_ line: String) -> String {
        let inner = line.split(separator: "[", maxSplits: 1).last ?? ""
        return String(inner.prefix { $0 != "]" })
    }
}

import Glibc
import Testing

@testable import Proxy

@Suite("Doctor, by facts")
struct DoctorTests {
    private func finding(_ subject: String, _ change: (inout SystemFacts) -> Void) throws -> Finding {
        var facts = SystemFacts()
        facts.openFiles = ResourceLimit(soft: 65_536, hard: 65_536)
        change(&facts)
        return try #require(Doctor(facts: facts).findings.first { $0.subject == subject })
    }

    @Test("a machine as it should be has nothing but good findings, each with its reason")
    func healthy() {
        var facts = SystemFacts()
        facts.openFiles = ResourceLimit(soft: 65_536, hard: 65_536)
        facts.allocator = "jemalloc"
        for finding in Doctor(facts: facts).findings {
            #expect(finding.weight == .good, "\(finding.text)")
            #expect(!finding.reason.isEmpty && finding.remedy == nil)
        }
        #expect(Doctor(facts: facts).isFit)
    }

    /// A fact that harms: what it is about, how much, and how it comes about.
    struct Harm: Sendable, CustomTestStringConvertible {
        var subject: String
        var weight: Finding.Weight
        var change: @Sendable (inout SystemFacts) -> Void
        var testDescription: String { subject }

        init(_ subject: String, _ weight: Finding.Weight, _ change: @escaping @Sendable (inout SystemFacts) -> Void) {
            self.subject = subject
            self.weight = weight
            self.change = change
        }
    }

    @Test(
        "each fact that harms is found, with a remedy",
        arguments: [
            Harm("kernel", .problem) { $0.kernel = KernelVersion(5, 10) },
            Harm("io_uring", .problem) { $0.ring = RingProbe(refusal: -EPERM) },
            Harm("minimum wait", .advice) { $0.ring.features.remove(.minimumWait) },
            Harm("processors", .advice) { $0.machine = MachineShare(cpus: [0, 1], quota: 1.5) },
            Harm("open files", .problem) { $0.openFiles = ResourceLimit(soft: 64, hard: 128) },
            Harm("open files", .advice) { $0.openFiles = ResourceLimit(soft: 1_024, hard: 4_096) },
            Harm("locked memory", .advice) { $0.lockedMemory = ResourceLimit(soft: 16_384, hard: 16_384) },
            Harm("pipes", .advice) { $0.pipePagesSoft = 1_024 },
            Harm("net.core.somaxconn", .advice) { $0.listenQueueMax = 128 },
            Harm("net.ipv4.tcp_max_syn_backlog", .advice) { $0.synBacklogMax = 128 },
            Harm("net.ipv4.ip_local_port_range", .advice) { $0.portRange = 50_000...60_000 },
            Harm("socket buffers", .advice) { $0.sendBufferMax = 200_000 },
            Harm("congestion control", .advice) { $0.congestionControl = "bbr" },
            Harm("allocator", .advice) { $0.allocator = "glibc" },
            Harm("transparent huge pages", .advice) { $0.hugePages = "always" },
            Harm("kernel TLS", .advice) { $0.kernelTLS = .noModule },
            Harm("kernel TLS", .advice) { $0.kernelTLS = .notPermitted },
            Harm("kernel TLS", .advice) { $0.kernelTLS = .failing(-EINVAL) },
            Harm("kernel TLS", .advice) { $0.kernelTLS = .untried(-EMFILE) },
            Harm("clock source", .advice) { $0.clockSource = "hpet" },
            Harm("processor frequency", .advice) { $0.governor = "powersave" },
            Harm("net.ipv4.tcp_slow_start_after_idle", .advice) { $0.slowStartsAfterIdle = true },
            Harm("connection tracking", .advice) { $0.connectionTracking = ConnectionTracking(count: 10, max: 65_536) },
            Harm("connection tracking", .advice) { $0.connectionTracking = ConnectionTracking(count: 290_000, max: 300_000) },
            Harm("net.core.netdev_max_backlog", .advice) { $0.deviceBacklogMax = 300 },
            Harm("busy polling", .advice) { $0.busyPollMicroseconds = 50 },
            Harm("OpenSSL", .advice) { $0.openSSL = OpenSSLVersions(built: "3.2.0", loaded: "3.0.22") },
            Harm("AES-GCM", .advice) {
                $0.recordCiphers = .notFound
                $0.hasVectorAES = true
            },
            Harm("OpenSSL", .advice) {
                $0.openSSL = OpenSSLVersions(built: "3.0.22", loaded: "3.0.22")
                $0.machine.cpus = [0, 1, 2, 3]
            },
            Harm("network device eth0", .advice) {
                $0.machine.cpus = [0, 1]
                $0.devices = [.made(queues: 1)]
            },
            Harm("network device eth0", .advice) {
                $0.machine.cpus = [0, 1]
                $0.devices = [.made(queues: 2, interrupts: ["0", "0"])]
            },
        ])
    func harm(_ harm: Harm) throws {
        let finding = try finding(harm.subject, harm.change)
        #expect(finding.weight == harm.weight)
        #expect(finding.remedy?.isEmpty == false)
        #expect(finding.text.contains("-> "))
    }

    @Test(
        "devices that reach all processors are left alone",
        arguments: [
            NetworkDevice.made(queues: 2, interrupts: ["0", "1"]), .made(queues: 1, steered: 1), .made(queues: 1, interrupts: ["0-1"], steered: 1),
        ])
    func spreading(_ device: NetworkDevice) throws {
        let finding = try finding("network device eth0") {
            $0.machine.cpus = [0, 1]
            $0.devices = [device]
        }
        #expect(finding.weight == .good, "\(finding.text)")
    }

    @Test("the mask for packets names the processors that may be used, in groups of 32 bits")
    func mask() throws {
        let finding = try finding("network device eth0") {
            $0.machine.cpus = [0, 33]
            $0.devices = [.made(queues: 1)]
        }
        #expect(finding.remedy?.contains("echo 2,00000001 > /sys/class/net/eth0/queues/rx-0/rps_cpus") == true, "\(finding.text)")
    }

    @Test("OpenSSL 3.0 is named for what it is, and only many workers are warned of it")
    func openSSL() throws {
        let finding = try finding("OpenSSL") { $0.openSSL = OpenSSLVersions(built: "3.0.20", loaded: "3.0.22") }
        #expect(finding.weight == .good && finding.state == "3.0.22, built against 3.0.20")
    }

    @Test("who computes AES-GCM is told, and another library is advised only where it would be faster")
    func recordCiphers() throws {
        #expect(try finding("AES-GCM") { $0.recordCiphers = .vector(version: "1.3.0") }.state == "libIPSec_MB 1.3.0")
        #expect(try finding("AES-GCM") { $0.recordCiphers = .notFound }.weight == .good)
        let finding = try finding("AES-GCM") {
            $0.recordCiphers = .notNeeded
            $0.hasVectorAES = true
        }
        #expect(finding.weight == .good && finding.state == "OpenSSL's")
    }

    @Test("what a remedy says to write in the configuration is a word of it")
    func remedies() throws {
        let finding = try finding("congestion control") { $0.congestionControl = "bbr" }
        #expect(finding.remedy?.contains("tcp-congestion = cubic") == true)
        let server = firstServer(server("tcp-congestion = cubic", backend: "addr = 127.0.0.1 port = 1 tcp-congestion = cubic"))
        #expect(server?.tcp.congestionControl == "cubic" && server?.backends.first?.tcp.congestionControl == "cubic")
    }

    @Test("what the kernel says to TLS of its own is told apart")
    func kernelTLS() throws {
        #expect(KernelTLS(refusal: -ENOENT) == .noModule)
        #expect(KernelTLS(refusal: -ENOPROTOOPT) == .noModule)
        #expect(KernelTLS(refusal: -EPERM) == .notPermitted)
        #expect(KernelTLS(refusal: -EBUSY) == .failing(-EBUSY))
        // A kernel has it or has it not; what it never is here is forbidden or untried.
        let found = KernelTLS.probe()
        #expect(found == .works || found == .noModule, "\(found)")
        let without = try finding("kernel TLS") { $0.kernelTLS = .noModule }
        #expect(without.state == "this kernel has no module tls: bodies over TLS are sealed in Weir")
        #expect(without.remedy?.hasPrefix("modprobe tls") == true)
    }

    @Test("only a problem makes a machine unfit")
    func fitness() {
        var facts = SystemFacts()
        facts.listenQueueMax = 1
        #expect(Doctor(facts: facts).isFit)
        facts.ring.refusal = -ENOSYS
        #expect(!Doctor(facts: facts).isFit)
    }

    @Test("the probe finds on this kernel what its version promises")
    func probe() {
        let facts = SystemFacts.gather()
        guard facts.ring.refusal == 0 else { return }  // a machine without io_uring has other tests
        for feature in RingProbe.Feature.allCases {
            let promised = !facts.kernel.isOlder(than: KernelVersion(release: feature.since))
            #expect(facts.ring.features.contains(feature) || !promised, "\(feature)")
        }
    }
}

extension NetworkDevice {
    fileprivate static func made(queues: Int, interrupts: [String] = [], steered: Int = 0) -> NetworkDevice {
        NetworkDevice(
            name: "eth0", driver: "virtio_net", receiveQueues: queues, sendQueues: queues, steeredQueues: steered,
            interruptProcessors: interrupts)
    }
}

@Suite("Doctor, on a machine made ill")
struct DoctorForRealTests {
    private func doctor(_ wrapper: [String]) throws -> (code: Int32, output: String) {
        let result = try RunningWeir.result(["doctor"], wrapper: wrapper)
        return (result.code, result.output)
    }

    @Test("this machine is fit")
    func fit() throws {
        let healthy = try doctor([])
        #expect(healthy.code == 0)
        #expect(healthy.output.contains("Weir can serve on this machine."))
    }

    @Test("a low limit of open files is found, with its remedy")
    func openFiles() throws {
        let low = try doctor(["prlimit", "--nofile=100:100"])
        #expect(low.code == 1)
        #expect(low.output.contains("PROBLEM open files: 100 (soft) of 100 (hard)"))
        #expect(low.output.contains("-> raise the hard limit (LimitNOFILE=65536"))
    }

    @Test("a filter that forbids io_uring is found, with its remedy", arguments: ["EPERM", "ENOSYS"])
    func filtered(number: String) throws {
        let ill = try doctor([RunningWeir.built("forbid"), number])
        #expect(ill.code == 1)
        #expect(ill.output.contains("PROBLEM io_uring: a filter for system calls (seccomp) forbids io_uring"))
        #expect(ill.output.contains("-> allow io_uring_setup, io_uring_enter and io_uring_register"))
    }

    @Test("a small somaxconn is found, with its remedy", .enabled(if: geteuid() == 0))
    func listenQueue() throws {
        let small = try doctor(["unshare", "-n", "sh", "-c", "echo 16 > /proc/sys/net/core/somaxconn; exec \"$0\" \"$@\""])
        #expect(small.code == 0)
        #expect(small.output.contains("advice  net.core.somaxconn: 16"))
        #expect(small.output.contains("-> sysctl -w net.core.somaxconn=4096"))
    }

    /// The doctor's words where some files of the kernel say something else: in a mount namespace of its own, so that nobody else
    /// sees them. io_uring itself is refused by a filter, as an old kernel or one with that setting would refuse it.
    private func doctor(reading files: [(path: String, text: String)], wrapper: [String] = []) throws -> (code: Int32, output: String) {
        let folder = try Folder()
        chmod(folder.path, 0o755)
        var script = ""
        for (number, file) in files.enumerated() {
            let copy = try folder.write("\(number)", file.text + "\n")
            script += "mount --bind \(copy) \(file.path) && "
        }
        return try doctor(["unshare", "-m", "sh", "-c", script + "exec \"$0\" \"$@\""] + wrapper)
    }

    @Test("an old kernel is found, and is why io_uring is refused", .enabled(if: geteuid() == 0))
    func oldKernel() throws {
        let old = try doctor(reading: [("/proc/sys/kernel/osrelease", "5.10.0-30-amd64")], wrapper: [RunningWeir.built("forbid"), "ENOSYS"])
        #expect(old.code == 1)
        #expect(old.output.contains("PROBLEM kernel: 5.10.0-30-amd64"))
        #expect(old.output.contains("PROBLEM io_uring: kernel 5.10.0-30-amd64 is too old: Weir needs 6.1 or newer"))
        #expect(old.output.contains("-> start a newer kernel (Debian 12 has 6.1)"))
        #expect(old.output.contains("minimum wait: not tried, as io_uring is refused"))
    }

    private static let ringSetting = "/proc/sys/kernel/io_uring_disabled"

    @Test(
        "a setting that forbids io_uring is found, with the remedy for its value",
        .enabled(if: geteuid() == 0 && access(DoctorForRealTests.ringSetting, F_OK) == 0),
        arguments: [
            ("2", "-1", "kernel.io_uring_disabled = 2 forbids io_uring to everybody", "-> set it to 0 (sysctl -w kernel.io_uring_disabled=0)"),
            ("1", "-1", "kernel.io_uring_disabled = 1 allows io_uring only to root", "-> set kernel.io_uring_group to the group of Weir"),
            ("1", "1001", "allows io_uring only to root and to group 1001", "-> run Weir in group 1001"),
        ])
    func setting(_ value: String, _ group: String, _ cause: String, _ remedy: String) throws {
        let files = [(Self.ringSetting, value), ("/proc/sys/kernel/io_uring_group", group)]
        let forbidden = try doctor(reading: files, wrapper: [RunningWeir.built("forbid"), "EPERM"])
        #expect(forbidden.code == 1)
        #expect(forbidden.output.contains(cause))
        #expect(forbidden.output.contains(remedy))
    }

    @Test("few pages for pipes are found where the user is not root", .enabled(if: geteuid() == 0))
    func pipes() throws {
        let nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
        let few = try doctor(reading: [("/proc/sys/fs/pipe-user-pages-soft", "1024")], wrapper: nobody)
        #expect(few.code == 0)
        #expect(few.output.contains("advice  pipes: 1024 pages: 4 pipes of 1 MiB"))
        #expect(few.output.contains("-> sysctl -w fs.pipe-user-pages-soft=16384"))
    }

    @Test(
        "huge pages for everybody are found",
        .enabled(if: geteuid() == 0 && access("/sys/kernel/mm/transparent_hugepage/enabled", F_OK) == 0))
    func hugePages() throws {
        let always = try doctor(reading: [("/sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise never")])
        #expect(always.output.contains("advice  transparent huge pages: always"))
        #expect(always.output.contains("-> echo madvise > /sys/kernel/mm/transparent_hugepage/enabled"))
    }

    @Test("a quota of processors that is no whole number is found", .enabled(if: geteuid() == 0 && access("/sys/fs/cgroup", F_OK) == 0))
    func quota() throws {
        let script = "mount -t tmpfs none /sys/fs/cgroup && echo 150000 100000 > /sys/fs/cgroup/cpu.max && exec \"$0\" \"$@\""
        let result = try doctor(["unshare", "-m", "sh", "-c", script])
        #expect(result.output.contains("a cgroup quota of 1.5: "))
        #expect(result.output.contains("-> give a whole number of processors"))
    }

    struct Network: Sendable, CustomTestStringConvertible {
        let testDescription: String
        /// A setting of /proc/sys/net/ipv4 and its value.
        let setting: String
        let finding: String
        let remedy: String
    }

    @Test(
        "settings of the network that slow Weir down are found, in a network of its own", .enabled(if: geteuid() == 0),
        arguments: [
            Network(
                testDescription: "handshakes under way", setting: "128 > tcp_max_syn_backlog", finding: "net.ipv4.tcp_max_syn_backlog: 128",
                remedy: "-> sysctl -w net.ipv4.tcp_max_syn_backlog=4096"),
            Network(
                testDescription: "ports", setting: "50000 60000 > ip_local_port_range",
                finding: "net.ipv4.ip_local_port_range: 50000 to 60000: 10001 ports",
                remedy: "-> sysctl -w net.ipv4.ip_local_port_range='10240 65535'"),
            Network(
                testDescription: "buffers", setting: "4096 16384 200000 > tcp_wmem", finding: "tcp_wmem up to 200000 bytes",
                remedy: "-> sysctl -w net.ipv4.tcp_rmem="),
            Network(
                testDescription: "congestion control", setting: "bbr > tcp_congestion_control", finding: "congestion control: bbr of ",
                remedy: "tcp-congestion = cubic"),
        ])
    func network(_ network: Network) throws {
        let known = RunningWeir.text("/proc/sys/net/ipv4/tcp_available_congestion_control")
        if network.setting.hasPrefix("bbr"), !known.contains("bbr") { return }  // this kernel has no such thing to find
        let result = try doctor(["unshare", "-n", "sh", "-c", "cd /proc/sys/net/ipv4 && echo \(network.setting) && exec \"$0\" \"$@\""])
        #expect(result.code == 0)
        #expect(result.output.contains("advice  "))
        #expect(result.output.contains(network.finding))
        #expect(result.output.contains(network.remedy))
    }

    @Test("few open files are found before they are too few")
    func someOpenFiles() throws {
        let few = try doctor(["prlimit", "--nofile=4096:4096"])
        #expect(few.code == 0)
        #expect(few.output.contains("advice  open files: 4096 (soft) of 4096 (hard)"))
        #expect(few.output.contains("about 2048 clients fit"))
    }

    @Test("a narrow affinity mask is obeyed")
    func affinity() throws {
        #expect(try doctor(["taskset", "-c", "0"]).output.contains("1 in the affinity mask, no cgroup quota: 1 workers"))
    }

    @Test("locked memory that cannot hold a ring of an old kernel is found")
    func lockedMemory() throws {
        #expect(try doctor(["prlimit", "--memlock=16384:16384"]).output.contains("advice  locked memory: 16 KiB (soft)"))
    }

    @Test("findings are to be had as JSON")
    func json() throws {
        let result = try RunningWeir.result(["doctor", "--json"])
        #expect(result.output.hasPrefix("[\n  {\n    \"weight\": "))
    }
}

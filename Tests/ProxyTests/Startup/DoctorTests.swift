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
        ])
    func harm(_ harm: Harm) throws {
        let finding = try finding(harm.subject, harm.change)
        #expect(finding.weight == harm.weight)
        #expect(finding.remedy?.isEmpty == false)
        #expect(finding.text.contains("-> "))
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

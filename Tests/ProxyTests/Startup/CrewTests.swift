import Testing

@testable import Proxy

@Suite("How many workers, and where")
struct CrewTests {
    @Test(
        "one worker for each processor that mask and quota leave",
        arguments: [
            (8, nil, 8), (8, 2.0, 2), (8, 2.5, 3), (8, 0.3, 1), (2, 4.0, 2), (1, nil, 1),
        ] as [(Int, Double?, Int)])
    func defaults(cpus: Int, quota: Double?, expected: Int) {
        let crew = Crew(wanted: nil, machine: MachineShare(cpus: Array(0..<cpus), quota: quota))
        #expect(crew.workers == expected)
        #expect(crew.cpus == Array(0..<expected))
    }

    @Test("workers stay within the inherited mask")
    func mask() {
        #expect(Crew(wanted: 2, machine: MachineShare(cpus: [5, 7, 9], quota: nil)).cpus == [5, 7])
    }

    @Test("workers that are not to be pinned are as many, on no CPU of their own")
    func unpinned() {
        let crew = Crew(wanted: nil, pinned: false, machine: MachineShare(cpus: [0, 1], quota: nil))
        #expect(crew.workers == 2)
        #expect(crew.cpus.isEmpty)
    }

    @Test("more workers than processors are not pinned")
    func tooMany() {
        let crew = Crew(wanted: 4, machine: MachineShare(cpus: [0, 1], quota: nil))
        #expect(crew.workers == 4)
        #expect(crew.cpus.isEmpty)
    }
}

@Suite("Processor quota of a cgroup")
struct CgroupQuotaTests {
    private func quota(_ files: [String: String]) -> Double? { CgroupQuota.current { files[$0] } }

    @Test("version 2: quota and period of the own group")
    func versionTwo() {
        #expect(
            quota(["/proc/self/cgroup": "0::/system.slice/weir.service\n", "/sys/fs/cgroup/system.slice/weir.service/cpu.max": "150000 100000\n"])
                == 1.5)
    }

    @Test("the tightest of all groups above counts")
    func tightest() {
        let files = [
            "/proc/self/cgroup": "0::/a/b\n", "/sys/fs/cgroup/a/b/cpu.max": "max 100000\n", "/sys/fs/cgroup/a/cpu.max": "50000 100000\n",
        ]
        #expect(quota(files) == 0.5)
    }

    @Test("in a container only the root is visible")
    func container() {
        #expect(quota(["/proc/self/cgroup": "0::/docker/4711\n", "/sys/fs/cgroup/cpu.max": "200000 100000\n"]) == 2)
    }

    @Test("version 1: two files, -1 is no quota")
    func versionOne() {
        var files = [
            "/proc/self/cgroup": "4:memory:/x\n1:cpu,cpuacct:/x\n", "/sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_quota_us": "300000\n",
            "/sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_period_us": "100000\n",
        ]
        #expect(quota(files) == 3)
        files["/sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_quota_us"] = "-1\n"
        #expect(quota(files) == nil)
    }

    @Test("nonsense is no quota", arguments: ["", "max", "0 0", "abc 100000", "100000 -1", "1 2 3"])
    func nonsense(text: String) {
        #expect(quota(["/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/cpu.max": text]) == nil)
    }

    @Test("without cgroups there is no quota")
    func none() { #expect(quota([:]) == nil) }
}

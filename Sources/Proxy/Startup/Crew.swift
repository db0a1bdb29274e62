import CUring
import Glibc

/// The processors that this process may use: those of its inherited affinity mask, and how much of them its cgroup gives.
struct MachineShare: Equatable {
    var cpus: [Int]
    /// Processors' worth of time the cgroup quota allows; nil = no quota.
    var quota: Double?

    static func current() -> MachineShare {
        var cpus = [Int32](repeating: 0, count: 1_024)
        let count = Int(clinux_affinity(&cpus, Int32(cpus.count)))
        return MachineShare(cpus: cpus[..<count].map(Int.init), quota: CgroupQuota.current())
    }
}

/// How many workers run, and where.
struct Crew: Equatable {
    var workers: Int
    /// The CPU of each worker; empty when they are not to be pinned, or are more than the CPUs, which nothing could be pinned to well.
    var cpus: [Int]

    init(workers: Int, cpus: [Int]) {
        self.workers = workers
        self.cpus = cpus
    }

    init(wanted: Int?, pinned: Bool = true, machine: MachineShare) {
        let available = max(1, machine.cpus.count)
        let allowed = machine.quota.map { max(1, Int($0.rounded(.up))) } ?? available
        workers = max(1, wanted ?? min(available, allowed))
        cpus = pinned && workers <= machine.cpus.count ? Array(machine.cpus.prefix(workers)) : []
    }
}

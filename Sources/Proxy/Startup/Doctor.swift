/// Judges a machine: every fact that matters to Weir, with its reason and what to do about it.
struct Doctor {
    let facts: SystemFacts

    /// All findings in the order in which people should read them.
    var findings: [Finding] {
        [kernel, ring, spareFeatures, minimumWait, processors, governor, clockSource, openFiles, lockedMemory, pipes]
            + [listenQueue, synBacklog, ports, buffers, notSent, congestionControl, slowStart, connectionTracking]
            + networkDevices + [deviceBacklog, busyPolling, openSSL, recordCiphers, kernelTLS, allocator, hugePages, systemCallFilter]
    }

    /// Whether Weir can serve on this machine.
    var isFit: Bool { !findings.contains { $0.weight == .problem } }

    private var kernel: Finding {
        let reason = "Weir is built for what io_uring is since 6.1"
        if facts.kernel.isOlder(than: KernelVersion(6, 1)) {
            return .problem(
                "kernel", facts.kernel.release, because: reason, remedy: "start a newer kernel (Debian 12 has 6.1)")
        }
        return .good("kernel", facts.kernel.release, because: reason)
    }

    private var ring: Finding {
        if let refusal = RingRefusal(facts) {
            return .problem(
                "io_uring", refusal.cause, because: "every byte that Weir serves goes through a ring", remedy: refusal.remedy)
        }
        let found = RingProbe.Feature.allCases.filter { facts.ring.features.contains($0) && $0.isNeeded }
        return .good(
            "io_uring", "found and used: " + found.map(\.rawValue).joined(separator: ", "),
            because: "tried on this kernel, not read from its version")
    }

    private var minimumWait: Finding {
        let feature = RingProbe.Feature.minimumWait
        if facts.ring.features.contains(feature) {
            return .good(
                "minimum wait", "found; used under load, and always in efficiency mode",
                because: "lets a partly loaded worker gather work before it wakes")
        }
        if facts.ring.refusal != 0 {
            return .good("minimum wait", "not tried, as io_uring is refused", because: "workers under load gather by it")
        }
        return .advice(
            "minimum wait", "not in this kernel",
            because: "without it workers under load cannot gather, which saves CPU time, and efficiency mode does nothing",
            remedy: "kernel \(feature.since) or newer")
    }

    private var processors: Finding {
        let crew = Crew(wanted: nil, machine: facts.machine)
        let cpus = facts.machine.cpus.count
        guard let quota = facts.machine.quota else {
            return .good(
                "processors", "\(cpus) in the affinity mask, no cgroup quota: \(crew.workers) workers",
                because: "one worker runs on each processor")
        }
        let state = "\(cpus) in the affinity mask, a cgroup quota of \(quota): \(crew.workers) workers"
        if quota.rounded(.up) != quota {
            return .advice(
                "processors", state, because: "a quota that is no whole number stops the workers for the rest of each period",
                remedy: "give a whole number of processors (cpu.max, CPUQuota=, --cpus)")
        }
        return .good("processors", state, because: "one worker runs on each processor that the quota pays for")
    }

    private var openFiles: Finding {
        let hard = facts.openFiles.hard
        let state = "\(facts.openFiles.soft) (soft) of \(hard) (hard)"
        if hard < 256 {
            return .problem(
                "open files", state, because: "listeners, rings and logs alone take that many",
                remedy: "raise the hard limit (LimitNOFILE=65536, limits.conf)")
        }
        if hard < 16_384 {
            return .advice(
                "open files", state,
                because: "Weir raises the soft limit to the hard one; a proxied exchange takes two, so that about "
                    + "\(hard / 2) clients fit",
                remedy: "raise the hard limit (LimitNOFILE=65536, limits.conf) for more")
        }
        return .good("open files", state, because: "Weir raises the soft limit to the hard one: about \(hard / 2) clients fit")
    }

    private var lockedMemory: Finding {
        let state = "\(byteCount(facts.lockedMemory.soft)) (soft) of \(byteCount(facts.lockedMemory.hard)) (hard)"
        if facts.lockedMemory.hard < 64 * 1_024 {
            return .advice(
                "locked memory", state, because: "kernels before 5.12, and some features, charge rings to this limit",
                remedy: "LimitMEMLOCK=8M")
        }
        return .good("locked memory", state, because: "kernels since 5.12 do not charge rings to this limit")
    }

    private var pipes: Finding {
        let pages = facts.pipePagesSoft
        let count = pages * 4_096 / ResourcePlan.pipeBytes
        if facts.isRoot || pages == 0 {
            return .good("pipes", "no limit for this user", because: "large bodies move through pipes without being copied")
        }
        let state = "\(pages) pages: \(count) pipes of \(byteCount(UInt64(ResourcePlan.pipeBytes)))"
        // One pipe a worker is enough: it is empty between two uses.
        if count < 64 {
            return .advice(
                "pipes", state,
                because: "large bodies move through pipes without being copied; without a pipe they are copied",
                remedy: "sysctl -w fs.pipe-user-pages-soft=\(64 * ResourcePlan.pipeBytes / 4_096)")
        }
        return .good("pipes", state, because: "large bodies move through pipes without being copied")
    }

    private var listenQueue: Finding {
        let reason = "connections that wait to be accepted; the kernel cuts every backlog to this"
        if facts.listenQueueMax < 1_024 {
            return .advice(
                "net.core.somaxconn", "\(facts.listenQueueMax)", because: reason, remedy: "sysctl -w net.core.somaxconn=4096")
        }
        return .good("net.core.somaxconn", "\(facts.listenQueueMax)", because: reason)
    }

    private var synBacklog: Finding {
        let reason = "handshakes under way for each listener, before SYN cookies step in"
        if facts.synBacklogMax < 512 {
            return .advice(
                "net.ipv4.tcp_max_syn_backlog", "\(facts.synBacklogMax)", because: reason,
                remedy: "sysctl -w net.ipv4.tcp_max_syn_backlog=4096")
        }
        return .good("net.ipv4.tcp_max_syn_backlog", "\(facts.synBacklogMax)", because: reason)
    }

    private var ports: Finding {
        let range = facts.portRange
        let state = "\(range.lowerBound) to \(range.upperBound): \(range.count) ports"
        let reason = "each connection to one backend address takes one of them"
        if range.count < 16_384 {
            return .advice(
                "net.ipv4.ip_local_port_range", state, because: reason,
                remedy: "sysctl -w net.ipv4.ip_local_port_range='10240 65535'")
        }
        return .good("net.ipv4.ip_local_port_range", state, because: reason)
    }

    private var buffers: Finding {
        let least = min(facts.receiveBufferMax, facts.sendBufferMax)
        let state = "tcp_rmem up to \(byteCount(UInt64(facts.receiveBufferMax))), tcp_wmem up to \(byteCount(UInt64(facts.sendBufferMax)))"
        let reason = "a connection is no faster than its buffer per round trip"
        if least < 1 << 20 {
            return .advice(
                "socket buffers", state, because: reason,
                remedy: "sysctl -w net.ipv4.tcp_rmem='4096 131072 6291456' net.ipv4.tcp_wmem='4096 16384 4194304'")
        }
        return .good("socket buffers", state, because: reason)
    }

    private var notSent: Finding {
        let state = facts.notSentLow >= UInt64(UInt32.max) ? "no limit" : byteCount(facts.notSentLow)
        return .good(
            "net.ipv4.tcp_notsent_lowat", state,
            because: "Weir sets its own for clients, 128 KiB, so that slow readers do not fill the kernel's memory")
    }

    private var congestionControl: Finding {
        let state = "\(facts.congestionControl) of \(facts.congestionControls.joined(separator: ", "))"
        if facts.congestionControl == "bbr" {
            return .advice(
                "congestion control", state, because: "BBR paces even on a local network and costs processor time there",
                remedy: "keep it for clients far away; for near ones write tcp-congestion = cubic in the server or downstream")
        }
        return .good("congestion control", state, because: "the system's, unless a listener or backend names another")
    }

    private var allocator: Finding {
        if facts.allocator == Allocator.jemalloc.name {
            return .good("allocator", facts.allocator, because: "gives memory back by its own clock")
        }
        return .advice(
            "allocator", facts.allocator, because: "it keeps freed memory until it is trimmed; debug builds have no other",
            remedy: "make build (release) brings jemalloc")
    }

    private var hugePages: Finding {
        if facts.hugePages == "always" {
            return .advice(
                "transparent huge pages", facts.hugePages,
                because: "memory that was used in one spot counts as 2 MiB, so that idle workers look and are larger",
                remedy: "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled")
        }
        return .good("transparent huge pages", facts.hugePages, because: "only who asks gets them")
    }

    private var systemCallFilter: Finding {
        switch facts.seccompMode {
        case 0: .good("seccomp", "no filter", because: "nothing stands between Weir and the kernel")
        default:
            .good("seccomp", "a filter is on", because: "it lets io_uring through if the finding above says so")
        }
    }
}

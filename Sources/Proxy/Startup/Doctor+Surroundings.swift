/// Findings about what stands around a process: clock, processors, network devices, libraries.
extension Doctor {
    var spareFeatures: Finding {
        let reason = "a submission thread costs more than it saves (tuning/experiments/submission-thread.conf), the others gained nothing over loopback"
        if facts.ring.refusal != 0 { return .good("io_uring, not used", "not tried, as io_uring is refused", because: reason) }
        let found = RingProbe.Spare.allCases.filter { facts.ring.spares.contains($0) }.map(\.rawValue)
        return .good("io_uring, not used", found.isEmpty ? "nothing more found" : "found: " + found.joined(separator: ", "), because: reason)
    }

    var clockSource: Finding {
        let reason = "each tick of a worker reads the clock; these are read without a system call"
        // The clocks of timekeeping chips, and of counters that are not trusted, cost a slow access or a system call for each reading.
        if ["hpet", "acpi_pm", "pit", "jiffies", "refined-jiffies", "xen"].contains(facts.clockSource) {
            return .advice(
                "clock source", facts.clockSource, because: "each tick of a worker reads the clock, and this one costs a system call each time",
                remedy: "echo tsc > /sys/devices/system/clocksource/clocksource0/current_clocksource (if available_clocksource has it; else look for 'unstable' in dmesg)")
        }
        return .good("clock source", facts.clockSource, because: reason)
    }

    var governor: Finding {
        guard let governor = facts.governor else {
            return .good("processor frequency", "not ours to choose", because: "the hypervisor or the hardware decides it")
        }
        if ["powersave", "conservative", "ondemand"].contains(governor) {
            return .advice(
                "processor frequency", governor, because: "a partly loaded processor is slowed down, which answers wait for",
                remedy: "for N in /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor; do echo performance > $N; done")
        }
        return .good("processor frequency", governor, because: "answers do not wait for a processor to speed up")
    }

    var slowStart: Finding {
        if facts.slowStartsAfterIdle {
            return .advice(
                "net.ipv4.tcp_slow_start_after_idle", "1",
                because: "kept connections to backends far away begin slowly again after each pause",
                remedy: "sysctl -w net.ipv4.tcp_slow_start_after_idle=0")
        }
        return .good("net.ipv4.tcp_slow_start_after_idle", "0", because: "kept connections stay fast over pauses")
    }

    var connectionTracking: Finding {
        guard let tracking = facts.connectionTracking else {
            return .good("connection tracking", "none", because: "no table of a firewall can run full")
        }
        let state = "\(tracking.count) of \(tracking.max) entries"
        let reason = "each proxied client takes up to two entries; when the table is full, packets are dropped and nobody is told"
        if tracking.max < 262_144 || tracking.count > tracking.max / 4 * 3 {
            return .advice(
                "connection tracking", state, because: reason,
                remedy: "sysctl -w net.netfilter.nf_conntrack_max=\(max(262_144, tracking.max * 2)), or exempt Weir's ports from tracking (notrack)")
        }
        return .good("connection tracking", state, because: reason)
    }

    var networkDevices: [Finding] {
        if facts.devices.isEmpty {
            return [.good("network device", "none but loopback and tunnels", because: "there are no queues to spread over processors")]
        }
        return facts.devices.map(finding)
    }

    private func finding(_ device: NetworkDevice) -> Finding {
        let subject = "network device \(device.name)"
        let processors = facts.machine.cpus.count
        let interrupts = Set(device.interruptProcessors).sorted()
        var state = "\(device.driver), \(plural(device.receiveQueues, "receive queue")), \(plural(device.sendQueues, "send queue"))"
        if !interrupts.isEmpty { state += ", interrupts on CPU \(interrupts.joined(separator: " and "))" }
        state += device.steeredQueues == 0 ? ", RPS off" : ", RPS on \(plural(device.steeredQueues, "queue"))"
        if processors > 1 && device.receiveQueues < processors && device.steeredQueues == 0 {
            return .advice(
                subject, state, because: "\(device.receiveQueues) of \(processors) processors take all packets in; not measurable over loopback",
                remedy: "ethtool -L \(device.name) combined \(processors), or where it has no more queues: "
                    + "echo \(mask) > /sys/class/net/\(device.name)/queues/rx-0/rps_cpus")
        }
        if processors > 1 && device.receiveQueues > 1 && device.interruptProcessors.count > 1 && interrupts.count == 1
            && Int(interrupts[0]) != nil && device.steeredQueues == 0
        {
            return .advice(
                subject, state, because: "all its queues interrupt one processor",
                remedy: "start irqbalance, or write another CPU to each /proc/irq/NUMBER/smp_affinity_list")
        }
        return .good(subject, state, because: "packets reach all processors that Weir may use")
    }

    /// The processors that Weir may use as the kernel writes a mask: groups of 32 bits, the highest first.
    private var mask: String {
        var words = [UInt32](repeating: 0, count: (facts.machine.cpus.max() ?? 0) / 32 + 1)
        for cpu in facts.machine.cpus { words[cpu / 32] |= 1 &<< UInt32(cpu % 32) }
        return words.reversed().enumerated().map { place, word in
            let digits = String(word, radix: 16)
            return place == 0 ? digits : String(repeating: "0", count: 8 - digits.count) + digits
        }.joined(separator: ",")
    }

    var deviceBacklog: Finding {
        let reason = "packets that wait for a processor, where RPS or loopback hands them over"
        if facts.deviceBacklogMax < 1_000 {
            return .advice(
                "net.core.netdev_max_backlog", "\(facts.deviceBacklogMax)", because: reason, remedy: "sysctl -w net.core.netdev_max_backlog=1000")
        }
        return .good("net.core.netdev_max_backlog", "\(facts.deviceBacklogMax)", because: reason)
    }

    var busyPolling: Finding {
        if facts.busyPollMicroseconds > 0 {
            return .advice(
                "busy polling", "up to \(facts.busyPollMicroseconds) µs",
                because: "workers wait in their rings, which do not spin; other programs take processor time for it",
                remedy: "sysctl -w net.core.busy_read=0 net.core.busy_poll=0")
        }
        return .good("busy polling", "off", because: "workers wait in their rings, which do not spin")
    }

    var recordCiphers: Finding {
        switch facts.recordCiphers {
        case .vector(let version):
            return .good(
                "AES-GCM", "libIPSec_MB \(version)", because: "has VAES and AVX-512, which this OpenSSL does not know: large bodies under TLS cost less")
        case .notNeeded: return .good("AES-GCM", "OpenSSL's", because: "knows what instructions this CPU has")
        case .notFound:
            guard facts.hasVectorAES else {
                return .good("AES-GCM", "OpenSSL's", because: "this CPU has no instructions for it that OpenSSL would not know")
            }
            return .advice(
                "AES-GCM", "OpenSSL's, without this CPU's VAES", because: "OpenSSL knows it from 3.1 on; large bodies under TLS cost a quarter more",
                remedy: "apt-get install libipsec-mb1, or use a distribution with a newer OpenSSL")
        }
    }

    var openSSL: Finding {
        let versions = facts.openSSL
        let crew = Crew(wanted: nil, machine: facts.machine)
        let loaded = KernelVersion(release: versions.loaded)
        let state = versions.built == versions.loaded ? versions.loaded : "\(versions.loaded), built against \(versions.built)"
        if loaded.isOlder(than: KernelVersion(release: versions.built)) {
            return .advice(
                "OpenSSL", state, because: "an older library than the one Weir was built against may lack what the build found",
                remedy: "apt-get install --only-upgrade libssl3, or build Weir on this machine")
        }
        if loaded.isOlder(than: KernelVersion(3, 2)) && crew.workers >= 4 {
            return .advice(
                "OpenSSL", state,
                because: "3.0 and 3.1 take locks that all threads share, so that handshakes of many workers wait for each other; "
                    + "a context for each worker, which Weir has, avoids some of them",
                remedy: "use a distribution with OpenSSL 3.2 or newer (Debian 13 has 3.5), or keep 1-3 workers for TLS")
        }
        return .good("OpenSSL", state, because: "its shared locks do not matter with this version and \(plural(crew.workers, "worker"))")
    }

    var kernelTLS: Finding {
        let reason = "with 'kernel-tls = true' in 'ssl', large bodies go to clients without passing through this program"
        switch facts.kernelTLS {
        case .works: return .good("kernel TLS", "found", because: reason)
        case .noModule:
            return .advice(
                "kernel TLS", "this kernel has no module tls: bodies over TLS are sealed in Weir", because: reason,
                remedy: "modprobe tls, and a line 'tls' in a file of /etc/modules-load.d; where the kernel is built without it, nothing")
        case .notPermitted:
            return .advice(
                "kernel TLS", "not permitted here: bodies over TLS are sealed in Weir", because: reason,
                remedy: "let setsockopt with TCP_ULP through the filter of the container or service")
        case .failing(let code), .untried(let code):
            return .advice(
                "kernel TLS", "cannot be tried (\(errorText(-code))): bodies over TLS are sealed in Weir", because: reason,
                remedy: "look whether 127.0.0.1 can be connected to, and what dmesg says")
        }
    }
}

extension KernelTLS {
    /// For the summary at the start, where a server asks for it.
    var sentence: String {
        switch self {
        case .works: "kernel TLS: large bodies are sealed by the kernel"
        case .noModule: "kernel TLS: this kernel has no module tls, so that bodies are sealed in Weir; modprobe tls, and start again"
        case .notPermitted: "kernel TLS: not permitted here, so that bodies are sealed in Weir"
        case .failing(let code), .untried(let code): "kernel TLS: cannot be tried (\(errorText(-code))), so that bodies are sealed in Weir"
        }
    }
}

import COpenSSL
import Glibc

/// The table in which a firewall remembers connections.
struct ConnectionTracking: Equatable {
    var count: Int
    var max: Int
}

/// The version of OpenSSL that Weir was built against, and the one that is loaded.
struct OpenSSLVersions: Equatable {
    var built: String
    var loaded: String

    static var current: OpenSSLVersions {
        OpenSSLVersions(
            built: "\(OPENSSL_VERSION_MAJOR).\(OPENSSL_VERSION_MINOR).\(OPENSSL_VERSION_PATCH)",
            loaded: "\(OPENSSL_version_major()).\(OPENSSL_version_minor()).\(OPENSSL_version_patch())")
    }
}

extension SystemFacts {
    /// What stands around a process and is not a limit of its own: clock, network devices, libraries.
    mutating func gatherSurroundings() {
        clockSource = readTextFile("/sys/devices/system/clocksource/clocksource0/current_clocksource")?.trimmedLine ?? "unknown"
        governor = readTextFile("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")?.trimmedLine
        devices = NetworkDevice.all()
        slowStartsAfterIdle = readNumber("/proc/sys/net/ipv4/tcp_slow_start_after_idle") ?? 0 != 0
        deviceBacklogMax = readNumber("/proc/sys/net/core/netdev_max_backlog") ?? deviceBacklogMax
        busyPollMicroseconds = max(readNumber("/proc/sys/net/core/busy_read") ?? 0, readNumber("/proc/sys/net/core/busy_poll") ?? 0)
        if let most = readNumber("/proc/sys/net/netfilter/nf_conntrack_max") {
            connectionTracking = ConnectionTracking(count: readNumber("/proc/sys/net/netfilter/nf_conntrack_count") ?? 0, max: most)
        }
        openSSL = .current
        kernelTLS = Self.kernelTLS()
        recordCiphers = VectorCipher.choice
        let flags = readTextFile("/proc/cpuinfo")?.split(separator: "\n").first { $0.hasPrefix("flags") }?.split(separator: " ") ?? []
        hasVectorAES = flags.contains("vaes") && flags.contains("vpclmulqdq") && flags.contains("avx512vl")
    }

    /// What the kernel has of TLS, without making it load a module: where it lists what is loaded, that is looked at first.
    private static func kernelTLS() -> KernelTLS {
        let list = readTextFile("/proc/sys/net/ipv4/tcp_available_ulp")?.trimmedLine.split(separator: " ")
        return list.map { $0.contains("tls") } ?? true ? .probe() : .noModule
    }
}

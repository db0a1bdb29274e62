import CUring
import Glibc

/// Whether the kernel seals records of TLS itself, found by trying it: the module may be missing, or a filter in the way.
enum KernelTLS: Equatable, Sendable {
    case works
    /// Built without it, or its module is not loaded and this process may not load it.
    case noModule
    case notPermitted
    /// There, but it does not take the keys that we would give it; a negative errno.
    case failing(Int32)
    /// No connection could be made to try it on; a negative errno.
    case untried(Int32)

    /// Tries it on a connection of this process with itself: a few system calls. A process with CAP_NET_ADMIN loads the module by
    /// asking.
    static func probe(_ suite: RecordSuite = .aes128GCM) -> KernelTLS {
        let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let listener = socket(AF_INET, kind, 0)
        let near = socket(AF_INET, kind, 0)
        defer {
            if listener >= 0 { close(listener) }
            if near >= 0 { close(near) }
        }
        guard listener >= 0, near >= 0 else { return .untried(-errno) }
        guard let loopback = SocketAddress(literal: "127.0.0.1", port: 0), loopback.bind(listener) == 0, listen(listener, 1) == 0 else {
            return .untried(-errno)
        }
        var storage = sockaddr_storage()
        let length = clinux_socket_address(listener, false, &storage)
        guard length > 0, SocketAddress(copying: &storage, length: Int(length)).connect(near) == 0 else { return .untried(-errno) }
        let attached = KernelSealing.attach(near)
        guard attached == 0 else { return KernelTLS(refusal: attached) }
        let installed = KernelSealing.install(near, TrafficKey(version: .tls13, suite: suite))
        guard installed == 0 else { return .failing(installed) }
        // What is asked at the end of a connection must have an answer.
        var sequence: UInt64 = 1
        let told = clinux_tls_next_record(near, UInt16(suite.rawValue), &sequence)
        return told == 0 && sequence == 0 ? .works : .failing(told == 0 ? -EPROTO : told)
    }

    /// What a refusal to put a connection under it means.
    init(refusal: Int32) {
        self =
            switch -refusal {
            case ENOENT, ENOPROTOOPT, ENOTSUP: .noModule
            case EPERM, EACCES: .notPermitted
            default: .failing(refusal)
            }
    }
}

/// Suites with which the kernel seals; none where it does not at all, or is not to.
struct KernelSuites: OptionSet, Sendable, BitwiseCopyable {
    let rawValue: UInt8

    init(rawValue: UInt8) { self.rawValue = rawValue }

    /// Tries each.
    static func probe() -> KernelSuites {
        var found = KernelSuites()
        for suite in RecordSuite.allCases where KernelTLS.probe(suite) == .works { found.insert(KernelSuites(suite)) }
        return found
    }

    init(_ suite: RecordSuite) { rawValue = 1 << suite.rawValue }

    @inline(__always)
    func contains(_ suite: RecordSuite) -> Bool { rawValue & 1 << suite.rawValue != 0 }
}

/// What there is to do for the kernel's TLS on the connections of a server.
struct KernelTLSPlan: BitwiseCopyable, Sendable {
    /// Empty = nothing is handed over.
    var suites = KernelSuites()
    /// What the system says of unsent bytes (net.ipv4.tcp_notsent_lowat), for sockets that have no word of their own.
    var unsentLowBytes = KernelSendRoom.unlimited

    static let none = KernelTLSPlan()

    /// Tries what the kernel has.
    static func probe() -> KernelTLSPlan {
        let low = readTextFile("/proc/sys/net/ipv4/tcp_notsent_lowat").flatMap { Int($0.split(separator: "\n").first ?? "") }
        return KernelTLSPlan(suites: .probe(), unsentLowBytes: low ?? 0)
    }
}

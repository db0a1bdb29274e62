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

    /// Tries it on a connection of this process with itself. A few system calls; as root this loads the module.
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
        return installed == 0 ? .works : .failing(installed)
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

/// Suites with which the kernel seals; none where it does not at all.
struct KernelSuites: OptionSet, Sendable {
    let rawValue: UInt8

    init(rawValue: UInt8) { self.rawValue = rawValue }

    /// Tries each.
    static func probe() -> KernelSuites {
        var found = KernelSuites()
        for suite in RecordSuite.allCases where KernelTLS.probe(suite) == .works { found.insert(KernelSuites(suite)) }
        return found
    }

    private init(_ suite: RecordSuite) { rawValue = 1 << suite.rawValue }

    @inline(__always)
    func contains(_ suite: RecordSuite) -> Bool { rawValue & 1 << suite.rawValue != 0 }
}

/// Keys for the kernel, and what is said beside data, on one connection.
enum KernelSealing {
    /// Puts a connection under the kernel's TLS; until it has a key, nothing changes. 0 or a negative errno.
    static func attach(_ socket: Int32) -> Int32 { clinux_tls_attach(socket) }

    /// Lets the kernel seal what is sent from now on: plain bytes that are sent or spliced become records. All that was sealed
    /// before must be in the socket. 0 or a negative errno.
    static func install(_ socket: Int32, _ key: TrafficKey) -> Int32 {
        var given = clinux_tls_key()
        given.version = key.version == .tls13 ? 0x0304 : 0x0303
        given.suite = UInt16(key.suite.rawValue)
        given.sequence = key.sequence
        withUnsafeMutableBytes(of: &given.iv) { target in withUnsafeBytes(of: key.iv) { target.copyMemory(from: $0) } }
        withUnsafeMutableBytes(of: &given.key) { target in withUnsafeBytes(of: key.key) { target.copyMemory(from: $0) } }
        let result = clinux_tls_set_sending_key(socket, &given)
        withUnsafeMutableBytes(of: &given) { explicit_bzero($0.baseAddress!, $0.count) }
        return result
    }

    /// Says something beside data, without waiting: the number of bytes, or a negative errno.
    static func say(_ socket: Int32, _ message: TLSControlMessage) -> Int {
        message.withBytes {
            clinux_tls_send_record(socket, message.contentType, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
        }
    }

    /// What the socket holds that its peer has not acknowledged.
    static func queuedBytes(_ socket: Int32) -> Int { max(0, Int(clinux_queued_bytes(socket))) }
}

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
    static func probe() -> KernelTLS {
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
        let attached = clinux_tls_attach(near)
        guard attached == 0 else { return KernelTLS(refusal: attached) }
        var key = clinux_tls_key()
        key.version = 0x0304
        let installed = clinux_tls_set_sending_key(near, &key)
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

/// Installing keys, and what is said beside data, on one connection.
enum KernelSealing {
    /// Lets the kernel seal what is sent from now on: plain bytes that are sent or spliced become records. 0, or a negative
    /// errno and nothing has changed. All that was sealed before must be in the socket.
    static func install(_ socket: Int32, _ key: TrafficKey) -> Int32 {
        let attached = clinux_tls_attach(socket)
        guard attached == 0 else { return attached }
        var given = clinux_tls_key()
        given.version = key.version == .tls13 ? 0x0304 : 0x0303
        given.suite =
            switch key.suite {
            case .aes128GCM: 0
            case .aes256GCM: 1
            case .chaCha20Poly1305: 2
            }
        given.sequence = key.sequence
        withUnsafeMutableBytes(of: &given.iv) { target in withUnsafeBytes(of: key.iv) { target.copyMemory(from: $0) } }
        withUnsafeMutableBytes(of: &given.key) { target in withUnsafeBytes(of: key.key) { target.copyMemory(from: $0) } }
        let result = clinux_tls_set_sending_key(socket, &given)
        withUnsafeMutableBytes(of: &given) { explicit_bzero($0.baseAddress!, $0.count) }
        return result
    }
}

import Glibc

/// Where a peer listens.
public enum PeerAddress: Sendable, Equatable, CustomStringConvertible {
    case ipv4(port: UInt16)
    /// 127.0.0.N: several backends with one port.
    case loopback(UInt8, port: UInt16)
    case ipv6(port: UInt16)
    case unix(path: String)

    public var port: UInt16 {
        switch self {
        case .ipv4(let port), .ipv6(let port), .loopback(_, let port): port
        case .unix: 0
        }
    }
    public var description: String {
        switch self {
        case .ipv4(let port): "127.0.0.1:\(port)"
        case .loopback(let number, let port): "127.0.0.\(number):\(port)"
        case .ipv6(let port): "[::1]:\(port)"
        case .unix(let path): "unix:\(path)"
        }
    }

    var family: Int32 {
        switch self {
        case .ipv4, .loopback: AF_INET
        case .ipv6: AF_INET6
        case .unix: AF_UNIX
        }
    }

    func withSocketAddress<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
        switch self {
        case .ipv4(let port): return PeerAddress.loopback(1, port: port).withSocketAddress(body)
        case .loopback(let number, let port):
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = port.bigEndian
            address.sin_addr.s_addr = (UInt32(0x7F00_0000) + UInt32(number)).bigEndian
            return lend(&address, body)
        case .ipv6(let port):
            var address = sockaddr_in6()
            address.sin6_family = sa_family_t(AF_INET6)
            address.sin6_port = port.bigEndian
            address.sin6_addr = in6addr_loopback
            return lend(&address, body)
        case .unix(let path):
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            let bytes = Array(path.utf8)
            precondition(bytes.count < MemoryLayout.size(ofValue: address.sun_path), "unix path too long: \(path)")
            withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
            return lend(&address, body)
        }
    }

    private func lend<Address, Result>(
        _ address: inout Address, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
    ) -> Result {
        withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<Address>.size)) }
        }
    }
}

/// The handful of socket calls that scripted peers need, with failures as sentences.
enum SocketCalls {
    static func makeSocket(_ family: Int32) throws -> Int32 {
        let fd = socket(family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard fd >= 0 else { throw systemError("socket") }
        return fd
    }

    /// Listens on port zero (or the path) and tells where that turned out to be.
    static func listen(on wanted: PeerAddress, backlog: Int32) throws -> (fd: Int32, address: PeerAddress) {
        let fd = try makeSocket(wanted.family)
        setOption(fd, SOL_SOCKET, SO_REUSEADDR, 1)
        guard wanted.withSocketAddress({ Glibc.bind(fd, $0, $1) }) == 0 else {
            let failure = systemError("bind \(wanted)")
            Glibc.close(fd)
            throw failure
        }
        guard Glibc.listen(fd, backlog) == 0 else {
            let failure = systemError("listen \(wanted)")
            Glibc.close(fd)
            throw failure
        }
        let port = localPort(fd)
        switch wanted {
        case .ipv4: return (fd, .ipv4(port: port))
        case .loopback(let number, _): return (fd, .loopback(number, port: port))
        case .ipv6: return (fd, .ipv6(port: port))
        case .unix: return (fd, wanted)
        }
    }

    static func connect(to address: PeerAddress, receiveBuffer: Int32? = nil) throws -> Int32 {
        let fd = try makeSocket(address.family)
        if let receiveBuffer { setOption(fd, SOL_SOCKET, SO_RCVBUF, receiveBuffer) }
        while address.withSocketAddress({ Glibc.connect(fd, $0, $1) }) != 0 {
            if errno == EINTR { continue }
            let failure = systemError("connect \(address)")
            Glibc.close(fd)
            throw failure
        }
        if address.family != AF_UNIX { setOption(fd, Int32(IPPROTO_TCP), TCP_NODELAY, 1) }
        return fd
    }

    /// Accepts one connection, or nil when none came before the deadline.
    static func accept(_ listener: Int32, until deadline: Deadline) throws -> Int32? {
        while true {
            guard try wait(listener, for: POLLIN, until: deadline) else { return nil }
            let fd = Glibc.accept(listener, nil, nil)
            if fd >= 0 {
                _ = fcntl(fd, F_SETFD, FD_CLOEXEC)
                return fd
            }
            guard errno == EINTR || errno == EAGAIN || errno == ECONNABORTED else { throw systemError("accept") }
        }
    }

    /// Waits until one of `events` (or an error, or a hang-up) is there; false when the deadline came first.
    static func wait(_ fd: Int32, for events: Int32, until deadline: Deadline) throws -> Bool {
        try !ready([fd], for: events, until: deadline).isEmpty
    }

    /// The places in `descriptors` at which something is there; empty when the deadline came first.
    static func ready(_ descriptors: [Int32], for events: Int32, until deadline: Deadline) throws -> [Int] {
        var set = descriptors.map { pollfd(fd: $0, events: Int16(events), revents: 0) }
        while true {
            let count = poll(&set, nfds_t(set.count), deadline.pollMilliseconds)
            if count > 0 { return set.indices.filter { set[$0].revents != 0 } }
            if count < 0, errno != EINTR { throw systemError("poll") }
            if deadline.isOver { return [] }
        }
    }

    static func setOption(_ fd: Int32, _ level: Int32, _ name: Int32, _ value: Int32) {
        var value = value
        _ = setsockopt(fd, level, name, &value, socklen_t(MemoryLayout<Int32>.size))
    }

    /// Makes the next close send a reset instead of a FIN.
    static func lingerZero(_ fd: Int32) {
        var value = linger(l_onoff: 1, l_linger: 0)
        _ = setsockopt(fd, SOL_SOCKET, SO_LINGER, &value, socklen_t(MemoryLayout<linger>.size))
    }

    static func localPort(_ fd: Int32) -> UInt16 {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let result = withUnsafeMutablePointer(to: &storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(fd, $0, &length) }
        }
        guard result == 0, [sa_family_t(AF_INET), sa_family_t(AF_INET6)].contains(storage.ss_family) else { return 0 }
        return withUnsafeBytes(of: storage) { UInt16(bigEndian: $0.load(fromByteOffset: 2, as: UInt16.self)) }
    }
}

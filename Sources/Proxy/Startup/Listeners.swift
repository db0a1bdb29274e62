import CUring
import Glibc

/// A listening socket that the supervisor opened, and which worker of the server gets it.
struct OpenListener: Equatable {
    var descriptor: Int32
    var server: Int
    var worker: Int
    /// As bound: port 0 is resolved.
    var address: SocketAddress
}

/// All listening sockets of a run, in the order of the configuration, worker after worker.
struct ListenerSet {
    private(set) var listeners: [OpenListener] = []
    private(set) var warnings: [String] = []
    /// Files of unix listeners, which go when the run ends.
    private(set) var unixPaths: [String] = []

    /// Opens every listener of `settings`; on failure none stays open.
    ///
    /// The first socket of an address is bound without SO_REUSEPORT, so that a port that anybody else listens on, with
    /// or without that option, is an error. With the option set afterwards, the sockets of the other workers join it.
    static func open(_ settings: GlobalSettings, crew: Crew) throws(LaunchFailure) -> ListenerSet {
        var set = ListenerSet()
        do throws(LaunchFailure) {
            let longestQueue = readNumber("/proc/sys/net/core/somaxconn") ?? Int.max
            for (index, server) in settings.servers.enumerated() {
                if server.backlog > longestQueue {
                    set.warnings.append(
                        "backlog \(server.backlog) is cut to \(longestQueue) by the kernel; raise it with: "
                            + "sysctl -w net.core.somaxconn=\(server.backlog)")
                }
                for address in server.addresses {
                    try set.open(address, of: server, index: index, crew: crew)
                }
            }
        } catch {
            set.close()
            set.removeUnixFiles()
            throw error
        }
        return set
    }

    /// Which workers listen for a server: all, or `threads` of them, beginning elsewhere for each server.
    static func workers(of server: ServerSettings, index: Int, workers: Int) -> [Int] {
        let count = max(1, min(server.threads ?? workers, workers))
        return (0..<count).map { (index + $0) % workers }
    }

    func close() {
        for listener in listeners { Glibc.close(listener.descriptor) }
    }

    func removeUnixFiles() {
        for path in unixPaths { unlink(path) }
    }

    /// The addresses to report as ready, each once.
    var addresses: [SocketAddress] {
        var seen: [SocketAddress] = []
        for listener in listeners where !seen.contains(listener.address) { seen.append(listener.address) }
        return seen
    }

    private mutating func open(
        _ address: ListenAddress, of server: ServerSettings, index: Int, crew: Crew
    ) throws(LaunchFailure) {
        switch address {
        case .unix(let path):
            let descriptor = try openUnixListener(path, mode: nil, backlog: server.backlog)
            unixPaths.append(path)
            listeners.append(
                OpenListener(
                    descriptor: descriptor, server: index, worker: index % crew.workers,
                    address: SocketAddress(unixPath: path) ?? SocketAddress()))
        case .ipv4(let host, let port), .ipv6(let host, let port):
            guard var wanted = SocketAddress(literal: host, port: port) else {
                throw LaunchFailure("cannot listen on \(host): it is not an IPv4 or IPv6 address")
            }
            let workers = Self.workers(of: server, index: index, workers: crew.workers)
            for (place, worker) in workers.enumerated() {
                let descriptor = try openStreamListener(wanted, tcp: server.tcp, backlog: server.backlog, joins: place > 0)
                // Port zero: the first socket decides, the others join it.
                wanted = boundAddress(of: descriptor) ?? wanted
                listeners.append(OpenListener(descriptor: descriptor, server: index, worker: worker, address: wanted))
            }
            if server.tcp.steerByCPU, workers.count > 1, let last = listeners.last {
                steer(last.descriptor, workers.map { crew.cpus.isEmpty ? $0 : crew.cpus[$0] })
            }
        }
    }
}

extension ListenerSet {
    /// Steering is a help, not a need: a kernel that refuses it spreads connections by their addresses.
    private mutating func steer(_ listener: Int32, _ cpus: [Int]) {
        let result = cprocess_steer_by_cpu(listener, cpus.map(Int32.init), UInt32(cpus.count))
        if result < 0 { warnings.append("connections are not steered by CPU: \(errorText(result))") }
    }
}

/// The address a socket is bound to.
func boundAddress(of descriptor: Int32) -> SocketAddress? {
    var storage = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    let result = withUnsafeMutablePointer(to: &storage) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
    }
    guard result == 0 else { return nil }
    return SocketAddress(copying: &storage, length: Int(length))
}

extension SocketAddress {
    /// Binds a socket; 0 or -1 with errno.
    func bind(_ descriptor: Int32) -> Int32 {
        withUnsafePointer(to: storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { Glibc.bind(descriptor, $0, length) }
        }
    }

    /// Connects a socket; 0 or -1 with errno.
    func connect(_ descriptor: Int32) -> Int32 {
        withUnsafePointer(to: storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { Glibc.connect(descriptor, $0, length) }
        }
    }
}

/// Opens one TCP listener; `joins` tells that the port belongs to an earlier socket of ours.
private func openStreamListener(
    _ address: SocketAddress, tcp: SocketSettings, backlog: Int, joins: Bool
) throws(LaunchFailure) -> Int32 {
    let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
    let descriptor = socket(address.family, type, 0)
    guard descriptor >= 0 else { throw LaunchFailure(cannotListen(address, errno)) }
    let options = ListenerOptions(descriptor)
    options.set(SOL_SOCKET, SO_REUSEADDR, 1)
    if joins { options.set(SOL_SOCKET, SO_REUSEPORT, 1) }
    if address.family == AF_INET6 { options.set(Int32(IPPROTO_IPV6), IPV6_V6ONLY, 1) }
    if address.bind(descriptor) < 0 {
        let failure = errno
        close(descriptor)
        throw LaunchFailure(cannotListen(address, failure))
    }
    options.set(SOL_SOCKET, SO_REUSEPORT, 1)
    if let unknown = options.apply(tcp) {
        close(descriptor)
        throw LaunchFailure(unknown)
    }
    if listen(descriptor, Int32(clamping: backlog)) < 0 {
        let failure = errno
        close(descriptor)
        throw LaunchFailure(cannotListen(address, failure))
    }
    return descriptor
}

/// Opens a unix listener; a file that a dead process left is removed, one that somebody listens on is an error.
func openUnixListener(_ path: String, mode: mode_t?, backlog: Int) throws(LaunchFailure) -> Int32 {
    guard let address = SocketAddress(unixPath: path) else {
        throw LaunchFailure("cannot listen on \(path): a unix path has 107 bytes at most")
    }
    let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
    let descriptor = socket(AF_UNIX, type, 0)
    guard descriptor >= 0 else { throw LaunchFailure(cannotListen(address, errno)) }
    // The mode rules from the first moment on, not only after a chmod.
    let before = mode.map { umask(0o777 & ~$0) }
    var result = address.bind(descriptor)
    if result < 0, errno == EADDRINUSE, isStaleSocket(address, path) {
        unlink(path)
        result = address.bind(descriptor)
    }
    let failure = errno
    if let before { umask(before) }
    if result < 0 || listen(descriptor, Int32(clamping: backlog)) < 0 {
        let reason = result < 0 ? failure : errno
        close(descriptor)
        throw LaunchFailure(cannotListen(address, reason))
    }
    return descriptor
}

/// Whether a socket file has nobody behind it. Anything that is not a socket is left alone.
private func isStaleSocket(_ address: SocketAddress, _ path: String) -> Bool {
    var status = stat()
    guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFSOCK else { return false }
    let probe = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
    guard probe >= 0 else { return false }
    defer { close(probe) }
    return address.connect(probe) < 0 && errno == ECONNREFUSED
}

/// One sentence for a refused listener, with what to do about it.
func cannotListen(_ address: SocketAddress, _ number: Int32) -> String {
    let reason =
        switch number {
        case EADDRINUSE where address.family == AF_UNIX:
            "another process listens there, or the path is a file that is no socket"
        case EADDRINUSE:
            "another process listens there; 'ss -ltnp sport = :\(address.port)' names it"
        case EACCES where address.family == AF_UNIX: "no right to make a socket in that directory"
        case EACCES:
            "ports below 1024 need the right to bind them; start as root or give CAP_NET_BIND_SERVICE"
        case EADDRNOTAVAIL: "this machine has no such address"
        case EAFNOSUPPORT: "this kernel does not do this kind of address"
        case EMFILE, ENFILE: "too many open files; raise the limit (ulimit -n, max-nofile)"
        case ENOENT: "the directory does not exist"
        default: errorText(number)
        }
    return "cannot listen on \(address): \(reason)"
}

/// Sets options of a listener; accepted sockets inherit all of them.
private struct ListenerOptions {
    let descriptor: Int32
    init(_ descriptor: Int32) { self.descriptor = descriptor }

    func set(_ level: Int32, _ option: Int32, _ value: Int32) {
        var value = value
        setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
    }

    /// Applies what the settings say; a sentence when the kernel does not know the congestion control.
    func apply(_ tcp: SocketSettings) -> String? {
        let level = Int32(IPPROTO_TCP)
        set(level, TCP_NODELAY, tcp.noDelay ? 1 : 0)
        set(SOL_SOCKET, SO_KEEPALIVE, tcp.keepAlive ? 1 : 0)
        set(level, TCP_USER_TIMEOUT, Int32(clamping: tcp.userTimeoutMilliseconds))
        if tcp.notSentLowBytes > 0 { set(level, TCP_NOTSENT_LOWAT, Int32(clamping: tcp.notSentLowBytes)) }
        guard let name = tcp.congestionControl else { return nil }
        if setsockopt(descriptor, level, TCP_CONGESTION, name, socklen_t(name.utf8.count)) == 0 { return nil }
        let known = readTextFile("/proc/sys/net/ipv4/tcp_available_congestion_control")?.trimmedLine ?? "unknown"
        return "congestion control '\(name)' is not to be had here (\(errorText(errno))); the kernel offers: \(known)"
    }
}

/// A number that stands alone in a file of /proc or /sys.
func readNumber(_ path: String) -> Int? {
    readTextFile(path).flatMap { Int($0.trimmedLine) }
}

extension String {
    /// The first line without spaces around it.
    var trimmedLine: String {
        let line = utf8.prefix { $0 != UInt8(ascii: "\n") }
        let isSpace = { (byte: UInt8) in byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }
        let start = line.drop(while: isSpace)
        let end = start.reversed().drop(while: isSpace).reversed()
        return String(decoding: Array(end), as: UTF8.self)
    }
}

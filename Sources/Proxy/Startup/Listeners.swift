import CUring
import Glibc

/// A listening socket that the supervisor opened, and which worker of the server gets it.
struct OpenListener: Equatable {
    /// Its number in this run, which supervisor and server process both know it by.
    var id: Int
    /// Number of the address: all sockets of one address have the same.
    var group: Int
    /// As the configuration says it; `address` knows more where that is port 0.
    var wanted: ListenAddress
    var descriptor: Int32
    var server: Int
    var worker: Int
    /// As bound: port 0 is resolved.
    var address: SocketAddress
    /// The service manager opened it, and has it open still.
    var isInherited = false
}

/// All listening sockets of a run, in the order of the configuration, worker after worker.
struct ListenerSet {
    private(set) var listeners: [OpenListener] = []
    private(set) var warnings: [String] = []
    private var nextID = 0
    private var nextGroup = 0

    /// Opens every listener of `settings`, but for those of `inherited` that listen there already; on failure none stays open.
    static func open(
        _ settings: GlobalSettings, crew: Crew, inherited: [InheritedSocket] = []
    ) throws(LaunchFailure) -> ListenerSet {
        let change = try ListenerSet(inherited).changed(to: settings, crew: crew)
        var set = change.set
        for stranger in change.dropped {
            Glibc.close(stranger.descriptor)
            let name = inherited.first { $0.descriptor == stranger.descriptor }?.name ?? ""
            set.warnings.append("the service manager handed over \(stranger.address) (\(name)), where no 'server' listens; it is closed")
        }
        if inherited.isEmpty { set.steer(settings, crew: crew) } else { set.refresh(settings, crew: crew) }
        return set
    }

    init() {}

    /// What a service manager handed over, before any server has it.
    private init(_ inherited: [InheritedSocket]) {
        for socket in inherited {
            let twin = listeners.first { $0.address == socket.address }
            listeners.append(
                OpenListener(
                    id: nextID, group: twin?.group ?? nextGroup, wanted: .unix(""), descriptor: socket.descriptor, server: -1, worker: -1,
                    address: socket.address, isInherited: true))
            nextID += 1
            if twin == nil { nextGroup += 1 }
        }
    }

    /// What a change of configuration makes of the sockets.
    struct Change {
        var set: ListenerSet
        /// Made for the change; closed when it is given up.
        var opened: [OpenListener]
        /// Stay with their holders until the change is done.
        var dropped: [OpenListener]
        /// Sockets that go to a worker which has none of them yet: new ones, and those that move.
        var handed: [OpenListener]
    }

    /// The sockets that `settings` needs: those that are open already, and new ones for what is not. Changes nothing that is
    /// in use; on failure nothing has happened.
    func changed(to settings: GlobalSettings, crew: Crew) throws(LaunchFailure) -> Change {
        let layout = ListenerLayout(settings, workers: crew.workers, open: listeners)
        var set = ListenerSet()
        set.nextID = nextID
        set.nextGroup = nextGroup
        var opened: [OpenListener] = []
        do throws(LaunchFailure) {
            set.noteBacklogs(settings)
            for address in layout.addresses {
                let server = settings.servers[address.server]
                try set.add(address, of: server, dropped: layout.dropped, crew: crew, opened: &opened)
            }
        } catch {
            opened.giveUp()
            throw error
        }
        let before = Dictionary(uniqueKeysWithValues: listeners.map { ($0.id, $0.worker) })
        return Change(
            set: set, opened: opened, dropped: layout.dropped, handed: set.listeners.filter { before[$0.id] != $0.worker })
    }

    /// Which workers listen for a server: all, or `threads` of them, beginning elsewhere for each server.
    static func workers(of server: ServerSettings, index: Int, workers: Int) -> [Int] {
        let count = max(1, min(server.threads ?? workers, workers))
        return (0..<count).map { (index + $0) % workers }
    }

    func close() {
        for listener in listeners { Glibc.close(listener.descriptor) }
    }

    func removeUnixFiles() { listeners.removeUnixFiles() }

    /// The addresses to report as ready, each once.
    var addresses: [SocketAddress] { listeners.addresses }

    private mutating func noteBacklogs(_ settings: GlobalSettings) {
        let longestQueue = readNumber("/proc/sys/net/core/somaxconn") ?? Int.max
        for server in settings.servers where server.backlog > longestQueue {
            warnings.append(
                "backlog \(server.backlog) is cut to \(longestQueue) by the kernel; raise it with: "
                    + "sysctl -w net.core.somaxconn=\(server.backlog)")
        }
    }

    /// Takes over or opens the sockets of one address.
    ///
    /// The first socket of an address is bound without SO_REUSEPORT, so that a port that anybody else listens on, with
    /// or without that option, is an error. With the option set afterwards, the sockets of the other workers join it.
    private mutating func add(
        _ layout: ListenerLayout.Address, of server: ServerSettings, dropped: [OpenListener], crew: Crew,
        opened: inout [OpenListener]
    ) throws(LaunchFailure) {
        let group = layout.kept.first?.group ?? nextGroup
        if group == nextGroup { nextGroup += 1 }
        listeners += layout.kept
        layout.kept.shareIfFew(for: Self.workers(of: server, index: layout.server, workers: crew.workers).count)
        switch layout.wanted {
        case .unix(let path):
            guard let worker = layout.missing.first else { break }
            let descriptor = try openUnixListener(path, mode: nil, backlog: server.backlog)
            add(descriptor, SocketAddress(unixPath: path) ?? SocketAddress(), layout, group, worker, &opened)
        case .ipv4(let host, let port), .ipv6(let host, let port):
            guard var wanted = SocketAddress(literal: host, port: port) else {
                throw LaunchFailure("cannot listen on \(host): it is not an IPv4 or IPv6 address")
            }
            if let first = layout.kept.first {
                wanted = first.address
                try checkCongestionControl(server.tcp, family: wanted.family)
            }
            // What goes with this change still has its port, and two sockets of ours may overlap for that long.
            let overlaps = dropped.contains { $0.address.overlaps(wanted) }
            for (place, worker) in layout.missing.enumerated() {
                let joins = place > 0 || !layout.kept.isEmpty || overlaps
                let descriptor = try openStreamListener(wanted, tcp: server.tcp, backlog: server.backlog, joins: joins)
                // Port zero: the first socket decides, the others join it.
                wanted = boundAddress(of: descriptor) ?? wanted
                add(descriptor, wanted, layout, group, worker, &opened)
            }
        }
    }

    private mutating func add(
        _ descriptor: Int32, _ address: SocketAddress, _ layout: ListenerLayout.Address, _ group: Int, _ worker: Int,
        _ opened: inout [OpenListener]
    ) {
        let listener = OpenListener(
            id: nextID, group: group, wanted: layout.wanted, descriptor: descriptor, server: layout.server, worker: worker,
            address: address)
        nextID += 1
        listeners.append(listener)
        opened.append(listener)
    }
}

extension ListenerSet {
    /// Gives sockets that were open before what the settings say now: options, the length of the queue, steering. Called once
    /// they are in use; what the kernel refuses is a warning, as the sockets serve either way.
    mutating func refresh(_ settings: GlobalSettings, crew: Crew) {
        for group in groups {
            let server = settings.servers[group[0].server]
            for listener in group {
                if !listener.wanted.isUnix, let complaint = ListenerOptions(listener.descriptor).apply(server.tcp) {
                    warnings.append(complaint)
                }
                listen(listener.descriptor, Int32(clamping: server.backlog))
            }
        }
        steer(settings, crew: crew)
    }

    /// Steering is a help, not a need: a kernel that refuses it spreads connections by their addresses.
    mutating func steer(_ settings: GlobalSettings, crew: Crew) {
        for group in groups where !group[0].wanted.isUnix {
            guard settings.servers[group[0].server].tcp.steerByCPU, group.count > 1 else {
                cprocess_steer_by_hash(group[0].descriptor)
                continue
            }
            // In the order of their `listen`, which is that of their numbers.
            let cpus = group.sorted { $0.id < $1.id }.map { crew.cpus.isEmpty ? $0.worker : crew.cpus[$0.worker] }
            let result = cprocess_steer_by_cpu(group[0].descriptor, cpus.map(Int32.init), UInt32(cpus.count))
            if result < 0 { warnings.append("connections are not steered by CPU: \(errorText(result))") }
        }
    }

    /// The sockets of each address.
    private var groups: [[OpenListener]] {
        var numbers: [Int] = []
        for listener in listeners where !numbers.contains(listener.group) { numbers.append(listener.group) }
        return numbers.map { number in listeners.filter { $0.group == number } }
    }
}

extension [OpenListener] {
    /// The addresses of these sockets, each once.
    var addresses: [SocketAddress] {
        var seen: [SocketAddress] = []
        for listener in self where !seen.contains(listener.address) { seen.append(listener.address) }
        return seen
    }

    func removeUnixFiles() {
        for listener in self where !listener.isInherited {
            if case .unix(let path) = listener.wanted { unlink(path) }
        }
    }

    /// Marks inherited sockets of one address that are fewer than the workers who listen there: without SO_REUSEPORT, by
    /// which a worker knows that it has to give connections to the others too.
    fileprivate func shareIfFew(for workers: Int) {
        for listener in self where listener.isInherited {
            ListenerOptions(listener.descriptor).set(SOL_SOCKET, SO_REUSEPORT, count < workers ? 0 : 1)
        }
    }

    /// Closes sockets that were made for nothing.
    func giveUp() {
        for listener in self { Glibc.close(listener.descriptor) }
        removeUnixFiles()
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
    /// Whether one socket of each would be given the same connections: the same port, and one of the two on every address.
    func overlaps(_ other: SocketAddress) -> Bool {
        guard family == other.family, family != AF_UNIX, port == other.port, port > 0 else { return false }
        return self == other || isWildcard || other.isWildcard
    }

    private var isWildcard: Bool {
        let everywhere = SocketAddress(literal: family == AF_INET ? "0.0.0.0" : "::", port: port)
        return self == everywhere
    }

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

    /// A socket that listens already may have another congestion control than the system's from settings of before.
    private var isListening: Bool {
        var value: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        return getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &value, &length) == 0 && value != 0
    }

    private var systemCongestionControl: String? { readTextFile("/proc/sys/net/ipv4/tcp_congestion_control")?.trimmedLine }

    /// Applies what the settings say; a sentence when the kernel does not know the congestion control.
    func apply(_ tcp: SocketSettings) -> String? {
        let level = Int32(IPPROTO_TCP)
        set(level, TCP_NODELAY, tcp.noDelay ? 1 : 0)
        set(SOL_SOCKET, SO_KEEPALIVE, tcp.keepAlive ? 1 : 0)
        set(level, TCP_USER_TIMEOUT, Int32(clamping: tcp.userTimeoutMilliseconds))
        set(level, TCP_NOTSENT_LOWAT, Int32(clamping: tcp.notSentLowBytes))  // 0 = as the system says
        guard let name = tcp.congestionControl ?? (isListening ? systemCongestionControl : nil) else { return nil }
        if setsockopt(descriptor, level, TCP_CONGESTION, name, socklen_t(name.utf8.count)) == 0 { return nil }
        let known = readTextFile("/proc/sys/net/ipv4/tcp_available_congestion_control")?.trimmedLine ?? "unknown"
        return "congestion control '\(name)' is not to be had here (\(errorText(errno))); the kernel offers: \(known)"
    }
}

/// Says no to a congestion control that the kernel does not have, before a socket that serves is touched.
private func checkCongestionControl(_ tcp: SocketSettings, family: Int32) throws(LaunchFailure) {
    guard tcp.congestionControl != nil else { return }
    let probe = socket(family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard probe >= 0 else { return }
    defer { close(probe) }
    if let unknown = ListenerOptions(probe).apply(tcp) { throw LaunchFailure(unknown) }
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

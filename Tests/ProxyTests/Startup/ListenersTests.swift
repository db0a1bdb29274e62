import Glibc
import Testing

@testable import Proxy

@Suite("Listeners")
struct ListenersTests {
    private func settings(_ addresses: ListenAddress..., change: (inout ServerSettings) -> Void = { _ in }) -> GlobalSettings {
        var settings = GlobalSettings()
        var server = ServerSettings()
        server.addresses = addresses
        change(&server)
        settings.servers = [server]
        return settings
    }

    private func open(_ settings: GlobalSettings, workers: Int = 1) throws -> ListenerSet {
        try ListenerSet.open(settings, crew: Crew(wanted: workers, machine: MachineShare(cpus: Array(0..<workers), quota: nil)))
    }

    /// Opens what was closed a moment ago: a process that a test beside this one starts holds copies until its exec.
    private func openSoon(_ settings: GlobalSettings) throws -> ListenerSet {
        var set: ListenerSet?
        try eventually("the address is free") {
            set = try? open(settings)
            return set != nil
        }
        return try #require(set)
    }

    private func option(_ descriptor: Int32, _ level: Int32, _ name: Int32) -> Int32 {
        var value: Int32 = -1
        var length = socklen_t(MemoryLayout<Int32>.size)
        getsockopt(descriptor, level, name, &value, &length)
        return value
    }

    @Test("port zero: all workers listen on the port that the first one got")
    func portZero() throws {
        let set = try open(settings(.ipv4("127.0.0.1", port: 0)), workers: 4)
        defer { set.close() }
        #expect(set.listeners.map(\.worker) == [0, 1, 2, 3])
        #expect(Set(set.listeners.map(\.address.port)).count == 1)
        #expect(set.addresses.count == 1 && set.addresses[0].port != 0)
    }

    /// A socket as a service manager opens it.
    private func inherited(port: UInt16 = 0, sharing: Bool = false) throws -> InheritedSocket {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var one: Int32 = 1
        if sharing { setsockopt(descriptor, SOL_SOCKET, SO_REUSEPORT, &one, socklen_t(MemoryLayout<Int32>.size)) }
        let address = try #require(SocketAddress(literal: "127.0.0.1", port: port))
        try #require(address.bind(descriptor) == 0 && listen(descriptor, 8) == 0)
        return InheritedSocket(descriptor: descriptor, name: "web", address: try #require(boundAddress(of: descriptor)))
    }

    private func open(_ settings: GlobalSettings, workers: Int, _ inherited: [InheritedSocket]) throws -> ListenerSet {
        try ListenerSet.open(
            settings, crew: Crew(wanted: workers, machine: MachineShare(cpus: Array(0..<workers), quota: nil)), inherited: inherited)
    }

    @Test("a socket that a service manager opened is taken instead of binding, and is the only one of its address")
    func takesInherited() throws {
        let socket = try inherited()
        let port = socket.address.port
        let set = try open(settings(.ipv4("127.0.0.1", port: port), .ipv4("127.0.0.1", port: 0)), workers: 2, [socket])
        defer { set.close() }
        #expect(set.warnings == [])
        #expect(set.listeners.map(\.isInherited) == [true, false, false])
        #expect(set.listeners[0].descriptor == socket.descriptor && set.listeners[0].worker == 0 && set.listeners[0].server == 0)
        // Without the option a worker shares what it accepts.
        #expect(set.listeners.map { option($0.descriptor, SOL_SOCKET, SO_REUSEPORT) } == [0, 1, 1])
        #expect(option(socket.descriptor, Int32(IPPROTO_TCP), TCP_NODELAY) == 1)
    }

    @Test("sockets of one address go to a worker each; as many as workers need no sharing")
    func severalInherited() throws {
        let first = try inherited(sharing: true)
        let sockets = [first, try inherited(port: first.address.port, sharing: true)]
        let set = try open(settings(.ipv4("127.0.0.1", port: first.address.port)), workers: 2, sockets)
        defer { set.close() }
        #expect(set.listeners.map(\.descriptor) == sockets.map(\.descriptor) && set.listeners.map(\.worker) == [0, 1])
        #expect(set.listeners.allSatisfy { option($0.descriptor, SOL_SOCKET, SO_REUSEPORT) == 1 })
        #expect(set.addresses.count == 1)
    }

    @Test("a socket of an address that nobody listens on is closed, and its name is told")
    func strangeInherited() throws {
        let socket = try inherited()
        let set = try open(settings(.ipv4("127.0.0.1", port: 0)), workers: 1, [socket])
        defer { set.close() }
        #expect(set.warnings.count == 1 && set.warnings[0].contains("\(socket.address) (web), where no 'server' listens"))
        #expect(fcntl(socket.descriptor, F_GETFD) < 0 || boundAddress(of: socket.descriptor) != socket.address)
    }

    @Test("a manager's unix socket keeps its file when the run ends")
    func inheritedUnix() throws {
        let folder = try Folder()
        let path = "\(folder.path)/front"
        let descriptor = try openUnixListener(path, mode: nil, backlog: 8)
        let address = try #require(SocketAddress(unixPath: path))
        let set = try open(settings(.unix(path)), workers: 3, [InheritedSocket(descriptor: descriptor, name: "web", address: address)])
        #expect(set.listeners.map(\.isInherited) == [true] && set.listeners[0].worker == 0)
        set.close()
        set.removeUnixFiles()
        #expect(access(path, F_OK) == 0)
    }

    @Test("a port with a listener is taken, whether or not that one shares", arguments: [1, 2])
    func taken(workers: Int) throws {
        let first = try open(settings(.ipv4("127.0.0.1", port: 0)), workers: workers)
        defer { first.close() }
        let port = first.addresses[0].port
        let failure = #expect(throws: LaunchFailure.self) { try open(settings(.ipv4("127.0.0.1", port: port)), workers: 2) }
        #expect(failure?.description.contains("127.0.0.1:\(port): another process listens there") == true)
    }

    @Test("a failure closes what was opened before it")
    func closesAll() throws {
        let holder = try open(settings(.ipv4("127.0.0.1", port: 0)))
        let free = try open(settings(.ipv4("127.0.0.1", port: 0)))
        let (taken, port) = (holder.addresses[0].port, free.addresses[0].port)
        free.close()
        #expect(throws: LaunchFailure.self) {
            try open(settings(.ipv4("127.0.0.1", port: port), .ipv4("127.0.0.1", port: taken)))
        }
        try openSoon(settings(.ipv4("127.0.0.1", port: port))).close()
        holder.close()
    }

    @Test("IPv6 leaves IPv4 alone: both take the same port")
    func bothFamilies() throws {
        // Another program may have the port of the other family: then another port is tried.
        try eventually("a port that is free in both families") {
            guard let six = try? open(settings(.ipv6("::", port: 0))) else { return false }
            defer { six.close() }
            #expect(option(six.listeners[0].descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY) == 1)
            let four = try? open(settings(.ipv4("0.0.0.0", port: six.addresses[0].port)))
            four?.close()
            return four != nil
        }
    }

    @Test("fewer threads listen on fewer workers, each server beginning elsewhere")
    func threads() throws {
        var settings = settings(.ipv4("127.0.0.1", port: 0)) { $0.threads = 2 }
        settings.servers.append(settings.servers[0])
        settings.servers[1].threads = 9
        let set = try open(settings, workers: 3)
        defer { set.close() }
        #expect(set.listeners.filter { $0.server == 0 }.map(\.worker) == [0, 1])
        #expect(set.listeners.filter { $0.server == 1 }.map(\.worker) == [1, 2, 0])
    }

    @Test("options that accepted connections inherit are set on the listener")
    func options() throws {
        let set = try open(
            settings(.ipv4("127.0.0.1", port: 0)) {
                $0.tcp.userTimeoutMilliseconds = 12_345
                $0.tcp.notSentLowBytes = 65_536
                $0.tcp.congestionControl = "reno"
            })
        defer { set.close() }
        let listener = set.listeners[0].descriptor
        let tcp = Int32(IPPROTO_TCP)
        #expect(option(listener, tcp, TCP_NODELAY) != 0)
        #expect(option(listener, SOL_SOCKET, SO_KEEPALIVE) == 1)
        #expect(option(listener, tcp, TCP_USER_TIMEOUT) == 12_345)
        #expect(option(listener, tcp, TCP_NOTSENT_LOWAT) == 65_536)
    }

    @Test("an unknown congestion control is an error that lists those there are")
    func congestionControl() {
        let failure = #expect(throws: LaunchFailure.self) {
            try open(settings(.ipv4("127.0.0.1", port: 0)) { $0.tcp.congestionControl = "fastest" })
        }
        #expect(failure?.description.contains("reno") == true)
    }

    @Test("steering by CPU is accepted by the kernel")
    func steering() throws {
        let set = try open(settings(.ipv4("127.0.0.1", port: 0)) { $0.tcp.steerByCPU = true }, workers: 3)
        defer { set.close() }
        #expect(set.warnings.isEmpty)
    }

    @Test("a backlog above the kernel's limit is said")
    func backlog() throws {
        let set = try open(settings(.ipv4("127.0.0.1", port: 0)) { $0.backlog = 1_000_000 })
        defer { set.close() }
        #expect(set.warnings.contains { $0.contains("sysctl -w net.core.somaxconn=1000000") })
    }

    @Test("an address that no interface has is named")
    func foreignAddress() {
        let failure = #expect(throws: LaunchFailure.self) { try open(settings(.ipv4("192.0.2.1", port: 0))) }
        #expect(failure?.description.contains("this machine has no such address") == true)
    }

    @Test("a unix listener belongs to one worker and takes over a dead one's file")
    func unixStale() throws {
        let folder = try Folder()
        let path = "\(folder.path)/socket"
        let first = try open(settings(.unix(path)), workers: 2)
        #expect(first.listeners.count == 1)
        let refused = #expect(throws: LaunchFailure.self) { try open(settings(.unix(path))) }
        #expect(refused?.description.contains("another process listens there") == true)
        first.close()
        let second = try openSoon(settings(.unix(path)))
        second.close()
        second.removeUnixFiles()
        #expect(access(path, F_OK) < 0)
    }

    @Test("a file that is no socket is left alone")
    func unixForeignFile() throws {
        let folder = try Folder()
        let file = try folder.write("precious", "data")
        #expect(throws: LaunchFailure.self) { try open(settings(.unix(file))) }
        #expect(RunningWeir.text(file) == "data")
    }

    @Test("a unix path that does not fit is refused")
    func unixTooLong() {
        #expect(throws: LaunchFailure.self) { try open(settings(.unix("/tmp/" + String(repeating: "x", count: 120)))) }
    }
}

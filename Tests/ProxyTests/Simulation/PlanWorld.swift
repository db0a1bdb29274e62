import Glibc

@testable import Proxy

/// A worker on a scripted ring with two backends and clients that do what a test tells them, for changes of plans.
final class PlanWorld {
    let kernel: ScriptedKernel
    let listener: ScriptedListener
    let mailbox = Mailbox()
    let register = BackendRegister()
    let counters = CounterBlock(count: WorkerCounter.allCases.count)
    let backends: [HeldBackend]
    private(set) var reports: [WorkerReport] = []
    private(set) var newest: ServingPlan
    private var worker: Worker<ScriptedRing>

    /// Two backends that keep their answers until they are told to give them, at 9000 and 9001.
    init(_ change: (inout ServerSettings) -> Void = { _ in }) {
        var sizes = ScriptedSizes()
        sizes.delayMax = 1_000
        kernel = ScriptedKernel(seed: 1, sizes: sizes)
        listener = kernel.listen()
        let kernel = kernel
        backends = [9_000, 9_001].map { port in
            let backend = HeldBackend(kernel)
            kernel.doors.append((UInt16(port), backend))
            return backend
        }
        newest = try! ServingPlan(Self.settings(change))
        let start = WorkerStart(
            index: 0, cpu: nil, listeners: [WorkerListener(fd: listener.descriptor, server: 0)], plan: newest,
            logDescriptors: [], addresses: Self.addresses(newest), clientsMax: 64)
        worker = Worker(
            ring: ScriptedRing(kernel), start: start, counters: counters, mailbox: mailbox, events: EventLog(), register: register)
        worker.startListening()
        worker.startWaitingForWake()
    }

    /// A server at port 80 with the backends `b0` and `b1`, each with one connection.
    static func settings(_ change: (inout ServerSettings) -> Void) -> GlobalSettings {
        var server = ServerSettings()
        server.addresses = [.ipv4("127.0.0.1", port: 80)]
        server.balancing.method = .none
        for number in 0..<2 {
            var backend = BackendSettings()
            backend.name = "b\(number)"
            backend.address = .ipv4("127.0.0.1")
            backend.port = UInt16(9_000 + number)
            backend.connections = 1
            backend.connectionsMax = 1
            server.backends.append(backend)
        }
        change(&server)
        var settings = GlobalSettings()
        settings.servers = [server]
        return settings
    }

    private static func addresses(_ plan: ServingPlan) -> AddressTable {
        AddressTable(
            generation: Int(plan.generation),
            entries: plan.settings.servers.enumerated().flatMap { server, settings in
                settings.backends.enumerated().map { at, backend in
                    BackendAddresses(
                        server: server, backend: at, addresses: [SocketAddress(literal: "127.0.0.1", port: backend.port)!])
                }
            })
    }

    /// Runs for a moment of the scripted time: a tick that has something to look after never sleeps until the next timer.
    func go() {
        for _ in 0..<120 {
            worker.queuesMayMove = true
            worker.tick()
        }
    }

    /// Hands a new plan over and lets the worker take it in.
    func adopt(_ change: (inout ServerSettings) -> Void = { _ in }) { adopt(Self.settings(change), listens: true) }

    func adopt(_ settings: GlobalSettings, listens: Bool) {
        newest = try! ServingPlan(settings, after: newest)
        let delivery = PlanDelivery(
            plan: newest, addresses: Self.addresses(newest), logDescriptors: [],
            listeners: listens ? [WorkerListener(fd: -1, server: 0)] : [])
        post(.plan(delivery))
    }

    func post(_ message: WorkerMessage) {
        mailbox.post(message)
        kernel.announceMail()
        go()
        reports += mailbox.takeReports()
    }

    /// A tick that may sleep.
    func rest() { worker.tick() }

    /// What the worker's last wait was told to gather.
    var gathering: Gathering { kernel.gathering }

    func refreshReports() { reports += mailbox.takeReports() }

    func client() -> PlainClient { PlainClient(kernel, listener) }

    /// Places that plans, servers, clients and exchanges take in the worker.
    var places: (plans: Int, servers: Int, clients: Int, exchanges: Int, backends: Int) {
        (worker.planUseCount, worker.serverCount, worker.clients.count, worker.exchanges.count, worker.backends.count)
    }

    /// Requests that each backend has had, by name, as `weir stat` would print them.
    func requests() -> [String: UInt64] {
        worker.publishBackends()
        return Dictionary(
            register.snapshots().map { ($0.name, $0.counters[BackendCounter.requests.rawValue]) }, uniquingKeysWith: { $0 + $1 })
    }
}

/// A client that sends what it is told and keeps what comes.
final class PlainClient: ScriptedPeer {
    private let socket: ScriptedSocket
    private(set) var received = ""

    init(_ kernel: ScriptedKernel, _ listener: ScriptedListener) {
        let box = PeerBox()
        let number = kernel.register(box)
        socket = kernel.connect(to: listener, peer: number)
        box.peer = self
    }

    func send(_ text: String) {
        let bytes = Array(text.utf8)
        _ = bytes.withUnsafeBytes { socket.send($0.baseAddress!, $0.count) }
    }

    func get(_ path: String = "/", _ fields: String = "") { send("GET \(path) HTTP/1.1\r\nHost: h\r\n\(fields)\r\n") }

    var isAtEnd: Bool { socket.isAtEnd }

    func wake() {
        var bytes = [UInt8](repeating: 0, count: 4096)
        while true {
            let got = bytes.withUnsafeMutableBytes { socket.receive(into: $0.baseAddress!, $0.count) }
            guard got > 0 else { return }
            received += String(decoding: bytes[..<got], as: UTF8.self)
        }
    }
}

/// Stands for a peer that does not exist yet when its socket is made.
private final class PeerBox: ScriptedPeer {
    weak var peer: PlainClient?
    func wake() { peer?.wake() }
}

/// A backend that answers when it is told to.
final class HeldBackend: ScriptedDoor {
    private let kernel: ScriptedKernel
    private(set) var connections: [HeldConnection] = []

    init(_ kernel: ScriptedKernel) { self.kernel = kernel }

    func onConnect(_ socket: ScriptedSocket) -> ScriptedWelcome {
        connections.append(HeldConnection(kernel, socket))
        return .accepted
    }

    /// Heads that have come and wait for their answer.
    var waiting: [String] { connections.flatMap(\.waiting) }

    /// Answers everything that waits.
    func answer(_ head: String = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") {
        for connection in connections { connection.answer(head) }
    }
}

final class HeldConnection: ScriptedPeer {
    private let socket: ScriptedSocket
    fileprivate var waiting: [String] = []
    private var unread = ""

    init(_ kernel: ScriptedKernel, _ socket: ScriptedSocket) {
        self.socket = socket
        socket.peer = kernel.register(self)
    }

    func answer(_ head: String) {
        guard !waiting.isEmpty else { return }
        let bytes = Array(String(repeating: head, count: waiting.count).utf8)
        waiting = []
        _ = bytes.withUnsafeBytes { socket.send($0.baseAddress!, $0.count) }
    }

    func close() { socket.close() }

    /// All that came and was no head of a request.
    var rest: String { unread }

    func wake() {
        var bytes = [UInt8](repeating: 0, count: 4096)
        while true {
            let got = bytes.withUnsafeMutableBytes { socket.receive(into: $0.baseAddress!, $0.count) }
            guard got > 0 else { break }
            unread += String(decoding: bytes[..<got], as: UTF8.self)
        }
        while let end = unread.firstRange(of: "\r\n\r\n") {
            waiting.append(String(unread[..<end.upperBound]))
            unread = String(unread[end.upperBound...])
        }
    }
}

#if WEIR_COUNTS
import CJemalloc
import Glibc

/// What small exchanges cost where nothing is left to chance: on a scripted ring, after a warm-up.
public struct ExchangeCounts: Sendable {
    public let exchanges: Int
    /// Bytes that the allocator was asked for meanwhile; nil where it does not say (glibc's).
    public let allocatedBytes: UInt64?
    public let ticks: Int
    /// What was done against the contract of the ring; 0 in a sound build.
    public let complaints: Int
    /// Calls of `io_uring_enter`.
    public let enters: Int
    /// Other system calls, made on the spot.
    public let calls: Int
    /// Operations put into the ring, and completions taken from it.
    public let submissions: Int
    public let completions: Int
    /// Bytes that went through memory of the proxy on their way from one peer to the other, and bytes of bodies among them.
    public let movedBytes: Int
    public let copiedBodyBytes: Int
}

/// Runs that many small GET exchanges of eight clients over kept connections, with an access log, and counts.
///
/// Under callgrind, instructions are collected in `countedTick` and left out in the methods of `ScriptedRing`.
///
/// - Parameters:
///   - rewrites: the requests pass a virtual host, a rule with a pattern, a rewriting with its way back, edits of both heads
///     with tokens, and fields about the client.
///   - answers: they are answered by the rule itself, with the same edits.
///   - burnNanoseconds: the setting `debug-burn-nanoseconds`, to see that counts notice it.
public func countExchanges(_ wanted: Int, rewrites: Bool = false, answers: Bool = false, burnNanoseconds: Int = 0) -> ExchangeCounts {
    var sizes = ScriptedSizes()
    sizes.checksMemory = false
    sizes.delayMax = 20_000
    let kernel = ScriptedKernel(seed: 1, sizes: sizes)
    let listener = kernel.listen()
    let door = CountedBackend(kernel)
    kernel.doors.append((9_000, door))

    var worker = makeCountedWorker(kernel, listener, rewrites: rewrites || answers, answers: answers, burnNanoseconds: burnNanoseconds)
    worker.startListening()
    worker.startWaitingForWake()
    let clients = (0..<8).map { _ in CountedClient(kernel, listener) }
    func done() -> Int { clients.reduce(0) { $0 + $1.answered } }

    // Once through everything that is taken at first use: slots, buffers of the log, the script's own room.
    while done() < 4_000 { countedTick(&worker, counts: false) }
    let before = allocatedBytes()
    let talliesBefore = kernel.tallies
    let copiedBefore = worker.counters[.copiedBytes]
    let begun = done()
    var ticks = 0
    while done() < begun + wanted {
        countedTick(&worker, counts: true)
        ticks += 1
    }
    let after = allocatedBytes()
    let tallies = kernel.tallies
    return ExchangeCounts(
        exchanges: done() - begun, allocatedBytes: after.flatMap { after in before.map { after - $0 } }, ticks: ticks,
        complaints: kernel.complaintCount, enters: tallies.enters - talliesBefore.enters, calls: tallies.calls - talliesBefore.calls,
        submissions: tallies.submissions - talliesBefore.submissions, completions: tallies.completions - talliesBefore.completions,
        movedBytes: tallies.movedBytes - talliesBefore.movedBytes, copiedBodyBytes: Int(worker.counters[.copiedBytes] - copiedBefore))
}

/// A function of its own, so that a profiler can tell it by its name.
@inline(never)
private func countedTick(_ worker: inout Worker<ScriptedRing>, counts: Bool) { worker.tick() }

/// What this thread has asked the allocator for in its life.
private func allocatedBytes() -> UInt64? {
    var bytes: UInt64 = 0
    var length = MemoryLayout<UInt64>.size
    return weir_mallctl("thread.allocated", &bytes, &length, nil, 0) == 0 ? bytes : nil
}

private func makeCountedWorker(_ kernel: ScriptedKernel, _ listener: ScriptedListener, rewrites: Bool, answers: Bool, burnNanoseconds: Int) -> Worker<ScriptedRing> {
    var backend = BackendSettings()
    backend.address = .ipv4("127.0.0.1")
    backend.port = 9_000
    var server = ServerSettings()
    server.accessLog.enabled = true
    server.backends = [backend]
    if rewrites { addRewriting(to: &server, answers: answers) }
    var settings = GlobalSettings()
    settings.servers = [server]
    settings.debugBurnNanoseconds = burnNanoseconds
    let addresses = AddressTable(
        generation: 1,
        entries: [BackendAddresses(server: 0, backend: 0, addresses: [SocketAddress(literal: "127.0.0.1", port: 9_000)!])])
    let start = WorkerStart(
        index: 0, cpu: nil, listeners: [WorkerListener(fd: listener.descriptor, server: 0)], plan: try! ServingPlan(settings),
        logDescriptors: [-1, open("/dev/null", O_WRONLY | O_CLOEXEC)], addresses: addresses, seed: 1, clientsMax: 64)
    return Worker(
        ring: ScriptedRing(kernel), start: start, counters: CounterBlock(count: WorkerCounter.allCases.count),
        mailbox: Mailbox(), events: EventLog(), register: BackendRegister())
}

/// Everything that the room Rewriting can do to an exchange.
private func addRewriting(to server: inout ServerSettings, answers: Bool) {
    var rule = RuleSettings()
    rule.name = "rewritten"
    rule.matcher = .pattern("^/path/")
    rule.backends = [0]
    rule.rewrite = RewriteSettings(
        path: .replace(pattern: "^/path/(.*)$", text: "/other/$1"), query: .append("from=path"), host: .name("app.internal"))
    rule.reverses = [ReverseSettings(location: .init(from: "/other", to: "/path"), cookiePath: .init(from: "/other", to: "/path"))]
    rule.scope.forwarded = ForwardingSettings(
        forwardedFor: .rproxy, forwarded: .append, proto: true, host: true, port: true, requestID: true, requestIDEcho: true)
    rule.scope.requestEdits = HeaderEditSettings(
        set: [.init(name: "X-Client", value: "{SRC} {US_HDR}:'user-agent'")], add: [.init(name: "X-Edge", value: "1")], remove: ["Accept-Encoding"])
    rule.scope.responseEdits = HeaderEditSettings(set: [.init(name: "X-Took", value: "{STATUS} {DURATION} {TIME}")], remove: ["Server"])
    rule.scope.strippedFields = ["X-Powered-By"]
    if answers {
        let body = "\(CountedConnection.answer)".utf8.suffix(CountedConnection.bodyBytes)
        rule.scope.answers.respond = RespondSettings(
            status: 200, body: AnswerBodySettings(bytes: Array(body), contentType: "text/html"))
    }
    var host = VirtualHostSettings()
    host.name = "example.org"
    host.rules = [rule]
    server.virtualHosts = [host]
}

/// Asks for the same small thing again and again.
private final class CountedClient: ScriptedPeer {
    private static let request: StaticString =
        "GET /path/of/a/page?query=1 HTTP/1.1\r\nHost: example.org\r\nUser-Agent: counted/1.0\r\nAccept: */*\r\nAccept-Encoding: gzip\r\n\r\n"
    private static let placeBytes = 4096
    private let place = UnsafeMutableRawPointer.allocate(byteCount: placeBytes, alignment: 16)
    private var socket: ScriptedSocket?
    private var received = 0
    private(set) var answered = 0

    init(_ kernel: ScriptedKernel, _ listener: ScriptedListener) {
        let number = kernel.register(self)
        socket = kernel.connect(to: listener, peer: number)
        ask()
    }

    deinit { place.deallocate() }

    private func ask() { _ = socket!.send(Self.request.utf8Start, Self.request.utf8CodeUnitCount) }

    func wake() {
        var got = socket!.receive(into: place + received, Self.placeBytes - received)
        while got > 0 {
            received += got
            got = socket!.receive(into: place + received, Self.placeBytes - received)
        }
        // However long the head has become: an answer is whole when the body's last bytes have come.
        let answer = CountedConnection.answer
        let tail = CountedConnection.bodyBytes
        guard received > tail, memcmp(place + received - tail, answer.utf8Start + answer.utf8CodeUnitCount - tail, tail) == 0 else { return }
        received = 0
        answered += 1
        ask()
    }
}

/// Takes every connection.
private final class CountedBackend: ScriptedDoor {
    private let kernel: ScriptedKernel
    private var connections: [CountedConnection] = []

    init(_ kernel: ScriptedKernel) { self.kernel = kernel }

    func onConnect(_ socket: ScriptedSocket) -> ScriptedWelcome {
        connections.append(CountedConnection(kernel, socket))
        return .accepted
    }
}

/// Answers each request with the same small page.
private final class CountedConnection: ScriptedPeer {
    static let answer: StaticString =
        "HTTP/1.1 200 OK\r\nServer: scripted\r\nContent-Type: text/html\r\nContent-Length: 64\r\nCache-Control: no-store\r\n\r\n0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    static let bodyBytes = 64
    private static let placeBytes = 4096
    private let place = UnsafeMutableRawPointer.allocate(byteCount: placeBytes, alignment: 16)
    private let socket: ScriptedSocket

    init(_ kernel: ScriptedKernel, _ socket: ScriptedSocket) {
        self.socket = socket
        socket.peer = kernel.register(self)
    }

    deinit { place.deallocate() }

    func wake() {
        // A request is one send of the proxy's; its end is the end of a head.
        let got = socket.receive(into: place, Self.placeBytes)
        if got > 4, memcmp(place + got - 4, "\r\n\r\n", 4) == 0 { _ = socket.send(Self.answer.utf8Start, Self.answer.utf8CodeUnitCount) }
    }
}
#endif

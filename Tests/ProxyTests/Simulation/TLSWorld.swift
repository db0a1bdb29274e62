import Glibc

@testable import Proxy

/// A worker on a scripted ring that speaks TLS to clients which do what a test tells them.
///
/// Nothing takes time by itself: what peers send in one moment is there in the next tick.
final class TLSWorld {
    let kernel: ScriptedKernel
    let counters = CounterBlock(count: WorkerCounter.allCases.count)
    let backend: HeldBackend
    private let listener: ScriptedListener
    private let asking: TLSContext
    private var clients: [SecureClient] = []
    private var worker: Worker<ScriptedRing>

    /// - Parameter recordBytes: as in the configuration; 0 = few at first, then as many as fit.
    init(recordBytes: Int = 0) {
        var sizes = ScriptedSizes()
        sizes.delayMax = 0
        sizes.socketBytes = 1 << 20
        kernel = ScriptedKernel(seed: 1, sizes: sizes)
        listener = kernel.listen()
        let backend = HeldBackend(kernel)
        self.backend = backend
        for port in [UInt16(9_000), 9_001] { kernel.doors.append((port, backend)) }
        asking = try! ScriptedTLS.asking()
        let settings = PlanWorld.settings {
            $0.tls = ScriptedTLS.section(recordBytes: recordBytes)
            $0.splice.enabled = false
        }
        let plan = try! ServingPlan(settings, tls: TLSContexts.Provision(workers: 1, secret: ScriptedTLS.secret))
        let entries = (0..<2).map { number in
            BackendAddresses(server: 0, backend: number, addresses: [SocketAddress(literal: "127.0.0.1", port: UInt16(9_000 + number))!])
        }
        let start = WorkerStart(
            index: 0, cpu: nil, listeners: [WorkerListener(fd: listener.descriptor, server: 0)], plan: plan, logDescriptors: [],
            addresses: AddressTable(generation: Int(plan.generation), entries: entries), clientsMax: 64)
        worker = Worker(
            ring: ScriptedRing(kernel), start: start, counters: counters, mailbox: Mailbox(), events: EventLog(),
            register: BackendRegister())
        worker.startListening()
        worker.startWaitingForWake()
    }

    /// A client that connects; `begin` makes it say its hello.
    ///
    /// - Parameter hanging: it does not go on behind its hello before it is told to.
    func client(hanging: Bool = false) -> SecureClient {
        let client = SecureClient(kernel, listener, asking, hanging: hanging)
        clients.append(client)
        return client
    }

    /// One turn that does not sleep.
    func tick() {
        worker.queuesMayMove = true
        worker.tick()
    }

    /// Runs until nothing moves any more.
    func go() { for _ in 0..<120 { tick() } }

    /// Lets the scripted time pass until something is the case.
    func rest(until isTrue: () -> Bool) {
        var ticks = 0
        while !isTrue(), ticks < 100_000 {
            worker.tick()
            ticks += 1
        }
    }

    /// Handshakes that have begun, and connections under TLS that stand.
    var links: Int { worker.links.count }

    /// All clients go, so that the worker lets go of what it has of them.
    func close() {
        for client in clients { client.close() }
        go()
    }
}

/// A client under TLS that keeps what comes, as it came and as it reads.
final class SecureClient: ScriptedPeer {
    private let kernel: ScriptedKernel
    private let socket: ScriptedSocket
    private let number: Int32
    private var hangs: Bool
    /// Held, though the stream does not need it.
    private let context: TLSContext
    private var stream: TLSStream
    private var blocks = BlockPool()
    private var output = ByteQueue()
    private(set) var isOpen = false
    /// Records, byte by byte.
    private(set) var arrived: [UInt8] = []
    private(set) var received: [UInt8] = []
    private var asksAt: UInt64?

    init(_ kernel: ScriptedKernel, _ listener: ScriptedListener, _ context: TLSContext, hanging: Bool) {
        self.kernel = kernel
        self.context = context
        hangs = hanging
        stream = Array("example.com".utf8).withUnsafeBytes {
            TLSStream.connecting(context.reference, name: ByteSlice(start: $0.baseAddress, count: $0.count), resuming: nil)!
        }
        let box = SecureBox()
        number = kernel.register(box)
        socket = kernel.connect(to: listener, peer: number)
        box.peer = self
    }

    deinit {
        stream.free(&blocks)
        output.clear(into: &blocks)
    }

    /// Says the hello.
    func begin() { take([]) }

    /// Goes on with the handshake behind the hello.
    func goOn() {
        hangs = false
        wake()
    }

    /// Asks for something.
    func get() {
        let bytes = Array("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n".utf8)
        _ = bytes.withUnsafeBytes { stream.seal($0.baseAddress!, $0.count, recordBytes: 16_384, to: &output, &blocks) }
        flush()
    }

    /// Asks when some time has passed.
    func get(after nanoseconds: UInt64) {
        asksAt = kernel.clock.now + nanoseconds
        kernel.wake(number, after: nanoseconds)
    }

    var hasAsked: Bool { asksAt == nil }

    /// Goes, and looks at nothing that still comes.
    func close() {
        hangs = true
        socket.close()
    }

    func wake() {
        if let time = asksAt, kernel.clock.now >= time {
            asksAt = nil
            get()
        }
        if hangs { return }
        var bytes = [UInt8](repeating: 0, count: 65_536)
        while true {
            let got = bytes.withUnsafeMutableBytes { socket.receive(into: $0.baseAddress!, $0.count) }
            guard got > 0 else { return }
            arrived += bytes[..<got]
            take(Array(bytes[..<got]))
        }
    }

    /// Goes on with what has come, and sends what that makes it say.
    private func take(_ bytes: [UInt8]) {
        var room = [UInt8](repeating: 0, count: TLSStream.openRoomBytes)
        bytes.withUnsafeBytes { bytes in
            var input = TLSInput(start: bytes.baseAddress ?? UnsafeRawPointer(bitPattern: 8)!, count: bytes.count)
            if !isOpen { isOpen = stream.handshake(&input, now: 1, to: &output, &blocks) == .done }
            guard isOpen else { return }
            while case .bytes(let count) = stream.open(&input, into: &room, room.count, to: &output, &blocks) {
                received += room[..<count]
            }
        }
        flush()
    }

    private func flush() {
        while let block = output.head {
            let count = block.count
            guard socket.send(block.begin, count) == count else { return }
            output.consume(count, into: &blocks)
        }
    }

    /// How many plain bytes each record of data holds that came behind a place in `arrived`, as TLS 1.3 with 128-bit tags has them.
    func contents(from place: Int) -> [Int] {
        var contents: [Int] = []
        var at = place
        while at + 5 <= arrived.count {
            let length = Int(arrived[at + 3]) << 8 | Int(arrived[at + 4])
            // The tag, and the byte that tells the kind.
            if arrived[at] == 23 { contents.append(length - 17) }
            at += 5 + length
        }
        return contents
    }
}

/// Stands for a client that does not exist yet when its socket is made.
private final class SecureBox: ScriptedPeer {
    weak var peer: SecureClient?
    func wake() { peer?.wake() }
}

import CUring
import Glibc

/// Answers on listening sockets that it was given; returns only when it cannot start, with the reason.
func runOrigin(listeners: [Int32], _ settings: OriginSettings) -> RingFailure {
    let origin: Origin
    do throws(RingFailure) {
        origin = Origin(ring: try KernelRing(settings.ring), listeners: listeners, settings)
    } catch {
        return error
    }
    origin.run()
}

/// A small server on the same engine as the proxy: something to put behind it, and to load it with.
///
/// One thread, one ring, one loop. Every connection handles one request after the other; small answers of a pipeline
/// gather and go out in one send. Large bodies are sent straight from a table that never changes, without a copy.
struct Origin: ~Copyable {
    /// Connections at a time; the next ones are closed at once.
    static var connectionsMax: Int { 8_192 }
    /// Bytes that may wait unread, or unsent, before a connection is read no further.
    static var highBytes: Int { 65_536 }
    static var idleNanoseconds: UInt64 { 300_000_000_000 }
    /// A head must be whole within this time.
    static var headNanoseconds: UInt64 { 30_000_000_000 }
    /// The peer of a request, an answer or a tunnel must move something within this time.
    static var progressNanoseconds: UInt64 { 300_000_000_000 }
    static var lingerNanoseconds: UInt64 { 2_000_000_000 }
    static var acceptPauseNanoseconds: UInt64 { 100_000_000 }

    var ring: KernelRing
    let settings: OriginSettings
    private let listeners: [Int32]
    let listenerPort: UInt16
    let faults: OriginFaults
    var random: RandomSource
    /// Answers that wait for their time.
    var delayed = DeadlineHeap(slots: connectionsMax)
    /// By slot of the connection; untouched memory without TLS.
    let channels: UnsafeMutablePointer<TLSChannel>
    private let gathering: Gathering
    private let tls: TLSContext.Reference?
    var clock: RingClock
    var wheel: TimerWheel
    var blocks = BlockPool()
    var connections = Slab<OriginConnection>(capacity: connectionsMax)
    let pattern = OriginPattern()
    let limits = HeadLimits()
    /// The request that is being looked at; its ranges are meant over the bytes of `requestBytes`.
    var request = RequestHead()
    var requestBytes = UnsafeRawPointer(bitPattern: 1)!
    let requestFields: UnsafeMutableBufferPointer<FieldRange>
    private let acceptTimer: UnsafeMutablePointer<Timer>
    /// By listener: no accept is armed there until the timer comes up.
    private let paused: UnsafeMutablePointer<Bool>

    init(ring: consuming KernelRing, listeners: [Int32], _ settings: OriginSettings) {
        var ring = ring
        clock = ring.readClock()
        wheel = TimerWheel(now: clock.now)
        listenerPort = listeners.first.map { ring.localPort($0) } ?? 0
        self.ring = ring
        self.listeners = listeners
        self.settings = settings
        faults = OriginFaults(settings.faults)
        random = RandomSource(seed: settings.seed)
        gathering = settings.gathering
        tls = settings.tls?.reference
        channels = reserve(Self.connectionsMax * MemoryLayout<TLSChannel>.stride).assumingMemoryBound(to: TLSChannel.self)
        requestFields = .allocate(capacity: limits.fieldsMax)
        requestFields.initialize(repeating: FieldRange())
        acceptTimer = .allocate(capacity: 1)
        acceptTimer.initialize(to: Timer(.worker, slot: 0))
        paused = .allocate(capacity: max(listeners.count, 1))
        paused.initialize(repeating: false, count: max(listeners.count, 1))
    }

    consuming func run() -> Never {
        for index in listeners.indices { startAccept(index) }
        while true { tick() }
    }

    private mutating func tick() {
        var wait = wheel.nanosecondsToNext(now: clock.now)
        if let due = delayed.next { wait = min(wait ?? .max, due > clock.now ? due &- clock.now : 0) }
        _ = ring.enter(waitNanoseconds: wait, gathering: gathering)
        clock = ring.readClock()
        let ready = ring.completionCount()
        for index in 0..<ready { dispatch(ring.completion(at: index)) }
        ring.consumeCompletions(ready)
        while let timer = wheel.nextDue(now: clock.now) {
            if timer.pointee.kind == .worker {
                for index in listeners.indices where paused[index] { startAccept(index) }
            } else {
                let connection = connections[timer.pointee.slot]
                onTimer(connection)
                releaseIfDone(connection)
            }
        }
        while let slot = delayed.takeDue(now: clock.now) {
            let connection = connections[slot]
            connection.pointee.flags.remove(.waits)
            // TLS may have failed meanwhile: then it lingers.
            guard connection.pointee.state == .answering else { continue }
            setTimer(connection, Self.progressNanoseconds)
            onRequestWhole(connection)
            if connection.pointee.state != .closing { goOn(connection) }
            releaseIfDone(connection)
        }
    }

    private mutating func dispatch(_ completion: Completion) {
        switch completion.token.kind {
        case .accept: onAccept(completion)
        case .clientReceive:
            onReceive(completion)
            releaseIfDone(connections[completion.token.slot])
        case .clientSend:
            onSend(completion)
            releaseIfDone(connections[completion.token.slot])
        case .none, .wake, .clientWritable, .clientReadable, .backendConnect, .backendReceive,
            .backendSend, .backendWritable, .backendReadable, .logWrite:
            break  // silent operations; the rest is never started here
        }
    }

    // MARK: - Accepting

    private mutating func startAccept(_ index: Int) {
        paused[index] = false
        ring.startAccept(listeners[index], token: OperationToken(.accept, slot: UInt32(truncatingIfNeeded: index)))
    }

    private mutating func onAccept(_ completion: Completion) {
        guard completion.result >= 0 else {
            // Out of descriptors, or of memory: what waits in the queue is taken a little later.
            if !completion.hasMore {
                paused[Int(completion.token.slot)] = true
                wheel.set(acceptTimer, clock.now &+ Self.acceptPauseNanoseconds)
            }
            return
        }
        if !completion.hasMore { startAccept(Int(completion.token.slot)) }
        let socket = completion.result
        guard let slot = connections.take() else {
            ring.startClose(socket)
            return
        }
        let connection = connections[slot]
        connection.initialize(to: OriginConnection(socket: socket, slot: slot))
        ring.setOptions(socket, SocketOptions(keepAlive: false))
        setTimer(connection, Self.idleNanoseconds)
        ring.growBackendBuffers(forConnections: connections.count)
        if let tls, !beginTLS(connection, tls) {
            close(connection)
            return releaseIfDone(connection)
        }
        receive(connection)
    }

    // MARK: - Time and the end of connections

    @inline(__always)
    mutating func setTimer(_ connection: UnsafeMutablePointer<OriginConnection>, _ nanoseconds: UInt64) {
        wheel.set(&connection.pointee.timer, clock.now &+ nanoseconds)
    }

    private mutating func onTimer(_ connection: UnsafeMutablePointer<OriginConnection>) {
        if connection.pointee.state == .answering, connection.pointee.plan == .drip, !connection.pointee.flags.contains(.waits) {
            drip(connection)
            flush(connection)
        } else {
            close(connection)
        }
    }

    func token(_ kind: OperationKind, _ connection: UnsafeMutablePointer<OriginConnection>) -> OperationToken {
        let slot = connection.pointee.timer.slot
        return OperationToken(kind, slot: slot, generation: connections.generation(slot))
    }

    /// Ends our sending side after the last byte and waits a while for the peer to end his, so that he can read it.
    mutating func linger(_ connection: UnsafeMutablePointer<OriginConnection>) {
        if connection.pointee.flags.contains(.sawEnd) {
            close(connection)
            return
        }
        connection.pointee.state = .lingering
        connection.pointee.input.clear(into: &blocks)
        _ = shutdown(connection.pointee.socket, Int32(SHUT_WR))
        setTimer(connection, Self.lingerNanoseconds)
        connection.pointee.flags.remove(.paused)
        receive(connection)
    }

    /// Ends the connection now; its slot is free when the event is over and the kernel has nothing of it in hand.
    mutating func close(_ connection: UnsafeMutablePointer<OriginConnection>) {
        guard connection.pointee.state != .closing else { return }
        beginClosing(connection)
        if connection.pointee.inFlight > 0 { ring.shutdownBoth(connection.pointee.socket) }
    }

    /// Breaks an answer off in a way that the peer can tell from its end.
    mutating func reset(_ connection: UnsafeMutablePointer<OriginConnection>) {
        ring.resetOnClose(connection.pointee.socket)
        // A shutdown would end both as well, but say goodbye to the peer first.
        if connection.pointee.flags.contains(.receiving) { ring.startCancel(token(.clientReceive, connection)) }
        if connection.pointee.flags.contains(.sending) { ring.startCancel(token(.clientSend, connection)) }
        beginClosing(connection)
    }

    private mutating func beginClosing(_ connection: UnsafeMutablePointer<OriginConnection>) {
        connection.pointee.state = .closing
        wheel.clear(&connection.pointee.timer)
        if connection.pointee.flags.contains(.waits) { delayed.remove(connection.pointee.timer.slot) }
    }

    /// Releases a closing connection; only at the end of an event, so that nobody holds what is gone.
    private mutating func releaseIfDone(_ connection: UnsafeMutablePointer<OriginConnection>) {
        guard connection.pointee.state == .closing, connection.pointee.inFlight == 0 else { return }
        connection.pointee.input.clear(into: &blocks)
        connection.pointee.output.clear(into: &blocks)
        connection.pointee.held.clear(into: &blocks)
        if connection.pointee.flags.contains(.tls) { channel(connection).pointee.free(&blocks) }
        ring.startClose(connection.pointee.socket)
        connections.giveBack(connection.pointee.timer.slot)
    }
}

import Glibc

/// The loop of a worker: submit everything, wait, reap, react; nothing reacts inside another reaction.
extension Worker where Ring: ~Copyable {
    /// Runs until a stop is complete.
    mutating func run() {
        startListening()
        startWaitingForWake()
        while !mustStop {
            tick()
        }
        for slot in 0..<UInt32(exchanges.highest) where exchanges.isTaken(slot) {
            let exchange = exchanges[slot]
            guard !exchange.pointee.flags.contains(.abandoned) else { continue }
            if exchange.pointee.failure == .none { exchange.pointee.failure = .stopping }
            count(.exchangesAborted)
            logOnce(exchange)
        }
        flushLogs(atEnd: true)
    }

    /// One turn: enter the kernel once, then handle what completed, what is due and what gathered.
    mutating func tick() {
        var wait = wheel.nanosecondsToNext(now: clock.now)
        if hasIdleWork { wait = min(wait ?? .max, Self.idleWorkNanoseconds) }
        if let flush = logs.nanosecondsToFlush(now: clock.now) { wait = min(wait ?? .max, flush) }
        if backendsChanged { wait = min(wait ?? .max, Self.publishNanoseconds) }
        if queuesMayMove || handshakesMayMove || dirtyClients != noSlot || dirtyConnections != noSlot { wait = 0 }
        let entered = ring.enter(waitNanoseconds: wait, gathering: wait == 0 ? .none : gathering)
        counters.store(ring.enters, at: WorkerCounter.enters.rawValue)
        if entered > 0 { count(.submissions, Int(entered)) }
        clock = ring.readClock()
        count(.ticks)
        batchSize = 0
        handshakeStepsLeft = Self.handshakeStepsPerTick
        tickNumber &+= 1
        let ready = ring.completionCount()
        var at = 0
        while at < ready {
            dispatch(ring.completion(at: at))
            at &+= 1
        }
        ring.consumeCompletions(ready)
        count(.completions, ready)
        while let timer = wheel.nextDue(now: clock.now) { onTimer(timer) }
        takeMail()
        if handshakesMayMove { moveHandshakes() }
        if queuesMayMove { moveQueues() }
        flushDirty()
        if starvedCount > 0 { rearmStarved() }
        flushLogs(atEnd: false)
        if ready == 0 { idleWork() } else { trimHelps = true }
        if backendsChanged && clock.now &- backendsPublishedAt >= Self.publishNanoseconds { publishBackends() }
        if plansMayEnd || leavingServers > 0 { settlePlans() }
        if isDraining { continueDraining() }
    }

    /// What the next wait gathers: nothing while little is under way, where waiting would only be latency.
    @inline(__always)
    private var gathering: Gathering {
        if isEfficient { return .efficient }
        return exchanges.count >= Gathering.loadExchanges ? .underLoad : .none
    }

    /// How old the published numbers of backends may be.
    private static var publishNanoseconds: UInt64 { 10_000_000 }

    private mutating func dispatch(_ completion: Completion) {
        let token = completion.token
        switch token.kind {
        case .none: break  // a silent operation that failed; its effect shows elsewhere
        case .wake: onWake()
        case .accept: onAccept(completion)
        case .clientReceive: onClientReceive(completion)
        case .clientSend: onClientSend(completion)
        case .clientWritable, .clientReadable: onClientPoll(completion)
        case .backendConnect: onBackendConnect(completion)
        case .backendReceive: onBackendReceive(completion)
        case .backendSend: onBackendSend(completion)
        case .backendWritable, .backendReadable: onBackendPoll(completion)
        case .logWrite: onLogWritten(completion)
        }
    }

    private mutating func onTimer(_ timer: UnsafeMutablePointer<Timer>) {
        let slot = timer.pointee.slot
        switch timer.pointee.kind {
        case .client: onClientTimer(clients[slot])
        case .backendConnection: onConnectionTimer(connections[slot])
        case .backend: onBackendTimer(backends[slot])
        case .exchange: onPendingTimer(exchanges[slot])
        case .pace: onPaceTimer(exchanges[slot])
        case .worker:
            switch slot {
            case 0: startListening()
            default: break  // the drain looks at the clock at the end of every tick
            }
        }
    }

    /// Sends what gathered during the tick: one send a connection.
    private mutating func flushDirty() {
        while dirtyConnections != noSlot {
            let connection = connections[dirtyConnections]
            dirtyConnections = connection.pointee.nextDirty
            connection.pointee.nextDirty = noSlot
            connection.pointee.flags.remove(.dirty)
            flush(connection)
        }
        while dirtyClients != noSlot {
            let client = clients[dirtyClients]
            dirtyClients = client.pointee.nextDirty
            client.pointee.nextDirty = noSlot
            client.pointee.flags.remove(.dirty)
            flush(client)
        }
    }

    @inline(__always)
    mutating func markDirty(_ client: UnsafeMutablePointer<ClientConnection>) {
        guard !client.pointee.flags.contains(.dirty) else { return }
        client.pointee.flags.insert(.dirty)
        client.pointee.nextDirty = dirtyClients
        dirtyClients = client.pointee.timer.slot
    }

    @inline(__always)
    mutating func markDirty(_ connection: UnsafeMutablePointer<BackendConnection>) {
        guard !connection.pointee.flags.contains(.dirty) else { return }
        connection.pointee.flags.insert(.dirty)
        connection.pointee.nextDirty = dirtyConnections
        dirtyConnections = connection.pointee.timer.slot
    }

    /// Receives that found no buffer are armed again once the tick has given its buffers back.
    private mutating func rearmStarved() {
        starvedCount = 0
        for slot in 0..<UInt32(clients.highest) where clients.isTaken(slot) {
            let client = clients[slot]
            if client.pointee.flags.contains(.starved) {
                client.pointee.flags.remove(.starved)
                onReceiveStopped(client)
            }
        }
        for slot in 0..<UInt32(connections.highest) where connections.isTaken(slot) {
            let connection = connections[slot]
            if connection.pointee.flags.contains(.starved) {
                connection.pointee.flags.remove(.starved)
                receive(connection)
            }
        }
    }

    /// How often memory is looked at while nothing else happens.
    private static var idleWorkNanoseconds: UInt64 { 100_000_000 }

    @inline(__always)
    private var hasIdleWork: Bool { trimHelps && hasSpareMemory }

    @inline(__always)
    private var hasSpareMemory: Bool {
        clients.usedBytes > clients.count &* clients.strideBytes &+ Self.trimSlackBytes
            || exchanges.usedBytes > exchanges.count &* exchanges.strideBytes &+ Self.trimSlackBytes
            || connections.usedBytes > connections.count &* connections.strideBytes &+ Self.trimSlackBytes
            || links.usedBytes > links.count &* links.strideBytes &+ Self.trimSlackBytes
            || blocks.usedBytes > blocks.takenBytes &+ Self.trimSlackBytes
    }

    private static var trimSlackBytes: Int { 64 &* 1024 }
    private static var trimSliceBytes: Int { 1 &<< 20 }

    /// Gives a slice of memory back when a tick found nothing to do.
    private mutating func idleWork() {
        guard clock.now &- lastTrim >= Self.idleWorkNanoseconds else { return }
        lastTrim = clock.now
        // One high slot that stays taken holds everything below it: no use in waking up for that again and again.
        trimHelps = clients.trim(sliceBytes: Self.trimSliceBytes)
        trimHelps = exchanges.trim(sliceBytes: Self.trimSliceBytes) || trimHelps
        trimHelps = connections.trim(sliceBytes: Self.trimSliceBytes) || trimHelps
        trimHelps = links.trim(sliceBytes: Self.trimSliceBytes) || trimHelps
        trimHelps = blocks.trim(sliceBytes: Self.trimSliceBytes) || trimHelps
        counters.store(UInt64(clients.usedBytes + exchanges.usedBytes + connections.usedBytes + links.usedBytes), at: WorkerCounter.slabBytes.rawValue)
        counters.store(UInt64(blocks.usedBytes), at: WorkerCounter.blockBytes.rawValue)
    }
}

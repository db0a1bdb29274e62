import CUring
import Glibc

/// The standing pool of a backend: connections opened on demand, kept while idle, watched for their end.
extension Worker where Ring: ~Copyable {
    /// The idle connection used last; nil when none is idle.
    mutating func checkOut(_ backend: UnsafeMutablePointer<Backend>) -> UnsafeMutablePointer<BackendConnection>? {
        guard backend.pointee.idleTop != noSlot else { return nil }
        let connection = connections[backend.pointee.idleTop]
        removeIdle(connection, backend)
        return connection
    }

    /// Takes a connection back after its exchanges: into the pool, or to one that waits.
    mutating func putBack(_ connection: UnsafeMutablePointer<BackendConnection>) {
        let backend = backends[UInt32(connection.pointee.backend)]
        let limits = backend.pointee.limits
        let worn = limits.requestsPerConnectionMax > 0 && connection.pointee.requestCount >= limits.requestsPerConnectionMax
        let isSurplus = backend.pointee.connectionCount > limits.connectionsMax
        let isStrangers = connection.pointee.owner != 0 && !isOwned(connection)
        let isOutdated = connection.pointee.tlsMark != limits.tlsMark
        if worn || isSurplus || isStrangers || isOutdated || connection.pointee.flags.contains(.doomed) || connection.pointee.flags.contains(.sawEnd)
            || backend.pointee.state == .draining || isDraining && backend.pointee.waiting.isEmpty
        {
            close(connection)
            return
        }
        connection.pointee.phase = .head
        connection.pointee.flags.remove([.full, .paused, .splicing, .held])
        receive(connection)
        offer(connection, backend)
    }

    /// A connection is free: the first that waits for this backend gets it, else it rests.
    private mutating func offer(
        _ connection: UnsafeMutablePointer<BackendConnection>, _ backend: UnsafeMutablePointer<Backend>
    ) {
        queuesMayMove = true
        if let exchange = firstWaiting(for: connection, backend) {
            leaveQueue(exchange)
            attach(exchange, to: connection, backend)
            exchange.pointee.step = .sendRequest
            walk(exchange)
            return
        }
        if backend.pointee.sharedConnection == connection.pointee.timer.slot { backend.pointee.sharedConnection = noSlot }
        connection.pointee.state = .idle
        connection.pointee.nextIdle = backend.pointee.idleTop
        connection.pointee.previousIdle = noSlot
        if backend.pointee.idleTop != noSlot { connections[backend.pointee.idleTop].pointee.previousIdle = connection.pointee.timer.slot }
        backend.pointee.idleTop = connection.pointee.timer.slot
        backend.pointee.idleCount &+= 1
        let idle = backend.pointee.limits.idleNanoseconds
        if idle > 0 { wheel.set(&connection.pointee.timer, clock.now &+ idle) } else { wheel.disarm(&connection.pointee.timer) }
        refresh(backend)
    }

    /// The first that waits for a connection and may have this one: who saw a used one die wants a new one.
    private mutating func firstWaiting(
        for connection: UnsafeMutablePointer<BackendConnection>, _ backend: UnsafeMutablePointer<Backend>
    ) -> UnsafeMutablePointer<Exchange>? {
        var slot = backend.pointee.waiting.first
        while slot != noSlot {
            let exchange = exchanges[slot]
            let mayServe = connection.pointee.owner == 0 || connection.pointee.owner == owner(exchange.pointee.client)
            if mayServe, connection.pointee.requestCount == 0 || !exchange.pointee.flags.contains(.fresh) { return exchange }
            slot = exchange.pointee.next
        }
        return nil
    }

    mutating func removeIdle(
        _ connection: UnsafeMutablePointer<BackendConnection>, _ backend: UnsafeMutablePointer<Backend>
    ) {
        let next = connection.pointee.nextIdle
        let previous = connection.pointee.previousIdle
        if previous == noSlot { backend.pointee.idleTop = next } else { connections[previous].pointee.nextIdle = next }
        if next != noSlot { connections[next].pointee.previousIdle = previous }
        connection.pointee.nextIdle = noSlot
        connection.pointee.previousIdle = noSlot
        connection.pointee.state = .active
        wheel.disarm(&connection.pointee.timer)
        backend.pointee.idleCount &-= 1
    }

    /// Starts a connection; false when no socket is to be had.
    mutating func open(_ backend: UnsafeMutablePointer<Backend>) -> Bool {
        let fd = ring.openSocket(family: backend.pointee.address.family)
        guard fd >= 0 else {
            count(.backendConnectFailures)
            logs.events.emit(.error, "no descriptor for a backend connection: raise max-nofile", error: fd)
            pauseOpening(backend)
            return false
        }
        let number = backend.pointee.timer.slot
        guard let slot = connections.take() else {
            ring.startClose(fd)
            pauseOpening(backend)
            return false
        }
        let connection = connections[slot]
        connection.initialize(to: BackendConnection(fd: fd, backend: Int32(number), slot: slot, now: clock.now))
        if backend.pointee.address.family != AF_UNIX { ring.setOptions(fd, backend.pointee.limits.socket) }
        backend.pointee.connectionCount &+= 1
        backend.pointee.heldConnections &+= 1
        backend.pointee.connectingCount &+= 1
        connection.pointee.inFlight &+= 1
        connection.pointee.tlsMark = backend.pointee.limits.tlsMark
        wheel.set(&connection.pointee.timer, clock.now &+ max(backend.pointee.limits.connectNanoseconds, 1))
        withUnsafePointer(to: &backend.pointee.address) {
            ring.startConnect(fd, to: $0, token: token(.backendConnect, connection))
        }
        ring.growBackendBuffers(forConnections: connections.count)
        return true
    }

    @inline(__always)
    mutating func token(_ kind: OperationKind, _ connection: UnsafeMutablePointer<BackendConnection>) -> OperationToken {
        let slot = connection.pointee.timer.slot
        return OperationToken(kind, slot: slot, generation: connections.generation(slot))
    }

    mutating func onBackendConnect(_ completion: Completion) {
        guard connections.isCurrent(completion.token) else {
            count(.oddities)
            return
        }
        let connection = connections[completion.token.slot]
        connection.pointee.inFlight &-= 1
        let backend = backends[UInt32(connection.pointee.backend)]
        if connection.pointee.state == .closing {
            releaseIfDone(connection)
            return
        }
        if completion.result < 0 {
            onConnectFailed(connection, backend, errno: -completion.result, .connectFailed)
            return
        }
        if !beginTLS(connection, backend) { onConnected(connection) }
    }

    /// A connection is there to be used.
    mutating func onConnected(_ connection: UnsafeMutablePointer<BackendConnection>) {
        let backend = backends[UInt32(connection.pointee.backend)]
        count(.backendConnects)
        backend.pointee.connectingCount &-= 1
        connection.pointee.connectNanoseconds = clock.now &- connection.pointee.startedAt
        if backend.pointee.connectFailures > 0 {
            backend.pointee.connectFailures = 0
            logs.events.emit(.notice, "backend can be reached again", subject: name(backend).slice)
        }
        if logs.wantsBackendPort { connection.pointee.localPort = ring.localPort(connection.pointee.fd) }
        backend.pointee.state = backend.pointee.state == .down ? .up : backend.pointee.state
        connection.pointee.state = .active
        wheel.disarm(&connection.pointee.timer)
        putBack(connection)
    }

    mutating func name(_ backend: UnsafeMutablePointer<Backend>) -> LastingBytes {
        backend.pointee.names.pointee.name
    }

    // MARK: - Closing

    /// Takes an exchange off the connection that it leaves behind.
    mutating func release(
        _ connection: UnsafeMutablePointer<BackendConnection>, of exchange: UnsafeMutablePointer<Exchange>
    ) {
        let backend = backends[UInt32(connection.pointee.backend)]
        settleFirstByte(exchange, backend, failed: exchange.pointee.failure.isBackends)
        if exchange.pointee.flags.contains(.countedActive) {
            exchange.pointee.flags.remove(.countedActive)
            backend.pointee.activeExchanges &-= 1
        }
        leaveConnection(exchange)
        refresh(backend)
        queuesMayMove = true
    }

    /// Ends the balancer's wait for a first byte that did not come.
    private mutating func settleFirstByte(
        _ exchange: UnsafeMutablePointer<Exchange>, _ backend: UnsafeMutablePointer<Backend>, failed: Bool
    ) {
        guard exchange.pointee.flags.contains(.waitsForFirstByte) else { return }
        exchange.pointee.flags.remove(.waitsForFirstByte)
        guard backend.pointee.candidate >= 0 else { return }
        if failed {
            candidate(backend).pointee.roundTrip.onFailure(now: clock.now)
        } else {
            candidate(backend).pointee.roundTrip.onAbandon(now: clock.now)
        }
    }

    /// Closes a connection that no exchange holds any more; the slot is released when nothing is in flight.
    mutating func close(_ connection: UnsafeMutablePointer<BackendConnection>) {
        guard connection.pointee.state != .closing else { return }
        let backend = backends[UInt32(connection.pointee.backend)]
        sayEndNow(connection)
        if connection.pointee.state == .idle { removeIdle(connection, backend) }
        let wasConnecting = connection.pointee.state == .connecting
        if wasConnecting { backend.pointee.connectingCount &-= 1 }
        if backend.pointee.sharedConnection == connection.pointee.timer.slot { backend.pointee.sharedConnection = noSlot }
        connection.pointee.state = .closing
        wheel.clear(&connection.pointee.timer)
        backend.pointee.connectionCount &-= 1
        if let block = connection.pointee.headBlock {
            connection.pointee.headBlock = nil
            blocks.giveBack(block)
        }
        if let block = connection.pointee.trailers {
            connection.pointee.trailers = nil
            blocks.giveBack(block)
        }
        if wasConnecting && connection.pointee.tls == nil {
            ring.startCancel(token(.backendConnect, connection))
        } else if connection.pointee.inFlight > 0 {
            ring.shutdownBoth(connection.pointee.fd)
        }
        queuesMayMove = true
        refresh(backend)
        releaseIfDone(connection)
    }

    mutating func releaseIfDone(_ connection: UnsafeMutablePointer<BackendConnection>) {
        guard connection.pointee.state == .closing, connection.pointee.inFlight == 0,
            !connection.pointee.flags.contains(.dirty)
        else { return }
        connection.pointee.output.clear(into: &blocks)
        if let link = connection.pointee.tls { free(link) }
        ring.startClose(connection.pointee.fd)
        let backend = backends[UInt32(connection.pointee.backend)]
        connections.giveBack(connection.pointee.timer.slot)
        backend.pointee.heldConnections &-= 1
        forgetIfDrained(backend)
    }
}

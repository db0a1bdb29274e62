import Glibc

/// Exchanges that wait for a backend connection: first in, first out, within bounds of number and time.
///
/// Each group of backends has a queue; a backend with queue settings of its own has one too. Queues never block one
/// another; where groups share a backend, whoever has waited longest gets it. Clients that a sticky cookie binds to a
/// backend wait in that backend's queue, so that they hold up nobody else; where it has no settings of its own, those of
/// the server bound all queues together.
extension Worker where Ring: ~Copyable {
    /// Puts an exchange into the queue where it has to wait, or answers 503 when that is full.
    mutating func waitInQueue(_ exchange: UnsafeMutablePointer<Exchange>) -> StepResult {
        let server = servers + Int(exchange.pointee.server)
        let group = group(of: exchange)
        let backend = pinnedBackend(exchange, group, server) ?? backendWithQueue(group)
        if let backend { exchange.pointee.backend = Int32(backend.pointee.timer.slot) }
        if let backend, backend.pointee.limits.hasPendingQueue {
            guard backend.pointee.pending.count < backend.pointee.limits.pendingMax else { return refusePending(exchange) }
            startPending(exchange)
            insert(exchange, into: &backend.pointee.pending, .backendPending)
            setPendingTimer(exchange, backend.pointee.limits.pendingNanoseconds)
            return .park(.selectBackend)
        }
        guard server.pointee.pendingCount < server.pointee.plan.pendingMax else { return refusePending(exchange) }
        startPending(exchange)
        server.pointee.pendingCount &+= 1
        if let backend {
            insert(exchange, into: &backend.pointee.pending, .backendPinned)
        } else {
            insert(exchange, into: &group.pointee.pending, .groupPending)
        }
        setPendingTimer(exchange, server.pointee.plan.pendingNanoseconds)
        return .park(.selectBackend)
    }

    private mutating func refusePending(_ exchange: UnsafeMutablePointer<Exchange>) -> StepResult {
        count(.pendingRefused)
        answer(exchange, 503, .pendingFull)
        return .done
    }

    /// The backend with a queue of its own that has the fewest waiting; nil where the group's queue is the place to
    /// wait, because some backend has none of its own or no backend is up.
    private mutating func backendWithQueue(_ group: UnsafeMutablePointer<BackendGroup>) -> UnsafeMutablePointer<Backend>? {
        var best: UnsafeMutablePointer<Backend>?
        for at in 0..<group.pointee.count {
            let backend = backends[group.pointee.members[at].backend]
            guard backend.pointee.limits.hasPendingQueue else { return nil }
            guard backend.pointee.state == .up else { continue }
            if best == nil || backend.pointee.pending.count < best!.pointee.pending.count { best = backend }
        }
        return best
    }

    mutating func startPending(_ exchange: UnsafeMutablePointer<Exchange>) {
        if exchange.pointee.pendingSince == 0 {
            exchange.pointee.pendingSince = clock.now
            count(.pendingNow)
        }
    }

    mutating func endPending(_ exchange: UnsafeMutablePointer<Exchange>) {
        if exchange.pointee.pendingSince != 0 {
            exchange.pointee.pendingNanoseconds &+= clock.now &- exchange.pointee.pendingSince
            exchange.pointee.pendingSince = 0
            count(.pendingNow, -1)
        }
        wheel.disarm(&exchange.pointee.timer)
    }

    /// The time in the queue counts from its first moment, through retries.
    private mutating func setPendingTimer(_ exchange: UnsafeMutablePointer<Exchange>, _ nanoseconds: UInt64) {
        guard nanoseconds > 0 else { return }
        let spent = exchange.pointee.pendingNanoseconds &+ (clock.now &- exchange.pointee.pendingSince)
        wheel.set(&exchange.pointee.timer, clock.now &+ (nanoseconds > spent ? nanoseconds &- spent : 1))
    }

    mutating func onPendingTimer(_ exchange: UnsafeMutablePointer<Exchange>) {
        switch exchange.pointee.waitsIn {
        case .groupPending, .backendPending, .backendPinned: break
        case .backendWaiting where exchange.pointee.flags.contains(.delegated): break
        case .nowhere where exchange.pointee.flags.contains(.resolving):
            onNameTimer(exchange)
            return
        case .nowhere, .connectionQueue, .backendWaiting: return
        }
        count(.pendingTimeouts)
        exchange.pointee.step = .log
        // What kept it waiting says more than that it waited.
        let reason = exchange.pointee.failure == .none ? FailureReason.pendingTimeout : exchange.pointee.failure
        answer(exchange, 503, reason)
    }

    /// Lets waiting exchanges go on while their servers have room; at the end of a tick in which something became free.
    mutating func moveQueues() {
        queuesMayMove = false
        for number in 0..<serverCount {
            let server = servers + number
            moveBackendQueues(server)
            if server.pointee.pendingCount > 0 { moveGroupQueues(server) }
        }
        if targetCount > 0 { moveTargetQueues() }
    }

    /// The groups take turns by the age of those who wait at their head.
    private mutating func moveGroupQueues(_ server: UnsafeMutablePointer<ServerRuntime>) {
        for number in 0..<server.pointee.groupCount { server.pointee.groups[number].isStuck = false }
        while let group = oldestQueue(server) {
            let exchange = exchanges[group.pointee.pending.first]
            let chosen = chooseMember(exchange, group, server)
            guard chosen >= 0, wake(exchange, for: backends[group.pointee.members[chosen].backend]) else {
                group.pointee.isStuck = true
                continue
            }
            moveBackendQueues(server)
        }
    }

    private mutating func oldestQueue(_ server: UnsafeMutablePointer<ServerRuntime>) -> UnsafeMutablePointer<BackendGroup>? {
        var oldest: UnsafeMutablePointer<BackendGroup>?
        var age = UInt64.max
        for number in 0..<server.pointee.groupCount {
            let group = server.pointee.groups + number
            guard !group.pointee.isStuck, !group.pointee.pending.isEmpty else { continue }
            let sequence = exchanges[group.pointee.pending.first].pointee.sequence
            if sequence < age { (oldest, age) = (group, sequence) }
        }
        return oldest
    }

    /// Whether the queue of some group has one at its head that could take this backend and came before the exchange.
    mutating func isWantedLonger(
        _ backend: UnsafeMutablePointer<Backend>, _ server: UnsafeMutablePointer<ServerRuntime>,
        than exchange: UnsafeMutablePointer<Exchange>
    ) -> Bool {
        guard server.pointee.pendingCount > 0 else { return false }
        for number in 0..<server.pointee.groupCount {
            let group = server.pointee.groups + number
            guard !group.pointee.pending.isEmpty,
                exchanges[group.pointee.pending.first].pointee.sequence < exchange.pointee.sequence
            else { continue }
            for at in 0..<group.pointee.count where group.pointee.members[at].backend == backend.pointee.timer.slot { return true }
        }
        return false
    }

    private mutating func moveBackendQueues(_ server: UnsafeMutablePointer<ServerRuntime>) {
        var at = 0
        while at < server.pointee.candidateCount {
            moveBackendQueue(backends[server.pointee.candidateBackends[at]], server)
            at &+= 1
        }
    }

    private mutating func moveBackendQueue(
        _ backend: UnsafeMutablePointer<Backend>, _ server: UnsafeMutablePointer<ServerRuntime>
    ) {
        while !backend.pointee.pending.isEmpty, backend.pointee.candidate >= 0, candidate(backend).pointee.isUsable {
            let exchange = exchanges[backend.pointee.pending.first]
            // Whoever has waited longest goes first.
            if isWantedLonger(backend, server, than: exchange) { break }
            guard wake(exchange, for: backend) else { break }
        }
    }

    /// Lets the first of a queue go on with a backend that has room for it; false when it had to go back.
    private mutating func wake(
        _ exchange: UnsafeMutablePointer<Exchange>, for backend: UnsafeMutablePointer<Backend>
    ) -> Bool {
        leaveQueue(exchange)
        exchange.pointee.backend = Int32(backend.pointee.timer.slot)
        switch connect(exchange, backend) {
        case .next(let step):
            exchange.pointee.step = step
            walk(exchange)
            return true
        case .park(let step):
            exchange.pointee.step = step
            return exchange.pointee.waitsIn == .backendWaiting
        case .done: return true
        }
    }

    // MARK: - Lists

    mutating func append(
        _ exchange: UnsafeMutablePointer<Exchange>, to list: inout ExchangeList, _ place: WaitingPlace
    ) {
        precondition(exchange.pointee.waitsIn == .nowhere, "an exchange waits in one list only")
        exchange.pointee.waitsIn = place
        exchange.pointee.next = noSlot
        exchange.pointee.previous = list.last
        if list.last == noSlot { list.first = exchange.pointee.slot } else { exchanges[list.last].pointee.next = exchange.pointee.slot }
        list.last = exchange.pointee.slot
        list.count &+= 1
    }

    /// Puts an exchange into a queue by its age, so that one that comes back keeps its place.
    private mutating func insert(
        _ exchange: UnsafeMutablePointer<Exchange>, into list: inout ExchangeList, _ place: WaitingPlace
    ) {
        var after = list.last
        while after != noSlot, exchanges[after].pointee.sequence > exchange.pointee.sequence {
            after = exchanges[after].pointee.previous
        }
        if after == list.last {
            append(exchange, to: &list, place)
            return
        }
        let before = after == noSlot ? list.first : exchanges[after].pointee.next
        exchange.pointee.waitsIn = place
        exchange.pointee.previous = after
        exchange.pointee.next = before
        exchanges[before].pointee.previous = exchange.pointee.slot
        if after == noSlot { list.first = exchange.pointee.slot } else { exchanges[after].pointee.next = exchange.pointee.slot }
        list.count &+= 1
    }

    private mutating func remove(_ exchange: UnsafeMutablePointer<Exchange>, from list: inout ExchangeList) {
        let next = exchange.pointee.next
        let previous = exchange.pointee.previous
        if previous == noSlot { list.first = next } else { exchanges[previous].pointee.next = next }
        if next == noSlot { list.last = previous } else { exchanges[next].pointee.previous = previous }
        list.count &-= 1
        exchange.pointee.next = noSlot
        exchange.pointee.previous = noSlot
        exchange.pointee.waitsIn = .nowhere
    }

    /// Takes an exchange out of whatever list it waits in, but for its connection's queue.
    mutating func leaveQueue(_ exchange: UnsafeMutablePointer<Exchange>) {
        switch exchange.pointee.waitsIn {
        case .nowhere, .connectionQueue: return
        case .backendWaiting:
            let backend = backends[UInt32(exchange.pointee.backend)]
            remove(exchange, from: &backend.pointee.waiting)
            refresh(backend)
        case .backendPending, .backendPinned:
            let backend = backends[UInt32(exchange.pointee.backend)]
            if exchange.pointee.waitsIn == .backendPinned { servers[Int(exchange.pointee.server)].pendingCount &-= 1 }
            remove(exchange, from: &backend.pointee.pending)
        case .groupPending:
            let group = group(of: exchange)
            servers[Int(exchange.pointee.server)].pendingCount &-= 1
            remove(exchange, from: &group.pointee.pending)
        }
        endPending(exchange)
    }

    /// Takes an exchange out of its connection's queue.
    mutating func leaveConnection(_ exchange: UnsafeMutablePointer<Exchange>) {
        guard exchange.pointee.waitsIn == .connectionQueue else { return }
        let connection = connections[exchange.pointee.connection]
        remove(exchange, from: &connection.pointee.exchanges)
        exchange.pointee.connection = noSlot
    }
}

import Glibc

/// Connections to the places that requests are sent on to: backends that come with the first request for their address
/// and go when they have been idle.
extension Worker where Ring: ~Copyable {
    /// Pooling is of no use where every request goes somewhere else.
    static var targetsMax: Int { 64 }

    /// Gives an exchange that is sent on a connection to the next address of its target.
    mutating func selectTarget(_ exchange: UnsafeMutablePointer<Exchange>) -> StepResult {
        guard let block = exchange.pointee.delegation else { return .next(.release) }
        let state = block.bytes.assumingMemoryBound(to: DelegationState.self)
        if state.pointee.addressCount == 0 { return askForName(exchange, state) }
        switch exchange.pointee.failure {
        case .connectFailed, .connectTimeout:
            state.pointee.place &+= 1
            guard state.pointee.place < state.pointee.addressCount else {
                answer(exchange, exchange.pointee.failure == .connectTimeout ? 504 : 502, exchange.pointee.failure)
                return .done
            }
        default: break
        }
        guard let target = target(at: state.addresses[state.pointee.place], state.pointee.limits, of: exchange.pointee.server) else {
            answer(exchange, 503, .pendingFull)
            return .done
        }
        exchange.pointee.backend = Int32(target.pointee.timer.slot)
        if !exchange.pointee.flags.contains(.fresh), let idle = checkOut(target) {
            attach(exchange, to: idle, target)
            return .next(.sendRequest)
        }
        let mayWait = target.pointee.waiting.count < target.pointee.limits.pendingMax
        if mayOpenTarget(target) {
            _ = open(target)
        } else if !mayWait {
            answer(exchange, 503, .pendingFull)
            return .done
        }
        startPending(exchange)
        append(exchange, to: &target.pointee.waiting, .backendWaiting)
        let patience = target.pointee.limits.pendingNanoseconds
        if patience > 0 { wheel.set(&exchange.pointee.timer, clock.now &+ patience) }
        return .park(.selectBackend)
    }

    private mutating func mayOpenTarget(_ target: UnsafeMutablePointer<Backend>) -> Bool {
        !target.pointee.isOpeningPaused && target.pointee.connectionCount < target.pointee.limits.connectionsMax
    }

    /// Opens connections for those who wait at a target that had no room; looked at when something became free.
    mutating func moveTargetQueues() {
        var at = 0
        while at < targetCount {
            let target = backends[targets[at]]
            while target.pointee.connectingCount < target.pointee.waiting.count, mayOpenTarget(target), open(target) {}
            // Going takes it out of the list, whose last one comes here.
            if !forgetTargetIfUnused(target) { at &+= 1 }
        }
    }

    /// The backend of an address: known, or new; nil when there are too many that are in use.
    private mutating func target(
        at address: SocketAddress, _ limits: BackendLimits, of server: Int32
    ) -> UnsafeMutablePointer<Backend>? {
        var idle: UnsafeMutablePointer<Backend>?
        for at in 0..<targetCount {
            let target = backends[targets[at]]
            if target.pointee.address == address { return target }
            let isIdle = target.pointee.connectionCount == target.pointee.idleCount && target.pointee.waiting.isEmpty
            if isIdle { idle = target }
        }
        if targetCount == Self.targetsMax {
            guard let idle else { return nil }
            while let connection = checkOut(idle) { close(connection) }
            // What the kernel still holds of it keeps the slot, but not its place here.
            leaveTargets(idle)
            forgetIfDrained(idle)
        }
        guard targetCount < Self.targetsMax, let slot = backends.take() else { return nil }
        backends[slot].initialize(
            to: Backend(
                timer: Timer(.backend, slot: slot), server: server, settingsIndex: -1, names: targetNames,
                address: address, limits: limits, counters: targetCounters))
        backends[slot].pointee.candidate = -1
        backends[slot].pointee.isTarget = true
        servers[Int(server)].backendCount &+= 1
        targets[targetCount] = slot
        targetCount &+= 1
        return backends[slot]
    }

    /// Takes a target out of the list of those that requests may find.
    private mutating func leaveTargets(_ target: UnsafeMutablePointer<Backend>) {
        target.pointee.isTarget = false
        target.pointee.state = .draining
        for at in 0..<targetCount where targets[at] == target.pointee.timer.slot {
            targetCount &-= 1
            targets[at] = targets[targetCount]
            return
        }
    }

    /// Lets a target go that has no connection and nobody waiting; true when it is gone.
    @discardableResult
    mutating func forgetTargetIfUnused(_ target: UnsafeMutablePointer<Backend>) -> Bool {
        guard target.pointee.isTarget, target.pointee.connectionCount == 0, target.pointee.heldConnections == 0,
            target.pointee.waiting.isEmpty
        else { return false }
        leaveTargets(target)
        forgetIfDrained(target)
        return true
    }
}

extension BackendLimits {
    /// As a target has them: those of the backend that named it, without what only makes sense for a backend of ours.
    func ofTarget(_ server: UnsafeMutablePointer<ServerRuntime>) -> BackendLimits {
        var limits = self
        limits.connections = 0  // none stands: an idle one is closed in its time
        limits.connectionsMax = max(limits.connectionsMax, 8)
        if limits.idleNanoseconds == 0 { limits.idleNanoseconds = 60_000_000_000 }
        limits.pipeline = 1
        limits.tls = nil
        limits.hasPendingQueue = false
        limits.pendingNanoseconds = server.pointee.plan.pendingNanoseconds
        limits.pendingMax = server.pointee.plan.pendingMax
        return limits
    }
}

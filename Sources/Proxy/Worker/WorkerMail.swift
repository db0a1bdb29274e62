import Glibc

/// What the control thread asks of a worker, done between ticks; and the end of a worker.
extension Worker where Ring: ~Copyable {
    mutating func startWaitingForWake() {
        ring.startRead(
            mailbox.wakeDescriptor, into: UnsafeMutableRawPointer(wakeValue), MemoryLayout<UInt64>.size,
            token: OperationToken(.wake, slot: 0))
    }

    mutating func onWake() { startWaitingForWake() }

    mutating func takeMail() {
        if mailbox.hasMail { readMail() }
    }

    /// Never inlined: what it retains must not be retained by every tick.
    @inline(never)
    private mutating func readMail() {
        for message in mailbox.take() {
            switch message {
            case .drain(let deadline): startDraining(deadlineMilliseconds: deadline)
            case .stop: mustStop = true
            case .logs(let descriptors): logs.replaceDescriptors(descriptors)
            case .addresses(let table): applyAddresses(table)
            case .retireListeners: retireListeners()
            case .listeners(let listeners): adoptListeners(listeners)
            case .peers(let mailboxes): peers = mailboxes
            case .client(let fd, let server): admit(fd, server: server)
            }
        }
    }

    /// No new connections; idle ones end now, the others with their answer.
    private mutating func startDraining(deadlineMilliseconds: Int) {
        guard !isDraining else { return }
        isDraining = true
        drainEnd = clock.now &+ UInt64(max(deadlineMilliseconds, 0)) &* 1_000_000
        stopListening()
        for slot in 0..<UInt32(clients.highest) where clients.isTaken(slot) {
            let client = clients[slot]
            if client.pointee.state == .idle { close(client) }
        }
        for slot in 0..<UInt32(connections.highest) where connections.isTaken(slot) {
            let connection = connections[slot]
            if connection.pointee.state == .idle { close(connection) }
        }
        wheel.set(drainTimer, min(drainEnd, clock.now &+ 10_000_000))
    }

    /// Ends the worker when its last client is gone or the deadline has passed.
    mutating func continueDraining() {
        if clients.count == 0 || clock.now >= drainEnd {
            mustStop = true
        } else if !drainTimer.pointee.isLinked {
            wheel.set(drainTimer, min(drainEnd, clock.now &+ 50_000_000))
        }
    }

    // MARK: - Addresses of backends

    /// Adds backends for new addresses and lets those go whose address is no longer there.
    mutating func applyAddresses(_ table: AddressTable) {
        for entry in table.entries where entry.server < serverCount {
            let server = servers + entry.server
            for address in entry.addresses where find(server, entry, address) == nil { add(server, entry, address) }
            for at in 0..<server.pointee.candidates.count {
                let backend = backends[server.pointee.candidateBackends[at]]
                if backend.pointee.settingsIndex == Int32(entry.backend), !entry.addresses.contains(backend.pointee.address) {
                    backend.pointee.state = .draining
                }
            }
            rebuildCandidates(server)
        }
        queuesMayMove = true
        let moved = displaced
        displaced = []
        for slot in moved {
            exchanges[slot].pointee.backend = -1
            exchanges[slot].pointee.step = .selectBackend
            walk(exchanges[slot])
        }
    }

    private func find(
        _ server: UnsafeMutablePointer<ServerRuntime>, _ entry: BackendAddresses, _ address: SocketAddress
    ) -> UnsafeMutablePointer<Backend>? {
        for at in 0..<server.pointee.candidates.count {
            let backend = backends[server.pointee.candidateBackends[at]]
            if backend.pointee.settingsIndex == Int32(entry.backend), backend.pointee.address == address { return backend }
        }
        return nil
    }

    private mutating func add(
        _ server: UnsafeMutablePointer<ServerRuntime>, _ entry: BackendAddresses, _ address: SocketAddress
    ) {
        guard server.pointee.candidates.count < ServerRuntime.candidatesMax, entry.backend < server.pointee.backendCount
        else { return }
        let limits = server.pointee.backendLimits[entry.backend]
        let number = Int32(entry.server)
        let counters = CounterBlock(count: BackendCounter.allCases.count)
        guard let slot = backends.take() else { return }
        backends[slot].initialize(
            to: Backend(
                timer: Timer(.backend, slot: slot), server: number, settingsIndex: Int32(entry.backend), address: address,
                limits: limits, counters: counters))
        let name = server.pointee.backendNames[entry.backend]
        register.add(
            BackendSnapshot(
                server: entry.server, name: name.text, address: address.description, counters: counters))
        let old = server.pointee.candidates
        let grown = Candidates.allocate(capacity: old.count + 1)
        for at in 0..<old.count { grown.initializeElement(at: at, to: old[at]) }
        var candidate = Candidate(
            identity: backendIdentity(name: name.text, address: address),
            weight: server.pointee.backendWeights[entry.backend])
        if server.pointee.stickyCookie != nil { candidate.stickyToken = stickySecret.token(for: candidate.identity) }
        grown.initializeElement(at: old.count, to: candidate)
        server.pointee.candidateBackends[old.count] = slot
        old.deallocate()
        server.pointee.candidates = grown
        backends[slot].pointee.candidate = Int32(grown.count - 1)
    }

    /// Keeps the order of the configuration, in which new addresses of an earlier `downstream` come before later ones.
    private func sortCandidates(_ server: UnsafeMutablePointer<ServerRuntime>) {
        let candidates = server.pointee.candidates
        let slots = server.pointee.candidateBackends
        for at in 1..<max(candidates.count, 1) {
            var place = at
            while place > 0,
                backends[slots[place - 1]].pointee.settingsIndex > backends[slots[place]].pointee.settingsIndex
            {
                candidates.swapAt(place - 1, place)
                let slot = slots[place]
                slots[place] = slots[place - 1]
                slots[place - 1] = slot
                place -= 1
            }
        }
    }

    /// Takes draining backends out of the choice and tells the balancer.
    private mutating func rebuildCandidates(_ server: UnsafeMutablePointer<ServerRuntime>) {
        sortCandidates(server)
        let old = server.pointee.candidates
        var kept = 0
        for at in 0..<old.count {
            let slot = server.pointee.candidateBackends[at]
            let backend = backends[slot]
            if backend.pointee.state == .draining {
                leave(backend)
                continue
            }
            old[kept] = old[at]
            server.pointee.candidateBackends[kept] = slot
            backend.pointee.candidate = Int32(kept)
            kept += 1
        }
        server.pointee.candidates = Candidates(rebasing: old[0..<kept])
        server.pointee.balancer.rebuild(server.pointee.candidates)
        for at in 0..<kept { refresh(backends[server.pointee.candidateBackends[at]]) }
    }

    /// A backend leaves the choice: idle connections end now, others with their exchange, waiting exchanges go elsewhere.
    private mutating func leave(_ backend: UnsafeMutablePointer<Backend>) {
        backend.pointee.candidate = -1
        backend.pointee.heldConnections &+= 1  // it stays while it is looked at
        wheel.clear(&backend.pointee.timer)
        while let idle = checkOut(backend) { close(idle) }
        while !backend.pointee.waiting.isEmpty || !backend.pointee.pending.isEmpty {
            let first = backend.pointee.waiting.isEmpty ? backend.pointee.pending.first : backend.pointee.waiting.first
            let exchange = exchanges[first]
            leaveQueue(exchange)
            displaced.append(first)
        }
        backend.pointee.heldConnections &-= 1
        forgetIfDrained(backend)
    }

    /// Forgets a backend that left the choice once its last connection is gone.
    mutating func forgetIfDrained(_ backend: UnsafeMutablePointer<Backend>) {
        guard backend.pointee.candidate < 0, backend.pointee.connectionCount == 0, backend.pointee.heldConnections == 0 else { return }
        register.remove(backend.pointee.counters)
        backends.giveBack(backend.pointee.timer.slot)
    }
}

import Glibc

/// Which backends there are: they come with addresses, and leave when their address or their `downstream` does.
extension Worker where Ring: ~Copyable {
    /// Adds backends for new addresses and lets those go whose address is no longer there.
    mutating func applyAddresses(_ table: AddressTable) {
        updateBackends(table)
        queuesMayMove = true
        walkDisplaced(from: .selectBackend)
    }

    /// Brings the backends of all servers of the newest plan in line with a table of addresses.
    mutating func updateBackends(_ table: AddressTable) {
        for number in 0..<serverCount where servers[number].state == .serving {
            for entry in table.entries where entry.server == Int(servers[number].number) { update(servers + number, entry) }
            rebuildCandidates(number)
        }
    }

    private mutating func update(_ server: UnsafeMutablePointer<ServerRuntime>, _ entry: BackendAddresses) {
        for address in entry.addresses where find(server, entry, address) == nil { add(server, entry, address) }
        for at in 0..<server.pointee.candidateCount {
            let backend = backends[server.pointee.candidateBackends[at]]
            if backend.pointee.settingsIndex == Int32(entry.backend), !entry.addresses.contains(backend.pointee.address) {
                backend.pointee.state = .draining
            }
        }
    }

    /// Sends those on whose backend left while they waited for it.
    mutating func walkDisplaced(from step: Step) {
        let moved = displaced
        displaced = []
        for slot in moved {
            exchanges[slot].pointee.backend = -1
            exchanges[slot].pointee.step = step
            walk(exchanges[slot])
        }
    }

    private mutating func find(
        _ server: UnsafeMutablePointer<ServerRuntime>, _ entry: BackendAddresses, _ address: SocketAddress
    ) -> UnsafeMutablePointer<Backend>? {
        for at in 0..<server.pointee.candidateCount {
            let backend = backends[server.pointee.candidateBackends[at]]
            if backend.pointee.settingsIndex == Int32(entry.backend), backend.pointee.address == address { return backend }
        }
        return nil
    }

    private mutating func add(
        _ server: UnsafeMutablePointer<ServerRuntime>, _ entry: BackendAddresses, _ address: SocketAddress
    ) {
        let count = server.pointee.candidateCount
        guard count < ServerRuntime.candidatesMax, entry.backend < server.pointee.plan.backends.count else { return }
        let plan = server.pointee.plan.backends[entry.backend]
        guard let slot = backends.take() else { return }
        let name = plan.names.pointee.name.text
        let counters = register.add(server: entry.server, name: name, address: address.description)
        backends[slot].initialize(
            to: Backend(
                timer: Timer(.backend, slot: slot), server: Int32(server - servers), settingsIndex: Int32(entry.backend),
                names: plan.names, address: address, limits: plan.limits, counters: counters))
        var candidate = Candidate(identity: backendIdentity(name: name, address: address), weight: plan.weight)
        candidate.stickyToken = stickySecret.token(for: candidate.identity)
        (server.pointee.candidates + count).initialize(to: candidate)
        server.pointee.candidateBackends[count] = slot
        server.pointee.candidateCount = count + 1
        server.pointee.backendCount += 1
        backends[slot].pointee.candidate = Int32(count)
    }

    /// Keeps the order of the configuration, in which new addresses of an earlier `downstream` come before later ones.
    private mutating func sortCandidates(_ server: UnsafeMutablePointer<ServerRuntime>) {
        let candidates = server.pointee.candidates
        let slots = server.pointee.candidateBackends
        for at in 1..<max(server.pointee.candidateCount, 1) {
            var place = at
            while place > 0,
                backends[slots[place - 1]].pointee.settingsIndex > backends[slots[place]].pointee.settingsIndex
            {
                swap(&candidates[place - 1], &candidates[place])
                swap(&slots[place - 1], &slots[place])
                place -= 1
            }
        }
    }

    /// Takes draining backends out of the choice and tells the balancers.
    mutating func rebuildCandidates(_ number: Int) {
        let server = servers + number
        sortCandidates(server)
        let old = server.pointee.candidateCount
        var kept = 0
        for at in 0..<old {
            let slot = server.pointee.candidateBackends[at]
            let backend = backends[slot]
            if backend.pointee.state == .draining {
                leave(backend)
                continue
            }
            server.pointee.candidates[kept] = server.pointee.candidates[at]
            server.pointee.candidateBackends[kept] = slot
            backend.pointee.candidate = Int32(kept)
            kept += 1
        }
        server.pointee.candidateCount = kept
        rebuildGroups(server)
        for at in 0..<kept { refresh(backends[server.pointee.candidateBackends[at]]) }
    }

    /// A backend leaves the choice: idle connections end now, others with their exchange, waiting exchanges go elsewhere.
    private mutating func leave(_ backend: UnsafeMutablePointer<Backend>) {
        backend.pointee.candidate = -1
        // It opens no connection any more, and what it would need may go with its plan.
        backend.pointee.limits.tls = nil
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
        if backend.pointee.isTarget {
            forgetTargetIfUnused(backend)
            return
        }
        guard backend.pointee.candidate < 0, backend.pointee.connectionCount == 0, backend.pointee.heldConnections == 0 else { return }
        wheel.clear(&backend.pointee.timer)
        forgetSession(backend)
        register.remove(backend.pointee.counters)
        servers[Int(backend.pointee.server)].backendCount -= 1
        backends.giveBack(backend.pointee.timer.slot)
    }
}

import Glibc

/// Choosing a backend and a connection to it, or waiting for one.
extension Worker where Ring: ~Copyable {
    mutating func selectBackend(_ exchange: UnsafeMutablePointer<Exchange>) -> StepResult {
        if exchange.pointee.flags.contains(.delegated) { return selectTarget(exchange) }
        let server = servers + Int(exchange.pointee.server)
        // The groups are those of the server's newest plan: whoever was on the way here when that came is routed anew.
        guard exchange.pointee.planUse == server.pointee.planUse else { return .next(stepOfNewTry(exchange)) }
        guard let group = server.pointee.group(exchange.pointee.rule.pointee.group), group.pointee.count > 0 else {
            answer(exchange, 503, .noBackend)
            return .done
        }
        // First in, first out: who comes later does not overtake those who wait.
        if !group.pointee.pending.isEmpty {
            return waitInQueue(exchange)
        }
        if let pinned = pinnedBackend(exchange, group, server) {
            guard pinned.pointee.pending.isEmpty, canServe(exchange, pinned) else { return waitInQueue(exchange) }
            exchange.pointee.backend = Int32(pinned.pointee.timer.slot)
            return connect(exchange, pinned)
        }
        let chosen = chooseMember(exchange, group, server)
        guard chosen >= 0 else { return waitInQueue(exchange) }
        let backend = backends[group.pointee.members[chosen].backend]
        if !backend.pointee.pending.isEmpty || isWantedLonger(backend, server, than: exchange) { return waitInQueue(exchange) }
        exchange.pointee.backend = Int32(backend.pointee.timer.slot)
        return connect(exchange, backend)
    }

    /// Gives the exchange a connection of the chosen backend: an idle one, a shared one, or one to be opened.
    mutating func connect(
        _ exchange: UnsafeMutablePointer<Exchange>, _ backend: UnsafeMutablePointer<Backend>
    ) -> StepResult {
        if let shared = sharedConnection(for: exchange, of: backend) {
            attach(exchange, to: shared, backend)
            return .next(.sendRequest)
        }
        if backend.pointee.limits.proxyHead != .off {
            if let own = connectionOfClient(exchange, backend) {
                attach(exchange, to: own, backend)
                return .next(.sendRequest)
            }
        } else if exchange.pointee.flags.contains(.fresh), let used = checkOut(backend) {
            close(used)
        } else if let idle = checkOut(backend) {
            attach(exchange, to: idle, backend)
            return .next(.sendRequest)
        }
        guard mayOpen(backend), open(backend) else { return waitInQueue(exchange) }
        startPending(exchange)
        append(exchange, to: &backend.pointee.waiting, .backendWaiting)
        refresh(backend)
        return .park(.selectBackend)
    }

    /// Makes exchange and connection each other's.
    mutating func attach(
        _ exchange: UnsafeMutablePointer<Exchange>, to connection: UnsafeMutablePointer<BackendConnection>,
        _ backend: UnsafeMutablePointer<Backend>
    ) {
        endPending(exchange)
        exchange.pointee.failure = .none
        exchange.pointee.backend = Int32(backend.pointee.timer.slot)
        exchange.pointee.backendNames = backend.pointee.names
        exchange.pointee.connection = connection.pointee.timer.slot
        exchange.pointee.backendLocalPort = connection.pointee.localPort
        exchange.pointee.connectNanoseconds = connection.pointee.requestCount == 0 ? connection.pointee.connectNanoseconds : 0
        if connection.pointee.requestCount > 0 {
            exchange.pointee.flags.insert(.reusedConnection)
            count(.backendReuses)
        } else {
            exchange.pointee.flags.remove(.reusedConnection)
        }
        exchange.pointee.sentMark = connection.pointee.bytesSent &+ UInt64(connection.pointee.output.count)
        connection.pointee.requestCount &+= 1
        connection.pointee.state = .active
        if connection.pointee.exchanges.isEmpty { connection.pointee.headSince = clock.now }
        append(exchange, to: &connection.pointee.exchanges, .connectionQueue)
        exchange.pointee.flags.formUnion([.usedBackend, .countedActive])
        backend.pointee.activeExchanges &+= 1
        backend.pointee.requests &+= 1
        if exchange.pointee.flags.contains(.requestWhole) { startWaitingForFirstByte(exchange, backend) }
        share(connection, exchange, backend)
        refresh(backend)
    }

    /// The request is through: from now on the backend is what is waited for.
    mutating func startWaitingForFirstByte(
        _ exchange: UnsafeMutablePointer<Exchange>, _ backend: UnsafeMutablePointer<Backend>
    ) {
        guard backend.pointee.candidate >= 0,
            exchange.pointee.flags.isDisjoint(with: [.firstByteSeen, .waitsForFirstByte])
        else { return }
        exchange.pointee.flags.insert(.waitsForFirstByte)
        candidate(backend).pointee.roundTrip.onStart(now: clock.now)
    }

    // MARK: - Candidates

    @inline(__always)
    mutating func candidate(_ backend: UnsafeMutablePointer<Backend>) -> UnsafeMutablePointer<Candidate> {
        servers[Int(backend.pointee.server)].candidates + Int(backend.pointee.candidate)
    }

    /// Tells the balancer what a backend can take now; after every change of its connections.
    @inline(__always)
    mutating func refresh(_ backend: UnsafeMutablePointer<Backend>) {
        backendsChanged = true
        guard backend.pointee.candidate >= 0 else { return }
        let candidate = candidate(backend)
        // A backend that refuses further connections may still serve on those it has.
        candidate.pointee.isUsable =
            backend.pointee.idleCount > 0 || backend.pointee.state == .up && (mayOpen(backend) || mayShare(backend))
        candidate.pointee.active = backend.pointee.activeExchanges &+ backend.pointee.waiting.count
        candidate.pointee.idle = backend.pointee.idleCount
    }

    /// Whether one more connection may be opened: those being opened are promised to who waits for them, and a backend
    /// that could not be reached gets one connection to show that it is back.
    mutating func mayOpen(_ backend: UnsafeMutablePointer<Backend>) -> Bool {
        backend.pointee.state == .up && !backend.pointee.isOpeningPaused
            && backend.pointee.connectionCount < backend.pointee.limits.connectionsMax
            && (backend.pointee.connectFailures == 0 || backend.pointee.connectingCount == 0)
    }

    /// Whether this very exchange would find a connection there: not every one may share.
    private mutating func canServe(_ exchange: UnsafeMutablePointer<Exchange>, _ backend: UnsafeMutablePointer<Backend>) -> Bool {
        backend.pointee.idleCount > 0 || mayOpen(backend) || isShareable(exchange) && mayShare(backend)
    }

    /// Shows the numbers of all backends to other threads, some milliseconds after they changed.
    mutating func publishBackends() {
        backendsChanged = false
        backendsPublishedAt = clock.now
        for slot in 0..<UInt32(backends.highest) where backends.isTaken(slot) { publish(backends[slot]) }
    }

    private mutating func publish(_ backend: UnsafeMutablePointer<Backend>) {
        let counters = backend.pointee.counters
        counters.store(backend.pointee.requests, at: BackendCounter.requests.rawValue)
        counters.store(backend.pointee.responses, at: BackendCounter.responses.rawValue)
        counters.store(backend.pointee.failures, at: BackendCounter.failures.rawValue)
        counters.store(UInt64(clamping: backend.pointee.connectionCount), at: BackendCounter.connections.rawValue)
        counters.store(UInt64(clamping: backend.pointee.idleCount), at: BackendCounter.idle.rawValue)
        counters.store(UInt64(clamping: backend.pointee.activeExchanges), at: BackendCounter.active.rawValue)
        counters.store(UInt64(clamping: backend.pointee.connectingCount), at: BackendCounter.connecting.rawValue)
        counters.store(UInt64(backend.pointee.state.rawValue), at: BackendCounter.state.rawValue)
        counters.store(backend.pointee.bytesReceived, at: BackendCounter.bytesReceived.rawValue)
        counters.store(backend.pointee.bytesSent, at: BackendCounter.bytesSent.rawValue)
        guard backend.pointee.candidate >= 0 else { return }
        counters.store(candidate(backend).pointee.roundTrip.microseconds, at: BackendCounter.roundTripMicroseconds.rawValue)
    }

    /// Place among the members of the group of the backend that shall serve the exchange; -1 = none can now.
    mutating func chooseMember(
        _ exchange: UnsafeMutablePointer<Exchange>, _ group: UnsafeMutablePointer<BackendGroup>,
        _ server: UnsafeMutablePointer<ServerRuntime>
    ) -> Int {
        if group.pointee.plan.stickyCookie != nil { exchange.pointee.flags.insert(.setsCookie) }
        let key = balancingKey(exchange, group.pointee.plan.hashKey)
        let chosen = group.pointee.balancer.choose(server.pointee.candidates(of: group), key: key, now: clock.now)
        if chosen < 0 || canServe(exchange, backends[group.pointee.members[chosen].backend]) { return chosen }
        return chooseWithoutSharing(exchange, group, server, key, not: chosen)
    }

    /// Chooses anew where the first choice could only be shared and this exchange may not share.
    private mutating func chooseWithoutSharing(
        _ exchange: UnsafeMutablePointer<Exchange>, _ group: UnsafeMutablePointer<BackendGroup>,
        _ server: UnsafeMutablePointer<ServerRuntime>, _ key: UInt64, not first: Int
    ) -> Int {
        let candidates = server.pointee.candidates(of: group)
        var chosen = first
        while chosen >= 0, !canServe(exchange, backends[group.pointee.members[chosen].backend]) {
            candidates[chosen].isUsable = false
            chosen = group.pointee.balancer.choose(candidates, key: key, now: clock.now)
        }
        for at in 0..<group.pointee.count { refresh(backends[group.pointee.members[at].backend]) }
        return chosen
    }

    /// What the consistent hash goes by; 0 = the request has no such thing.
    private mutating func balancingKey(
        _ exchange: UnsafeMutablePointer<Exchange>, _ source: BackendGroupPlan.HashSource
    ) -> UInt64 {
        switch source {
        case .none: return 0
        case .source:
            let address = clientAddress(clients[exchange.pointee.client])
            return address.pointee.withHostBytes { hashKey($0) }
        case .uri:
            return hashKey(
                UnsafeRawBufferPointer(slice(exchange, exchange.pointee.head.targetStart, exchange.pointee.head.targetLength)))
        case .header(let name):
            return findField(exchange, named: name).map { hashKey(UnsafeRawBufferPointer($0)) } ?? 0
        case .cookie(let name):
            return findCookie(exchange, named: name).map { hashKey(UnsafeRawBufferPointer($0)) } ?? 0
        }
    }

    /// The backend that the request's sticky cookie names, unless it is down: one that is merely full is waited for.
    mutating func pinnedBackend(
        _ exchange: UnsafeMutablePointer<Exchange>, _ group: UnsafeMutablePointer<BackendGroup>,
        _ server: UnsafeMutablePointer<ServerRuntime>
    ) -> UnsafeMutablePointer<Backend>? {
        guard let name = group.pointee.plan.stickyCookie, let value = findCookie(exchange, named: name) else { return nil }
        let token = StickyCookie.token(from: UnsafeRawBufferPointer(value))
        let pinned = StickyCookie.find(token, in: server.pointee.candidates(of: group))
        guard pinned >= 0 else { return nil }
        let backend = backends[group.pointee.members[pinned].backend]
        return backend.pointee.state == .up || backend.pointee.idleCount > 0 ? backend : nil
    }

    /// Value of the first field of that name (given in small letters).
    mutating func findField(
        _ exchange: UnsafeMutablePointer<Exchange>, named name: LastingBytes
    ) -> UnsafeBufferPointer<UInt8>? {
        let fields = fields(exchange)
        for at in 0..<exchange.pointee.fieldCount where Int(fields[at].nameLength) == name.count {
            let found = slice(exchange, Int(fields[at].nameStart), name.count)
            if equalsFolded(found, name) { return slice(exchange, valueOf: fields[at]) }
        }
        return nil
    }

    /// Value of the first cookie of that name.
    private mutating func findCookie(
        _ exchange: UnsafeMutablePointer<Exchange>, named name: LastingBytes
    ) -> UnsafeBufferPointer<UInt8>? {
        let fields = fields(exchange)
        for at in 0..<exchange.pointee.fieldCount where fields[at].name == .cookie {
            if let value = cookieValue(in: slice(exchange, valueOf: fields[at]), named: name) { return value }
        }
        return nil
    }
}

/// Whether bytes equal a name given in small letters, in any case.
func equalsFolded(_ bytes: UnsafeBufferPointer<UInt8>, _ name: LastingBytes) -> Bool {
    guard bytes.count == name.count else { return false }
    for at in 0..<bytes.count {
        let wanted = name.start.load(fromByteOffset: at, as: UInt8.self)
        if lowercased(bytes[at]) != wanted { return false }
    }
    return true
}

/// Finds `name=value` in the value of a Cookie field (RFC 6265 §4.2.1).
func cookieValue(in field: UnsafeBufferPointer<UInt8>, named name: LastingBytes) -> UnsafeBufferPointer<UInt8>? {
    var at = 0
    while at < field.count {
        while at < field.count, field[at] == UInt8(ascii: " ") || field[at] == UInt8(ascii: ";") { at &+= 1 }
        let start = at
        while at < field.count, field[at] != UInt8(ascii: ";") { at &+= 1 }
        let length = at &- start
        guard length > name.count, field[start &+ name.count] == UInt8(ascii: "="),
            memcmp(field.baseAddress! + start, name.start, name.count) == 0
        else { continue }
        return UnsafeBufferPointer(rebasing: field[(start &+ name.count &+ 1)..<at])
    }
    return nil
}

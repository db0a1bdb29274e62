/// What requests are counted against: requests per second and what is open at one time, per server, virtual host, rule
/// and client address.
extension Worker where Ring: ~Copyable {
    /// The limits of the server, which hold for every request of it, found or not; false when it was answered 429.
    @inline(__always)
    mutating func admitByServer(_ exchange: UnsafeMutablePointer<Exchange>) -> Bool {
        guard let limit = exchange.pointee.limits.server else { return true }
        return admit(exchange, byServer: limit)
    }

    @inline(never)
    private mutating func admit(_ exchange: UnsafeMutablePointer<Exchange>, byServer limit: UnsafePointer<LimitPlan>) -> Bool {
        notePacing(exchange)
        guard !takeRequest(limit, clientAddress(clients[exchange.pointee.client])) else { return true }
        refuseRequest(exchange, .requestLimit)
        return false
    }

    /// The lists and limits of the virtual host and of the rule.
    mutating func limit(_ exchange: UnsafeMutablePointer<Exchange>) -> StepResult {
        exchange.pointee.rule.pointee.admission.isEmpty ? .next(.answer) : limitByRule(exchange)
    }

    @inline(never)
    private mutating func limitByRule(_ exchange: UnsafeMutablePointer<Exchange>) -> StepResult {
        let admission = exchange.pointee.rule.pointee.admission
        let address = clientAddress(clients[exchange.pointee.client])
        for level in 0..<2 {
            guard let access = level == 0 ? admission.hostAccess : admission.access,
                !access.pointee.allows(address.pointee.host)
            else { continue }
            count(.accessDenied)
            exchange.pointee.flags.remove(.keepsClient)
            if access.pointee.closesSilently {
                abort(clients[exchange.pointee.client], .accessDenied)
            } else {
                answer(exchange, 403, .accessDenied)
            }
            return .done
        }
        exchange.pointee.limits.virtualHost = admission.limits.virtualHost
        exchange.pointee.limits.rule = admission.limits.rule
        notePacing(exchange)
        // A request that a new plan sends here once more has been counted as one, but what is open counts here.
        let wasCounted = exchange.pointee.flags.contains(.rerouted)
        for level in 1..<LimitChain.levels {
            guard let limit = exchange.pointee.limits[level] else { continue }
            guard openOne(limit, address) else {
                giveBackRequests(exchange, address, below: wasCounted ? 0 : level)
                refuseRequest(exchange, .connectionLimit)
                return .done
            }
            exchange.pointee.openLevels |= UInt8(1 &<< level)
            guard wasCounted || takeRequest(limit, address) else {
                giveBackRequests(exchange, address, below: level)
                refuseRequest(exchange, .requestLimit)
                return .done
            }
        }
        return .next(.answer)
    }

    /// Tokens of the wider limits go back when a narrower one refuses: a rule that is flooded does not use up its server.
    private mutating func giveBackRequests(
        _ exchange: UnsafeMutablePointer<Exchange>, _ address: UnsafeMutablePointer<SocketAddress>, below level: Int
    ) {
        for wider in 0..<level {
            guard let limit = exchange.pointee.limits[wider] else { continue }
            if limit.pointee.all.requests.isLimited { limit.pointee.cell.giveBackRequest(worker: index) }
            if limit.pointee.client.requests.isLimited {
                let tag = clientTable.tag(of: address.pointee.host, limit: limit.pointee.identity, isCount: false)
                clientCredits.giveBack(tag, limit.pointee.client.requests, to: clientTable)
            }
        }
    }

    private mutating func refuseRequest(_ exchange: UnsafeMutablePointer<Exchange>, _ reason: FailureReason) {
        count(reason == .requestLimit ? .requestsLimited : .connectionsLimited)
        answer(exchange, 429, reason, retrySeconds: reason == .connectionLimit ? 1 : retrySeconds)
    }

    /// Takes the token of one request from both of a limit's buckets; false, with the seconds to wait noted, when there is none.
    private mutating func takeRequest(_ limit: UnsafePointer<LimitPlan>, _ address: UnsafeMutablePointer<SocketAddress>) -> Bool {
        let client = limit.pointee.client
        var tag: UInt64 = 0
        if client.requests.isLimited {
            tag = clientTable.tag(of: address.pointee.host, limit: limit.pointee.identity, isCount: false)
            if !clientCredits.take(tag, client.requests, batch: client.requestBatch, from: clientTable, now: clock.now) {
                let word = clientTable.find(tag)
                noteRetry(word.map { SharedBucket(word: $0).wait(client.requests, now: clock.now) } ?? 0)
                return false
            }
        }
        let all = limit.pointee.all
        guard all.requests.isLimited,
            !limit.pointee.cell.takeRequest(all.requests, batch: all.requestBatch, worker: index, now: clock.now)
        else { return true }
        if client.requests.isLimited { clientCredits.giveBack(tag, client.requests, to: clientTable) }
        noteRetry(limit.pointee.cell.requests.wait(all.requests, now: clock.now))
        return false
    }

    /// What Retry-After will say: whole seconds, at least one.
    private mutating func noteRetry(_ nanoseconds: UInt64) {
        retrySeconds = UInt32(clamping: max(1, (nanoseconds &+ 999_999_999) / 1_000_000_000))
    }

    // MARK: - What is open

    /// Counts one more connection or request in progress; false when there are as many as there may be.
    mutating func openOne(_ limit: UnsafePointer<LimitPlan>, _ address: UnsafeMutablePointer<SocketAddress>) -> Bool {
        let client = limit.pointee.client
        var counted: UnsafeMutablePointer<UInt64>?
        if client.openMax > 0 {
            let tag = clientTable.tag(of: address.pointee.host, limit: limit.pointee.identity, isCount: true)
            counted = clientTable.findOrEnter(tag, now: clock.now)
            if let counted, !ClientCount(word: counted).open(most: client.openMax, now: clock.now) { return false }
        }
        let all = limit.pointee.all
        if all.openMax > 0, !limit.pointee.cell.openOne(most: all.openMax, batch: all.openBatch, worker: index) {
            if let counted { ClientCount(word: counted).close() }
            return false
        }
        return true
    }

    mutating func closeOne(_ limit: UnsafePointer<LimitPlan>, _ address: UnsafeMutablePointer<SocketAddress>) {
        let all = limit.pointee.all
        if all.openMax > 0 { limit.pointee.cell.closeOne(batch: all.openBatch, worker: index) }
        if limit.pointee.client.openMax > 0 {
            let tag = clientTable.tag(of: address.pointee.host, limit: limit.pointee.identity, isCount: true)
            if let word = clientTable.find(tag) { ClientCount(word: word).close() }
        }
    }

    /// The exchange is no longer under its limits: it ends, it changes its plan, or its client is gone.
    mutating func leaveLimits(_ exchange: UnsafeMutablePointer<Exchange>) {
        leavePacing(exchange)
        if exchange.pointee.openLevels != 0 {
            let address = clientAddress(clients[exchange.pointee.client])
            for level in 1..<LimitChain.levels where exchange.pointee.openLevels & UInt8(1 &<< level) != 0 {
                if let limit = exchange.pointee.limits[level] { closeOne(limit, address) }
            }
            exchange.pointee.openLevels = 0
        }
        exchange.pointee.limits = LimitChain()
    }

    // MARK: - Tunnels

    /// A tunnel outlives its plan, and its limits with it.
    mutating func retainLimits(_ exchange: UnsafeMutablePointer<Exchange>) {
        for level in 0..<LimitChain.levels { exchange.pointee.limits[level]?.pointee.retain() }
    }

    mutating func releaseLimits(_ limits: LimitChain) {
        for level in 0..<LimitChain.levels { limits[level]?.pointee.release() }
    }
}

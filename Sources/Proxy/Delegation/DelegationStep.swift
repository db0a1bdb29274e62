import Glibc

/// A backend answers 377 and names another place: its answer is read to the end and thrown away, and the request is sent
/// on; what comes from there is an answer like any other.
///
/// One engine for everything that sends requests on: the trigger differs, what is allowed and what follows do not.
extension Worker where Ring: ~Copyable {
    /// The status by which a backend asks for it, and the field that says where to.
    static var delegatingStatus: UInt16 { 377 }
    /// How much of the first answer's body is read and thrown away to keep its connection.
    static var discardedAnswerBytesMax: Int { 64 &* 1024 }

    /// Decides what a 377 means; its head is the one that was just parsed.
    mutating func delegate(_ exchange: UnsafeMutablePointer<Exchange>) -> StepResult {
        let named = takeRedirectField()
        guard let policy = exchange.pointee.rule.pointee.delegation, named.count > 0 else { return .next(.editResponse) }
        let value = UnsafeBufferPointer(
            start: (responseBytes + named.start).assumingMemoryBound(to: UInt8.self), count: named.length)
        guard named.count == 1, let target = DelegationTarget(value.span) else { return fail(exchange, .redirectInvalid) }
        guard exchange.pointee.hops < policy.pointee.hopsMax, !wasSentOnBefore(exchange) else { return fail(exchange, .redirectLoop) }
        guard let state = delegationState(exchange) else { return fail(exchange, .outOfMemory) }
        let connection = connections[exchange.pointee.connection]
        let limits = backends[UInt32(connection.pointee.backend)].pointee.limits
        state.set(target, host: value.baseAddress!, limits.ofTarget(servers + Int(exchange.pointee.server)))
        guard policy.pointee.allows(state.textBytes, hostLength: target.hostLength, saidPort: target.saidPort) else {
            return refuseDelegation(exchange)
        }
        if let literal = state.literal {
            guard policy.pointee.allows(literal) else { return refuseDelegation(exchange) }
            state.addresses[0] = SocketAddress(literal, port: target.port)
            state.pointee.addressCount = 1
        }
        guard !exchange.pointee.flags.contains(.bodyNotKept) else { return fail(exchange, .bodyNotKept) }
        return leaveFirstAnswer(exchange)
    }

    /// Takes the field out of the answer, every line of it; where its last one stands, and how many there are.
    private mutating func takeRedirectField() -> (count: Int, start: Int, length: Int) {
        let name: StaticString = "x-internal-redirect"
        let wanted = LastingBytes(start: name.utf8Start, count: name.utf8CodeUnitCount)
        var found = (count: 0, start: 0, length: 0)
        for at in 0..<responseHead.fieldCount where Int(scratchFields[at].nameLength) == wanted.count {
            let bytes = UnsafeBufferPointer(
                start: (responseBytes + Int(scratchFields[at].nameStart)).assumingMemoryBound(to: UInt8.self), count: wanted.count)
            guard equalsFolded(bytes, wanted) else { continue }
            found = (found.count &+ 1, Int(scratchFields[at].valueStart), Int(scratchFields[at].valueLength))
            scratchFields[at].flags.insert(.dropped)
        }
        return found
    }

    /// The request came with the mark of having been sent on: by another proxy, or by this one to itself. The field has been
    /// taken out of what backends see, like all that only a proxy may say to them.
    private mutating func wasSentOnBefore(_ exchange: UnsafeMutablePointer<Exchange>) -> Bool {
        let name: StaticString = "x-redirected-via"
        return findField(exchange, named: LastingBytes(start: name.utf8Start, count: name.utf8CodeUnitCount)) != nil
    }

    private mutating func fail(_ exchange: UnsafeMutablePointer<Exchange>, _ reason: FailureReason) -> StepResult {
        answer(exchange, reason == .outOfMemory ? 503 : 502, reason)
        return .done
    }

    /// Not allowed: 401 and the rest of the backend's answer, as RProxy did it.
    private mutating func refuseDelegation(_ exchange: UnsafeMutablePointer<Exchange>) -> StepResult {
        responseHead.status = 401
        exchange.pointee.failure = .redirectRefused
        return .next(.editResponse)
    }

    /// The state of an exchange that is sent on, in a block of its own; nil when memory is short.
    private mutating func delegationState(
        _ exchange: UnsafeMutablePointer<Exchange>
    ) -> UnsafeMutablePointer<DelegationState>? {
        if exchange.pointee.delegation == nil { exchange.pointee.delegation = blocks.take(.small) }
        return exchange.pointee.delegation?.bytes.assumingMemoryBound(to: DelegationState.self)
    }

    // MARK: - The first answer

    private mutating func leaveFirstAnswer(_ exchange: UnsafeMutablePointer<Exchange>) -> StepResult {
        let connection = connections[exchange.pointee.connection]
        exchange.pointee.flags.insert(.discardsAnswer)
        exchange.pointee.discardedBytes = 0
        switch responseHead.framing {
        case .untilClose:
            // Its end is the connection's end: nothing to wait for.
            giveUpAnswer(connection, exchange)
        case .none, .length(0): freeConnection(connection, after: exchange)
        case .length, .chunked: return .park(.selectBackend)
        }
        prepareDelegation(exchange)
        return .next(.selectBackend)
    }

    /// More of the first answer; false when it is too much to be worth its connection.
    mutating func discardFirstAnswer(_ exchange: UnsafeMutablePointer<Exchange>, _ length: Int) -> Bool {
        exchange.pointee.discardedBytes &+= length
        guard exchange.pointee.discardedBytes > Self.discardedAnswerBytesMax else { return true }
        giveUpAnswer(connections[exchange.pointee.connection], exchange)
        goOnElsewhere(exchange)
        return false
    }

    /// Closes the connection of an answer that is not read to its end; others that wait on it are sent again.
    private mutating func giveUpAnswer(
        _ connection: UnsafeMutablePointer<BackendConnection>, _ exchange: UnsafeMutablePointer<Exchange>
    ) {
        connection.pointee.flags.formUnion([.full, .doomed])
        release(connection, of: exchange)
        connection.pointee.exchanges.isEmpty ? close(connection) : onIrregular(connection)
    }

    /// The first answer is through, or lost: the request is sent where it said.
    mutating func goOnElsewhere(_ exchange: UnsafeMutablePointer<Exchange>) {
        prepareDelegation(exchange)
        exchange.pointee.step = .selectBackend
        walk(exchange)
    }

    private mutating func prepareDelegation(_ exchange: UnsafeMutablePointer<Exchange>) {
        exchange.pointee.flags.remove([
            .discardsAnswer, .firstByteSeen, .reusedConnection, .pipelined, .requestSent, .splicingRequest, .fresh, .setsCookie,
        ])
        exchange.pointee.flags.formUnion([.delegated, .unshared])
        exchange.pointee.firstByteAt = 0
        exchange.pointee.failure = .none
        exchange.pointee.backend = -1
        exchange.pointee.hops &+= 1
    }
}

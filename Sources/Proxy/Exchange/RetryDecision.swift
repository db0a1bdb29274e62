import Glibc

/// What becomes of exchanges whose backend connection is lost: tried again, answered, or cut off.
extension Worker where Ring: ~Copyable {
    /// A connection failed in the middle of what it had to do.
    mutating func onConnectionLost(_ connection: UnsafeMutablePointer<BackendConnection>, _ reason: FailureReason) {
        guard connection.pointee.state != .closing else { return }
        let backend = backends[UInt32(connection.pointee.backend)]
        if connection.pointee.state == .connecting {
            // In its handshake: nobody is on it, but some wait for it.
            onConnectFailed(connection, backend, errno: 0, reason == .outOfMemory ? reason : .backendTLS)
            return
        }
        if connection.pointee.state == .active { backend.pointee.failures &+= 1 }
        var lost = connection.pointee.exchanges.first
        let isShared = lost != noSlot && exchanges[lost].pointee.flags.contains(.pipelined)
        if isShared { stopSharing(backend) }
        var isHead = true
        var again = ExchangeChain()
        var failed = ExchangeChain()
        var elsewhere = ExchangeChain()
        // The list empties while it is walked: each exchange leaves it before anything else happens to it.
        while lost != noSlot {
            let exchange = exchanges[lost]
            lost = exchange.pointee.next
            if exchange.pointee.failure == .none { exchange.pointee.failure = reason }
            let retries = mayRetry(exchange, connection, reason, isHead: isHead)
            if awaitsPassedAnswer(exchange) { stopPassthrough(exchange) }
            release(connection, of: exchange)
            if exchange.pointee.flags.contains(.abandoned) {
                releaseSlot(exchange)
            } else if exchange.pointee.flags.contains(.discardsAnswer) {
                append(exchange, to: &elsewhere)
            } else if retries {
                append(exchange, to: &again)
            } else {
                append(exchange, to: &failed)
            }
            isHead = false
        }
        close(connection)
        retry(again)
        while let exchange = takeFirst(&elsewhere) { goOnElsewhere(exchange) }
        fail(failed, reason)
    }

    /// A shared connection answered in a way that sharing can't bear: nothing more of it is believed.
    mutating func onIrregular(_ connection: UnsafeMutablePointer<BackendConnection>) {
        guard connection.pointee.state != .closing else { return }
        count(.oddities)
        stopSharing(backends[UInt32(connection.pointee.backend)])
        let again = takeOff(connection, from: connection.pointee.exchanges.first)
        close(connection)
        retry(again)
    }

    /// Takes the exchanges from `slot` on off a shared connection; those that somebody still waits for, to be sent again.
    mutating func takeOff(_ connection: UnsafeMutablePointer<BackendConnection>, from slot: UInt32) -> ExchangeChain {
        var slot = slot
        var again = ExchangeChain()
        while slot != noSlot {
            let exchange = exchanges[slot]
            slot = exchange.pointee.next
            release(connection, of: exchange)
            if exchange.pointee.flags.contains(.abandoned) {
                releaseSlot(exchange)
            } else {
                count(.pipelineResends)
                append(exchange, to: &again)
            }
        }
        return again
    }

    /// Whether a request may be sent once more (RFC 9110 §9.2.2): nothing of its answer has been seen, none of its body
    /// has been used, and either it does no harm when sent twice or no byte of it went out.
    private mutating func mayRetry(
        _ exchange: UnsafeMutablePointer<Exchange>, _ connection: UnsafeMutablePointer<BackendConnection>,
        _ reason: FailureReason, isHead: Bool
    ) -> Bool {
        let flags = exchange.pointee.flags
        if flags.contains(.answerBegun) || flags.contains(.bodyConsumed) || exchange.pointee.retries > 0 { return false }
        // Behind another one on a shared connection: its own answer had not begun.
        if !isHead { return exchange.pointee.head.method.isIdempotent }
        if flags.contains(.firstByteSeen) { return false }
        if connection.pointee.bytesSent <= exchange.pointee.sentMark && !connection.pointee.flags.contains(.sending) {
            return true
        }
        switch reason {
        case .backendClosed, .backendReset:
            return flags.contains(.reusedConnection) && exchange.pointee.head.method.isIdempotent
        default: return false
        }
    }

    /// Sends again, on fresh connections that nobody shares, what a lost connection left behind.
    mutating func retry(_ chain: ExchangeChain) {
        var chain = chain
        while let exchange = takeFirst(&chain) {
            count(.retries)
            exchange.pointee.retries &+= 1
            exchange.pointee.flags.formUnion([.unshared, .fresh])
            exchange.pointee.flags.remove([
                .firstByteSeen, .reusedConnection, .pipelined, .requestSent, .splicingAnswer, .splicingRequest, .discardsAnswer,
            ])
            exchange.pointee.firstByteAt = 0
            exchange.pointee.backend = -1
            exchange.pointee.step = stepOfNewTry(exchange)
            walk(exchange)
        }
    }

    private mutating func fail(_ chain: ExchangeChain, _ reason: FailureReason) {
        var chain = chain
        while let exchange = takeFirst(&chain) {
            let status: UInt16 =
                switch reason {
                case .backendReadTimeout, .backendWriteTimeout: 504
                case .outOfMemory: 503
                default: 502
                }
            answer(exchange, status, reason)
        }
    }

    mutating func append(_ exchange: UnsafeMutablePointer<Exchange>, to chain: inout ExchangeChain) {
        exchange.pointee.next = noSlot
        if chain.last == noSlot {
            chain.first = exchange.pointee.slot
        } else {
            exchanges[chain.last].pointee.next = exchange.pointee.slot
        }
        chain.last = exchange.pointee.slot
    }

    private mutating func takeFirst(_ chain: inout ExchangeChain) -> UnsafeMutablePointer<Exchange>? {
        guard chain.first != noSlot else { return nil }
        let exchange = exchanges[chain.first]
        chain.first = exchange.pointee.next
        if chain.first == noSlot { chain.last = noSlot }
        exchange.pointee.next = noSlot
        return exchange
    }
}

/// Exchanges taken out of all lists for a moment, linked through them.
struct ExchangeChain: BitwiseCopyable {
    fileprivate(set) var first = noSlot
    fileprivate(set) var last = noSlot
}

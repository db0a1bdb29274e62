import Glibc

/// Large bodies from socket to socket through a pipe, without touching user space.
///
/// The ring polls, `splice(2)` moves inline and never blocks. A pipe is filled only when the sink can take it and is
/// empty again before anything waits: what the sink refused is read out and queued like copied bytes. So one pipe
/// serves all the exchanges of a worker, and slow clients hold none.
extension Worker where Ring: ~Copyable {
    /// A first helping that a socket always takes: what may be unsent on it (TCP_NOTSENT_LOWAT).
    static var spliceGoalFirst: Int { 128 &* 1024 }
    static var spliceGoalMin: Int { 32 &* 1024 }
    /// When so many bytes of a body have moved in one turn, the others have theirs.
    static var turnBytesMax: Int { 1 &<< 20 }
    /// "Until the end": more than any body has.
    private static var endlessBytes: UInt64 { UInt64.max / 2 }

    // MARK: - Answers

    /// Whether the body of an answer whose head has just been passed on goes by splice.
    mutating func maySplice(_ exchange: UnsafeMutablePointer<Exchange>, _ length: UInt64) -> Bool {
        let settings = servers[Int(exchange.pointee.server)].plan.splice
        return length >= settings.bodyBytesMin && exchange.pointee.answerFraming == .length
            && length > UInt64(bytesBehindHead) && length >= settings.remainingBytesMin &+ UInt64(bytesBehindHead)
    }

    /// Lets the rest of an answer, or what a tunnel brings from the backend, go by splice where it can.
    mutating func startSplicing(_ exchange: UnsafeMutablePointer<Exchange>) {
        let connection = connections[exchange.pointee.connection]
        guard servers[Int(exchange.pointee.server)].plan.splice.enabled, connection.pointee.exchanges.count == 1,
            // What is encrypted has to pass through our hands, unless the kernel does it.
            connection.pointee.tls == nil,
            maySpliceSealed(clients[exchange.pointee.client], isTunnel: exchange.pointee.flags.contains(.tunnel)),
            exchange.pointee.flags.contains(.tunnel)
                || exchange.pointee.flags.isDisjoint(with: [.abandoned, .splicingRequest]),
            openPipe() != nil
        else { return }
        connection.pointee.flags.formUnion([.splicing, .full])
        makeNonBlocking(connection)
        makeNonBlocking(clients[exchange.pointee.client])
        exchange.pointee.flags.insert(.splicingAnswer)
        exchange.pointee.answerSplice = SpliceState(goal: Self.spliceGoalFirst)
    }

    /// A body without a known end, or a tunnel, that has brought as much as is worth a splice goes on that way.
    mutating func considerSplicingAnswer(
        _ exchange: UnsafeMutablePointer<Exchange>, _ connection: UnsafeMutablePointer<BackendConnection>
    ) {
        guard exchange.pointee.answerFraming != .chunked, !exchange.pointee.flags.contains(.splicingAnswer),
            exchange.pointee.answerBodyBytes >= servers[Int(exchange.pointee.server)].plan.splice.bodyBytesMin
        else { return }
        connection.pointee.remaining = Self.endlessBytes
        startSplicing(exchange)
    }

    // MARK: - Requests

    /// Looks whether the rest of a request's body is worth a splice; then its receive has to end first.
    mutating func considerSplicingRequest(_ exchange: UnsafeMutablePointer<Exchange>) {
        let settings = servers[Int(exchange.pointee.server)].plan.splice
        guard exchange.pointee.requestRemaining >= settings.remainingBytesMin,
            exchange.pointee.requestRemaining &+ exchange.pointee.requestBodyBytes >= settings.bodyBytesMin,
            !exchange.pointee.flags.contains(.splicingAnswer), !keepsBody(exchange)
        else { return }
        startSplicingRequest(exchange)
    }

    /// A tunnel in which the client has sent as much as is worth a splice goes on that way.
    mutating func considerSplicingTunnel(_ exchange: UnsafeMutablePointer<Exchange>) {
        guard exchange.pointee.requestBodyBytes >= servers[Int(exchange.pointee.server)].plan.splice.bodyBytesMin,
            !clients[exchange.pointee.client].pointee.flags.contains(.sawEnd)
        else { return }
        exchange.pointee.requestRemaining = Self.endlessBytes
        startSplicingRequest(exchange)
    }

    private mutating func startSplicingRequest(_ exchange: UnsafeMutablePointer<Exchange>) {
        guard servers[Int(exchange.pointee.server)].plan.splice.enabled,
            !exchange.pointee.flags.contains(.splicingRequest),
            clients[exchange.pointee.client].pointee.tls == nil, connections[exchange.pointee.connection].pointee.tls == nil,
            openPipe() != nil
        else { return }
        exchange.pointee.flags.insert(.splicingRequest)
        exchange.pointee.requestSplice = SpliceState(goal: Self.spliceGoalFirst)
        let client = clients[exchange.pointee.client]
        makeNonBlocking(client)
        makeNonBlocking(connections[exchange.pointee.connection])
        pauseReceiving(client)
    }

    // MARK: - Both ways

    private mutating func makeNonBlocking(_ client: UnsafeMutablePointer<ClientConnection>) {
        guard !client.pointee.flags.contains(.nonBlocking) else { return }
        client.pointee.flags.insert(.nonBlocking)
        ring.setNonBlocking(client.pointee.fd)
    }

    private mutating func makeNonBlocking(_ connection: UnsafeMutablePointer<BackendConnection>) {
        guard !connection.pointee.flags.contains(.nonBlocking) else { return }
        connection.pointee.flags.insert(.nonBlocking)
        ring.setNonBlocking(connection.pointee.fd)
    }

    /// Something moved: a tunnel's idle time starts anew.
    @inline(__always)
    mutating func touchTunnel(_ client: UnsafeMutablePointer<ClientConnection>) {
        guard client.pointee.state == .tunnel, client.pointee.waitingFor != .kernelEnd else { return }
        setClientTimer(client, servers[Int(client.pointee.server)].plan.tunnelIdleNanoseconds)
    }

    // MARK: - Completions of polls

    mutating func onClientPoll(_ completion: Completion) {
        guard clients.isCurrent(completion.token) else {
            count(.oddities)
            return
        }
        let client = clients[completion.token.slot]
        let isWritable = completion.token.kind == .clientWritable
        client.pointee.flags.remove(isWritable ? .polling : .pollingReadable)
        client.pointee.inFlight &-= 1
        if client.pointee.state == .closing {
            releaseIfDone(client)
            return
        }
        // What is queued has waited for room in a socket for which the kernel seals.
        if isWritable, !client.pointee.output.isEmpty, isSealedByKernel(client) { markDirty(client) }
        guard client.pointee.exchange != noSlot else { return }
        let exchange = exchanges[client.pointee.exchange]
        if isWritable {
            exchange.pointee.answerSplice.sinkWasFull = false
            if exchange.pointee.flags.contains(.splicingAnswer) { spliceAnswer(exchange) }
        } else {
            _ = continueSplicing(client)
        }
    }

    mutating func onBackendPoll(_ completion: Completion) {
        guard connections.isCurrent(completion.token) else {
            count(.oddities)
            return
        }
        let connection = connections[completion.token.slot]
        let isWritable = completion.token.kind == .backendWritable
        connection.pointee.flags.remove(isWritable ? .pollingWritable : .polling)
        connection.pointee.inFlight &-= 1
        if connection.pointee.state == .closing {
            releaseIfDone(connection)
            return
        }
        guard connection.pointee.exchanges.first != noSlot else { return }
        let exchange = exchanges[connection.pointee.exchanges.first]
        if isWritable {
            exchange.pointee.requestSplice.sinkWasFull = false
            stopWaitingForWrite(connection)
            if !exchange.pointee.flags.contains(.abandoned) { _ = continueSplicing(clients[exchange.pointee.client]) }
        } else if exchange.pointee.flags.contains(.splicingAnswer), !exchange.pointee.flags.contains(.abandoned) {
            spliceAnswer(exchange)
        }
    }
}

/// How one direction is spliced.
struct SpliceState: BitwiseCopyable {
    /// How much the next splice may ask for.
    var goal = 0
    /// The sink was full when last tried: wait for it before reading on.
    var sinkWasFull = false
}

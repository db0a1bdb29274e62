import Glibc

/// Large bodies from socket to socket through a pipe, without touching user space.
///
/// The ring polls, `splice(2)` moves inline and never blocks. A pipe is filled only when the sink can take it and is
/// empty again before anything waits: what the sink refused is read out and queued like copied bytes. So one pipe
/// serves all the exchanges of a worker, and slow clients hold none.
extension Worker where Ring: ~Copyable {
    static var pipeBytes: Int { 1 &<< 20 }
    /// A first helping that a socket always takes: what may be unsent on it (TCP_NOTSENT_LOWAT).
    static var spliceGoalFirst: Int { 128 &* 1024 }
    private static var hugeBytes: UInt64 { 8 << 20 }
    private static var spliceGoalMin: Int { 32 &* 1024 }
    private static var roundsMax: Int { 16 }
    private static var pipeRetryNanoseconds: UInt64 { 1_000_000_000 }

    /// The worker's pipe, empty; nil when there is none to be had just now.
    private mutating func openPipe() -> Pipe? {
        if let pipe { return pipe }
        guard clock.now >= pipesUnavailableUntil else { return nil }
        pipe = ring.openPipe(capacityBytes: Self.pipeBytes)
        if pipe == nil { pipesUnavailableUntil = clock.now &+ Self.pipeRetryNanoseconds }
        return pipe
    }

    /// Whether the body of an answer whose head has just been passed on goes by splice.
    mutating func maySplice(_ exchange: UnsafeMutablePointer<Exchange>, _ length: UInt64) -> Bool {
        let settings = servers[Int(exchange.pointee.server)].splice
        return length >= settings.bodyBytesMin && exchange.pointee.answerFraming == .length
            && length > UInt64(bytesBehindHead) && length >= settings.remainingBytesMin &+ UInt64(bytesBehindHead)
    }

    /// Lets the rest of an answer, or what a tunnel brings from the backend, go by splice where it can.
    mutating func startSplicing(_ exchange: UnsafeMutablePointer<Exchange>) {
        let connection = connections[exchange.pointee.connection]
        guard servers[Int(exchange.pointee.server)].splice.enabled, connection.pointee.exchanges.count == 1,
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
            exchange.pointee.answerBodyBytes >= servers[Int(exchange.pointee.server)].splice.bodyBytesMin
        else { return }
        connection.pointee.remaining = Self.endlessBytes
        startSplicing(exchange)
    }

    /// "Until the end": more than any body has.
    private static var endlessBytes: UInt64 { UInt64.max / 2 }

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

    /// What one attempt to move bytes came to.
    private enum Move {
        /// So many bytes are in the sink.
        case moved(Int)
        case sourceEmpty
        case sourceEnded
        case sourceFailed
        /// So many were moved or queued; the sink takes no more now.
        case sinkFull(Int)
        case sinkFailed
        /// There is no pipe to be had just now.
        case noPipe
    }

    /// Moves up to `goal` bytes through the pipe; what the sink refuses goes into `queue`.
    private mutating func move(from source: Int32, to sink: Int32, goal: Int, refused queue: inout ByteQueue) -> Move {
        guard let pipe = openPipe() else { return .noPipe }
        let got = ring.splice(from: source, to: pipe.writeEnd, count: goal, more: false)
        if got <= 0 {
            switch Int32(got) {
            case 0: return .sourceEnded
            case -EAGAIN, -EINTR: return .sourceEmpty
            default: return .sourceFailed
            }
        }
        var left = got
        while left > 0 {
            let put = ring.splice(from: pipe.readEnd, to: sink, count: left, more: false)
            if put > 0 {
                left &-= put
            } else if put == Int(-EINTR) {
                continue
            } else if put == Int(-EAGAIN) {
                return readBack(pipe, left, into: &queue) ? .sinkFull(got) : .sinkFailed
            } else {
                emptyPipe(pipe, left)
                return .sinkFailed
            }
        }
        count(.splicedBytes, got)
        return .moved(got)
    }

    /// Reads what is left in the pipe into a queue, so that the pipe is empty before anything waits.
    private mutating func readBack(_ pipe: Pipe, _ length: Int, into queue: inout ByteQueue) -> Bool {
        var left = length
        while left > 0 {
            let piece = min(left, BlockSize.medium.payloadBytes)
            guard let place = queue.reserve(piece, from: &blocks) else {
                discardPipe()
                return false
            }
            let got = ring.readNow(pipe.readEnd, into: place, piece)
            guard got > 0 else {
                discardPipe()
                return false
            }
            queue.commit(got)
            left &-= got
        }
        count(.copiedBytes, length)
        return true
    }

    /// Throws away what nobody will take any more, so that the pipe stays for the others: a new one may not be had.
    private mutating func emptyPipe(_ pipe: Pipe, _ length: Int) {
        guard let block = blocks.take(.medium) else {
            discardPipe()
            return
        }
        defer { blocks.giveBack(block) }
        var left = length
        while left > 0 {
            let got = ring.readNow(pipe.readEnd, into: block.bytes, min(left, BlockSize.medium.payloadBytes))
            guard got > 0 else {
                discardPipe()
                return
            }
            left &-= got
        }
    }

    /// A pipe that may hold bytes of somebody is never used again.
    private mutating func discardPipe() {
        guard let pipe else { return }
        ring.startClose(pipe.readEnd)
        ring.startClose(pipe.writeEnd)
        self.pipe = nil
    }

    /// Something moved: a tunnel's idle time starts anew.
    @inline(__always)
    mutating func touchTunnel(_ client: UnsafeMutablePointer<ClientConnection>) {
        guard client.pointee.state == .tunnel else { return }
        setClientTimer(client, servers[Int(client.pointee.server)].tunnelIdleNanoseconds)
    }

    // MARK: - Answers

    /// Moves the answer's body until it is whole, or one side has to be waited for.
    mutating func spliceAnswer(_ exchange: UnsafeMutablePointer<Exchange>) {
        let client = clients[exchange.pointee.client]
        guard exchange.pointee.connection != noSlot, client.pointee.output.isEmpty,
            client.pointee.flags.isDisjoint(with: [.sending, .polling])
        else { return }
        let connection = connections[exchange.pointee.connection]
        guard connection.pointee.flags.isDisjoint(with: [.polling, .receiving]) else { return }
        if exchange.pointee.answerSplice.sinkWasFull {
            waitForSink(client, connection)
            return
        }
        var round = 0
        while connection.pointee.remaining > 0 {
            if round == Self.roundsMax {
                // Others wait for their turn: go on in the next tick.
                waitForSource(client, connection)
                return
            }
            round &+= 1
            var most = exchange.pointee.answerSplice.goal
            if most <= Self.spliceGoalFirst || exchange.pointee.answerBodyBytes < Self.trustedBytes {
                // A client that has not shown yet that it is fast gets what its socket is sure to take.
                guard let room = roomForAnswer(exchange, client) else {
                    exchange.pointee.answerSplice.sinkWasFull = true
                    wheel.disarm(&connection.pointee.timer)
                    waitForSink(client, connection)
                    return
                }
                most = min(most, room)
            }
            let goal = Int(min(UInt64(most), connection.pointee.remaining))
            switch move(from: connection.pointee.fd, to: client.pointee.fd, goal: goal, refused: &client.pointee.output) {
            case .moved(let bytes):
                countSpliced(exchange, connection, client, bytes)
                onClientProgress(client, bytes)
                // Huge bodies to a client that keeps up are worth the whole pipe; others stay within the watermark.
                let isHuge = connection.pointee.remaining > Self.hugeBytes
                let most = isHuge ? Self.pipeBytes : max(servers[Int(client.pointee.server)].highBytes, Self.spliceGoalMin)
                exchange.pointee.answerSplice.goal = min(exchange.pointee.answerSplice.goal &* 2, most)
                touchTunnel(client)
            case .sinkFull(let bytes):
                countSpliced(exchange, connection, client, bytes)
                onClientProgress(client, bytes &- client.pointee.output.count)
                exchange.pointee.answerSplice.goal = max(exchange.pointee.answerSplice.goal / 2, Self.spliceGoalMin)
                exchange.pointee.answerSplice.sinkWasFull = true
                wheel.disarm(&connection.pointee.timer)
                touchTunnel(client)
                if connection.pointee.remaining == 0 { break }
                markDirty(client)
                return
            case .sourceEmpty:
                waitForSource(client, connection)
                return
            case .sourceEnded:
                onSpliceEnded(exchange, connection)
                return
            case .sourceFailed:
                onConnectionLost(connection, .backendReset)
                return
            case .sinkFailed:
                abort(client, .clientGone)
                return
            case .noPipe:
                exchange.pointee.flags.remove(.splicingAnswer)
                connection.pointee.flags.remove(.splicing)
                waitForAnswer(connection)
                receive(connection)
                return
            }
        }
        endAnswer(connection, exchange)
    }

    /// The backend has closed in the middle of a splice, which is how some bodies and all tunnels end.
    private mutating func onSpliceEnded(
        _ exchange: UnsafeMutablePointer<Exchange>, _ connection: UnsafeMutablePointer<BackendConnection>
    ) {
        connection.pointee.flags.formUnion([.sawEnd, .doomed])
        switch connection.pointee.phase {
        case .untilClose: endAnswer(connection, exchange)
        case .tunnel:
            exchange.pointee.flags.remove(.splicingAnswer)
            onTunnelEnd(connection, exchange)
        case .head, .length, .chunked: onConnectionLost(connection, .answerTooShort)
        }
    }

    /// The backend is what is waited for.
    private mutating func waitForSource(
        _ client: UnsafeMutablePointer<ClientConnection>, _ connection: UnsafeMutablePointer<BackendConnection>
    ) {
        if client.pointee.state != .tunnel {
            client.pointee.rateSince = 0
            client.pointee.waitingFor = .nothing
            wheel.disarm(&client.pointee.timer)
            waitForAnswer(connection)
        }
        pollSource(connection)
    }

    /// What a client must have taken of an answer before its socket is filled to the limit.
    private static var trustedBytes: UInt64 { 256 &* 1024 }

    /// How much a client's socket is sure to take, so that a stalled client leaves next to nothing in our memory: what
    /// the socket refuses has to be read back out of the pipe and kept. Nil when that is not worth a splice.
    ///
    /// Of clients that have not shown yet that they read, less is kept in sockets too: before their backend connection
    /// has been read so fast that the kernel gives it a larger buffer.
    private mutating func roomForAnswer(
        _ exchange: UnsafeMutablePointer<Exchange>, _ client: UnsafeMutablePointer<ClientConnection>
    ) -> Int? {
        let most = servers[Int(client.pointee.server)].notSentLowBytes
        if most == 0 { return Self.pipeBytes }
        let unsent = ring.unsentBytes(client.pointee.fd)
        let isTrusted = exchange.pointee.answerBodyBytes >= Self.trustedBytes &+ UInt64(unsent)
        let room = (isTrusted ? most : most / 8 &* 5) &- unsent
        // A poll says "writable" when less than half of the limit is unsent: then there is room by this measure too, and
        // waiting never turns in circles.
        return room >= max(1, most / 8) ? room : nil
    }

    private mutating func countSpliced(
        _ exchange: UnsafeMutablePointer<Exchange>, _ connection: UnsafeMutablePointer<BackendConnection>,
        _ client: UnsafeMutablePointer<ClientConnection>, _ bytes: Int
    ) {
        connection.pointee.remaining &-= UInt64(bytes)
        exchange.pointee.answerBodyBytes &+= UInt64(bytes)
        exchange.pointee.splicedBytes &+= UInt64(bytes)
        exchange.pointee.backendBytesReceived &+= UInt64(bytes)
        backends[UInt32(connection.pointee.backend)].pointee.bytesReceived &+= UInt64(bytes)
    }

    private mutating func pollSource(_ connection: UnsafeMutablePointer<BackendConnection>) {
        connection.pointee.flags.insert(.polling)
        connection.pointee.inFlight &+= 1
        ring.startPoll(connection.pointee.fd, writable: false, token: token(.backendReadable, connection))
    }

    private mutating func waitForSink(
        _ client: UnsafeMutablePointer<ClientConnection>, _ connection: UnsafeMutablePointer<BackendConnection>
    ) {
        client.pointee.flags.insert(.polling)
        client.pointee.inFlight &+= 1
        if client.pointee.rateSince == 0 { startWaitingForClient(client) }
        waitForWrite(client)
        ring.startPoll(client.pointee.fd, writable: true, token: token(.clientWritable, client))
    }

    // MARK: - Requests

    /// Looks whether the rest of a request's body is worth a splice; then its receive has to end first.
    mutating func considerSplicingRequest(_ exchange: UnsafeMutablePointer<Exchange>) {
        let settings = servers[Int(exchange.pointee.server)].splice
        guard exchange.pointee.requestRemaining >= settings.remainingBytesMin,
            exchange.pointee.requestRemaining &+ exchange.pointee.requestBodyBytes >= settings.bodyBytesMin,
            !exchange.pointee.flags.contains(.splicingAnswer)
        else { return }
        startSplicingRequest(exchange)
    }

    /// A tunnel in which the client has sent as much as is worth a splice goes on that way.
    mutating func considerSplicingTunnel(_ exchange: UnsafeMutablePointer<Exchange>) {
        guard exchange.pointee.requestBodyBytes >= servers[Int(exchange.pointee.server)].splice.bodyBytesMin,
            !clients[exchange.pointee.client].pointee.flags.contains(.sawEnd)
        else { return }
        exchange.pointee.requestRemaining = Self.endlessBytes
        startSplicingRequest(exchange)
    }

    private mutating func startSplicingRequest(_ exchange: UnsafeMutablePointer<Exchange>) {
        guard servers[Int(exchange.pointee.server)].splice.enabled,
            !exchange.pointee.flags.contains(.splicingRequest), openPipe() != nil
        else { return }
        exchange.pointee.flags.insert(.splicingRequest)
        exchange.pointee.requestSplice = SpliceState(goal: Self.spliceGoalFirst)
        let client = clients[exchange.pointee.client]
        makeNonBlocking(client)
        makeNonBlocking(connections[exchange.pointee.connection])
        pauseReceiving(client)
    }

    /// Goes on splicing the body that a client sends, once nothing else moves on either side; false when none is.
    mutating func continueSplicing(_ client: UnsafeMutablePointer<ClientConnection>) -> Bool {
        guard client.pointee.exchange != noSlot else { return false }
        let exchange = exchanges[client.pointee.exchange]
        guard exchange.pointee.flags.contains(.splicingRequest) else { return false }
        guard exchange.pointee.connection != noSlot, client.pointee.state == .body || client.pointee.state == .tunnel else {
            exchange.pointee.flags.remove(.splicingRequest)
            return false
        }
        if client.pointee.flags.contains(.receiving) { return true }
        if !client.pointee.input.isEmpty { useInput(client) }
        guard exchanges.isTaken(exchange.pointee.slot), exchange.pointee.flags.contains(.splicingRequest),
            exchange.pointee.connection != noSlot
        else { return true }
        let connection = connections[exchange.pointee.connection]
        if connection.pointee.output.isEmpty && !connection.pointee.flags.contains(.sending) {
            spliceRequest(exchange, client, connection)
        }
        return true
    }

    private mutating func spliceRequest(
        _ exchange: UnsafeMutablePointer<Exchange>, _ client: UnsafeMutablePointer<ClientConnection>,
        _ connection: UnsafeMutablePointer<BackendConnection>
    ) {
        guard !client.pointee.flags.contains(.pollingReadable), !connection.pointee.flags.contains(.pollingWritable) else {
            return
        }
        if exchange.pointee.requestSplice.sinkWasFull {
            connection.pointee.flags.insert(.pollingWritable)
            connection.pointee.inFlight &+= 1
            ring.startPoll(connection.pointee.fd, writable: true, token: token(.backendWritable, connection))
            guard client.pointee.state != .tunnel else { return }
            client.pointee.waitingFor = .nothing
            wheel.disarm(&client.pointee.timer)
            waitForBackendWrite(connection)
            return
        }
        var round = 0
        while exchange.pointee.requestRemaining > 0 {
            if round == Self.roundsMax {
                pollClient(client)
                return
            }
            round &+= 1
            let goal = Int(min(UInt64(exchange.pointee.requestSplice.goal), exchange.pointee.requestRemaining))
            switch move(from: client.pointee.fd, to: connection.pointee.fd, goal: goal, refused: &connection.pointee.output) {
            case .moved(let bytes):
                countSplicedRequest(exchange, client, connection, bytes)
                connection.pointee.bytesSent &+= UInt64(bytes)
                exchange.pointee.requestSplice.goal = min(exchange.pointee.requestSplice.goal &* 2, Self.pipeBytes)
            case .sinkFull(let bytes):
                countSplicedRequest(exchange, client, connection, bytes)
                connection.pointee.bytesSent &+= UInt64(bytes &- connection.pointee.output.count)
                exchange.pointee.requestSplice.goal = max(exchange.pointee.requestSplice.goal / 2, Self.spliceGoalMin)
                exchange.pointee.requestSplice.sinkWasFull = true
                markDirty(connection)
                if exchange.pointee.requestRemaining == 0 { break }
                return
            case .sourceEmpty:
                if client.pointee.state == .body {
                    if client.pointee.rateSince == 0 { startWaitingForClient(client) }
                    waitForBody(client)
                }
                pollClient(client)
                return
            case .sourceEnded:
                client.pointee.flags.insert(.sawEnd)
                exchange.pointee.flags.remove(.splicingRequest)
                client.pointee.state == .tunnel ? onTunnelEnd(client) : onRequestBodyCut(client)
                return
            case .sourceFailed:
                abort(client, .clientGone)
                return
            case .sinkFailed:
                // The answer, or the end, is read from the other direction.
                exchange.pointee.flags.remove(.splicingRequest)
                connection.pointee.flags.insert(.doomed)
                receive(connection)
                return
            case .noPipe:
                exchange.pointee.flags.remove(.splicingRequest)
                resumeReceiving(client)
                return
            }
        }
        exchange.pointee.requestSplice.sinkWasFull = false
        onRequestWhole(exchange)
        resumeReceiving(client)
    }

    private mutating func countSplicedRequest(
        _ exchange: UnsafeMutablePointer<Exchange>, _ client: UnsafeMutablePointer<ClientConnection>,
        _ connection: UnsafeMutablePointer<BackendConnection>, _ bytes: Int
    ) {
        exchange.pointee.requestRemaining &-= UInt64(bytes)
        exchange.pointee.requestBodyBytes &+= UInt64(bytes)
        exchange.pointee.splicedBytes &+= UInt64(bytes)
        client.pointee.bytesReceived &+= UInt64(bytes)
        client.pointee.rateBytes &+= UInt64(bytes)
        client.pointee.progressAt = clock.now
        touchTunnel(client)
        count(.clientBytesReceived, bytes)
        backends[UInt32(connection.pointee.backend)].pointee.bytesSent &+= UInt64(bytes)
    }

    private mutating func pollClient(_ client: UnsafeMutablePointer<ClientConnection>) {
        client.pointee.flags.insert(.pollingReadable)
        client.pointee.inFlight &+= 1
        ring.startPoll(client.pointee.fd, writable: false, token: token(.clientReadable, client))
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

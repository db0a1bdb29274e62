import Glibc

/// Spliced bodies of answers, and what a tunnel brings from the backend.
extension Worker where Ring: ~Copyable {
    private static var hugeBytes: UInt64 { 8 << 20 }

    /// Moves the answer's body until it is whole, or one side has to be waited for.
    mutating func spliceAnswer(_ exchange: UnsafeMutablePointer<Exchange>) {
        let client = clients[exchange.pointee.client]
        guard exchange.pointee.connection != noSlot, client.pointee.output.isEmpty,
            client.pointee.flags.isDisjoint(with: [.sending, .polling])
        else { return }
        if exchange.pointee.flags.contains(.waitsToWrite) {
            restClient(client)
            return
        }
        let connection = connections[exchange.pointee.connection]
        guard connection.pointee.flags.isDisjoint(with: [.polling, .receiving]) else { return }
        if let link = client.pointee.tls, !link.pointee.kernelSeals, !letKernelSeal(client, link) {
            if client.pointee.state != .closing { copyOn(exchange, connection) }
            return
        }
        if exchange.pointee.answerSplice.sinkWasFull {
            waitForSink(client, connection)
            return
        }
        var moved = 0
        while connection.pointee.remaining > 0 {
            if moved >= Self.turnBytesMax {
                // Others wait for their turn: go on in the next tick.
                waitForSource(client, connection)
                return
            }
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
            if exchange.pointee.flags.contains(.pacesWrite) { most = min(most, exchange.pointee.limits.helpingBytes) }
            var goal = Int(min(UInt64(most), connection.pointee.remaining))
            if let link = client.pointee.tls {
                guard let helping = kernelHelping(client, link, of: goal) else { return }
                if helping == 0 {
                    exchange.pointee.answerSplice.sinkWasFull = true
                    wheel.disarm(&connection.pointee.timer)
                    waitForSink(client, connection)
                    return
                }
                goal = helping
            }
            switch move(from: connection.pointee.fd, to: client.pointee.fd, goal: goal, refused: &client.pointee.output) {
            case .moved(let bytes):
                countSpliced(exchange, connection, client, bytes)
                onClientProgress(client, bytes)
                moved &+= bytes
                // Huge bodies to a client that keeps up are worth the whole pipe; others stay within the watermark.
                let isHuge = connection.pointee.remaining > Self.hugeBytes
                let most = isHuge ? pipeBytes : max(servers[Int(client.pointee.server)].plan.highBytes, Self.spliceGoalMin)
                exchange.pointee.answerSplice.goal = min(exchange.pointee.answerSplice.goal &* 2, most)
                touchTunnel(client)
                if paceSplicedAnswer(exchange, connection, bytes) {
                    restClient(client)
                    return
                }
            case .sinkFull(let bytes):
                countSpliced(exchange, connection, client, bytes)
                onClientProgress(client, bytes &- client.pointee.output.count)
                exchange.pointee.answerSplice.goal = max(exchange.pointee.answerSplice.goal / 2, Self.spliceGoalMin)
                exchange.pointee.answerSplice.sinkWasFull = true
                wheel.disarm(&connection.pointee.timer)
                touchTunnel(client)
                _ = paceSplicedAnswer(exchange, connection, bytes)
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
                copyOn(exchange, connection)
                return
            }
        }
        endAnswer(connection, exchange)
    }

    /// Goes on by copying.
    private mutating func copyOn(
        _ exchange: UnsafeMutablePointer<Exchange>, _ connection: UnsafeMutablePointer<BackendConnection>
    ) {
        exchange.pointee.flags.remove(.splicingAnswer)
        connection.pointee.flags.remove(.splicing)
        waitForAnswer(connection)
        receive(connection)
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
        let most = servers[Int(client.pointee.server)].plan.notSentLowBytes
        if most == 0 { return pipeBytes }
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
}

import Glibc

/// Spliced bodies of requests, and what a tunnel brings from the client.
extension Worker where Ring: ~Copyable {
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
            exchange.pointee.connection != noSlot, !exchange.pointee.flags.contains(.waitsToRead)
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
        var moved = 0
        while exchange.pointee.requestRemaining > 0 {
            if moved >= Self.turnBytesMax {
                pollClient(client)
                return
            }
            var most = exchange.pointee.requestSplice.goal
            if exchange.pointee.flags.contains(.pacesRead) { most = min(most, exchange.pointee.limits.helpingBytes) }
            let goal = Int(min(UInt64(most), exchange.pointee.requestRemaining))
            switch move(from: client.pointee.fd, to: connection.pointee.fd, goal: goal, refused: &connection.pointee.output) {
            case .moved(let bytes):
                countSplicedRequest(exchange, client, connection, bytes)
                moved &+= bytes
                connection.pointee.bytesSent &+= UInt64(bytes)
                exchange.pointee.requestSplice.goal = min(exchange.pointee.requestSplice.goal &* 2, pipeBytes)
                if paceSplicedRequest(exchange, client, bytes) { return }
            case .sinkFull(let bytes):
                countSplicedRequest(exchange, client, connection, bytes)
                connection.pointee.bytesSent &+= UInt64(bytes &- connection.pointee.output.count)
                exchange.pointee.requestSplice.goal = max(exchange.pointee.requestSplice.goal / 2, Self.spliceGoalMin)
                exchange.pointee.requestSplice.sinkWasFull = true
                markDirty(connection)
                _ = paceSplicedRequest(exchange, client, bytes)
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
}

import Glibc

/// After 101: bytes go both ways as they are, under both watermarks, until both sides have ended.
extension Worker where Ring: ~Copyable {
    mutating func startTunnel(
        _ exchange: UnsafeMutablePointer<Exchange>, _ connection: UnsafeMutablePointer<BackendConnection>
    ) {
        count(.tunnels)
        let client = clients[exchange.pointee.client]
        enterTunnel(exchange)
        connection.pointee.phase = .tunnel
        connection.pointee.flags.formUnion([.full, .doomed])
        wheel.disarm(&connection.pointee.timer)
        client.pointee.state = .tunnel
        client.pointee.waitingFor = .tunnelIdle
        touchTunnel(client)
        if !client.pointee.input.isEmpty || client.pointee.flags.contains(.sawEnd) { useInput(client) }
    }

    /// A tunnel may outlive many plans: it takes along what it will need and lets go of its own.
    mutating func enterTunnel(_ exchange: UnsafeMutablePointer<Exchange>) {
        let (access, error) = logEntries(exchange)
        exchange.pointee.tunnelAccessLog = access
        exchange.pointee.tunnelErrorLog = error
        logs.hold(access)
        logs.hold(error)
        retainLimits(exchange)
        exchange.pointee.rule = exchange.pointee.rule.pointee.lasting
        leavePlan(exchange)
        exchange.pointee.flags.insert(.tunnel)
        servers[Int(exchange.pointee.server)].tunnels &+= 1
    }

    /// Gives back what `enterTunnel` took; the line of the tunnel has been printed.
    mutating func leaveTunnel(_ exchange: UnsafeMutablePointer<Exchange>) {
        logs.letGo(exchange.pointee.tunnelAccessLog)
        logs.letGo(exchange.pointee.tunnelErrorLog)
        servers[Int(exchange.pointee.server)].tunnels &-= 1
    }

    /// Bytes from the client; 0 = the backend is too far behind.
    mutating func takeTunnelBytes(
        _ client: UnsafeMutablePointer<ClientConnection>, _ bytes: UnsafeRawPointer, _ length: Int
    ) -> Int {
        let exchange = exchanges[client.pointee.exchange]
        guard exchange.pointee.connection != noSlot else { return length }
        exchange.pointee.flags.insert(.bodyConsumed)
        let connection = connections[exchange.pointee.connection]
        let limits = backends[UInt32(connection.pointee.backend)].pointee.limits
        guard connection.pointee.output.count < limits.highBytes else { return 0 }
        var length = length
        if exchange.pointee.flags.contains(.pacesRead) {
            length = pacedRead(exchange, client, length)
            if length == 0 { return 0 }
        }
        touchTunnel(client)
        guard connection.pointee.output.append(bytes, length, from: &blocks) else {
            abort(client, .outOfMemory)
            return length
        }
        exchange.pointee.requestBodyBytes &+= UInt64(length)
        count(.copiedBytes, length)
        markDirty(connection)
        if connection.pointee.output.count >= limits.highBytes { pauseReceiving(client) }
        considerSplicingTunnel(exchange)
        return length
    }

    /// Bytes from the backend.
    mutating func takeTunnelBytes(
        _ connection: UnsafeMutablePointer<BackendConnection>, _ exchange: UnsafeMutablePointer<Exchange>,
        _ bytes: UnsafeRawPointer, _ length: Int
    ) -> Int {
        touchTunnel(clients[exchange.pointee.client])
        if awaitsPassedAnswer(exchange) {
            if connection.pointee.bytesSent <= exchange.pointee.sentMark, !connection.pointee.flags.contains(.sending) {
                // No byte of the request has gone out: this is no answer to it.
                count(.oddities)
                onConnectionLost(connection, .backendClosed)
                return 0
            }
            onPassedAnswer(exchange, connection, bytes, length)
        }
        return deliver(exchange, bytes, length) ? length : 0
    }

    /// The client has closed its side: the backend learns it after the last byte.
    mutating func onTunnelEnd(_ client: UnsafeMutablePointer<ClientConnection>) {
        let exchange = exchanges[client.pointee.exchange]
        guard exchange.pointee.connection != noSlot else { return }
        let connection = connections[exchange.pointee.connection]
        connection.pointee.flags.insert(.endAfterSend)
        onTunnelDrained(connection)
    }

    /// The backend has closed its side: the client learns it after the last byte.
    mutating func onTunnelEnd(
        _ connection: UnsafeMutablePointer<BackendConnection>, _ exchange: UnsafeMutablePointer<Exchange>
    ) {
        let client = clients[exchange.pointee.client]
        client.pointee.flags.insert(.endAfterSend)
        onTunnelDrained(client)
    }

    mutating func onTunnelDrained(_ connection: UnsafeMutablePointer<BackendConnection>) {
        guard connection.pointee.flags.contains(.endAfterSend), connection.pointee.output.isEmpty,
            connection.pointee.flags.isDisjoint(with: [.sending, .sendSideClosed]), !mustSayEnd(connection)
        else { return }
        connection.pointee.flags.insert(.sendSideClosed)
        ring.shutdownSend(connection.pointee.fd)
        endTunnelIfDone(exchanges[connection.pointee.exchanges.first])
    }

    mutating func onTunnelDrained(_ client: UnsafeMutablePointer<ClientConnection>) {
        guard client.pointee.flags.contains(.endAfterSend), client.pointee.output.isEmpty,
            client.pointee.flags.isDisjoint(with: [.sending, .sendSideClosed]), !mustSayEnd(client)
        else { return }
        client.pointee.flags.insert(.sendSideClosed)
        if !isSealedByKernel(client) { ring.shutdownSend(client.pointee.fd) }
        endTunnelIfDone(exchanges[client.pointee.exchange])
    }

    /// Both directions have ended and all bytes are through.
    private mutating func endTunnelIfDone(_ exchange: UnsafeMutablePointer<Exchange>) {
        let client = clients[exchange.pointee.client]
        let connection = connections[exchange.pointee.connection]
        guard client.pointee.flags.contains(.sendSideClosed), connection.pointee.flags.contains(.sendSideClosed) else {
            return
        }
        countAnswer(exchange.pointee.status)
        detach(exchange)
        exchange.pointee.step = .log
        walk(exchange)
        close(client)
    }
}

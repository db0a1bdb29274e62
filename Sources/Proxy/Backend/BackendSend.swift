import Glibc

/// Bytes to backends: the requests of a tick in one send, one send in flight a connection.
extension Worker where Ring: ~Copyable {
    mutating func flush(_ connection: UnsafeMutablePointer<BackendConnection>) {
        if connection.pointee.state == .closing {
            releaseIfDone(connection)
            return
        }
        guard !connection.pointee.flags.contains(.sending), !connection.pointee.output.isEmpty else { return }
        var most = Int.max
        if let link = connection.pointee.tls {
            guard prepareRecords(connection, link) else { return }
            most = link.pointee.sealedBytes
        }
        connection.pointee.flags.insert(.sending)
        connection.pointee.inFlight &+= 1
        connection.pointee.sendingBytes = ring.startSend(
            connection.pointee.fd, of: connection.pointee.output, most: most, more: false, token: token(.backendSend, connection))
        // Until a connection is there, its timer is that of connecting.
        if connection.pointee.phase != .tunnel, connection.pointee.state == .active { waitForBackendWrite(connection) }
    }

    /// The backend must take something within its write time; while an answer is due, its read time counts as well.
    mutating func waitForBackendWrite(_ connection: UnsafeMutablePointer<BackendConnection>) {
        let limits = backends[UInt32(connection.pointee.backend)].pointee.limits
        guard !isAnswerDue(connection) else { return }
        connection.pointee.waitsForWrite = true
        if limits.writeNanoseconds > 0 {
            wheel.set(&connection.pointee.timer, clock.now &+ limits.writeNanoseconds)
        } else {
            wheel.disarm(&connection.pointee.timer)
        }
    }

    /// Whether all that was asked has been sent, so that the backend is the one to speak.
    private mutating func isAnswerDue(_ connection: UnsafeMutablePointer<BackendConnection>) -> Bool {
        guard !connection.pointee.exchanges.isEmpty else { return false }
        return exchanges[connection.pointee.exchanges.last].pointee.flags.contains(.requestSent)
            && connection.pointee.output.isEmpty
    }

    mutating func onBackendSend(_ completion: Completion) {
        guard connections.isCurrent(completion.token) else {
            count(.oddities)
            return
        }
        let connection = connections[completion.token.slot]
        connection.pointee.flags.remove(.sending)
        connection.pointee.inFlight &-= 1
        if completion.result > 0 {
            let sent = min(Int(completion.result), connection.pointee.sendingBytes)
            connection.pointee.output.consume(sent, into: &blocks)
            if let link = connection.pointee.tls { link.pointee.sealedBytes &-= sent }
            backends[UInt32(connection.pointee.backend)].pointee.bytesSent &+= UInt64(sent)
            connection.pointee.bytesSent &+= UInt64(sent)
        }
        connection.pointee.sendingBytes = 0
        if connection.pointee.state == .closing {
            releaseIfDone(connection)
            return
        }
        if completion.result < 0 && completion.result != -EINTR && completion.result != -EAGAIN {
            if connection.pointee.state == .connecting {
                onConnectionLost(connection, .backendTLS)
                return
            }
            // An answer may have come before the backend closed: reading finds it, or the end.
            connection.pointee.output.clear(into: &blocks)
            if let link = connection.pointee.tls {
                link.pointee.sealedBytes = 0
                link.pointee.sendsNoMore = true
            }
            connection.pointee.flags.insert(.doomed)
            receive(connection)
            return
        }
        if !connection.pointee.output.isEmpty {
            markDirty(connection)
        } else if connection.pointee.phase == .tunnel {
            onTunnelDrained(connection)
        } else if connection.pointee.state == .active {
            connection.pointee.waitsForWrite ? stopWaitingForWrite(connection) : waitForAnswer(connection)
        }
        guard connections.isCurrent(completion.token) else { return }
        resumeClient(of: connection)
    }

    /// The backend took all there was; whether it has to answer now depends on the client's body.
    mutating func stopWaitingForWrite(_ connection: UnsafeMutablePointer<BackendConnection>) {
        connection.pointee.waitsForWrite = false
        wheel.disarm(&connection.pointee.timer)
        waitForAnswer(connection)
    }

    /// Everything asked has gone out: the backend's time to answer runs.
    mutating func waitForAnswer(_ connection: UnsafeMutablePointer<BackendConnection>) {
        guard isAnswerDue(connection), connection.pointee.phase != .tunnel,
            connection.pointee.flags.isDisjoint(with: [.paused, .held])
        else { return }
        connection.pointee.waitsForWrite = false
        let read = backends[UInt32(connection.pointee.backend)].pointee.limits.readNanoseconds
        if read > 0 { wheel.set(&connection.pointee.timer, clock.now &+ read) } else { wheel.disarm(&connection.pointee.timer) }
    }

    /// The backend took bytes: its client may send more of its body.
    private mutating func resumeClient(of connection: UnsafeMutablePointer<BackendConnection>) {
        guard connection.pointee.exchanges.last != noSlot else { return }
        let exchange = exchanges[connection.pointee.exchanges.last]
        guard !exchange.pointee.flags.contains(.abandoned), !exchange.pointee.flags.contains(.requestSent) || exchange.pointee.flags.contains(.tunnel)
        else { return }
        guard connection.pointee.output.count <= backends[UInt32(connection.pointee.backend)].pointee.limits.lowBytes
        else { return }
        let client = clients[exchange.pointee.client]
        if exchange.pointee.flags.contains(.splicingRequest) {
            _ = continueSplicing(client)
        } else if !client.pointee.input.isEmpty || client.pointee.flags.contains(.paused) {
            useInput(client)
        }
    }

    mutating func onConnectionTimer(_ connection: UnsafeMutablePointer<BackendConnection>) {
        let backend = backends[UInt32(connection.pointee.backend)]
        switch connection.pointee.state {
        case .closing: break
        case .connecting: onConnectFailed(connection, backend, errno: ETIMEDOUT, .connectTimeout)
        case .idle:
            if backend.pointee.connectionCount > backend.pointee.limits.connections { close(connection) }
        case .active:
            count(.timeouts)
            onConnectionLost(connection, connection.pointee.waitsForWrite ? .backendWriteTimeout : .backendReadTimeout)
        }
    }
}

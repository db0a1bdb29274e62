import Glibc

/// Closing is a state: ask, wait for what is in flight, release. Nothing is freed while the kernel may touch it.
extension Worker where Ring: ~Copyable {
    static var lingerNanoseconds: UInt64 { 2_000_000_000 }

    /// Closes our sending side and waits, within bounds, until the peer has read and closed: a plain close would throw
    /// away an answer that is still on its way when more bytes of the request arrive.
    mutating func linger(_ client: UnsafeMutablePointer<ClientConnection>) {
        if client.pointee.flags.contains(.sawEnd) || client.pointee.state == .closing {
            close(client)
            return
        }
        client.pointee.state = .lingering
        client.pointee.input.clear(into: &blocks)
        if mustSayEnd(client) {
            if isSealedByKernel(client) { return }
            client.pointee.flags.insert(.closeAfterSend)
            client.pointee.waitingFor = .linger
            wheel.set(&client.pointee.timer, clock.now &+ Self.lingerNanoseconds)
            return
        }
        if !client.pointee.flags.contains(.sendSideClosed) {
            client.pointee.flags.insert(.sendSideClosed)
            ring.shutdownSend(client.pointee.fd)
        }
        client.pointee.waitingFor = .linger
        wheel.set(&client.pointee.timer, clock.now &+ Self.lingerNanoseconds)
        client.pointee.flags.remove(.paused)
        receive(client)
    }

    /// Ends the connection now; an exchange in progress is given up.
    mutating func abort(_ client: UnsafeMutablePointer<ClientConnection>, _ reason: FailureReason) {
        guard client.pointee.state != .closing else { return }
        if client.pointee.exchange != noSlot {
            let exchange = exchanges[client.pointee.exchange]
            // A peer that is owed more must not take what it has for the whole.
            if exchange.pointee.flags.contains(.answerBegun) && reason != .clientGone {
                client.pointee.flags.insert(.reset)
            }
            if exchange.pointee.failure == .none { exchange.pointee.failure = reason }
            giveUp(exchange)
        }
        close(client)
    }

    /// Closes the connection; the slot is released when nothing is in flight any more.
    mutating func close(_ client: UnsafeMutablePointer<ClientConnection>) {
        guard client.pointee.state != .closing else { return }
        sayEndNow(client)
        leaveLine(client)
        client.pointee.state = .closing
        wheel.clear(&client.pointee.timer)
        client.pointee.input.clear(into: &blocks)
        if let block = client.pointee.headBlock {
            client.pointee.headBlock = nil
            blocks.giveBack(block)
        }
        if client.pointee.flags.contains(.reset) { ring.resetOnClose(client.pointee.fd) }
        let endsNow = mayCloseNow(client)
        if client.pointee.inFlight > 0 {
            if client.pointee.flags.contains(.reset) || !endsNow {
                // A shutdown would send the FIN that a reset is meant to replace, or that has to wait for what the kernel seals.
                cancelReceive(client)
                if client.pointee.flags.contains(.sending) { ring.startCancel(token(.clientSend, client)) }
                if client.pointee.flags.contains(.polling) { ring.startCancel(token(.clientWritable, client)) }
                if client.pointee.flags.contains(.pollingReadable) { ring.startCancel(token(.clientReadable, client)) }
            } else {
                ring.shutdownBoth(client.pointee.fd)
            }
        }
        releaseIfDone(client)
    }

    /// Releases a closing connection once the kernel holds nothing of it.
    mutating func releaseIfDone(_ client: UnsafeMutablePointer<ClientConnection>) {
        guard client.pointee.state == .closing, client.pointee.inFlight == 0,
            !client.pointee.flags.contains(.dirty), !waitsForKernel(client)
        else { return }
        client.pointee.output.clear(into: &blocks)
        ring.startClose(client.pointee.fd)
        leaveLimit(client)
        if client.pointee.flags.contains(.ownsConnections) { closeConnections(of: client) }
        if let link = client.pointee.tls {
            endHandshake(client, link)
            free(link)
        }
        servers[Int(client.pointee.server)].connections &-= 1
        clients.giveBack(client.pointee.timer.slot)
        count(.clientsOpen, -1)
    }
}

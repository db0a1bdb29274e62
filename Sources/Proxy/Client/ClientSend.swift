import Glibc

/// Bytes to clients: one send in flight, what gathers meanwhile goes out in the next.
extension Worker where Ring: ~Copyable {
    mutating func flush(_ client: UnsafeMutablePointer<ClientConnection>) {
        if client.pointee.state == .closing {
            releaseIfDone(client)
            return
        }
        guard !client.pointee.flags.contains(.sending) else { return }
        guard !client.pointee.output.isEmpty else {
            onOutputEmpty(client)
            return
        }
        if client.pointee.flags.contains(.held) {
            restClient(client)
            return
        }
        var most = Int.max
        if let link = client.pointee.tls {
            guard prepareRecords(client, link) else { return }
            most = link.pointee.sealedBytes
            if link.pointee.kernelSeals {
                if client.pointee.flags.contains(.polling) { return }
                guard let helping = kernelHelping(client, link, of: most) else { return }
                if helping == 0 {
                    waitForKernelRoom(client)
                    return
                }
                most = helping
            }
        }
        if client.pointee.rateSince == 0 { startWaitingForClient(client) }
        client.pointee.flags.insert(.sending)
        client.pointee.inFlight &+= 1
        client.pointee.sendingBytes = ring.startSend(
            client.pointee.fd, of: client.pointee.output, most: most, more: false, token: token(.clientSend, client))
        waitForWrite(client)
    }

    /// Sets the timer that ends a client which takes nothing, or too little; it looks at the rate every second.
    mutating func waitForWrite(_ client: UnsafeMutablePointer<ClientConnection>) {
        // What a connection without an exchange is sent belongs to TLS: the timer of what it has to say goes on.
        guard client.pointee.state != .tunnel, client.pointee.state != .lingering, client.pointee.exchange != noSlot else { return }
        wait(client, for: .writeProgress, limit: rule(of: client).pointee.writeNanoseconds)
    }

    /// Sets the timer of a request's body in the same way.
    mutating func waitForBody(_ client: UnsafeMutablePointer<ClientConnection>) {
        wait(client, for: .bodyGap, limit: rule(of: client).pointee.bodyGapNanoseconds)
    }

    /// The rule whose timers hold for a client now: that of its request, else what its server says.
    @inline(__always)
    mutating func rule(of client: UnsafeMutablePointer<ClientConnection>) -> UnsafePointer<RulePlan> {
        client.pointee.exchange == noSlot
            ? servers[Int(client.pointee.server)].plan.fallback : exchanges[client.pointee.exchange].pointee.rule
    }

    /// Progress does not move the timer: when it comes up it looks at what has been moved since.
    private mutating func wait(
        _ client: UnsafeMutablePointer<ClientConnection>, for what: ClientWait, limit: UInt64
    ) {
        if client.pointee.waitingFor == what, client.pointee.timer.isSet { return }
        client.pointee.waitingFor = what
        let idle = clock.now &- min(client.pointee.progressAt, clock.now)
        let left = limit == 0 ? 0 : limit &- min(idle, limit &- 1)
        setClientTimer(client, servers[Int(client.pointee.server)].timerNanoseconds(left))
    }

    @inline(__always)
    mutating func setClientTimer(_ client: UnsafeMutablePointer<ClientConnection>, _ nanoseconds: UInt64) {
        if nanoseconds == 0 {
            wheel.disarm(&client.pointee.timer)
        } else {
            wheel.set(&client.pointee.timer, clock.now &+ nanoseconds)
        }
    }

    mutating func onClientSend(_ completion: Completion) {
        let slot = completion.token.slot
        guard clients.isCurrent(completion.token) else {
            count(.oddities)
            return
        }
        let client = clients[slot]
        client.pointee.flags.remove(.sending)
        client.pointee.inFlight &-= 1
        if completion.result > 0 {
            let sent = min(Int(completion.result), client.pointee.sendingBytes)
            client.pointee.output.consume(sent, into: &blocks)
            if let link = client.pointee.tls { link.pointee.sealedBytes &-= sent }
            onClientProgress(client, sent)
        }
        client.pointee.sendingBytes = 0
        if client.pointee.state == .closing {
            releaseIfDone(client)
            return
        }
        if completion.result < 0 && completion.result != -EINTR && completion.result != -EAGAIN {
            abort(client, .clientGone)
            return
        }
        if client.pointee.output.isEmpty {
            onOutputEmpty(client)
        } else {
            markDirty(client)
        }
        // The end of an answer may have been the end of the connection, and its slot is gone.
        guard clients.isCurrent(completion.token) else { return }
        resumeBackend(of: client)
    }

    /// Counts what a client took.
    mutating func onClientProgress(_ client: UnsafeMutablePointer<ClientConnection>, _ bytes: Int) {
        client.pointee.bytesSent &+= UInt64(bytes)
        client.pointee.rateBytes &+= UInt64(bytes)
        client.pointee.progressAt = clock.now
        count(.clientBytesSent, bytes)
    }

    /// From now on the client is what the exchange waits for.
    mutating func startWaitingForClient(_ client: UnsafeMutablePointer<ClientConnection>) {
        client.pointee.rateSince = clock.now
        client.pointee.rateBytes = 0
        client.pointee.progressAt = clock.now
    }

    /// All that was queued has gone into the socket.
    private mutating func onOutputEmpty(_ client: UnsafeMutablePointer<ClientConnection>) {
        if client.pointee.exchange != noSlot {
            let exchange = exchanges[client.pointee.exchange]
            if exchange.pointee.flags.contains(.tunnel) {
                client.pointee.rateSince = 0
                exchange.pointee.flags.contains(.splicingAnswer) ? spliceAnswer(exchange) : onTunnelDrained(client)
                return
            }
            if exchange.pointee.flags.contains(.answerWhole) {
                client.pointee.rateSince = 0
                finish(exchange)
                return
            }
            if exchange.pointee.flags.contains(.splicingAnswer) {
                spliceAnswer(exchange)
                return
            }
            client.pointee.rateSince = 0
            restoreClientTimer(client)
        } else if client.pointee.flags.contains(.closeAfterSend) {
            linger(client)
        }
    }

    private mutating func isSplicingRequest(_ client: UnsafeMutablePointer<ClientConnection>) -> Bool {
        client.pointee.exchange != noSlot
            && exchanges[client.pointee.exchange].pointee.flags.contains(.splicingRequest)
    }

    /// Nothing is being written: what else is the client due?
    mutating func restoreClientTimer(_ client: UnsafeMutablePointer<ClientConnection>) {
        let server = servers + Int(client.pointee.server)
        switch client.pointee.state {
        case .body where !client.pointee.flags.contains(.paused) || isSplicingRequest(client):
            client.pointee.waitingFor = .nothing
            resumeWaitingForBody(client)
        case .body, .answering:
            client.pointee.waitingFor = .nothing
            wheel.disarm(&client.pointee.timer)
        case .idle:
            client.pointee.waitingFor = .idle
            setClientTimer(client, server.pointee.plan.idleNanoseconds)
        case .proxyHead, .handshaking, .head, .tunnel, .lingering, .closing: break
        }
    }
}

import Glibc

/// TLS toward clients: bytes that came are decrypted before anything else looks at them, bytes to be sent become records last.
extension Worker where Ring: ~Copyable {
    /// Takes bytes of a connection that is under TLS, or about to be.
    mutating func onSealedBytes(
        _ client: UnsafeMutablePointer<ClientConnection>, _ bytes: UnsafeRawPointer, _ length: Int
    ) {
        var input = TLSInput(start: bytes, count: length)
        if client.pointee.state == .proxyHead {
            let used = takeProxyHead(client, bytes, length)
            guard used < length, client.pointee.state == .handshaking else { return }
            input = TLSInput(start: bytes + used, count: length &- used)
        }
        switch client.pointee.state {
        case .handshaking: onHandshakeBytes(client, &input)
        case .lingering: _ = discard(client, input.count)
        case .closing: break
        default: openRecords(client, &input)
        }
    }

    /// Decrypts all that was lent and passes it on.
    mutating func openRecords(_ client: UnsafeMutablePointer<ClientConnection>, _ input: inout TLSInput) {
        guard let link = client.pointee.tls else { return }
        let slot = client.pointee.timer.slot
        let generation = clients.generation(slot)
        while true {
            // What has to be said beside data must not overtake what is queued.
            guard sealAll(client, link) else { return }
            guard let next = openRecord(&input, &client.pointee.output, link) else {
                abort(client, .outOfMemory)
                return
            }
            if next.isMoreToSend { markDirty(client) }
            guard sayByKernel(client, link) else { return }
            switch next.opened {
            case .bytes(let count):
                onBytes(client, plainRoom, count)
                guard clients.generation(slot) == generation, client.pointee.state != .closing else { return }
                if client.pointee.state == .lingering {
                    // Nobody wants the rest.
                    _ = discard(client, input.count)
                    return
                }
            case .wantsInput: return
            case .ended:
                link.pointee.sawEnd = true
                onEnd(client)
                return
            case .failed:
                failTLS(client, link)
                return
            }
        }
    }

    /// Makes records of all that is queued; false when that ended the connection.
    mutating func sealAll(_ client: UnsafeMutablePointer<ClientConnection>, _ link: UnsafeMutablePointer<TLSLink>) -> Bool {
        switch sealAll(&client.pointee.output, link, recordBytes: servers[Int(client.pointee.server)].plan.recordBytes) {
        case .done: return true
        case .failed: failTLS(client, link)
        case .noRoom: abort(client, .outOfMemory)
        }
        return false
    }

    /// Before a send: what is queued becomes records, and the last ones say that they are. False = there is nothing to send, or
    /// the connection has ended.
    mutating func prepareRecords(_ client: UnsafeMutablePointer<ClientConnection>, _ link: UnsafeMutablePointer<TLSLink>) -> Bool {
        guard link.pointee.isOpen else { return link.pointee.sealedBytes > 0 }
        guard sealAll(client, link) else { return false }
        if !link.pointee.kernelSeals, isLastOutput(client) { sealEnd(client, link) }
        return link.pointee.sealedBytes > 0
    }

    /// Nothing will follow what is queued for a client.
    private mutating func isLastOutput(_ client: UnsafeMutablePointer<ClientConnection>) -> Bool {
        guard client.pointee.exchange != noSlot else { return client.pointee.flags.contains(.closeAfterSend) }
        let flags = exchanges[client.pointee.exchange].pointee.flags
        return flags.contains(.answerWhole) && flags.isDisjoint(with: [.keepsClient, .tunnel])
    }

    /// Queues close_notify.
    mutating func sealEnd(_ client: UnsafeMutablePointer<ClientConnection>, _ link: UnsafeMutablePointer<TLSLink>) {
        guard link.pointee.isOpen, !link.pointee.endIsSealed, client.pointee.output.count == link.pointee.sealedBytes else { return }
        link.pointee.endIsSealed = true
        _ = link.pointee.stream.sealEnd(to: &client.pointee.output, &blocks)
        link.pointee.sealedBytes = client.pointee.output.count
    }

    /// Whether a client still has to be told that nothing follows; then that is queued, or the kernel is waited for.
    mutating func mustSayEnd(_ client: UnsafeMutablePointer<ClientConnection>) -> Bool {
        guard let link = client.pointee.tls, link.pointee.isOpen else { return false }
        if link.pointee.kernelSeals { return !endByKernel(client, link) }
        guard !link.pointee.endIsSealed else { return false }
        sealEnd(client, link)
        guard link.pointee.sealedBytes > 0 else { return false }
        markDirty(client)
        return true
    }

    /// Says the end on the spot, where nothing is under way: for connections that are closed from one moment to the next.
    mutating func sayEndNow(_ client: UnsafeMutablePointer<ClientConnection>) {
        guard let link = client.pointee.tls, link.pointee.isOpen, !link.pointee.endIsSealed, !link.pointee.kernelSeals,
            client.pointee.output.isEmpty, client.pointee.flags.isDisjoint(with: [.sending, .reset, .sendSideClosed])
        else { return }
        sealEnd(client, link)
        if let block = client.pointee.output.head { _ = ring.sendNow(client.pointee.fd, block.begin, block.count) }
    }

    /// Bytes that were to be read as TLS and are none, or none that may be: the peer gets the alert, the log the reason.
    mutating func failTLS(_ client: UnsafeMutablePointer<ClientConnection>, _ link: UnsafeMutablePointer<TLSLink>) {
        let failure = link.pointee.stream.failure
        let wasOpen = link.pointee.isOpen
        link.pointee.isOpen = false
        endHandshake(client, link)
        if !wasOpen && failure == .plainHTTP {
            answerPlainly(client, link)
            return
        }
        count(.tlsFailures)
        if client.pointee.exchange != noSlot {
            let exchange = exchanges[client.pointee.exchange]
            if exchange.pointee.failure == .none { exchange.pointee.failure = .tlsBroken }
            giveUp(exchange)
        } else {
            logRefusal(client, 0, failure.word, bytes: 0, bodyBytes: 0)
        }
        // Of what the kernel would seal, only that stays which it has been given already.
        if link.pointee.kernelSeals { link.pointee.sealedBytes = client.pointee.sendingBytes }
        // What is no record will never be one.
        var rest = client.pointee.output.split(at: link.pointee.sealedBytes, from: &blocks)
        rest.clear(into: &blocks)
        client.pointee.input.clear(into: &blocks)
        guard link.pointee.sealedBytes > 0, client.pointee.output.count == link.pointee.sealedBytes else {
            close(client)
            return
        }
        client.pointee.state = .lingering
        client.pointee.flags.insert(.closeAfterSend)
        client.pointee.waitingFor = .linger
        wheel.set(&client.pointee.timer, clock.now &+ 2_000_000_000)
        markDirty(client)
    }

    /// Somebody speaks plain HTTP to a port of TLS, and is told so in plain text.
    private mutating func answerPlainly(_ client: UnsafeMutablePointer<ClientConnection>, _ link: UnsafeMutablePointer<TLSLink>) {
        count(.tlsFailures)
        client.pointee.tls = nil
        free(link)
        client.pointee.flags.remove(.encrypted)
        client.pointee.output.clear(into: &blocks)
        client.pointee.input.clear(into: &blocks)
        refuse(client, 400, .plainHTTP)
    }
}

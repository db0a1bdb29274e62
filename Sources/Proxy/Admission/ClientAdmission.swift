import Glibc

/// Who may connect: what is checked when a client connection is accepted, before a byte of a request is read.
extension Worker where Ring: ~Copyable {
    /// Looks at a client that has just got its slot; false when it was refused, and the slot may be gone.
    mutating func welcome(_ client: UnsafeMutablePointer<ClientConnection>) -> Bool {
        let plan = servers + Int(client.pointee.server)
        guard plan.pointee.plan.proxyProtocol != .off else { return letIn(client) }
        if isProxyTrusted(client) || plan.pointee.plan.skipsProxyHeads {
            client.pointee.state = .proxyHead
            return true
        }
        if plan.pointee.plan.proxyProtocol == .require {
            count(.accessDenied)
            refuse(client, 403, .proxyRefused)
            return false
        }
        return letIn(client)
    }

    /// Whether the peer's word about its client's address is taken.
    private mutating func isProxyTrusted(_ client: UnsafeMutablePointer<ClientConnection>) -> Bool {
        servers[Int(client.pointee.server)].plan.proxyFrom?.pointee.allows(clientAddress(client).pointee.host) ?? false
    }

    /// Checks the address that counts against the list and the limits of the server.
    private mutating func letIn(_ client: UnsafeMutablePointer<ClientConnection>) -> Bool {
        let server = servers + Int(client.pointee.server)
        if let access = server.pointee.plan.access, !access.pointee.allows(clientAddress(client).pointee.host) {
            count(.accessDenied)
            if access.pointee.closesSilently {
                requestsSeen &+= 1
                logRefusal(client, 0, FailureReason.accessDenied.word, bytes: 0, bodyBytes: 0)
                close(client)
            } else {
                refuse(client, 403, .accessDenied)
            }
            return false
        }
        guard let limit = server.pointee.plan.limit else { return true }
        guard openOne(limit, clientAddress(client)) else {
            if server.pointee.plan.healthPath != nil {
                hearOut(client)
                return true
            }
            count(.connectionsLimited)
            refuse(client, 429, .connectionLimit)
            return false
        }
        if limit.pointee.countsOpen {
            limit.pointee.retain()
            client.pointee.limit = limit
        }
        return true
    }

    /// A balancer in front is told how we are also when there are as many clients as there may be: else the crowd would
    /// cost us our place in its list. So the refusal waits for the first head, no longer than refused clients linger.
    private mutating func hearOut(_ client: UnsafeMutablePointer<ClientConnection>) {
        client.pointee.flags.insert(.overLimit)
        client.pointee.waitingFor = .head
        wheel.set(&client.pointee.timer, clock.now &+ Self.lingerNanoseconds)
    }

    /// The head of a connection beyond the limit asks for something else, or does not come.
    mutating func refuseOverLimit(_ client: UnsafeMutablePointer<ClientConnection>) {
        count(.connectionsLimited)
        refuse(client, 429, .connectionLimit)
    }

    /// The slot is about to be released: what it counted for is over.
    mutating func leaveLimit(_ client: UnsafeMutablePointer<ClientConnection>) {
        guard let limit = client.pointee.limit else { return }
        client.pointee.limit = nil
        closeOne(limit, clientAddress(client))
        limit.pointee.release()
    }

    // MARK: - PROXY heads

    /// Takes bytes of a PROXY head, which may come in pieces like any other; what is none goes on as a request.
    mutating func takeProxyHead(
        _ client: UnsafeMutablePointer<ClientConnection>, _ bytes: UnsafeRawPointer, _ length: Int
    ) -> Int {
        guard let block = client.pointee.headBlock else {
            return onProxyHead(client, parseProxy(bytes, length), bytes, length, before: 0)
        }
        let before = block.count
        let piece = min(length, block.room)
        memcpy(block.end, bytes, piece)
        block.pointee.end &+= Int32(truncatingIfNeeded: piece)
        return onProxyHead(client, parseProxy(block.begin, block.count), bytes, length, before: before)
    }

    private mutating func parseProxy(_ bytes: UnsafeRawPointer, _ length: Int) -> ProxyHeadParse {
        parseProxyHead(UnsafeBufferPointer(start: bytes.assumingMemoryBound(to: UInt8.self), count: length).span)
    }

    /// - Parameter before: how many bytes had come, and wait in the block, before these.
    private mutating func onProxyHead(
        _ client: UnsafeMutablePointer<ClientConnection>, _ parse: ProxyHeadParse, _ bytes: UnsafeRawPointer, _ length: Int,
        before: Int
    ) -> Int {
        switch parse {
        case .complete(let head, let headLength):
            count(.proxyHeads)
            if let block = client.pointee.headBlock {
                client.pointee.headBlock = nil
                blocks.giveBack(block)
            }
            client.pointee.state = stateAfterProxyHead(client)
            if head.source.family != .unknown && isProxyTrusted(client) {
                client.pointee.address = SocketAddress(head.source, port: head.sourcePort)
            }
            return letIn(client) ? headLength &- before : length
        case .incomplete:
            if client.pointee.headBlock != nil { return length }
            guard let block = blocks.take(.small), block.room >= length else {
                refuse(client, 503, .outOfMemory)
                return length
            }
            memcpy(block.bytes, bytes, length)
            block.pointee.end = Int32(truncatingIfNeeded: length)
            client.pointee.headBlock = block
            return length
        case .absent:
            if servers[Int(client.pointee.server)].plan.proxyProtocol == .require && isProxyTrusted(client) {
                return failProxyHead(client, length)
            }
            if client.pointee.flags.contains(.encrypted) { return beginWithoutProxyHead(client, before, length) }
            // What had come before is the beginning of a request's head.
            if let block = client.pointee.headBlock { block.pointee.end = block.pointee.begin &+ Int32(truncatingIfNeeded: before) }
            client.pointee.state = before > 0 ? .head : .idle
            client.pointee.headArrival = HeadArrival()
            return letIn(client) ? takeHead(client, bytes, length) : length
        case .failed: return failProxyHead(client, length)
        }
    }

    private mutating func stateAfterProxyHead(_ client: UnsafeMutablePointer<ClientConnection>) -> ClientConnection.State {
        client.pointee.flags.contains(.encrypted) ? .handshaking : .idle
    }

    /// What was no PROXY head begins a handshake; what had come of it before waits in a block. How many of the new bytes were used.
    private mutating func beginWithoutProxyHead(
        _ client: UnsafeMutablePointer<ClientConnection>, _ before: Int, _ length: Int
    ) -> Int {
        client.pointee.state = .handshaking
        guard letIn(client) else { return length }
        guard let block = client.pointee.headBlock else { return 0 }
        client.pointee.headBlock = nil
        var input = TLSInput(start: UnsafeRawPointer(block.begin), count: before)
        onHandshakeBytes(client, &input)
        blocks.giveBack(block)
        return client.pointee.state == .closing ? length : 0
    }

    private mutating func failProxyHead(_ client: UnsafeMutablePointer<ClientConnection>, _ length: Int) -> Int {
        count(.proxyHeadsRefused)
        refuse(client, 400, .proxyRefused)
        return length
    }
}

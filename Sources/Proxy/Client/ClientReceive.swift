import Glibc

/// Bytes from clients: received, understood as heads and bodies, or kept until they can be used.
extension Worker where Ring: ~Copyable {
    /// Arms the receive unless it is armed or not wanted now.
    @inline(__always)
    mutating func receive(_ client: UnsafeMutablePointer<ClientConnection>) {
        if !client.pointee.flags.isDisjoint(with: [.receiving, .paused, .sawEnd, .starved]) { return }
        if client.pointee.state == .closing { return }
        client.pointee.flags.insert(.receiving)
        client.pointee.flags.remove(.receiveCancelled)
        client.pointee.inFlight &+= 1
        ring.startReceiveMultishot(client.pointee.fd, group: .client, token: token(.clientReceive, client))
    }

    @inline(__always)
    mutating func token(_ kind: OperationKind, _ client: UnsafeMutablePointer<ClientConnection>) -> OperationToken {
        let slot = client.pointee.timer.slot
        return OperationToken(kind, slot: slot, generation: clients.generation(slot))
    }

    /// Stops receiving; what is on its way still comes.
    mutating func pauseReceiving(_ client: UnsafeMutablePointer<ClientConnection>) {
        client.pointee.flags.insert(.paused)
        cancelReceive(client)
    }

    mutating func cancelReceive(_ client: UnsafeMutablePointer<ClientConnection>) {
        guard client.pointee.flags.contains(.receiving), !client.pointee.flags.contains(.receiveCancelled) else { return }
        client.pointee.flags.insert(.receiveCancelled)
        ring.startCancel(token(.clientReceive, client))
    }

    mutating func resumeReceiving(_ client: UnsafeMutablePointer<ClientConnection>) {
        guard client.pointee.flags.contains(.paused) else { return }
        client.pointee.flags.remove(.paused)
        receive(client)
    }

    mutating func onClientReceive(_ completion: Completion) {
        let slot = completion.token.slot
        guard clients.isCurrent(completion.token) else {
            if let buffer = completion.buffer { ring.returnBuffer(.client, buffer) }
            count(.oddities)
            return
        }
        let client = clients[slot]
        if !completion.hasMore {
            client.pointee.flags.remove([.receiving, .receiveCancelled])
            client.pointee.inFlight &-= 1
        }
        if let buffer = completion.buffer {
            let length = Int(completion.result)
            if length > 0 {
                client.pointee.bytesReceived &+= UInt64(length)
                count(.clientBytesReceived, length)
                let bytes = ring.bufferAddress(.client, buffer)
                client.pointee.flags.contains(.encrypted) ? onSealedBytes(client, bytes, length) : onBytes(client, bytes, length)
            }
            ring.returnBuffer(.client, buffer)
        }
        guard clients.isCurrent(completion.token) else { return }
        if client.pointee.state == .closing {
            releaseIfDone(client)
            return
        }
        if completion.hasMore { return }
        switch completion.result {
        case 0 where completion.buffer == nil: onEnd(client)
        case -ENOBUFS:
            count(.bufferShortages)
            client.pointee.flags.insert(.starved)
            starvedCount &+= 1
        case -ECANCELED, -EINTR, -EAGAIN, 0...: onReceiveStopped(client)
        default: abort(client, .clientGone)
        }
    }

    /// The receive ended without an error: it was paused, or the kernel wants it armed again.
    mutating func onReceiveStopped(_ client: UnsafeMutablePointer<ClientConnection>) {
        if client.pointee.exchange != noSlot, continueSplicing(client) { return }
        receive(client)
    }

    /// New bytes: first come those that wait already.
    mutating func onBytes(
        _ client: UnsafeMutablePointer<ClientConnection>, _ bytes: UnsafeRawPointer, _ length: Int
    ) {
        var used = 0
        if client.pointee.input.isEmpty {
            used = understand(client, bytes, length)
        }
        guard used < length, client.pointee.state != .closing else { return }
        guard client.pointee.input.append(bytes + used, length &- used, from: &blocks) else {
            abort(client, .outOfMemory)
            return
        }
        if client.pointee.input.count >= servers[Int(client.pointee.server)].plan.highBytes { pauseReceiving(client) }
    }

    /// Goes on with bytes that had to wait.
    ///
    /// What follows from them may ask for the same again: the call that is under way goes on by itself, and a second
    /// one would use its bytes twice.
    mutating func useInput(_ client: UnsafeMutablePointer<ClientConnection>) {
        // Using a head may lead here again, while its bytes still stand in the queue: the outer call goes on.
        guard !client.pointee.flags.contains(.usingInput) else { return }
        let slot = client.pointee.timer.slot
        let generation = clients.generation(slot)
        client.pointee.flags.insert(.usingInput)
        while let block = client.pointee.input.head, client.pointee.state != .closing {
            let used = understand(client, block.begin, block.count)
            guard clients.generation(slot) == generation else { return }
            // A connection that began to close has given its input back already.
            if client.pointee.state == .closing || client.pointee.input.isEmpty { break }
            client.pointee.input.consume(used, into: &blocks)
            if used == 0 { break }
        }
        client.pointee.flags.remove(.usingInput)
        guard client.pointee.state != .closing else { return }
        if client.pointee.input.isEmpty && client.pointee.state == .body { resumeWaitingForBody(client) }
        let low = servers[Int(client.pointee.server)].plan.lowBytes
        if client.pointee.input.count <= low, mayReceive(client) { resumeReceiving(client) }
        if client.pointee.input.isEmpty && client.pointee.flags.contains(.sawEnd) { onEnd(client) }
    }

    /// Whether nothing but the amount of waiting bytes keeps the client from being read.
    private mutating func mayReceive(_ client: UnsafeMutablePointer<ClientConnection>) -> Bool {
        let exchange = client.pointee.exchange
        return exchange == noSlot || exchanges[exchange].pointee.flags.isDisjoint(with: [.splicingRequest, .waitsToRead])
    }

    /// Uses as many bytes as the state of the connection allows; returns how many.
    private mutating func understand(
        _ client: UnsafeMutablePointer<ClientConnection>, _ bytes: UnsafeRawPointer, _ length: Int
    ) -> Int {
        var used = 0
        while used < length {
            let piece: Int
            switch client.pointee.state {
            case .idle, .head: piece = takeHead(client, bytes + used, length &- used)
            case .proxyHead: piece = takeProxyHead(client, bytes + used, length &- used)
            // Its bytes are no plain ones.
            case .handshaking: return used
            case .body: piece = takeRequestBody(client, bytes + used, length &- used)
            case .answering: return used
            case .tunnel: piece = takeTunnelBytes(client, bytes + used, length &- used)
            case .lingering: piece = discard(client, length &- used)
            case .closing: return length
            }
            if piece == 0 { return used }
            used &+= piece
        }
        return used
    }

    mutating func discard(_ client: UnsafeMutablePointer<ClientConnection>, _ length: Int) -> Int {
        client.pointee.drainedBytes &+= length
        if client.pointee.drainedBytes > servers[Int(client.pointee.server)].plan.drainBytesMax { close(client) }
        return length
    }

    /// Takes bytes of a head: in place when it is whole, gathered in a block when not.
    mutating func takeHead(
        _ client: UnsafeMutablePointer<ClientConnection>, _ bytes: UnsafeRawPointer, _ length: Int
    ) -> Int {
        if let block = client.pointee.headBlock { return growHead(client, block, bytes, length) }
        switch parse(client, bytes, length) {
        case .complete:
            let headLength = Int(requestHead.headLength)
            guard let size = BlockSize.holding(headLength), let block = blocks.take(size) else {
                refuse(client, 503, .outOfMemory)
                return length
            }
            memcpy(block.bytes, bytes, headLength)
            block.pointee.end = Int32(truncatingIfNeeded: headLength)
            begin(client, block)
            return headLength
        case .incomplete:
            if client.pointee.state == .idle { onHeadBegun(client) }
            let size = BlockSize.holding(max(length, 1)) ?? .large
            guard let block = blocks.take(size) else {
                refuse(client, 503, .outOfMemory)
                return length
            }
            memcpy(block.bytes, bytes, length)
            block.pointee.end = Int32(truncatingIfNeeded: length)
            client.pointee.headBlock = block
            client.pointee.headArrival = HeadArrival()
            return length
        case .failed(let failure):
            refuse(client, failure)
            return length
        }
    }

    /// Adds bytes to an incomplete head and looks whether its end has come.
    private mutating func growHead(
        _ client: UnsafeMutablePointer<ClientConnection>, _ block: UnsafeMutablePointer<Block>, _ bytes: UnsafeRawPointer,
        _ length: Int
    ) -> Int {
        let limits = servers[Int(client.pointee.server)].plan.limits
        var block = block
        let before = block.count
        // One byte more than allowed is enough for the parser to say which limit was passed.
        let most = min(BlockSize.large.payloadBytes, limits.lineBytesMax &+ limits.headBytesMax &+ 16)
        let piece = min(length, most &- before)
        if piece <= 0 {
            refuse(client, 431, .badRequest)
            return length
        }
        if block.room < piece {
            guard let size = BlockSize.holding(before &+ piece), let larger = blocks.take(size) else {
                refuse(client, 503, .outOfMemory)
                return length
            }
            memcpy(larger.bytes, block.begin, before)
            larger.pointee.end = Int32(truncatingIfNeeded: before)
            blocks.giveBack(block)
            block = larger
            client.pointee.headBlock = larger
        }
        memcpy(block.end, bytes, piece)
        block.pointee.end &+= Int32(truncatingIfNeeded: piece)
        switch parse(client, block.begin, block.count) {
        case .complete:
            let headLength = Int(requestHead.headLength)
            block.pointee.end = Int32(truncatingIfNeeded: headLength)
            client.pointee.headBlock = nil
            begin(client, block)
            return max(headLength &- before, 0)
        case .incomplete:
            return piece
        case .failed(let failure):
            refuse(client, failure)
            return length
        }
    }

    @inline(__always)
    private mutating func parse(
        _ client: UnsafeMutablePointer<ClientConnection>, _ bytes: UnsafeRawPointer, _ length: Int
    ) -> HeadParse {
        let span = UnsafeBufferPointer(start: bytes.assumingMemoryBound(to: UInt8.self), count: length).span
        let limits = servers[Int(client.pointee.server)].plan.limits
        if client.pointee.headBlock != nil, !client.pointee.headArrival.isWorthParsing(span, limits: limits) {
            return .incomplete
        }
        var fields = UnsafeMutableBufferPointer(start: scratchFields, count: Self.scratchFieldsMax).mutableSpan
        return parseRequestHead(span, fields: &fields, limits: limits, head: &requestHead)
    }

    /// The first bytes of a request after a pause: from now on its head is due.
    private mutating func onHeadBegun(_ client: UnsafeMutablePointer<ClientConnection>) {
        client.pointee.state = .head
        if client.pointee.waitingFor != .head {
            client.pointee.waitingFor = .head
            wheel.set(&client.pointee.timer, clock.now &+ servers[Int(client.pointee.server)].plan.headNanoseconds)
        }
    }

    /// The peer closed its sending side.
    mutating func onEnd(_ client: UnsafeMutablePointer<ClientConnection>) {
        client.pointee.flags.insert(.sawEnd)
        guard client.pointee.input.isEmpty else { return }
        switch client.pointee.state {
        case .idle, .proxyHead, .handshaking: close(client)
        case .lingering:
            // An answer that is still to be sent goes out first.
            if client.pointee.output.isEmpty && !client.pointee.flags.contains(.sending) { close(client) }
        case .head: client.pointee.headBlock == nil ? close(client) : refuse(client, 400, .clientGone)
        case .body: onRequestBodyCut(client)
        case .answering: break  // a half-closed client still wants its answer
        case .tunnel: onTunnelEnd(client)
        case .closing: releaseIfDone(client)
        }
    }
}

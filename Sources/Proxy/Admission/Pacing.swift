/// Bytes per second: who has sent or got as much as may be waits for his turn, and the other side waits with him.
///
/// Each piece is reserved in the buckets that hold for it and gets the moment at which it may go; those who share a
/// bucket get theirs one after the other, so they take turns. Until then nothing is refused: bytes to a client are held
/// back and its backend is not read; bytes from a client stay where they are. Splices reserve after they moved, because
/// nobody knows before how much will be moved, and wait before they move on.
extension Worker where Ring: ~Copyable {
    /// Marks which directions of an exchange have to be reserved at all.
    mutating func notePacing(_ exchange: UnsafeMutablePointer<Exchange>) {
        for level in 0..<LimitChain.levels {
            guard let limit = exchange.pointee.limits[level] else { continue }
            if limit.pointee.limitsRead { exchange.pointee.flags.insert(.pacesRead) }
            if limit.pointee.limitsWrite { exchange.pointee.flags.insert(.pacesWrite) }
        }
    }

    /// Reserves bytes; returns when they may go, or with `after` when the next ones may.
    private mutating func reserve(_ exchange: UnsafeMutablePointer<Exchange>, _ bytes: Int, isRead: Bool, after: Bool) -> UInt64 {
        let address = clientAddress(clients[exchange.pointee.client])
        let amount = UInt64(max(bytes, 0))
        var slot: UInt64 = 0
        for level in 0..<LimitChain.levels {
            guard let limit = exchange.pointee.limits[level] else { continue }
            let all = isRead ? limit.pointee.all.read : limit.pointee.all.write
            if all.isLimited {
                let word = isRead ? limit.pointee.cell.read : limit.pointee.cell.write
                slot = max(slot, word.reserve(amount, all, now: clock.now, after: after))
            }
            let client = isRead ? limit.pointee.client.read : limit.pointee.client.write
            if client.isLimited, let word = byteWord(limit, address, isRead: isRead) {
                slot = max(slot, SharedBucket(word: word).reserve(amount, client, now: clock.now, after: after))
            }
        }
        return slot
    }

    /// Each direction of a client has an entry of its own in the table.
    private mutating func byteWord(
        _ limit: UnsafePointer<LimitPlan>, _ address: UnsafeMutablePointer<SocketAddress>, isRead: Bool
    ) -> UnsafeMutablePointer<UInt64>? {
        let tag = clientTable.tag(of: address.pointee.host, limit: limit.pointee.identity | (isRead ? 1 : 2), isCount: false)
        return clientTable.findOrEnter(tag, now: clock.now)
    }

    /// Gives back what was reserved and will not go.
    private mutating func refund(_ exchange: UnsafeMutablePointer<Exchange>, _ bytes: Int, isRead: Bool) {
        guard bytes > 0 else { return }
        let address = clientAddress(clients[exchange.pointee.client])
        for level in 0..<LimitChain.levels {
            guard let limit = exchange.pointee.limits[level] else { continue }
            let all = isRead ? limit.pointee.all.read : limit.pointee.all.write
            if all.isLimited { (isRead ? limit.pointee.cell.read : limit.pointee.cell.write).refund(UInt64(bytes), all) }
            let client = isRead ? limit.pointee.client.read : limit.pointee.client.write
            if client.isLimited, let word = byteWord(limit, address, isRead: isRead) {
                SharedBucket(word: word).refund(UInt64(bytes), client)
            }
        }
    }

    private mutating func waitUntil(_ slot: UInt64, _ exchange: UnsafeMutablePointer<Exchange>, isRead: Bool) {
        count(.bytePauses)
        if isRead {
            exchange.pointee.flags.insert(.waitsToRead)
            exchange.pointee.readAt = slot
        } else {
            exchange.pointee.flags.insert(.waitsToWrite)
            exchange.pointee.writeAt = slot
        }
        setPaceTimer(exchange)
    }

    private mutating func setPaceTimer(_ exchange: UnsafeMutablePointer<Exchange>) {
        var at = UInt64.max
        if exchange.pointee.flags.contains(.waitsToRead) { at = exchange.pointee.readAt }
        if exchange.pointee.flags.contains(.waitsToWrite) { at = min(at, exchange.pointee.writeAt) }
        if at < .max { wheel.set(&exchange.pointee.paceTimer, at) }
    }

    // MARK: - From clients

    /// How many of these bytes may be used now; 0 = none, they wait and the client is not read meanwhile.
    mutating func pacedRead(
        _ exchange: UnsafeMutablePointer<Exchange>, _ client: UnsafeMutablePointer<ClientConnection>, _ length: Int
    ) -> Int {
        if exchange.pointee.flags.contains(.waitsToRead) { return 0 }
        if exchange.pointee.readCredit == 0 {
            let piece = min(length, exchange.pointee.limits.helpingBytes)
            let slot = reserve(exchange, piece, isRead: true, after: false)
            exchange.pointee.readCredit = piece
            if slot > clock.now {
                waitUntil(slot, exchange, isRead: true)
                pauseReceiving(client)
                stopWaitingForBody(client)
                return 0
            }
        }
        let used = min(length, exchange.pointee.readCredit)
        exchange.pointee.readCredit &-= used
        return used
    }

    /// Counts what a splice has moved from a client; true when the next ones have to wait.
    mutating func paceSplicedRequest(
        _ exchange: UnsafeMutablePointer<Exchange>, _ client: UnsafeMutablePointer<ClientConnection>, _ bytes: Int
    ) -> Bool {
        guard exchange.pointee.flags.contains(.pacesRead) else { return false }
        let next = reserve(exchange, bytes, isRead: true, after: true)
        guard next > clock.now, exchange.pointee.requestRemaining > 0 else { return false }
        waitUntil(next, exchange, isRead: true)
        stopWaitingForBody(client)
        return true
    }

    // MARK: - To clients

    /// Counts bytes that were queued for a client; where they have to wait they are held back, and the backend with them.
    mutating func paceAnswer(
        _ exchange: UnsafeMutablePointer<Exchange>, _ client: UnsafeMutablePointer<ClientConnection>, _ length: Int
    ) {
        let slot = reserve(exchange, length, isRead: false, after: false)
        guard slot > clock.now else { return }
        exchange.pointee.heldBytes &+= length
        client.pointee.flags.insert(.held)
        let connection = connections[exchange.pointee.connection]
        connection.pointee.flags.formUnion([.held, .full])
        wheel.disarm(&connection.pointee.timer)
        waitUntil(slot, exchange, isRead: false)
        if connection.pointee.exchanges.count > 1 { watchPausedHead(connection) }
    }

    /// Counts what a splice has moved to a client; true when the next ones have to wait.
    mutating func paceSplicedAnswer(
        _ exchange: UnsafeMutablePointer<Exchange>, _ connection: UnsafeMutablePointer<BackendConnection>, _ bytes: Int
    ) -> Bool {
        guard exchange.pointee.flags.contains(.pacesWrite) else { return false }
        let next = reserve(exchange, bytes, isRead: false, after: true)
        guard next > clock.now, connection.pointee.remaining > 0 else { return false }
        waitUntil(next, exchange, isRead: false)
        wheel.disarm(&connection.pointee.timer)
        return true
    }

    /// We are the ones who keep the client waiting: no timer runs against it.
    mutating func restClient(_ client: UnsafeMutablePointer<ClientConnection>) {
        client.pointee.rateSince = 0
        guard client.pointee.state != .tunnel, client.pointee.waitingFor == .writeProgress else { return }
        client.pointee.waitingFor = .nothing
        wheel.disarm(&client.pointee.timer)
    }

    // MARK: - Going on

    /// The moment has come for one direction or both.
    mutating func onPaceTimer(_ exchange: UnsafeMutablePointer<Exchange>) {
        let slot = exchange.pointee.slot
        let isReadDue = exchange.pointee.flags.contains(.waitsToRead) && exchange.pointee.readAt <= clock.now
        let isWriteDue = exchange.pointee.flags.contains(.waitsToWrite) && exchange.pointee.writeAt <= clock.now
        if isReadDue { exchange.pointee.flags.remove(.waitsToRead) }
        if isWriteDue { exchange.pointee.flags.remove(.waitsToWrite) }
        setPaceTimer(exchange)
        guard !exchange.pointee.flags.contains(.abandoned) else { return }
        let client = clients[exchange.pointee.client]
        if isWriteDue {
            exchange.pointee.heldBytes = 0
            client.pointee.flags.remove(.held)
            markDirty(client)
        }
        if isReadDue, !continueSplicing(client) { useInput(client) }
        guard isWriteDue, exchanges.isTaken(slot), exchange.pointee.connection != noSlot else { return }
        let connection = connections[exchange.pointee.connection]
        connection.pointee.flags.remove(.held)
        if exchange.pointee.flags.contains(.splicingAnswer) {
            spliceAnswer(exchange)
        } else if connection.pointee.exchanges.first == slot {
            waitForAnswer(connection)
            receive(connection)
        }
    }

    /// An exchange waits no more, however it ended; what it had reserved and did not move is there for others again.
    mutating func leavePacing(_ exchange: UnsafeMutablePointer<Exchange>) {
        guard !exchange.pointee.flags.isDisjoint(with: [.pacesRead, .pacesWrite]) else { return }
        refund(exchange, exchange.pointee.readCredit, isRead: true)
        refund(exchange, exchange.pointee.heldBytes, isRead: false)
        exchange.pointee.readCredit = 0
        exchange.pointee.heldBytes = 0
        exchange.pointee.flags.remove([.pacesRead, .pacesWrite, .waitsToRead, .waitsToWrite])
        wheel.clear(&exchange.pointee.paceTimer)
        let client = clients[exchange.pointee.client]
        guard client.pointee.flags.contains(.held) else { return }
        client.pointee.flags.remove(.held)
        markDirty(client)
    }
}

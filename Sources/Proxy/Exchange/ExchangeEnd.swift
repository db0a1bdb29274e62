import Glibc

/// How exchanges end: finished, given up, released; and what becomes of the client connection then.
extension Worker where Ring: ~Copyable {
    /// The whole answer has gone into the client's socket.
    mutating func finish(_ exchange: UnsafeMutablePointer<Exchange>) {
        let client = clients[exchange.pointee.client]
        let keeps =
            exchange.pointee.flags.contains(.keepsClient) && exchange.pointee.flags.contains(.requestWhole)
            && !endsClients(exchange.pointee.server)
        exchange.pointee.step = .log
        walk(exchange)
        if !keeps {
            linger(client)
            return
        }
        client.pointee.state = .idle
        client.pointee.rateSince = 0
        restoreClientTimer(client)
        if !client.pointee.input.isEmpty || client.pointee.flags.contains(.sawEnd) || client.pointee.flags.contains(.paused) {
            useInput(client)
        }
    }

    /// Whether client connections of a server end with the answer that they get.
    @inline(__always)
    mutating func endsClients(_ server: Int32) -> Bool { isDraining || servers[Int(server)].state == .leaving }

    /// Ends an exchange whose client is gone or about to be; the backend connection is let go.
    mutating func giveUp(_ exchange: UnsafeMutablePointer<Exchange>) {
        count(.exchangesAborted)
        detach(exchange)
        if exchange.pointee.flags.contains(.abandoned) {
            // Others wait behind it on a shared connection: it stays until its answer has been thrown away.
            logOnce(exchange)
            if !exchange.pointee.limits.isEmpty { leaveLimits(exchange) }
            clients[exchange.pointee.client].pointee.exchange = noSlot
            return
        }
        exchange.pointee.step = .log
        walk(exchange)
    }

    /// Takes an exchange off its backend: out of queues, off its connection.
    mutating func detach(_ exchange: UnsafeMutablePointer<Exchange>) {
        leaveQueue(exchange)
        guard exchange.pointee.connection != noSlot else { return }
        let connection = connections[exchange.pointee.connection]
        // Splicing means that it is alone there by now, and nobody else would read on.
        if exchange.pointee.flags.contains(.pipelined) && !exchange.pointee.flags.contains(.splicingAnswer) {
            exchange.pointee.flags.insert(.abandoned)
            connection.pointee.flags.insert(.full)
            resumeReading(connection)
            return
        }
        release(connection, of: exchange)
        close(connection)
    }

    mutating func log(_ exchange: UnsafeMutablePointer<Exchange>) -> StepResult { .next(.release) }

    mutating func release(_ exchange: UnsafeMutablePointer<Exchange>) -> StepResult {
        logOnce(exchange)
        if !exchange.pointee.flags.contains(.abandoned) {
            clients[exchange.pointee.client].pointee.exchange = noSlot
        }
        releaseSlot(exchange)
        return .done
    }

    /// Gives back all memory of an exchange.
    mutating func releaseSlot(_ exchange: UnsafeMutablePointer<Exchange>) {
        wheel.clear(&exchange.pointee.timer)
        blocks.giveBack(exchange.pointee.headBlock)
        if let block = exchange.pointee.trailers { blocks.giveBack(block) }
        if let block = exchange.pointee.captured { blocks.giveBack(block) }
        if let block = exchange.pointee.fieldBlock { blocks.giveBack(block) }
        if let block = exchange.pointee.target { blocks.giveBack(block) }
        if let block = exchange.pointee.delegation { blocks.giveBack(block) }
        exchange.pointee.keptBody.clear(into: &blocks)
        let limits = exchange.pointee.limits
        if !limits.isEmpty { leaveLimits(exchange) }
        if exchange.pointee.flags.contains(.tunnel) {
            leaveTunnel(exchange)
            releaseLimits(limits)
        } else {
            leavePlan(exchange)
        }
        exchanges.giveBack(exchange.pointee.slot)
        count(.exchangesOpen, -1)
    }
}

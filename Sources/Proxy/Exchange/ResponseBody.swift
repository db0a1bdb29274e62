import Glibc

/// The answer's body on its way from backend to client, where it is copied; `SpliceRelay` moves the large ones.
extension Worker where Ring: ~Copyable {
    /// The head has been passed on: what about the body?
    mutating func deliver(_ exchange: UnsafeMutablePointer<Exchange>) -> StepResult {
        let connection = connections[exchange.pointee.connection]
        if responseHead.isSwitch {
            startTunnel(exchange, connection)
            return .park(.deliver)
        }
        if !responseHead.framing.hasBody {
            endAnswer(connection, exchange)
            return exchanges.isTaken(exchange.pointee.slot) ? .park(.deliver) : .done
        }
        if case .length(let length) = responseHead.framing, maySplice(exchange, length) { startSplicing(exchange) }
        return .park(.deliver)
    }

    /// Queues bytes of the body for the client; false when the exchange had to be given up.
    mutating func deliver(
        _ exchange: UnsafeMutablePointer<Exchange>, _ bytes: UnsafeRawPointer, _ length: Int
    ) -> Bool {
        exchange.pointee.backendBytesReceived &+= UInt64(length)
        if exchange.pointee.flags.contains(.abandoned) { return discardAnswer(exchange, length) }
        let client = clients[exchange.pointee.client]
        exchange.pointee.answerBodyBytes &+= UInt64(length)
        count(.copiedBytes, length)
        let queued =
            exchange.pointee.answerFraming == .chunked
            ? appendChunk(&client.pointee.output, bytes, length)
            : client.pointee.output.append(bytes, length, from: &blocks)
        guard queued else {
            // On a shared connection the answer is read on and thrown away, or those behind it would lose their place.
            let staysOnConnection = exchange.pointee.flags.contains(.pipelined)
            abort(client, .outOfMemory)
            return staysOnConnection
        }
        markDirty(client)
        if client.pointee.output.count >= servers[Int(client.pointee.server)].plan.highBytes {
            pauseReading(connections[exchange.pointee.connection])
        }
        let connection = connections[exchange.pointee.connection]
        if connection.pointee.phase == .untilClose || connection.pointee.phase == .tunnel {
            considerSplicingAnswer(exchange, connection)
        }
        return true
    }

    /// Stops reading from a backend whose client is slower.
    private mutating func pauseReading(_ connection: UnsafeMutablePointer<BackendConnection>) {
        guard !connection.pointee.flags.contains(.paused) else { return }
        connection.pointee.flags.formUnion([.paused, .full])
        wheel.disarm(&connection.pointee.timer)
        if connection.pointee.exchanges.count > 1 { watchPausedHead(connection) }
    }

    mutating func resumeReading(_ connection: UnsafeMutablePointer<BackendConnection>) {
        guard connection.pointee.flags.contains(.paused) else { return }
        connection.pointee.flags.remove(.paused)
        waitForAnswer(connection)
        receive(connection)
    }

    /// The client took bytes: below the low mark its backend is read again.
    mutating func resumeBackend(of client: UnsafeMutablePointer<ClientConnection>) {
        guard client.pointee.exchange != noSlot else { return }
        let exchange = exchanges[client.pointee.exchange]
        guard exchange.pointee.connection != noSlot,
            client.pointee.output.count <= servers[Int(client.pointee.server)].plan.lowBytes
        else { return }
        let connection = connections[exchange.pointee.connection]
        if connection.pointee.exchanges.first == exchange.pointee.slot { resumeReading(connection) }
    }

    /// The answer is whole: the client's queue has it, the backend connection is free for others.
    mutating func endAnswer(
        _ connection: UnsafeMutablePointer<BackendConnection>, _ exchange: UnsafeMutablePointer<Exchange>
    ) {
        if !exchange.pointee.flags.contains(.abandoned) {
            let client = clients[exchange.pointee.client]
            if exchange.pointee.answerFraming == .chunked {
                guard endChunks(
                    &client.pointee.output, &connection.pointee.trailers,
                    without: exchange.pointee.rule.pointee.rewriting.pointee.droppedOfAnswers) else {
                    onConnectionLost(connection, .badAnswer)
                    return
                }
            }
            exchange.pointee.flags.insert(.answerWhole)
            exchange.pointee.flags.remove(.splicingAnswer)
            if client.pointee.state == .body { client.pointee.state = .answering }
            countAnswer(exchange.pointee.status)
            markDirty(client)
        }
        if let block = connection.pointee.trailers {
            connection.pointee.trailers = nil
            blocks.giveBack(block)
        }
        let wasSent = exchange.pointee.flags.contains(.requestSent)
        release(connection, of: exchange)
        connection.pointee.phase = .head
        connection.pointee.flags.remove([.paused, .splicing])
        if exchange.pointee.flags.contains(.abandoned) { releaseSlot(exchange) }
        let isStillSending = connection.pointee.flags.contains(.sending) || !connection.pointee.output.isEmpty
        if !wasSent || connection.pointee.flags.contains(.doomed) || connection.pointee.exchanges.isEmpty && isStillSending {
            // What others sent on this connection goes elsewhere.
            connection.pointee.exchanges.isEmpty ? close(connection) : onIrregular(connection)
        } else if connection.pointee.exchanges.isEmpty {
            putBack(connection)
        } else {
            connection.pointee.headSince = clock.now
            waitForAnswer(connection)
            receive(connection)
        }
    }
}

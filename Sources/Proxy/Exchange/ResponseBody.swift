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
        if !exchange.pointee.flags.isDisjoint(with: [.abandoned, .discardsAnswer]) {
            return exchange.pointee.flags.contains(.abandoned) ? discardAnswer(exchange, length) : discardFirstAnswer(exchange, length)
        }
        let client = clients[exchange.pointee.client]
        exchange.pointee.answerBodyBytes &+= UInt64(length)
        count(.copiedBytes, length)
        let queued =
            exchange.pointee.answerFraming == .chunked
            ? appendChunk(&client.pointee.output, bytes, length)
            : appendBody(client, bytes, length)
        guard queued else {
            // On a shared connection the answer is read on and thrown away, or those behind it would lose their place.
            let staysOnConnection = exchange.pointee.flags.contains(.pipelined)
            abort(client, .outOfMemory)
            return staysOnConnection
        }
        if exchange.pointee.flags.contains(.pacesWrite) { paceAnswer(exchange, client, length) }
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

    /// Queues bytes of a body as they are; where they are many and the client's connection is encrypted, as records at once,
    /// which saves a copy.
    @inline(__always)
    private mutating func appendBody(
        _ client: UnsafeMutablePointer<ClientConnection>, _ bytes: UnsafeRawPointer, _ length: Int
    ) -> Bool {
        var taken = 0
        if let link = client.pointee.tls, length >= Self.sealAtOnceBytesMin, !link.pointee.kernelSeals {
            let recordBytes = servers[Int(client.pointee.server)].plan.recordBytes
            if seal(&client.pointee.output, link, recordBytes: recordBytes) {
                taken = seal(bytes, length, to: &client.pointee.output, link, recordBytes: recordBytes)
                link.pointee.sealedBytes = client.pointee.output.count
            }
        }
        return taken == length || client.pointee.output.append(bytes + taken, length &- taken, from: &blocks)
    }

    /// Fewer bytes wait for the others of the tick, to share a record with them.
    private static var sealAtOnceBytesMin: Int { 4096 }

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
        if exchange.pointee.flags.contains(.discardsAnswer), !exchange.pointee.flags.contains(.abandoned) {
            freeConnection(connection, after: exchange)
            goOnElsewhere(exchange)
            return
        }
        if !exchange.pointee.flags.contains(.abandoned) {
            let client = clients[exchange.pointee.client]
            if exchange.pointee.answerFraming == .chunked {
                guard
                    endChunks(
                        &client.pointee.output, &connection.pointee.trailers,
                        without: exchange.pointee.rule.pointee.rewriting.pointee.droppedOfAnswers)
                else {
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
        freeConnection(connection, after: exchange)
    }

    /// The backend has said all that it had to say to an exchange: its connection is for others, or not worth keeping.
    mutating func freeConnection(
        _ connection: UnsafeMutablePointer<BackendConnection>, after exchange: UnsafeMutablePointer<Exchange>
    ) {
        if let block = connection.pointee.trailers {
            connection.pointee.trailers = nil
            blocks.giveBack(block)
        }
        let wasSent = exchange.pointee.flags.contains(.requestSent)
        release(connection, of: exchange)
        connection.pointee.phase = .head
        connection.pointee.flags.remove([.paused, .splicing, .held])
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

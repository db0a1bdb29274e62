import Glibc

/// The request's body on its way from client to backend: checked, counted, framed anew.
extension Worker where Ring: ~Copyable {
    /// Takes bytes of a body; 0 = they must wait, because no backend connection is ready or it is too far behind.
    mutating func takeRequestBody(
        _ client: UnsafeMutablePointer<ClientConnection>, _ bytes: UnsafeRawPointer, _ length: Int
    ) -> Int {
        guard client.pointee.exchange != noSlot else { return 0 }
        let exchange = exchanges[client.pointee.exchange]
        guard exchange.pointee.connection != noSlot, exchange.pointee.step.rawValue > Step.sendRequest.rawValue else {
            stopWaitingForBody(client)
            return 0
        }
        let connection = connections[exchange.pointee.connection]
        let backend = backends[UInt32(connection.pointee.backend)]
        guard connection.pointee.output.count < backend.pointee.limits.highBytes else {
            stopWaitingForBody(client)
            return 0
        }
        if client.pointee.rateSince == 0 { startWaitingForClient(client) }
        client.pointee.rateBytes &+= UInt64(length)
        client.pointee.progressAt = clock.now
        exchange.pointee.flags.insert(.bodyConsumed)
        switch exchange.pointee.head.framing {
        case .none, .untilClose: return 0
        case .length: return takeCounted(exchange, connection, bytes, length)
        case .chunked: return takeChunked(exchange, connection, bytes, length)
        }
    }

    private mutating func takeCounted(
        _ exchange: UnsafeMutablePointer<Exchange>, _ connection: UnsafeMutablePointer<BackendConnection>,
        _ bytes: UnsafeRawPointer, _ length: Int
    ) -> Int {
        let piece = Int(min(UInt64(length), exchange.pointee.requestRemaining))
        guard connection.pointee.output.append(bytes, piece, from: &blocks) else {
            answer(exchange, 503, .outOfMemory)
            return length
        }
        exchange.pointee.requestRemaining &-= UInt64(piece)
        countRequestBody(exchange, piece)
        markDirty(connection)
        if exchange.pointee.requestRemaining == 0 {
            onRequestWhole(exchange)
        } else {
            considerSplicingRequest(exchange)
        }
        return piece
    }

    private mutating func takeChunked(
        _ exchange: UnsafeMutablePointer<Exchange>, _ connection: UnsafeMutablePointer<BackendConnection>,
        _ bytes: UnsafeRawPointer, _ length: Int
    ) -> Int {
        let span = UnsafeBufferPointer(start: bytes.assumingMemoryBound(to: UInt8.self), count: length).span
        let most = servers[Int(exchange.pointee.server)].plan.bodyBytesMax
        var at = 0
        while true {
            switch exchange.pointee.requestDecoder.next(span, from: at) {
            case .data(let start, let count):
                countRequestBody(exchange, count)
                if exchange.pointee.requestBodyBytes > most {
                    answer(exchange, 413, .bodyTooLarge)
                    return length
                }
                guard appendChunk(&connection.pointee.output, bytes + start, count) else {
                    answer(exchange, 503, .outOfMemory)
                    return length
                }
                markDirty(connection)
                at = start &+ count
            case .needMore:
                return length
            case .trailerBytes(let start, let count):
                guard keepTrailers(&exchange.pointee.trailers, bytes + start, count) else {
                    answer(exchange, 431, .badRequest)
                    return length
                }
                at = start &+ count
            case .end(let next):
                guard endChunks(
                    &connection.pointee.output, &exchange.pointee.trailers, without: exchange.pointee.rule.pointee.rewriting.pointee.dropped) else {
                    answer(exchange, 400, .badRequest)
                    return length
                }
                markDirty(connection)
                onRequestWhole(exchange)
                return next
            case .failed(let failure):
                count(.parseFailures)
                answer(exchange, failure.status, .badRequest)
                return length
            }
        }
    }

    @inline(__always)
    private mutating func countRequestBody(_ exchange: UnsafeMutablePointer<Exchange>, _ bytes: Int) {
        exchange.pointee.requestBodyBytes &+= UInt64(bytes)
        count(.copiedBytes, bytes)
    }

    /// The body's last byte is in the backend connection's queue, or has gone past it.
    mutating func onRequestWhole(_ exchange: UnsafeMutablePointer<Exchange>) {
        exchange.pointee.flags.formUnion([.requestWhole, .requestSent])
        exchange.pointee.flags.remove(.splicingRequest)
        let client = clients[exchange.pointee.client]
        if client.pointee.state == .body { client.pointee.state = .answering }
        client.pointee.rateSince = 0
        if !client.pointee.flags.contains(.sending) && client.pointee.output.isEmpty { restoreClientTimer(client) }
        if exchange.pointee.connection != noSlot {
            let connection = connections[exchange.pointee.connection]
            startWaitingForFirstByte(exchange, backends[UInt32(connection.pointee.backend)])
            exchange.pointee.sentAt = clock.now
            waitForAnswer(connection)
        }
    }

    /// We are the ones who keep the body waiting: no timer runs against the client.
    private mutating func stopWaitingForBody(_ client: UnsafeMutablePointer<ClientConnection>) {
        guard client.pointee.waitingFor == .bodyGap else { return }
        client.pointee.rateSince = 0
        client.pointee.waitingFor = .nothing
        wheel.disarm(&client.pointee.timer)
    }

    /// The body is the client's to send (again): its timers run, unless an answer is being written.
    mutating func resumeWaitingForBody(_ client: UnsafeMutablePointer<ClientConnection>) {
        guard client.pointee.waitingFor != .bodyGap, client.pointee.waitingFor != .writeProgress,
            client.pointee.exchange != noSlot,
            exchanges[client.pointee.exchange].pointee.step.rawValue > Step.sendRequest.rawValue
        else { return }
        startWaitingForClient(client)
        waitForBody(client)
    }

    /// The client closed its side in the middle of the body.
    mutating func onRequestBodyCut(_ client: UnsafeMutablePointer<ClientConnection>) {
        guard client.pointee.exchange != noSlot else {
            close(client)
            return
        }
        let exchange = exchanges[client.pointee.exchange]
        if exchange.pointee.flags.contains(.answerWhole) { return }
        answer(exchange, 400, .clientGone)
    }

    /// The client keeps its body to itself, or gives too little of it.
    mutating func onRequestBodyLate(_ client: UnsafeMutablePointer<ClientConnection>, _ reason: FailureReason) {
        guard client.pointee.exchange != noSlot else {
            close(client)
            return
        }
        answer(exchanges[client.pointee.exchange], 408, reason)
    }

    // MARK: - Chunks

    /// Appends one chunk; false when memory is short.
    mutating func appendChunk(_ queue: inout ByteQueue, _ bytes: UnsafeRawPointer, _ count: Int) -> Bool {
        guard count > 0 else { return true }
        guard let place = queue.reserve(24, from: &blocks) else { return false }
        var writer = HeadWriter(base: place, capacity: 24)
        writer.appendChunkHead(length: UInt64(count))
        queue.commit(writer.count)
        guard queue.append(bytes, count, from: &blocks) else { return false }
        return appendText("\r\n", to: &queue)
    }

    mutating func appendText(_ text: StaticString, to queue: inout ByteQueue) -> Bool {
        queue.append(text.utf8Start, text.utf8CodeUnitCount, from: &blocks)
    }

    /// Collects pieces of a trailer section; the decoder bounds its size.
    mutating func keepTrailers(
        _ block: inout UnsafeMutablePointer<Block>?, _ bytes: UnsafeRawPointer, _ count: Int
    ) -> Bool {
        if block == nil { block = blocks.take(.medium) }
        guard let block, block.room >= count else { return false }
        memcpy(block.end, bytes, count)
        block.pointee.end &+= Int32(truncatingIfNeeded: count)
        return true
    }

    /// Appends the last chunk and the trailer fields that may pass; false when they are unreadable.
    ///
    /// - Parameter dropped: names that do not pass: a field is no more believable at the end of a message.
    mutating func endChunks(
        _ queue: inout ByteQueue, _ trailers: inout UnsafeMutablePointer<Block>?, without dropped: FieldNameSet
    ) -> Bool {
        guard appendText("0\r\n", to: &queue) else { return false }
        if let block = trailers {
            trailers = nil
            defer { blocks.giveBack(block) }
            let span = UnsafeBufferPointer(start: block.begin.assumingMemoryBound(to: UInt8.self), count: block.count).span
            var fields = UnsafeMutableBufferPointer(start: scratchFields, count: Self.scratchFieldsMax).mutableSpan
            guard case .complete(let fieldCount) = parseTrailers(span, fields: &fields, fieldsMax: 100),
                let place = queue.reserve(block.count, from: &blocks)
            else { return false }
            var at = 0
            while at < fieldCount {
                if dropped.contains(fields[at], span) { fields[at].flags.insert(.dropped) }
                at &+= 1
            }
            var writer = HeadWriter(base: place, capacity: block.count)
            writer.appendKeptFields(bytes: span, fields: fields.span, count: fieldCount, fieldsEnd: block.count)
            guard !writer.overflowed else { return false }
            queue.commit(writer.count)
        }
        return appendText("\r\n", to: &queue)
    }
}

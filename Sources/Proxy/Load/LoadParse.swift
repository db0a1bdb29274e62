import Glibc

/// Answers are read where they lie, counted and thrown away.
extension LoadWorker {
    /// Reads answers from bytes; returns how many were used: all but the beginning of a head.
    mutating func parse(_ connection: UnsafeMutablePointer<LoadConnection>, _ bytes: UnsafeRawPointer, _ count: Int) -> Int {
        var at = 0
        while at < count {
            switch connection.pointee.state {
            case .open, .opening: break
            case .closed, .connecting, .draining, .closing, .resting: return count
            }
            let span = UnsafeBufferPointer(start: (bytes + at).assumingMemoryBound(to: UInt8.self), count: count &- at).span
            switch connection.pointee.part {
            case .head:
                // Nobody asked: what comes now belongs to no request, so that no later one may be believed either.
                guard connection.pointee.count > 0 || connection.pointee.state == .opening else {
                    onBadAnswer(connection)
                    return count
                }
                if connection.pointee.carry != nil && !connection.pointee.arrival.isWorthParsing(span, limits: limits) { return at }
                let isOpening = connection.pointee.state == .opening
                let method = isOpening ? Method.get : book[Int(pending(connection, 0).pointee.entry)].pointee.method
                var fields = responseFields.mutableSpan
                switch parseResponseHead(span, fields: &fields, limits: limits, requestMethod: method, head: &response) {
                case .incomplete: return at
                case .failed:
                    onBadAnswer(connection)
                    return count
                case .complete:
                    connection.pointee.arrival = HeadArrival()
                    onHead(connection, bytes + at)
                    at &+= response.headLength
                }
            case .length:
                let piece = min(UInt64(count &- at), connection.pointee.remaining)
                connection.pointee.remaining &-= piece
                tally.bodyBytes &+= piece
                at &+= Int(piece)
                if connection.pointee.remaining == 0 { onAnswer(connection) }
            case .chunks:
                switch connection.pointee.decoder.next(span, from: 0) {
                case .data(let start, let length):
                    tally.bodyBytes &+= UInt64(length)
                    at &+= start &+ length
                case .trailerBytes(let start, let length): at &+= start &+ length
                case .needMore: at = count
                case .end(let next):
                    at &+= next
                    onAnswer(connection)
                case .failed:
                    onBadAnswer(connection)
                    return count
                }
            case .untilEnd:
                tally.bodyBytes &+= UInt64(count &- at)
                at = count
            case .messages:
                switch connection.pointee.reply.next(bytes, count, from: at, expected: book.payload) {
                case .needMore: at = count
                case .message(let next):
                    at = next
                    guard connection.pointee.count > 0 else {
                        onBadAnswer(connection)
                        return count
                    }
                    tally.bodyBytes &+= UInt64(book.payload.count)
                    onAnswer(connection)
                case .ping(let next):
                    at = next
                    answerPing(connection)
                case .closed:
                    onEnd(connection, isBroken: false)
                    return count
                case .failed:
                    onBadAnswer(connection)
                    return count
                }
            }
        }
        return at
    }

    /// A ping goes back as a pong between two messages; when many come while none goes out, not all do (RFC 6455 §5.5.3).
    private mutating func answerPing(_ connection: UnsafeMutablePointer<LoadConnection>) {
        guard connection.pointee.pongs.count < Self.pongBytesMax else { return }
        var frame = InlineArray<131, UInt8>(repeating: 0)
        let length = connection.pointee.reply.writePong(mask: UInt32(truncatingIfNeeded: random.next()), to: &frame)
        let isKept = withUnsafeBytes(of: &frame) { connection.pointee.pongs.append($0.baseAddress!, length, from: &blocks) }
        if isKept { markDirty(connection) }
    }

    private static var pongBytesMax: Int { 2_048 }

    private mutating func onHead(_ connection: UnsafeMutablePointer<LoadConnection>, _ bytes: UnsafeRawPointer) {
        if response.isInterim {
            if connection.pointee.count > 0 && pending(connection, 0).pointee.isMeasured { tally.responses[1] &+= 1 }
            return
        }
        if connection.pointee.state == .opening {
            guard plan.isWebSocket, response.isSwitch, acceptsWebSocket(bytes) else {
                onBadAnswer(connection)
                return
            }
            connection.pointee.part = .messages
            connection.pointee.flags.insert(.keepsAlive)
            becomeOpen(connection)
            return
        }
        if response.isSwitch {
            onBadAnswer(connection)
            return
        }
        connection.pointee.status = response.status
        if response.keepAlive { connection.pointee.flags.insert(.keepsAlive) } else { connection.pointee.flags.remove(.keepsAlive) }
        switch response.framing {
        case .none, .length(0): onAnswer(connection)
        case .length(let length):
            connection.pointee.part = .length
            connection.pointee.remaining = length
        case .chunked:
            connection.pointee.part = .chunks
            connection.pointee.decoder = ChunkedDecoder()
        case .untilClose: connection.pointee.part = .untilEnd
        }
    }

    private func acceptsWebSocket(_ bytes: UnsafeRawPointer) -> Bool {
        let head = UnsafeBufferPointer(start: bytes.assumingMemoryBound(to: UInt8.self), count: response.headLength).span
        for index in 0..<response.fieldCount {
            let field = responseFields[index]
            if equalsFolded(head, start: Int(field.nameStart), length: Int(field.nameLength), "sec-websocket-accept") {
                let value = bytes + Int(field.valueStart)
                return Int(field.valueLength) == WebSocketReply.accept.utf8CodeUnitCount
                    && memcmp(value, WebSocketReply.accept.utf8Start, Int(field.valueLength)) == 0
            }
        }
        return false
    }
}

import CUring
import Glibc

/// Answers as they come: read where they lie, counted, thrown away.
extension LoadWorker {
    /// Smaller buffers for those who read slowly, so that little is taken at a time.
    private var group: BufferGroup { plan.readRate > 0 && plan.readRate < 65_536 ? .client : .backend }

    mutating func receive(_ connection: UnsafeMutablePointer<LoadConnection>) {
        guard !connection.pointee.flags.contains(.receiving) else { return }
        switch connection.pointee.state {
        case .opening, .open, .draining: break
        case .closed, .connecting, .closing, .resting: return
        }
        connection.pointee.flags.insert(.receiving)
        connection.pointee.inFlight &+= 1
        if plan.readRate > 0 {
            ring.startReceive(connection.pointee.socket, group: group, pollFirst: false, token: token(.backendReceive, connection))
        } else {
            ring.startReceiveMultishot(connection.pointee.socket, group: group, token: token(.backendReceive, connection))
        }
    }

    mutating func onReceive(_ completion: Completion) {
        let connection = connections[completion.token.slot]
        if !completion.hasMore {
            connection.pointee.flags.remove(.receiving)
            connection.pointee.inFlight &-= 1
        }
        let length = Int(max(0, completion.result))
        if let buffer = completion.buffer {
            if length > 0 && connection.pointee.state != .closing {
                tally.bytesReceived &+= UInt64(length)
                take(connection, ring.bufferAddress(group, buffer), length)
            }
            ring.returnBuffer(group, buffer)
        }
        if connection.pointee.state == .closing { return }
        if length == 0 {
            let mayGoOn = [-ENOBUFS, -EINTR, -EAGAIN].contains(completion.result)
            if !mayGoOn {
                onEnd(connection, isBroken: completion.result < 0)
                return
            }
        }
        if plan.readRate > 0 && length > 0 {
            let nanoseconds = UInt64(length) &* 1_000_000_000 / UInt64(plan.readRate)
            wheel.set(&connection.pointee.readTimer, clock.now &+ nanoseconds)
        } else {
            receive(connection)
        }
    }

    /// Takes bytes off the wire.
    private mutating func take(_ connection: UnsafeMutablePointer<LoadConnection>, _ bytes: UnsafeRawPointer, _ count: Int) {
        guard connection.pointee.flags.contains(.tls) else {
            use(connection, bytes, count)
            return
        }
        let channel = channel(connection)
        var input = TLSInput(start: bytes, count: count)
        while connection.pointee.state != .closing {
            switch channel.pointee.take(&input, now: Int64(clock.wall / 1_000_000_000), into: scratch, Self.scratchBytes, &blocks) {
            case .bytes(let plain): use(connection, scratch, plain)
            case .opened:
                tally.handshakes &+= 1
                if channel.pointee.stream.isResumed { tally.resumed &+= 1 }
                if connection.pointee.preambleLeft == 0 { becomeOpen(connection) }
            case .wantsInput:
                push(connection)
                return
            case .ended:
                connection.pointee.flags.insert(.sawEnd)
                return
            case .failed:
                if channel.pointee.isOpen {
                    onBadAnswer(connection)
                } else {
                    failToOpen(connection, EPROTO, .tls)
                }
            }
        }
    }

    /// Uses plain bytes, keeping what is the beginning of a head.
    private mutating func use(_ connection: UnsafeMutablePointer<LoadConnection>, _ bytes: UnsafeRawPointer, _ count: Int) {
        var done = 0
        while done < count, let carry = connection.pointee.carry {
            if carry.pointee.begin > 0 {
                let kept = carry.count
                memmove(carry.bytes, carry.begin, kept)
                carry.pointee.begin = 0
                carry.pointee.end = Int32(truncatingIfNeeded: kept)
            }
            let piece = min(count &- done, carry.room)
            memcpy(carry.end, bytes + done, piece)
            carry.pointee.end &+= Int32(truncatingIfNeeded: piece)
            done &+= piece
            let used = parse(connection, carry.begin, carry.count)
            carry.pointee.begin &+= Int32(truncatingIfNeeded: used)
            if connection.pointee.state == .closing { return }
            if carry.count == 0 {
                blocks.giveBack(carry)
                connection.pointee.carry = nil
            } else if used == 0 && carry.room == 0 {
                return onBadAnswer(connection)
            }
        }
        guard done < count else { return }
        done &+= parse(connection, bytes + done, count &- done)
        guard done < count, connection.pointee.state != .closing else { return }
        // No more than a head may have: the parser has refused what is longer.
        guard let carry = blocks.take(.large), count &- done <= carry.room else { return onBadAnswer(connection) }
        memcpy(carry.bytes, bytes + done, count &- done)
        carry.pointee.end = Int32(truncatingIfNeeded: count &- done)
        connection.pointee.carry = carry
    }

    /// Reads answers from bytes; returns how many were used: all but the beginning of a head.
    private mutating func parse(_ connection: UnsafeMutablePointer<LoadConnection>, _ bytes: UnsafeRawPointer, _ count: Int) -> Int {
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

    /// The oldest request has its answer.
    mutating func onAnswer(_ connection: UnsafeMutablePointer<LoadConnection>) {
        if connection.pointee.part != .messages { connection.pointee.part = .head }
        // An answer to what is not wholly sent: the rest would be taken for another request.
        let isEarly = isAnsweredEarly(connection)
        let request = takeOldest(connection)
        if request.isMeasured { record(request, status: connection.pointee.status) }
        keepSession(connection)
        let keepsAlive = connection.pointee.flags.contains(.keepsAlive)
        if keepsAlive && !plan.closes && !isEarly {
            if connection.pointee.count > 0 {
                setTimer(connection, plan.timeoutNanoseconds)
            } else {
                wheel.disarm(&connection.pointee.timer)
            }
            list(connection)
            return
        }
        failAll(connection, .reset, .reset)
        if keepsAlive || isEarly {
            close(connection)
        } else {
            // Who closes first keeps the port busy for a minute: that is the server's.
            connection.pointee.state = .draining
            setTimer(connection, Self.drainNanoseconds)
        }
    }

    /// Whether the oldest request has an answer and is not wholly sent. The ring may tell of an answer before it tells of the
    /// send that caused it; then the bytes in flight that belong to the request are no longer waited for.
    private mutating func isAnsweredEarly(_ connection: UnsafeMutablePointer<LoadConnection>) -> Bool {
        guard connection.pointee.unsent == connection.pointee.count else { return false }
        connection.pointee.unsent &-= 1
        let total = book[Int(pending(connection, 0).pointee.entry)].pointee.count
        let isInFlight =
            connection.pointee.flags.contains(.sending) && !connection.pointee.flags.contains(.tls)
            && connection.pointee.sendingBytes >= total &- connection.pointee.sentOffset
        connection.pointee.sentOffset = isInFlight ? connection.pointee.sentOffset &- total : 0
        return !isInFlight
    }

    @inline(__always)
    private mutating func record(_ request: LoadPending, status: UInt16) {
        tally.answered &+= 1
        if status > 0 { tally.responses[Int(min(status / 100, 5))] &+= 1 }
        let latency = clock.now &- min(request.intended, clock.now)
        tally.latency.record(latency)
        tally.service.record(clock.now &- min(request.sentAt, clock.now))
        worstNanoseconds = max(worstNanoseconds, latency)
        lastAnswerAt = clock.now
    }

    /// With TLS 1.3 a session comes after the handshake: with the first answer it is there.
    private mutating func keepSession(_ connection: UnsafeMutablePointer<LoadConnection>) {
        guard plan.resumes, connection.pointee.flags.contains(.tls), !connection.pointee.flags.contains(.sessionKept) else { return }
        connection.pointee.flags.insert(.sessionKept)
        guard let newer = channel(connection).pointee.stream.session() else { return }
        session?.free()
        session = newer
    }
}

import Glibc

/// Bytes from the origin: one send in flight; what `output` holds goes first, then the plan of the answer.
extension Origin {
    mutating func flush(_ connection: UnsafeMutablePointer<OriginConnection>) {
        guard !connection.pointee.flags.contains(.sending), connection.pointee.state != .closing else { return }
        if connection.pointee.flags.contains(.tls) { return flushRecords(connection) }
        if connection.pointee.output.isEmpty { refill(connection) }
        guard connection.pointee.state != .closing else { return }
        if !connection.pointee.output.isEmpty {
            let more = sendsPattern(connection)
            let length = ring.startSend(
                connection.pointee.socket, of: connection.pointee.output, more: more, token: token(.clientSend, connection))
            startSending(connection, length)
        } else if sendsPattern(connection) {
            let length = Int(min(connection.pointee.remaining, UInt64(OriginPattern.pieceMax)))
            startSending(connection, length)
            connection.pointee.flags.insert(.sendsPattern)
            ring.startSend(
                connection.pointee.socket, pattern.bytes(at: connection.pointee.position), length, more: false,
                token: token(.clientSend, connection))
        } else if connection.pointee.flags.contains(.closeAfterSend) {
            connection.pointee.flags.remove(.closeAfterSend)
            linger(connection)
        }
    }

    /// The answer goes on with bytes of the table.
    func sendsPattern(_ connection: UnsafeMutablePointer<OriginConnection>) -> Bool {
        connection.pointee.state == .answering && connection.pointee.plan == .pattern && !connection.pointee.flags.contains(.waits)
    }

    mutating func startSending(_ connection: UnsafeMutablePointer<OriginConnection>, _ length: Int) {
        connection.pointee.sendingBytes = length
        connection.pointee.flags.insert(.sending)
        connection.pointee.inFlight &+= 1
    }

    mutating func onSend(_ completion: Completion) {
        let connection = connections[completion.token.slot]
        let wasPattern = connection.pointee.flags.contains(.sendsPattern)
        connection.pointee.flags.remove([.sending, .sendsPattern])
        connection.pointee.inFlight &-= 1
        if connection.pointee.state == .closing { return }
        if completion.result < 0 && completion.result != -EINTR && completion.result != -EAGAIN {
            close(connection)
            return
        }
        let sent = min(max(Int(completion.result), 0), connection.pointee.sendingBytes)
        if wasPattern {
            connection.pointee.position = OriginPattern.advance(connection.pointee.position, sent)
            connection.pointee.remaining &-= UInt64(sent)
            if connection.pointee.remaining == 0 {
                endPlan(connection)
                if connection.pointee.state == .closing { return }
            }
        } else if connection.pointee.flags.contains(.tls) {
            onRecordsSent(connection, sent)
        } else {
            connection.pointee.output.consume(sent, into: &blocks)
        }
        if connection.pointee.state != .lingering && connection.pointee.plan != .drip {
            setTimer(connection, connection.pointee.state == .head ? Self.idleNanoseconds : Self.progressNanoseconds)
        }
        goOn(connection)
    }

    /// Puts the next chunk into the empty output of an answer that consists of chunks.
    mutating func refill(_ connection: UnsafeMutablePointer<OriginConnection>) {
        guard connection.pointee.state == .answering, connection.pointee.plan == .chunks,
            !connection.pointee.flags.contains(.waits)
        else { return }
        // Sizes change from chunk to chunk, and none of them suits anybody's buffers.
        let wanted = 1 &+ (connection.pointee.position &* 2_654_435_761 &>> 7) % 16_000
        let length = Int(min(connection.pointee.remaining, UInt64(wanted)))
        guard appendChunk(connection, pattern.bytes(at: connection.pointee.position), length) else {
            close(connection)
            return
        }
        connection.pointee.position = OriginPattern.advance(connection.pointee.position, length)
        connection.pointee.remaining &-= UInt64(length)
        if connection.pointee.remaining > 0 { return }
        if connection.pointee.flags.isDisjoint(with: [.breaksOff, .endsShort]), !append(connection, "0\r\n\r\n") {
            close(connection)
            return
        }
        endPlan(connection)
    }

    /// The body is out, or half of it where the answer is to break off there.
    mutating func endPlan(_ connection: UnsafeMutablePointer<OriginConnection>) {
        connection.pointee.plan = .nothing
        if connection.pointee.flags.contains(.breaksOff) {
            reset(connection)
        } else {
            endAnswer(connection)
        }
    }

    /// Another dot of an answer that comes in drips.
    mutating func drip(_ connection: UnsafeMutablePointer<OriginConnection>) {
        connection.pointee.remaining &-= 1
        guard append(connection, connection.pointee.remaining == 0 ? "\n" : ".") else {
            close(connection)
            return
        }
        if connection.pointee.remaining == 0 { endPlan(connection) } else { setTimer(connection, Self.dripNanoseconds) }
    }

    static var dripNanoseconds: UInt64 { 100_000_000 }

    mutating func appendChunk(
        _ connection: UnsafeMutablePointer<OriginConnection>, _ bytes: UnsafeRawPointer, _ length: Int
    ) -> Bool {
        guard let place = connection.pointee.output.reserve(18, from: &blocks) else { return false }
        var writer = HeadWriter(base: place, capacity: 18)
        writer.appendChunkHead(length: UInt64(length))
        connection.pointee.output.commit(writer.count)
        return connection.pointee.output.append(bytes, length, from: &blocks) && append(connection, "\r\n")
    }

    mutating func append(_ connection: UnsafeMutablePointer<OriginConnection>, _ text: StaticString) -> Bool {
        connection.pointee.output.append(text.utf8Start, text.utf8CodeUnitCount, from: &blocks)
    }
}

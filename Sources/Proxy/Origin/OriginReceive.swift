import Glibc

/// Bytes to the origin: kept in a queue, and used from there as far as the state of the connection allows.
extension Origin {
    mutating func receive(_ connection: UnsafeMutablePointer<OriginConnection>) {
        guard connection.pointee.flags.isDisjoint(with: [.receiving, .paused, .sawEnd]),
            connection.pointee.state != .closing
        else { return }
        connection.pointee.flags.insert(.receiving)
        connection.pointee.inFlight &+= 1
        if settings.receivesOnce {
            ring.startReceive(connection.pointee.socket, group: .backend, pollFirst: false, token: token(.clientReceive, connection))
        } else {
            ring.startReceiveMultishot(connection.pointee.socket, group: .backend, token: token(.clientReceive, connection))
        }
    }

    mutating func onReceive(_ completion: Completion) {
        let connection = connections[completion.token.slot]
        if !completion.hasMore {
            connection.pointee.flags.remove(.receiving)
            connection.pointee.inFlight &-= 1
        }
        var kept = true
        if let buffer = completion.buffer {
            let length = Int(completion.result)
            if length > 0 && connection.pointee.state != .closing && connection.pointee.state != .lingering {
                let bytes = ring.bufferAddress(.backend, buffer)
                kept =
                    connection.pointee.flags.contains(.tls)
                    ? receiveRecords(connection, bytes, length)
                    : connection.pointee.input.append(bytes, length, from: &blocks)
            }
            ring.returnBuffer(.backend, buffer)
        }
        if connection.pointee.state == .closing { return }
        let isBroken = completion.result < 0 && ![-ENOBUFS, -ECANCELED, -EINTR, -EAGAIN].contains(completion.result)
        if !kept || isBroken {
            close(connection)
            return
        }
        if completion.result == 0 { connection.pointee.flags.insert(.sawEnd) }
        goOn(connection)
    }

    /// Uses what has come, sends what that made, and reads on or pauses.
    mutating func goOn(_ connection: UnsafeMutablePointer<OriginConnection>) {
        use(connection)
        guard connection.pointee.state != .closing else { return }
        if connection.pointee.flags.contains(.sawEnd) && connection.pointee.input.isEmpty { onEnd(connection) }
        guard connection.pointee.state != .closing else { return }
        flush(connection)
        guard connection.pointee.state != .closing else { return }
        if connection.pointee.input.count < Self.highBytes {
            connection.pointee.flags.remove(.paused)
            receive(connection)
        } else if !connection.pointee.flags.contains(.paused) {
            connection.pointee.flags.insert(.paused)
            if connection.pointee.flags.contains(.receiving) { ring.startCancel(token(.clientReceive, connection)) }
        }
    }

    private mutating func use(_ connection: UnsafeMutablePointer<OriginConnection>) {
        while !connection.pointee.input.isEmpty {
            let before = connection.pointee.input.count
            switch connection.pointee.state {
            case .head:
                // Answers to a peer that does not read them must not pile up.
                guard connection.pointee.output.count < Self.highBytes else { return }
                takeHead(connection)
            case .body:
                guard connection.pointee.output.count < Self.highBytes else { return }
                takeBody(connection)
            case .tunnel:
                guard connection.pointee.output.count < Self.highBytes else { return }
                takeTunnelBytes(connection)
            case .lingering: connection.pointee.input.clear(into: &blocks)
            case .answering, .closing: return
            }
            if connection.pointee.input.count == before { return }
        }
    }

    /// The peer has closed its side and all it said is used.
    private mutating func onEnd(_ connection: UnsafeMutablePointer<OriginConnection>) {
        switch connection.pointee.state {
        case .head, .tunnel: connection.pointee.flags.insert(.closeAfterSend)
        case .answering: connection.pointee.flags.insert(.endsAfterAnswer)
        case .body: close(connection)
        case .lingering: if !connection.pointee.flags.contains(.closeAfterSend) { close(connection) }
        case .closing: break
        }
    }

    // MARK: - Heads

    private mutating func takeHead(_ connection: UnsafeMutablePointer<OriginConnection>) {
        guard let block = headInOnePiece(connection) else {
            close(connection)
            return
        }
        let span = UnsafeBufferPointer(
            start: UnsafePointer(block.begin.assumingMemoryBound(to: UInt8.self)), count: block.count
        ).span
        var result = HeadParse.incomplete
        if connection.pointee.arrival.isWorthParsing(span, limits: limits) {
            var fields = requestFields.mutableSpan
            result = parseRequestHead(span, fields: &fields, limits: limits, head: &request)
        }
        switch result {
        case .incomplete:
            if !connection.pointee.flags.contains(.headBegun) {
                connection.pointee.flags.insert(.headBegun)
                setTimer(connection, Self.headNanoseconds)
            }
        case .failed(let failure):
            connection.pointee.flags.insert(.endsAfterAnswer)
            connection.pointee.input.clear(into: &blocks)
            answerShort(connection, failure.status)
            releaseHeldAnswer(connection)
            endAnswer(connection)
        case .complete:
            connection.pointee.arrival = HeadArrival()
            connection.pointee.flags.remove(.headBegun)
            setTimer(connection, Self.progressNanoseconds)
            requestBytes = UnsafeRawPointer(block.begin)
            let length = request.headLength
            begin(connection)
            // A failure on the way has given the input back already.
            if connection.pointee.state != .closing { connection.pointee.input.consume(length, into: &blocks) }
        }
    }

    /// The first block of the input, which is made to hold as much of a head as has come; nil without memory.
    private mutating func headInOnePiece(
        _ connection: UnsafeMutablePointer<OriginConnection>
    ) -> UnsafeMutablePointer<Block>? {
        guard let first = connection.pointee.input.head else { return nil }
        let wanted = min(connection.pointee.input.count, limits.headBytesMaxInUse)
        if first.count >= wanted { return first }
        var joined = ByteQueue()
        guard joined.reserve(wanted, from: &blocks) != nil else { return nil }
        while joined.count < wanted, let block = connection.pointee.input.head {
            let piece = min(block.count, wanted &- joined.count)
            memcpy(joined.tail!.end, block.begin, piece)
            joined.commit(piece)
            connection.pointee.input.consume(piece, into: &blocks)
        }
        let made = joined.head!
        while let block = connection.pointee.input.head {
            let count = block.count
            guard joined.append(block.begin, count, from: &blocks) else {
                joined.clear(into: &blocks)
                return nil
            }
            connection.pointee.input.consume(count, into: &blocks)
        }
        connection.pointee.input = joined
        return made
    }

    // MARK: - Bodies

    /// Makes the connection expect the body that the head announced.
    mutating func beginBody(_ connection: UnsafeMutablePointer<OriginConnection>, _ framing: BodyFraming) {
        connection.pointee.state = .body
        connection.pointee.requestBodyBytes = 0
        connection.pointee.firstDifference = nil
        connection.pointee.requestIsChunked = framing == .chunked
        connection.pointee.decoder = ChunkedDecoder()
        if case .length(let length) = framing { connection.pointee.requestRemaining = length }
    }

    private mutating func takeBody(_ connection: UnsafeMutablePointer<OriginConnection>) {
        guard let block = connection.pointee.input.head else { return }
        guard connection.pointee.requestIsChunked else {
            let length = Int(min(UInt64(block.count), connection.pointee.requestRemaining))
            guard sink(connection, block.begin, length) else { return }
            connection.pointee.requestRemaining &-= UInt64(length)
            connection.pointee.input.consume(length, into: &blocks)
            setTimer(connection, Self.progressNanoseconds)
            if connection.pointee.requestRemaining == 0 { onRequestWhole(connection) }
            return
        }
        let span = UnsafeBufferPointer(
            start: UnsafePointer(block.begin.assumingMemoryBound(to: UInt8.self)), count: block.count
        ).span
        switch connection.pointee.decoder.next(span, from: 0) {
        case .data(let start, let length):
            guard sink(connection, block.begin + start, length) else { return }
            connection.pointee.input.consume(start &+ length, into: &blocks)
            setTimer(connection, Self.progressNanoseconds)
        case .trailerBytes(let start, let length): connection.pointee.input.consume(start &+ length, into: &blocks)
        case .needMore: connection.pointee.input.consume(block.count, into: &blocks)
        case .end(let next):
            connection.pointee.input.consume(next, into: &blocks)
            onRequestWhole(connection)
        case .failed: close(connection)
        }
    }

    /// Gives bytes of a body where they belong; false when that was the end of the connection.
    private mutating func sink(
        _ connection: UnsafeMutablePointer<OriginConnection>, _ bytes: UnsafeRawPointer, _ length: Int
    ) -> Bool {
        switch connection.pointee.sink {
        case .discarded: break
        case .compared: compare(connection, bytes, length)
        case .echoed:
            guard
                connection.pointee.requestIsChunked
                    ? appendChunk(connection, bytes, length)
                    : connection.pointee.output.append(bytes, length, from: &blocks)
            else {
                close(connection)
                return false
            }
        }
        connection.pointee.requestBodyBytes &+= UInt64(length)
        return true
    }

    private func compare(
        _ connection: UnsafeMutablePointer<OriginConnection>, _ bytes: UnsafeRawPointer, _ length: Int
    ) {
        var done = 0
        while done < length {
            let piece = min(length &- done, OriginPattern.pieceMax)
            let expected = pattern.bytes(at: connection.pointee.position)
            if connection.pointee.firstDifference == nil && memcmp(bytes + done, expected, piece) != 0 {
                var at = 0
                while at < piece
                    && (bytes + done).load(fromByteOffset: at, as: UInt8.self)
                        == expected.load(fromByteOffset: at, as: UInt8.self)
                { at &+= 1 }
                connection.pointee.firstDifference = connection.pointee.requestBodyBytes &+ UInt64(done &+ at)
            }
            connection.pointee.position = OriginPattern.advance(connection.pointee.position, piece)
            done &+= piece
        }
    }
}

import Glibc

/// Bytes from backends: one receive armed while the connection stands, which watches for its end and is the next read.
extension Worker where Ring: ~Copyable {
    @inline(__always)
    mutating func receive(_ connection: UnsafeMutablePointer<BackendConnection>) {
        if !connection.pointee.flags.isDisjoint(with: [.receiving, .paused, .held, .sawEnd, .starved, .splicing]) { return }
        if connection.pointee.state == .closing { return }
        connection.pointee.flags.insert(.receiving)
        connection.pointee.inFlight &+= 1
        ring.startReceive(connection.pointee.fd, group: .backend, pollFirst: true, token: token(.backendReceive, connection))
    }

    mutating func onBackendReceive(_ completion: Completion) {
        guard connections.isCurrent(completion.token) else {
            if let buffer = completion.buffer { ring.returnBuffer(.backend, buffer) }
            count(.oddities)
            return
        }
        let connection = connections[completion.token.slot]
        connection.pointee.flags.remove(.receiving)
        connection.pointee.inFlight &-= 1
        if let buffer = completion.buffer {
            let length = Int(completion.result)
            if length > 0 && connection.pointee.state != .closing {
                backends[UInt32(connection.pointee.backend)].pointee.bytesReceived &+= UInt64(length)
                let bytes = ring.bufferAddress(.backend, buffer)
                if let link = connection.pointee.tls {
                    onSealedBytes(connection, link, bytes, length)
                } else {
                    onBytes(connection, bytes, length)
                }
            }
            ring.returnBuffer(.backend, buffer)
        }
        guard connections.isCurrent(completion.token) else { return }
        if connection.pointee.state == .closing {
            releaseIfDone(connection)
            return
        }
        switch completion.result {
        case 1...:
            if Int(completion.result) == ring.bufferBytes(.backend), !takeMore(connection) { return }
            receive(connection)
        case 0: onEnd(connection)
        case -ENOBUFS:
            count(.bufferShortages)
            connection.pointee.flags.insert(.starved)
            starvedCount &+= 1
        case -EINTR, -EAGAIN: receive(connection)
        default: onConnectionLost(connection, .backendReset)
        }
    }

    /// What may be taken beyond a buffer that came full.
    static var bulkRoomBytes: Int { 48 &* 1024 }

    /// A buffer that is full of a body's bytes means that more wait: takes them at once, for a send that is worth more. False =
    /// the connection has ended or gone on otherwise.
    private mutating func takeMore(_ connection: UnsafeMutablePointer<BackendConnection>) -> Bool {
        let isBody = connection.pointee.phase == .length || connection.pointee.phase == .chunked || connection.pointee.phase == .untilClose
        guard isBody, connection.pointee.state == .active,
            connection.pointee.flags.isDisjoint(with: [.receiving, .paused, .held, .splicing, .sawEnd])
        else { return true }
        var most = Self.bulkRoomBytes
        if connection.pointee.phase == .length, connection.pointee.tls == nil { most = min(most, Int(clamping: connection.pointee.remaining)) }
        let slot = connection.pointee.timer.slot
        let generation = connections.generation(slot)
        let got = ring.receiveNow(connection.pointee.fd, into: bulkRoom, most)
        // An end or a failure is found again by the receive that follows.
        guard got > 0 else { return true }
        backends[UInt32(connection.pointee.backend)].pointee.bytesReceived &+= UInt64(got)
        if let link = connection.pointee.tls {
            onSealedBytes(connection, link, bulkRoom, got)
        } else {
            onBytes(connection, bulkRoom, got)
        }
        return connections.generation(slot) == generation && connection.pointee.state != .closing
    }

    /// Works through what came: ends of heads, pieces of bodies, perhaps of several answers in a row.
    mutating func onBytes(
        _ connection: UnsafeMutablePointer<BackendConnection>, _ bytes: UnsafeRawPointer, _ length: Int
    ) {
        if connection.pointee.state == .idle {
            // Nothing was asked: whatever this is, it belongs to no one.
            count(.oddities)
            close(connection)
            return
        }
        if connection.pointee.phase != .tunnel { waitForAnswer(connection) }
        var used = 0
        while used < length && connection.pointee.state == .active {
            guard connection.pointee.exchanges.first != noSlot else {
                onIrregular(connection)
                return
            }
            let exchange = exchanges[connection.pointee.exchanges.first]
            let piece = take(connection, exchange, bytes + used, length &- used)
            if piece == 0 { return }
            used &+= piece
        }
        if used < length && connection.pointee.state == .idle { close(connection) }
    }

    /// Uses some of the bytes by the phase that the answer is in; 0 = the connection is done for.
    private mutating func take(
        _ connection: UnsafeMutablePointer<BackendConnection>, _ exchange: UnsafeMutablePointer<Exchange>,
        _ bytes: UnsafeRawPointer, _ length: Int
    ) -> Int {
        switch connection.pointee.phase {
        case .head: return takeHead(connection, exchange, bytes, length)
        case .length:
            let piece = Int(min(UInt64(length), connection.pointee.remaining))
            guard deliver(exchange, bytes, piece) else { return 0 }
            connection.pointee.remaining &-= UInt64(piece)
            if connection.pointee.remaining == 0 {
                // Bytes beyond the end belong to nobody, unless another answer is due.
                if piece < length && connection.pointee.exchanges.count == 1 { connection.pointee.flags.insert(.doomed) }
                endAnswer(connection, exchange)
            }
            return piece
        case .chunked: return takeChunks(connection, exchange, bytes, length)
        case .untilClose: return deliver(exchange, bytes, length) ? length : 0
        case .tunnel: return takeTunnelBytes(connection, exchange, bytes, length)
        }
    }

    private mutating func takeChunks(
        _ connection: UnsafeMutablePointer<BackendConnection>, _ exchange: UnsafeMutablePointer<Exchange>,
        _ bytes: UnsafeRawPointer, _ length: Int
    ) -> Int {
        let span = UnsafeBufferPointer(start: bytes.assumingMemoryBound(to: UInt8.self), count: length).span
        var at = 0
        while true {
            switch connection.pointee.decoder.next(span, from: at) {
            case .data(let start, let count):
                guard deliver(exchange, bytes + start, count) else { return 0 }
                at = start &+ count
            case .needMore: return length
            case .trailerBytes(let start, let count):
                guard keepTrailers(&connection.pointee.trailers, bytes + start, count) else {
                    onConnectionLost(connection, .badAnswer)
                    return 0
                }
                at = start &+ count
            case .end(let next):
                if next < length && connection.pointee.exchanges.count == 1 { connection.pointee.flags.insert(.doomed) }
                endAnswer(connection, exchange)
                return next
            case .failed:
                count(.parseFailures)
                onConnectionLost(connection, .badAnswer)
                return 0
            }
        }
    }

    /// Takes bytes of an answer's head: in place when it is whole, gathered in a block when not.
    private mutating func takeHead(
        _ connection: UnsafeMutablePointer<BackendConnection>, _ exchange: UnsafeMutablePointer<Exchange>,
        _ bytes: UnsafeRawPointer, _ length: Int
    ) -> Int {
        if !exchange.pointee.flags.contains(.firstByteSeen) {
            if connection.pointee.bytesSent <= exchange.pointee.sentMark, !connection.pointee.flags.contains(.sending) {
                // No byte of the request has gone out: this is no answer to it.
                count(.oddities)
                exchange.pointee.flags.contains(.pipelined)
                    ? onIrregular(connection) : onConnectionLost(connection, .backendClosed)
                return 0
            }
            onFirstByte(connection, exchange)
        }
        guard let block = connection.pointee.headBlock else {
            switch parse(connection, exchange, bytes, length) {
            case .complete:
                let headLength = responseHead.headLength
                bytesBehindHead = length &- headLength
                onHead(connection, exchange, bytes)
                return connection.pointee.state == .closing ? 0 : headLength
            case .incomplete:
                let size = BlockSize.holding(max(length, 1)) ?? .large
                guard let block = blocks.take(size), block.room >= length else {
                    onConnectionLost(connection, .outOfMemory)
                    return 0
                }
                memcpy(block.bytes, bytes, length)
                block.pointee.end = Int32(truncatingIfNeeded: length)
                connection.pointee.headBlock = block
                connection.pointee.headArrival = HeadArrival()
                return length
            case .failed:
                onBadHead(connection, exchange)
                return 0
            }
        }
        return growHead(connection, exchange, block, bytes, length)
    }

    private mutating func growHead(
        _ connection: UnsafeMutablePointer<BackendConnection>, _ exchange: UnsafeMutablePointer<Exchange>,
        _ block: UnsafeMutablePointer<Block>, _ bytes: UnsafeRawPointer, _ length: Int
    ) -> Int {
        var block = block
        let before = block.count
        let piece = min(length, BlockSize.large.payloadBytes &- before)
        if block.room < piece {
            guard piece > 0, let size = BlockSize.holding(before &+ piece), let larger = blocks.take(size) else {
                onConnectionLost(connection, .badAnswer)
                return 0
            }
            memcpy(larger.bytes, block.begin, before)
            larger.pointee.end = Int32(truncatingIfNeeded: before)
            blocks.giveBack(block)
            block = larger
            connection.pointee.headBlock = larger
        }
        guard piece > 0 else {
            onConnectionLost(connection, .badAnswer)
            return 0
        }
        memcpy(block.end, bytes, piece)
        block.pointee.end &+= Int32(truncatingIfNeeded: piece)
        switch parse(connection, exchange, block.begin, block.count) {
        case .complete:
            let headLength = responseHead.headLength
            bytesBehindHead = length &- max(headLength &- before, 0)
            connection.pointee.headBlock = nil
            onHead(connection, exchange, block.begin)
            blocks.giveBack(block)
            return connection.pointee.state == .closing ? 0 : max(headLength &- before, 0)
        case .incomplete: return piece
        case .failed:
            onBadHead(connection, exchange)
            return 0
        }
    }

    /// An unreadable head: on a shared connection it may be the rest of the answer before, so that one is not to blame.
    private mutating func onBadHead(
        _ connection: UnsafeMutablePointer<BackendConnection>, _ exchange: UnsafeMutablePointer<Exchange>
    ) {
        count(.parseFailures)
        exchange.pointee.flags.contains(.pipelined)
            ? onIrregular(connection) : onConnectionLost(connection, .badAnswer)
    }

    @inline(__always)
    private mutating func parse(
        _ connection: UnsafeMutablePointer<BackendConnection>, _ exchange: UnsafeMutablePointer<Exchange>,
        _ bytes: UnsafeRawPointer, _ length: Int
    ) -> HeadParse {
        let span = UnsafeBufferPointer(start: bytes.assumingMemoryBound(to: UInt8.self), count: length).span
        let limits = backends[UInt32(connection.pointee.backend)].pointee.limits.head
        if connection.pointee.headBlock != nil, !connection.pointee.headArrival.isWorthParsing(span, limits: limits) {
            return .incomplete
        }
        var fields = UnsafeMutableBufferPointer(start: scratchFields, count: Self.scratchFieldsMax).mutableSpan
        return parseResponseHead(
            span, fields: &fields, limits: limits, requestMethod: exchange.pointee.head.method, head: &responseHead)
    }

    mutating func onFirstByte(
        _ connection: UnsafeMutablePointer<BackendConnection>, _ exchange: UnsafeMutablePointer<Exchange>
    ) {
        exchange.pointee.flags.insert(.firstByteSeen)
        exchange.pointee.firstByteAt = clock.now
        guard exchange.pointee.flags.contains(.waitsForFirstByte) else { return }
        exchange.pointee.flags.remove(.waitsForFirstByte)
        let backend = backends[UInt32(connection.pointee.backend)]
        guard backend.pointee.candidate >= 0 else { return }
        // Behind others on a shared connection the time counts from the end of the answer before; one that came with
        // that answer says nothing about the backend.
        let since = max(exchange.pointee.sentAt, connection.pointee.headSince)
        if exchange.pointee.flags.contains(.pipelined) && since == clock.now {
            candidate(backend).pointee.roundTrip.onAbandon(now: clock.now)
        } else {
            candidate(backend).pointee.roundTrip.record(sampleNanoseconds: clock.now &- since, now: clock.now)
        }
    }

    /// A head is whole: walks the steps of the answer. `bytes` are the head's, valid during the call.
    private mutating func onHead(
        _ connection: UnsafeMutablePointer<BackendConnection>, _ exchange: UnsafeMutablePointer<Exchange>,
        _ bytes: UnsafeRawPointer
    ) {
        responseBytes = bytes
        exchange.pointee.step = .receiveHead
        walk(exchange)
    }

    /// The backend closed its sending side.
    mutating func onEnd(_ connection: UnsafeMutablePointer<BackendConnection>) {
        connection.pointee.flags.insert(.sawEnd)
        switch connection.pointee.state {
        case .closing: releaseIfDone(connection)
        case .idle: close(connection)
        case .connecting: onConnectFailed(connection, backends[UInt32(connection.pointee.backend)], errno: 0, .backendTLS)
        case .active:
            guard connection.pointee.exchanges.first != noSlot else {
                close(connection)
                return
            }
            let exchange = exchanges[connection.pointee.exchanges.first]
            switch connection.pointee.phase {
            // Under TLS a body ends with close_notify; an end without it may be somebody's cut (RFC 9112 §9.8).
            case .untilClose where !(connection.pointee.tls.map { $0.pointee.sawEnd } ?? true):
                onConnectionLost(connection, .answerTooShort)
            case .untilClose:
                connection.pointee.flags.insert(.doomed)
                endAnswer(connection, exchange)
            case .tunnel where awaitsPassedAnswer(exchange): onConnectionLost(connection, .backendClosed)
            case .tunnel: onTunnelEnd(connection, exchange)
            case .head: onConnectionLost(connection, .backendClosed)
            case .length, .chunked: onConnectionLost(connection, .answerTooShort)
            }
        }
    }
}

import Glibc

/// Requests on their way out: straight from the book, one send in flight for each connection.
extension LoadWorker {
    /// Bytes that are made records of at a time.
    private static var sealedBytesMax: Int { 65_536 }

    /// How much a slow writer sends at a time: ten pieces a second, and at least a byte.
    private var pieceBytes: Int { plan.writeRate > 0 ? max(1, plan.writeRate / 10) : .max }

    /// Sends what has not been sent.
    mutating func push(_ connection: UnsafeMutablePointer<LoadConnection>) {
        guard connection.pointee.flags.isDisjoint(with: [.sending, .paced]) else { return }
        switch connection.pointee.state {
        case .opening, .open: break
        case .closed, .connecting, .draining, .closing, .resting: return
        }
        if connection.pointee.flags.contains(.tls) {
            pushRecords(connection)
        } else if connection.pointee.preambleLeft > 0 {
            let count = min(connection.pointee.preambleLeft, pieceBytes)
            startSend(connection, book.preamble.baseAddress! + (book.preamble.count &- connection.pointee.preambleLeft), count)
        } else if !connection.pointee.pongs.isEmpty && connection.pointee.sentOffset == 0 {
            connection.pointee.flags.insert([.sending, .sendsPongs])
            connection.pointee.inFlight &+= 1
            connection.pointee.sendingBytes = ring.startSend(
                connection.pointee.socket, of: connection.pointee.pongs, more: false, token: token(.backendSend, connection))
        } else if connection.pointee.state == .open && connection.pointee.unsent > 0 {
            pushRequests(connection)
        }
    }

    private mutating func pushRequests(_ connection: UnsafeMutablePointer<LoadConnection>) {
        let firstUnsent = connection.pointee.count &- connection.pointee.unsent
        let first = piece(connection, firstUnsent, offset: connection.pointee.sentOffset)
        if connection.pointee.unsent == 1 || plan.writeRate > 0 {
            startSend(connection, first.bytes, min(first.count, pieceBytes))
            return
        }
        var pieces = SendPieces()
        var total = first.count
        pieces.append(first.bytes, first.count)
        var index = firstUnsent &+ 1
        while index < connection.pointee.count && pieces.count < SendPieces.countMax {
            let next = piece(connection, index, offset: 0)
            pieces.append(next.bytes, next.count)
            total &+= next.count
            index &+= 1
        }
        noteSend(connection, total)
        ring.startSend(connection.pointee.socket, pieces: pieces, more: false, token: token(.backendSend, connection))
    }

    /// The rest of a request's bytes; from its first byte on it is under way.
    private mutating func piece(
        _ connection: UnsafeMutablePointer<LoadConnection>, _ index: Int, offset: Int
    ) -> (bytes: UnsafeRawPointer, count: Int) {
        let request = pending(connection, index)
        if !request.pointee.isSent {
            // The pauses of a slow writer are wanted, and nobody's lag.
            request.pointee.readyAt = max(request.pointee.readyAt, connection.pointee.pausedUntil)
            noteSent(request)
        }
        let entry = book[Int(request.pointee.entry)]
        return (entry.pointee.bytes + offset, entry.pointee.count &- offset)
    }

    private mutating func startSend(_ connection: UnsafeMutablePointer<LoadConnection>, _ bytes: UnsafeRawPointer, _ count: Int) {
        noteSend(connection, count)
        ring.startSend(connection.pointee.socket, bytes, count, more: false, token: token(.backendSend, connection))
    }

    private mutating func noteSend(_ connection: UnsafeMutablePointer<LoadConnection>, _ count: Int) {
        connection.pointee.flags.insert(.sending)
        connection.pointee.inFlight &+= 1
        connection.pointee.sendingBytes = count
    }

    private mutating func pushRecords(_ connection: UnsafeMutablePointer<LoadConnection>) {
        let channel = channel(connection)
        var room = min(Self.sealedBytesMax, pieceBytes)
        if connection.pointee.preambleLeft == 0 && connection.pointee.sentOffset == 0 && !connection.pointee.pongs.isEmpty {
            guard channel.pointee.seal(&connection.pointee.pongs, most: Self.sealedBytesMax, &blocks) else { return failToSeal(connection) }
        }
        while channel.pointee.isOpen && room > 0 {
            let bytes: UnsafeRawPointer
            let count: Int
            if connection.pointee.preambleLeft > 0 {
                count = min(connection.pointee.preambleLeft, room)
                bytes = book.preamble.baseAddress! + (book.preamble.count &- connection.pointee.preambleLeft)
            } else if connection.pointee.state == .open && connection.pointee.unsent > 0 {
                let rest = piece(
                    connection, connection.pointee.count &- connection.pointee.unsent, offset: connection.pointee.sentOffset)
                count = min(rest.count, room)
                bytes = rest.bytes
            } else {
                break
            }
            let taken = channel.pointee.seal(bytes, count, &blocks)
            advance(connection, taken)
            room &-= taken
            if taken < count { return failToSeal(connection) }
        }
        guard !channel.pointee.sealed.isEmpty else { return }
        connection.pointee.flags.insert(.sending)
        connection.pointee.inFlight &+= 1
        connection.pointee.sendingBytes = ring.startSend(
            connection.pointee.socket, of: channel.pointee.sealed, more: false, token: token(.backendSend, connection))
    }

    /// Without memory for records nothing can be sent in order any more.
    private mutating func failToSeal(_ connection: UnsafeMutablePointer<LoadConnection>) {
        if connection.pointee.state == .opening { return failToOpen(connection, ENOMEM, .tls) }
        failAll(connection, .tls, .tls)
        close(connection)
    }

    mutating func onSend(_ completion: Completion) {
        let connection = connections[completion.token.slot]
        let wasPongs = connection.pointee.flags.contains(.sendsPongs)
        connection.pointee.flags.remove([.sending, .sendsPongs])
        connection.pointee.inFlight &-= 1
        if connection.pointee.state == .closing { return }
        // A connection that takes no more may still have an answer for us: its end is told by what is received.
        guard completion.result >= 0 else { return }
        let sent = min(Int(completion.result), connection.pointee.sendingBytes)
        tally.bytesSent &+= UInt64(sent)
        if connection.pointee.flags.contains(.tls) {
            channel(connection).pointee.sealed.consume(sent, into: &blocks)
        } else if wasPongs {
            connection.pointee.pongs.consume(sent, into: &blocks)
        } else {
            advance(connection, sent)
            if connection.pointee.sentOffset < 0 {
                // The server has answered what it cannot have read.
                failAll(connection, .reset, .reset)
                close(connection)
                return
            }
        }
        guard plan.writeRate > 0 else { return push(connection) }
        let due = connection.pointee.sendPace.next(after: sent, bytesPerSecond: plan.writeRate, now: clock.now)
        if due > clock.now {
            connection.pointee.flags.insert(.paced)
            wheel.set(&connection.pointee.sendTimer, due)
        } else {
            push(connection)
        }
    }

    /// So many bytes of what is to be sent have gone.
    private mutating func advance(_ connection: UnsafeMutablePointer<LoadConnection>, _ sent: Int) {
        var left = sent
        if connection.pointee.preambleLeft > 0 {
            let part = min(left, connection.pointee.preambleLeft)
            connection.pointee.preambleLeft &-= part
            left &-= part
        }
        while left > 0 && connection.pointee.unsent > 0 {
            let request = pending(connection, connection.pointee.count &- connection.pointee.unsent)
            let rest = book[Int(request.pointee.entry)].pointee.count &- connection.pointee.sentOffset
            if left < rest {
                connection.pointee.sentOffset &+= left
                return
            }
            left &-= rest
            connection.pointee.sentOffset = 0
            connection.pointee.unsent &-= 1
        }
        // Below zero: bytes of a request whose answer was told of before they were.
        connection.pointee.sentOffset = min(0, connection.pointee.sentOffset &+ left)
    }
}

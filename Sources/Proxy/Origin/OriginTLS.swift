import Glibc

/// Connections of an origin that speaks TLS: plain bytes in `input` and `output` as ever, records on the wire.
extension Origin {
    /// Records that may wait to be sent before more are made.
    private static var sealedBytesMax: Int { 65_536 }

    func channel(_ connection: UnsafeMutablePointer<OriginConnection>) -> UnsafeMutablePointer<TLSChannel> {
        channels + Int(connection.pointee.timer.slot)
    }

    /// Prepares a new connection for its handshake; false without memory.
    mutating func beginTLS(_ connection: UnsafeMutablePointer<OriginConnection>, _ context: TLSContext.Reference) -> Bool {
        guard let stream = TLSStream.accepting(context) else { return false }
        channel(connection).initialize(to: TLSChannel(stream, context))
        connection.pointee.flags.insert(.tls)
        setTimer(connection, Self.headNanoseconds)
        return true
    }

    /// Takes records apart into `input`; false = the connection cannot go on.
    mutating func receiveRecords(
        _ connection: UnsafeMutablePointer<OriginConnection>, _ bytes: UnsafeRawPointer, _ count: Int
    ) -> Bool {
        let channel = channel(connection)
        var input = TLSInput(start: bytes, count: count)
        while true {
            guard let place = connection.pointee.input.reserve(TLSStream.openRoomBytes, from: &blocks) else { return false }
            let room = connection.pointee.input.room
            switch channel.pointee.take(&input, now: Int64(clock.wall / 1_000_000_000), into: place, room, &blocks) {
            case .bytes(let plain): connection.pointee.input.commit(plain)
            case .opened: setTimer(connection, Self.idleNanoseconds)
            case .wantsInput: return true
            case .ended:
                connection.pointee.flags.insert(.sawEnd)
                return true
            case .failed:
                // What OpenSSL has to say about it is sent, then the connection ends.
                connection.pointee.flags.insert(.closeAfterSend)
                connection.pointee.state = .lingering
                return true
            }
        }
    }

    /// What `flush` does where records go out.
    mutating func flushRecords(_ connection: UnsafeMutablePointer<OriginConnection>) {
        let channel = channel(connection)
        if channel.pointee.isOpen { sealAnswer(connection, channel) }
        guard connection.pointee.state != .closing else { return }
        if channel.pointee.sealed.isEmpty, sendsPattern(connection), connection.pointee.remaining == 0 {
            endPlan(connection)
            guard connection.pointee.state != .closing else { return }
        }
        let isLast = connection.pointee.flags.contains(.closeAfterSend) && connection.pointee.output.isEmpty
        if isLast { channel.pointee.sealEnd(&blocks) }
        if !channel.pointee.sealed.isEmpty {
            let length = ring.startSend(
                connection.pointee.socket, of: channel.pointee.sealed, more: false, token: token(.clientSend, connection))
            startSending(connection, length)
        } else if isLast {
            connection.pointee.flags.remove(.closeAfterSend)
            linger(connection)
        }
    }

    private mutating func sealAnswer(
        _ connection: UnsafeMutablePointer<OriginConnection>, _ channel: UnsafeMutablePointer<TLSChannel>
    ) {
        while channel.pointee.sealed.count < Self.sealedBytesMax {
            if connection.pointee.output.isEmpty { refill(connection) }
            guard connection.pointee.state != .closing else { return }
            if !connection.pointee.output.isEmpty {
                guard channel.pointee.seal(&connection.pointee.output, most: Self.sealedBytesMax, &blocks) else {
                    return close(connection)
                }
            } else if sendsPattern(connection), connection.pointee.remaining > 0 {
                let length = Int(min(connection.pointee.remaining, UInt64(Self.sealedBytesMax)))
                let taken = channel.pointee.seal(pattern.bytes(at: connection.pointee.position), length, &blocks)
                guard taken == length else { return close(connection) }
                connection.pointee.position = OriginPattern.advance(connection.pointee.position, taken)
                connection.pointee.remaining &-= UInt64(taken)
            } else {
                return
            }
        }
    }

    /// Sent records are done with.
    mutating func onRecordsSent(_ connection: UnsafeMutablePointer<OriginConnection>, _ sent: Int) {
        channel(connection).pointee.sealed.consume(sent, into: &blocks)
    }
}

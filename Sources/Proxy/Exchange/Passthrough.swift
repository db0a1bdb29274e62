import Glibc

/// Rules that pass bytes through: after the request's head, which is changed like any other, everything goes both ways as
/// it is.
///
/// Until the backend's first byte the exchange is still a request: a lost connection is made good or answered, and the
/// exchange counts as a user of its plan. From that byte on it is a tunnel.
extension Worker where Ring: ~Copyable {
    /// The head is in the backend connection's queue: from now on bytes pass.
    mutating func startPassthrough(
        _ exchange: UnsafeMutablePointer<Exchange>, _ connection: UnsafeMutablePointer<BackendConnection>
    ) {
        let client = clients[exchange.pointee.client]
        // Whatever follows on this connection is not read as HTTP, so it can't serve another request.
        exchange.pointee.flags.remove(.keepsClient)
        exchange.pointee.flags.insert(.passthrough)
        connection.pointee.phase = .tunnel
        connection.pointee.flags.formUnion([.full, .doomed])
        wheel.disarm(&connection.pointee.timer)
        startWaitingForFirstByte(exchange, backends[UInt32(connection.pointee.backend)])
        client.pointee.state = .tunnel
        client.pointee.rateSince = 0
        client.pointee.waitingFor = .tunnelIdle
        touchTunnel(client)
        if !client.pointee.input.isEmpty || !client.pointee.flags.isDisjoint(with: [.sawEnd, .paused]) { useInput(client) }
    }

    /// Whether bytes pass, and none of the answer has come yet.
    @inline(__always)
    func awaitsPassedAnswer(_ exchange: UnsafeMutablePointer<Exchange>) -> Bool {
        exchange.pointee.flags.contains(.passthrough) && !exchange.pointee.flags.contains(.tunnel)
    }

    /// The backend's first bytes, which most likely begin with a status line.
    mutating func onPassedAnswer(
        _ exchange: UnsafeMutablePointer<Exchange>, _ connection: UnsafeMutablePointer<BackendConnection>,
        _ bytes: UnsafeRawPointer, _ length: Int
    ) {
        count(.tunnels)
        onFirstByte(connection, exchange)
        exchange.pointee.status = passedStatus(bytes, length)
        exchange.pointee.backendStatus = exchange.pointee.status
        exchange.pointee.failure = .none
        exchange.pointee.flags.insert(.answerBegun)
        backends[UInt32(connection.pointee.backend)].pointee.responses &+= 1
        enterTunnel(exchange)
    }

    /// The status for the log, where the bytes begin as those of an HTTP answer do; else 0.
    private mutating func passedStatus(_ bytes: UnsafeRawPointer, _ length: Int) -> UInt16 {
        let begin: StaticString = "HTTP/1."
        guard length >= 12, memcmp(bytes, begin.utf8Start, begin.utf8CodeUnitCount) == 0 else { return 0 }
        var status: UInt16 = 0
        for at in 9..<12 {
            let digit = bytes.load(fromByteOffset: at, as: UInt8.self) &- UInt8(ascii: "0")
            guard digit <= 9 else { return 0 }
            status = status &* 10 &+ UInt16(digit)
        }
        return status >= 100 ? status : 0
    }

    /// The connection is gone before a byte of the answer: what the client sends waits until there is another one.
    mutating func stopPassthrough(_ exchange: UnsafeMutablePointer<Exchange>) {
        exchange.pointee.flags.remove([.passthrough, .splicingRequest])
        let client = clients[exchange.pointee.client]
        guard client.pointee.state == .tunnel else { return }
        client.pointee.state = .answering
        client.pointee.waitingFor = .nothing
        wheel.disarm(&client.pointee.timer)
    }
}

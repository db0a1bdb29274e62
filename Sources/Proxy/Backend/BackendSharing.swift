import Glibc

/// Pipelining: safe requests that arrive in one tick share a backend connection and one send.
///
/// The rules keep slow clients, slow answers and irregular backends from hurting their neighbours: only bodyless GET
/// and HEAD; only while the backend answers fast; who can't take its answer loses its followers to other connections;
/// after any irregularity a backend is not shared for a minute.
extension Worker where Ring: ~Copyable {
    private static var sharingPauseNanoseconds: UInt64 { 60_000_000_000 }
    private static var discardBytesMax: Int { 256 &* 1024 }

    /// Whether one more request could join a connection that has some in flight.
    @inline(__always)
    mutating func mayShare(_ backend: UnsafeMutablePointer<Backend>) -> Bool {
        guard backend.pointee.limits.pipeline > 1 else { return false }
        return isFast(backend) && roomiestShared(backend) != noSlot
    }

    @inline(__always)
    private mutating func isFast(_ backend: UnsafeMutablePointer<Backend>) -> Bool {
        guard clock.now >= backend.pointee.sharingOffUntil, backend.pointee.candidate >= 0 else { return false }
        let estimate = candidate(backend).pointee.roundTrip
        return estimate.isKnown && estimate.smoothedNanoseconds < Double(backend.pointee.limits.pipelineNanoseconds)
    }

    /// The connection that requests gather on, while it has room.
    private mutating func roomiestShared(_ backend: UnsafeMutablePointer<Backend>) -> UInt32 {
        let slot = backend.pointee.sharedConnection
        guard slot != noSlot else { return noSlot }
        let connection = connections[slot]
        return connection.pointee.exchanges.count < backend.pointee.limits.pipeline
            && connection.pointee.flags.isDisjoint(with: [.full, .doomed, .sawEnd, .paused, .splicing]) ? slot : noSlot
    }

    /// A connection with others in flight that this request may join; nil where it gets one of its own.
    mutating func sharedConnection(
        for exchange: UnsafeMutablePointer<Exchange>, of backend: UnsafeMutablePointer<Backend>
    ) -> UnsafeMutablePointer<BackendConnection>? {
        guard backend.pointee.limits.pipeline > 1, isShareable(exchange), isFast(backend) else { return nil }
        let slot = roomiestShared(backend)
        guard slot != noSlot else { return nil }
        // What came in this tick gathers on one connection; a later tick begins another batch where one is idle.
        if backend.pointee.sharedTick != tickNumber,
            backend.pointee.idleCount > 0 || backend.pointee.connectionCount < backend.pointee.limits.connectionsMax
        {
            return nil
        }
        let connection = connections[slot]
        if connection.pointee.exchanges.first != noSlot {
            exchanges[connection.pointee.exchanges.first].pointee.flags.insert(.pipelined)
        }
        exchange.pointee.flags.insert(.pipelined)
        count(.pipelinedRequests)
        return connection
    }

    /// Lets later requests join what this one was given.
    mutating func share(
        _ connection: UnsafeMutablePointer<BackendConnection>, _ exchange: UnsafeMutablePointer<Exchange>,
        _ backend: UnsafeMutablePointer<Backend>
    ) {
        guard backend.pointee.limits.pipeline > 1 else { return }
        guard isShareable(exchange) else {
            connection.pointee.flags.insert(.full)
            return
        }
        if connection.pointee.exchanges.count == 1 {
            backend.pointee.sharedTick = tickNumber
            backend.pointee.sharedConnection = connection.pointee.timer.slot
        }
    }

    mutating func isShareable(_ exchange: UnsafeMutablePointer<Exchange>) -> Bool {
        let head = exchange.pointee.head
        return (head.method == .get || head.method == .head) && exchange.pointee.flags.contains(.requestWhole)
            && !head.wantsUpgrade && !exchange.pointee.rule.pointee.isPassthrough && !exchange.pointee.flags.contains(.unshared)
    }

    /// Whether the head that was just parsed is one that a shared connection can't have.
    mutating func isIrregularForSharing(_ connection: UnsafeMutablePointer<BackendConnection>) -> Bool {
        guard connection.pointee.exchanges.count > 1 else { return false }
        return responseHead.versionMinor == 0 || responseHead.framing == .untilClose || responseHead.isSwitch
    }

    mutating func stopSharing(_ backend: UnsafeMutablePointer<Backend>) {
        backend.pointee.sharingOffUntil = clock.now &+ Self.sharingPauseNanoseconds
        backend.pointee.sharedConnection = noSlot
        refresh(backend)
    }

    /// The client at the head can't take its answer: those behind it are sent elsewhere, once.
    mutating func watchPausedHead(_ connection: UnsafeMutablePointer<BackendConnection>) {
        connection.pointee.flags.formUnion([.full, .doomed])
        shedFollowers(connection)
    }

    /// Takes all but the first off a shared connection, which then ends with its first answer.
    private mutating func shedFollowers(_ connection: UnsafeMutablePointer<BackendConnection>) {
        guard connection.pointee.exchanges.first != noSlot else { return }
        retry(takeOff(connection, from: exchanges[connection.pointee.exchanges.first].pointee.next))
    }

    /// Throws away bytes of an answer whose client is gone, up to a bound; beyond it the connection ends.
    mutating func discardAnswer(_ exchange: UnsafeMutablePointer<Exchange>, _ length: Int) -> Bool {
        exchange.pointee.discardedBytes &+= length
        guard exchange.pointee.discardedBytes > Self.discardBytesMax else { return true }
        let connection = connections[exchange.pointee.connection]
        connection.pointee.flags.formUnion([.full, .doomed])
        shedFollowers(connection)
        release(connection, of: exchange)
        releaseSlot(exchange)
        close(connection)
        return false
    }
}

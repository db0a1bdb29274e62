/// Connections to backends that want to be told the client by a PROXY head: the head stands at the beginning, so such a
/// connection serves the client it names and nobody else.
///
/// It stays open for that client's next requests and closes with it. Where a backend has as many connections as it may,
/// the idle one of somebody else makes room.
extension Worker where Ring: ~Copyable {
    /// Stands for a client connection among the owners; never 0.
    @inline(__always)
    func owner(_ client: UInt32) -> UInt64 { OperationToken(.clientReceive, slot: client, generation: clients.generation(client)).raw }

    /// Whether the client that a connection belongs to is still there.
    mutating func isOwned(_ connection: UnsafeMutablePointer<BackendConnection>) -> Bool {
        clients.isCurrent(OperationToken(raw: connection.pointee.owner))
    }

    /// An idle connection that is this client's, or nobody's yet; nil where one has to be opened, for which room is made.
    mutating func connectionOfClient(
        _ exchange: UnsafeMutablePointer<Exchange>, _ backend: UnsafeMutablePointer<Backend>
    ) -> UnsafeMutablePointer<BackendConnection>? {
        let owner = owner(exchange.pointee.client)
        var slot = backend.pointee.idleTop
        while slot != noSlot {
            let connection = connections[slot]
            slot = connection.pointee.nextIdle
            let isFresh = connection.pointee.owner == 0
            guard isFresh || connection.pointee.owner == owner && !exchange.pointee.flags.contains(.fresh) else { continue }
            removeIdle(connection, backend)
            return connection
        }
        if !mayOpen(backend), let other = checkOut(backend) { close(other) }
        return nil
    }

    /// Queues the head that names the exchange's client, as the first bytes of a connection; false when there is no room.
    mutating func sendProxyHead(
        of exchange: UnsafeMutablePointer<Exchange>, on connection: UnsafeMutablePointer<BackendConnection>,
        _ version: BackendSettings.SentProxyHead
    ) -> Bool {
        let client = clients[exchange.pointee.client]
        connection.pointee.owner = owner(exchange.pointee.client)
        client.pointee.flags.insert(.ownsConnections)
        let local = ring.localAddress(client.pointee.fd)
        let address = clientAddress(client)
        let head = ProxyHead(
            source: address.pointee.host, sourcePort: address.pointee.port, destination: local.host, destinationPort: local.port)
        guard let place = connection.pointee.output.reserve(ProxyHead.writtenBytesMax, from: &blocks) else { return false }
        var writer = HeadWriter(base: place, capacity: ProxyHead.writtenBytesMax)
        version == .v1 ? head.writeText(into: &writer) : head.writeBinary(into: &writer)
        connection.pointee.output.commit(writer.count)
        let backend = backends[UInt32(connection.pointee.backend)]
        guard let tls = backend.pointee.limits.tls, connection.pointee.tls == nil else { return true }
        return startHandshake(connection, backend, tls)
    }

    /// A client is gone: nobody else may use what is its own.
    mutating func closeConnections(of client: UnsafeMutablePointer<ClientConnection>) {
        let owner = owner(client.pointee.timer.slot)
        let server = servers + Int(client.pointee.server)
        var at = 0
        while at < server.pointee.candidateCount {
            var slot = backends[server.pointee.candidateBackends[at]].pointee.idleTop
            while slot != noSlot {
                let connection = connections[slot]
                slot = connection.pointee.nextIdle
                if connection.pointee.owner == owner { close(connection) }
            }
            at &+= 1
        }
    }
}

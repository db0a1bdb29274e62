import Glibc

/// TLS toward backends: a connection counts as connected when its handshake is through.
extension Worker where Ring: ~Copyable {
    /// The socket is connected: does TLS come first? True = the handshake has begun, or has failed.
    mutating func beginTLS(
        _ connection: UnsafeMutablePointer<BackendConnection>, _ backend: UnsafeMutablePointer<Backend>
    ) -> Bool {
        // A PROXY head stands before the handshake, so that waits for the client it names.
        guard let tls = backend.pointee.limits.tls, backend.pointee.limits.proxyHead == .off else { return false }
        if !startHandshake(connection, backend, tls) { onConnectFailed(connection, backend, errno: ENOMEM, .outOfMemory) }
        return true
    }

    /// Queues the ClientHello; what follows it in the queue is sent when the handshake is through. False = no memory.
    mutating func startHandshake(
        _ connection: UnsafeMutablePointer<BackendConnection>, _ backend: UnsafeMutablePointer<Backend>, _ tls: BackendTLS
    ) -> Bool {
        guard let link = connect(backend, tls) else { return false }
        connection.pointee.tls = link
        // What stands before it in the queue goes out as it is.
        link.pointee.sealedBytes = connection.pointee.output.count
        var nothing = TLSInput(start: UnsafeRawPointer(plainRoom), count: 0)
        let progress = link.pointee.stream.handshake(
            &nothing, now: Int64(clock.wall / 1_000_000_000), to: &connection.pointee.output, &blocks)
        link.pointee.sealedBytes = connection.pointee.output.count
        markDirty(connection)
        guard progress == .wantsInput else { return false }
        receive(connection)
        return true
    }

    private mutating func connect(_ backend: UnsafeMutablePointer<Backend>, _ tls: BackendTLS) -> UnsafeMutablePointer<TLSLink>? {
        let context = tls.contexts[index]
        guard tls.usesAddress else {
            return addLink(TLSStream.connecting(context, name: tls.name.slice, resuming: backend.pointee.session))
        }
        return withUnsafeTemporaryAllocation(byteCount: 64, alignment: 1) { room in
            var writer = HeadWriter(base: room.baseAddress!, capacity: room.count)
            ClientText(&backend.pointee.address).append(to: &writer)
            let name = ByteSlice(start: UnsafeRawPointer(room.baseAddress!), count: writer.count)
            return addLink(TLSStream.connecting(context, name: name, resuming: backend.pointee.session))
        }
    }

    /// Takes bytes of a connection under TLS.
    mutating func onSealedBytes(
        _ connection: UnsafeMutablePointer<BackendConnection>, _ link: UnsafeMutablePointer<TLSLink>, _ bytes: UnsafeRawPointer,
        _ length: Int
    ) {
        var input = TLSInput(start: bytes, count: length)
        if !link.pointee.isOpen {
            guard var plain = setPlainAside(&connection.pointee.output, link) else {
                onConnectionLost(connection, .outOfMemory)
                return
            }
            let progress = link.pointee.stream.handshake(
                &input, now: Int64(clock.wall / 1_000_000_000), to: &connection.pointee.output, &blocks)
            if putBack(&plain, to: &connection.pointee.output, link) { markDirty(connection) }
            switch progress {
            case .wantsInput: return
            case .wantsName, .failed:
                failTLS(connection, link)
                return
            case .done:
                link.pointee.isOpen = true
                if connection.pointee.state == .connecting {
                    let generation = connections.generation(connection.pointee.timer.slot)
                    onConnected(connection)
                    guard connections.generation(connection.pointee.timer.slot) == generation, connection.pointee.state != .closing
                    else { return }
                }
                markDirty(connection)
            }
        }
        openRecords(connection, link, &input)
    }

    private mutating func openRecords(
        _ connection: UnsafeMutablePointer<BackendConnection>, _ link: UnsafeMutablePointer<TLSLink>, _ input: inout TLSInput
    ) {
        let slot = connection.pointee.timer.slot
        let generation = connections.generation(slot)
        while true {
            guard sealAll(connection, link) else { return }
            guard let next = openRecord(&input, &connection.pointee.output, link) else {
                onConnectionLost(connection, .outOfMemory)
                return
            }
            if next.isMoreToSend { markDirty(connection) }
            switch next.opened {
            case .bytes(let count):
                // Now the backend has taken us, too.
                backends[UInt32(connection.pointee.backend)].pointee.tlsFailure = .none
                keepSession(connection, link)
                onBytes(connection, plainRoom, count)
                guard connections.generation(slot) == generation, connection.pointee.state != .closing else { return }
            case .wantsInput: return
            case .ended:
                link.pointee.sawEnd = true
                onEnd(connection)
                return
            case .failed:
                failTLS(connection, link)
                return
            }
        }
    }

    /// Keeps a session for the next connection to the same backend; with TLS 1.3 there is none before the first answer.
    private mutating func keepSession(_ connection: UnsafeMutablePointer<BackendConnection>, _ link: UnsafeMutablePointer<TLSLink>) {
        guard !link.pointee.hasKeptSession else { return }
        link.pointee.hasKeptSession = true
        let backend = backends[UInt32(connection.pointee.backend)]
        // One that was agreed under other settings would spare the next connection what those now ask for.
        guard connection.pointee.tlsMark == backend.pointee.limits.tlsMark, backend.pointee.limits.tls?.reusesSessions ?? false,
            let session = link.pointee.stream.session()
        else { return }
        forgetSession(backend)
        backend.pointee.session = session
    }

    mutating func forgetSession(_ backend: UnsafeMutablePointer<Backend>) {
        backend.pointee.session?.free()
        backend.pointee.session = nil
    }

    /// Makes records of all that is queued; false when that ended the connection.
    private mutating func sealAll(
        _ connection: UnsafeMutablePointer<BackendConnection>, _ link: UnsafeMutablePointer<TLSLink>
    ) -> Bool {
        switch sealAll(&connection.pointee.output, link, recordBytes: TLSStream.recordBytesMax) {
        case .done: return true
        case .failed: failTLS(connection, link)
        case .noRoom: onConnectionLost(connection, .outOfMemory)
        }
        return false
    }

    /// Before a send: false = there is nothing to send yet, or the connection has ended.
    mutating func prepareRecords(
        _ connection: UnsafeMutablePointer<BackendConnection>, _ link: UnsafeMutablePointer<TLSLink>
    ) -> Bool {
        guard !link.pointee.sendsNoMore else {
            connection.pointee.output.clear(into: &blocks)
            link.pointee.sealedBytes = 0
            if connection.pointee.phase == .tunnel { onTunnelDrained(connection) }
            return false
        }
        if link.pointee.isOpen, !sealAll(connection, link) { return false }
        return link.pointee.sealedBytes > 0
    }

    /// Whether a backend still has to be told that nothing follows; then that is queued.
    mutating func mustSayEnd(_ connection: UnsafeMutablePointer<BackendConnection>) -> Bool {
        guard let link = connection.pointee.tls, link.pointee.isOpen, !link.pointee.endIsSealed, !link.pointee.sendsNoMore,
            connection.pointee.output.count == link.pointee.sealedBytes
        else { return false }
        link.pointee.endIsSealed = true
        guard link.pointee.stream.sealEnd(to: &connection.pointee.output, &blocks) else { return false }
        link.pointee.sealedBytes = connection.pointee.output.count
        markDirty(connection)
        return true
    }

    /// Says the end on the spot, where nothing is under way.
    mutating func sayEndNow(_ connection: UnsafeMutablePointer<BackendConnection>) {
        guard let link = connection.pointee.tls, link.pointee.isOpen, !link.pointee.endIsSealed, connection.pointee.output.isEmpty,
            connection.pointee.flags.isDisjoint(with: [.sending, .sendSideClosed])
        else { return }
        link.pointee.endIsSealed = true
        guard link.pointee.stream.sealEnd(to: &connection.pointee.output, &blocks) else { return }
        if let block = connection.pointee.output.head { _ = ring.sendNow(connection.pointee.fd, block.begin, block.count) }
    }

    /// The backend's certificate, or what it speaks, is not what it must be.
    private mutating func failTLS(_ connection: UnsafeMutablePointer<BackendConnection>, _ link: UnsafeMutablePointer<TLSLink>) {
        let backend = backends[UInt32(connection.pointee.backend)]
        // A session that it did not want is not offered twice.
        forgetSession(backend)
        if backend.pointee.tlsFailure != link.pointee.stream.failure {
            backend.pointee.tlsFailure = link.pointee.stream.failure
            logs.events.emit(
                .error, "TLS with a backend fails", subject: name(backend).slice, reason: backend.pointee.tlsFailure.word)
        }
        // The alert.
        if link.pointee.sealedBytes > 0, !connection.pointee.flags.contains(.sending), let block = connection.pointee.output.head {
            _ = ring.sendNow(connection.pointee.fd, block.begin, min(block.count, link.pointee.sealedBytes))
        }
        link.pointee.isOpen = false
        if connection.pointee.state == .connecting {
            onConnectFailed(connection, backend, errno: 0, .backendTLS)
        } else {
            onConnectionLost(connection, .backendTLS)
        }
    }
}

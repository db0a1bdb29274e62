import Glibc

/// Handshakes of clients: so many steps a tick, so that they starve nobody, and so many under way at a time.
///
/// Bytes of a client that has to wait for its turn are kept; those that have begun come before those that have not.
extension Worker where Ring: ~Copyable {
    /// A step is worth about 200 µs where it signs.
    static var handshakeStepsPerTick: Int { 4 }

    /// Takes bytes of a handshake: now, or when it is this client's turn.
    mutating func onHandshakeBytes(_ client: UnsafeMutablePointer<ClientConnection>, _ input: inout TLSInput) {
        if mayStep(client), client.pointee.input.isEmpty {
            stepHandshake(client, &input)
            return
        }
        guard client.pointee.input.append(input.start, input.count, from: &blocks) else {
            close(client)
            return
        }
        // More is not wanted before these have had their turn.
        pauseReceiving(client)
        waitForTurn(client)
    }

    /// Whether a client may take a step in this tick: those that wait come first.
    private mutating func mayStep(_ client: UnsafeMutablePointer<ClientConnection>) -> Bool {
        guard handshakeStepsLeft > 0, !client.pointee.flags.contains(.waitsForTurn) else { return false }
        if client.pointee.tls != nil { return begunHandshakes.isEmpty }
        let server = servers + Int(client.pointee.server)
        return begunHandshakes.isEmpty && server.pointee.newHandshakes.isEmpty && mayBegin(server)
    }

    private mutating func mayBegin(_ server: UnsafeMutablePointer<ServerRuntime>) -> Bool {
        server.pointee.handshakes < server.pointee.plan.handshakesMax
    }

    // MARK: - Those that wait

    private mutating func waitForTurn(_ client: UnsafeMutablePointer<ClientConnection>) {
        guard !client.pointee.flags.contains(.waitsForTurn) else { return }
        client.pointee.flags.insert(.waitsForTurn)
        handshakesMayMove = true
        if client.pointee.tls != nil {
            var line = begunHandshakes
            append(client, to: &line)
            begunHandshakes = line
        } else {
            append(client, to: &servers[Int(client.pointee.server)].newHandshakes)
        }
    }

    private mutating func append(_ client: UnsafeMutablePointer<ClientConnection>, to line: inout WaitingClients) {
        let slot = client.pointee.timer.slot
        client.pointee.nextWaiting = noSlot
        client.pointee.previousWaiting = line.last
        if line.last == noSlot { line.first = slot } else { clients[line.last].pointee.nextWaiting = slot }
        line.last = slot
    }

    private mutating func remove(_ client: UnsafeMutablePointer<ClientConnection>, from line: inout WaitingClients) {
        let next = client.pointee.nextWaiting
        let previous = client.pointee.previousWaiting
        if previous == noSlot { line.first = next } else { clients[previous].pointee.nextWaiting = next }
        if next == noSlot { line.last = previous } else { clients[next].pointee.previousWaiting = previous }
        client.pointee.nextWaiting = noSlot
        client.pointee.previousWaiting = noSlot
    }

    /// Takes a client out of the line that it waits in, if any.
    mutating func leaveLine(_ client: UnsafeMutablePointer<ClientConnection>) {
        guard client.pointee.flags.contains(.waitsForTurn) else { return }
        client.pointee.flags.remove(.waitsForTurn)
        if client.pointee.tls != nil {
            var line = begunHandshakes
            remove(client, from: &line)
            begunHandshakes = line
        } else {
            remove(client, from: &servers[Int(client.pointee.server)].newHandshakes)
        }
    }

    /// Lets those who wait have the steps of this tick.
    mutating func moveHandshakes() {
        handshakesMayMove = false
        while handshakeStepsLeft > 0, !begunHandshakes.isEmpty { takeTurn(clients[begunHandshakes.first]) }
        for place in 0..<serverCount {
            // Each tick another server is the first.
            let server = servers + (place &+ Int(tickNumber % UInt64(serverCount))) % serverCount
            while handshakeStepsLeft > 0, !server.pointee.newHandshakes.isEmpty, mayBegin(server) {
                takeTurn(clients[server.pointee.newHandshakes.first])
            }
            // Where all that may be under way are, the end of one of them moves the line.
            if !server.pointee.newHandshakes.isEmpty, mayBegin(server) { handshakesMayMove = true }
        }
        if !begunHandshakes.isEmpty { handshakesMayMove = true }
    }

    /// Goes on with the bytes that have waited.
    private mutating func takeTurn(_ client: UnsafeMutablePointer<ClientConnection>) {
        leaveLine(client)
        let slot = client.pointee.timer.slot
        let generation = clients.generation(slot)
        // Taken off the connection: once the handshake is through, its own queue is for plain bytes.
        var waiting = client.pointee.input
        client.pointee.input = ByteQueue()
        // Was paused for its turn; an exchange that begins now may pause it for reasons of its own.
        client.pointee.flags.remove(.paused)
        while let block = waiting.head {
            var input = TLSInput(start: UnsafeRawPointer(block.begin), count: block.count)
            switch client.pointee.state {
            case .handshaking: stepHandshake(client, &input)
            case .lingering, .closing: break
            default: openRecords(client, &input)
            }
            guard clients.generation(slot) == generation else { break }
            waiting.consume(block.count, into: &blocks)
        }
        waiting.clear(into: &blocks)
        guard clients.generation(slot) == generation, client.pointee.state != .closing else { return }
        receive(client)
        if client.pointee.input.isEmpty, client.pointee.flags.contains(.sawEnd) { onEnd(client) }
    }

    // MARK: - A step

    private mutating func stepHandshake(_ client: UnsafeMutablePointer<ClientConnection>, _ input: inout TLSInput) {
        handshakeStepsLeft &-= 1
        guard let link = client.pointee.tls ?? beginHandshake(client) else {
            close(client)
            return
        }
        let now = Int64(clock.wall / 1_000_000_000)
        while true {
            let progress = link.pointee.stream.handshake(&input, now: now, to: &client.pointee.output, &blocks)
            // Nothing else is queued before the handshake is through.
            if client.pointee.output.count > link.pointee.sealedBytes {
                link.pointee.sealedBytes = client.pointee.output.count
                markDirty(client)
            }
            switch progress {
            case .wantsInput: return
            case .wantsName: chooseContext(client, link)
            case .failed:
                failTLS(client, link)
                return
            case .done:
                onHandshakeDone(client, link)
                openRecords(client, &input)
                return
            }
        }
    }

    private mutating func beginHandshake(_ client: UnsafeMutablePointer<ClientConnection>) -> UnsafeMutablePointer<TLSLink>? {
        let server = servers + Int(client.pointee.server)
        // A listener that speaks TLS no more has kept none of its contexts.
        guard let tls = server.pointee.plan.tls,
            let link = addLink(TLSStream.accepting(tls.pointee.context(0, worker: index)))
        else { return nil }
        client.pointee.tls = link
        return link
    }

    /// The client has said which name it wants: its virtual host's section counts, else the server's.
    private mutating func chooseContext(_ client: UnsafeMutablePointer<ClientConnection>, _ link: UnsafeMutablePointer<TLSLink>) {
        let server = servers + Int(client.pointee.server)
        guard let tls = server.pointee.plan.tls else {
            link.pointee.stream.choose(nil, host: -1)
            return
        }
        // From here on it costs: who has sent less than a whole ClientHello keeps nobody out.
        link.pointee.isCounted = true
        server.pointee.handshakes &+= 1
        let name = link.pointee.stream.serverName
        var number = 0
        var host: Int32 = -1
        if name.count > 0, let start = name.start {
            host = server.pointee.plan.hosts.find(UnsafeRawBufferPointer(start: start, count: name.count))
            if host >= 0 { number = Int(tls.pointee.contextOfHost[Int(host)]) }
        }
        link.pointee.contextMark = tls.pointee.marks[number]
        link.pointee.stream.choose(tls.pointee.context(number, worker: index), host: host)
    }

    private mutating func onHandshakeDone(_ client: UnsafeMutablePointer<ClientConnection>, _ link: UnsafeMutablePointer<TLSLink>) {
        count(.handshakes)
        if link.pointee.stream.isResumed { count(.handshakesResumed) }
        // OpenSSL has the certificate, and goes now.
        _ = clientCertificate(link)
        link.pointee.stream.leaveOpenSSL()
        link.pointee.isOpen = true
        endHandshake(client, link)
        client.pointee.state = .idle
        client.pointee.waitingFor = .head
        var patience = servers[Int(client.pointee.server)].plan.headNanoseconds
        if client.pointee.flags.contains(.overLimit) { patience = min(patience, Self.lingerNanoseconds) }
        if isDraining { patience = min(patience, Self.lastRequestNanoseconds) }
        wheel.set(&client.pointee.timer, clock.now &+ patience)
    }

    /// A handshake is under way no more, whatever came of it.
    mutating func endHandshake(_ client: UnsafeMutablePointer<ClientConnection>, _ link: UnsafeMutablePointer<TLSLink>) {
        guard link.pointee.isCounted else { return }
        link.pointee.isCounted = false
        servers[Int(client.pointee.server)].handshakes &-= 1
        if !servers[Int(client.pointee.server)].newHandshakes.isEmpty { handshakesMayMove = true }
    }
}

/// Clients in the order in which they came, linked through them.
struct WaitingClients: BitwiseCopyable {
    var first = noSlot
    var last = noSlot
    var isEmpty: Bool { first == noSlot }
}

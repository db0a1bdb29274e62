import Glibc

/// The listening sockets of one worker and how each is doing.
struct WorkerListeners: ~Copyable {
    struct Entry: BitwiseCopyable {
        var fd: Int32
        var server: Int32
        var isArmed = false
        /// Not before that time: descriptors had run out.
        var retryAt: UInt64 = 0
    }
    let entries: UnsafeMutableBufferPointer<Entry>
    /// Timer that ends the back-off after descriptors ran out.
    let timer: UnsafeMutablePointer<Timer>

    init(_ listeners: [WorkerListener]) {
        entries = .allocate(capacity: max(listeners.count, 1))
        for (index, listener) in listeners.enumerated() {
            entries.initializeElement(at: index, to: Entry(fd: listener.fd, server: Int32(listener.server)))
        }
        count = listeners.count
        timer = .allocate(capacity: 1)
        timer.initialize(to: Timer(.worker, slot: 0))
    }
    let count: Int
}

/// Accepting: one multishot accept a listener, with a pause when descriptors run out.
extension Worker where Ring: ~Copyable {
    private static var backOffNanoseconds: UInt64 { 100_000_000 }

    mutating func startListening() {
        for index in 0..<listeners.count where !listeners.entries[index].isArmed {
            listeners.entries[index].isArmed = true
            ring.startAccept(
                listeners.entries[index].fd, token: OperationToken(.accept, slot: UInt32(index)))
        }
    }

    mutating func onAccept(_ completion: Completion) {
        let index = Int(completion.token.slot)
        let server = listeners.entries[index].server
        if !completion.hasMore { listeners.entries[index].isArmed = false }
        let fd = completion.result
        if fd < 0 {
            if isDraining || fd == -ECANCELED { return }
            if fd == -EMFILE || fd == -ENFILE || fd == -ENOBUFS || fd == -ENOMEM {
                count(.acceptBackoffs)
                logs.events.emit(.error, "accepting pauses: raise max-nofile", error: fd)
                wheel.set(listeners.timer, clock.now &+ Self.backOffNanoseconds)
            } else {
                startListening()
            }
            return
        }
        if !listeners.entries[index].isArmed && !isDraining { startListening() }
        admit(fd, server: Int(server))
    }

    /// Gives an accepted connection its slot, or refuses it with a sentence when the cap is reached.
    private mutating func admit(_ fd: Int32, server: Int) {
        count(.clientsAccepted)
        guard !isDraining, servers[server].connections < servers[server].connectionsMax,
            let slot = clients.take(ClientConnection(fd: fd, server: Int32(server), slot: 0))
        else {
            count(.clientsRefused)
            refuse(fd)
            return
        }
        servers[server].connections &+= 1
        let client = clients[slot]
        client.initialize(to: ClientConnection(fd: fd, server: Int32(server), slot: slot))
        count(.clientsOpen)
        client.pointee.waitingFor = .head
        wheel.set(&client.pointee.timer, clock.now &+ servers[server].headNanoseconds)
        receive(client)
    }

    /// Answers 503 without a slot: what fits into the socket's buffer at once, then closes.
    private mutating func refuse(_ fd: Int32) {
        let answer: StaticString =
            "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\nRetry-After: 1\r\n\r\n"
        _ = ring.sendNow(fd, answer.utf8Start, answer.utf8CodeUnitCount)
        ring.startClose(fd)
    }

    /// Ends accepting for good; connections that still wait in the queue stay with the other holders of the socket.
    mutating func stopListening() {
        for index in 0..<listeners.count where listeners.entries[index].isArmed {
            ring.startCancel(OperationToken(.accept, slot: UInt32(index)))
        }
        wheel.clear(listeners.timer)
    }
}

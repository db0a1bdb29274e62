import CUring
import Glibc

/// The listening sockets of one worker and how each is doing.
struct WorkerListeners: ~Copyable {
    struct Entry: BitwiseCopyable {
        var fd: Int32
        var server: Int32
        /// No other worker has a socket of this address.
        var isAlone: Bool
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
            entries.initializeElement(
                at: index, to: Entry(fd: listener.fd, server: Int32(listener.server), isAlone: isUnixSocket(listener.fd)))
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
            switch -fd {
            case _ where isDraining || fd == -ECANCELED:
                // The supervisor has closed its end too: from now on connections are refused.
                if !completion.hasMore { ring.startClose(listeners.entries[index].fd) }
            case ECONNABORTED, EINTR, EAGAIN: startListening()
            default:
                count(.acceptBackoffs)
                logs.events.emit(.error, "accepting pauses", error: fd)
                wheel.set(listeners.timer, clock.now &+ Self.backOffNanoseconds)
            }
            return
        }
        if !listeners.entries[index].isArmed && !isDraining { startListening() }
        if listeners.entries[index].isAlone && peers.count > 1 {
            handRound(fd, server: Int(server))
        } else {
            admit(fd, server: Int(server))
        }
    }

    /// A unix listener belongs to one worker, which gives its connections to all in turn.
    private mutating func handRound(_ fd: Int32, server: Int) {
        nextPeer = (nextPeer &+ 1) % peers.count
        if nextPeer == index {
            admit(fd, server: server)
        } else {
            peers[nextPeer].post(.client(fd, server: server))
        }
    }

    /// Gives an accepted connection its slot, or refuses it with a sentence when the cap is reached.
    mutating func admit(_ fd: Int32, server: Int) {
        count(.clientsAccepted)
        guard !isDraining, servers[server].connections < servers[server].plan.connectionsMax,
            let slot = clients.take()
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
        wheel.set(&client.pointee.timer, clock.now &+ servers[server].plan.headNanoseconds)
        if servers[server].plan.checksPeers && !welcome(client) { return }
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
        for index in 0..<listeners.count {
            if listeners.entries[index].isArmed {
                ring.startCancel(OperationToken(.accept, slot: UInt32(index)))
            } else {
                ring.startClose(listeners.entries[index].fd)
            }
        }
        wheel.clear(listeners.timer)
    }
}

/// Whether a descriptor is a unix socket.
private func isUnixSocket(_ descriptor: Int32) -> Bool {
    var domain: Int32 = 0
    var length = socklen_t(MemoryLayout<Int32>.size)
    return getsockopt(descriptor, SOL_SOCKET, SO_DOMAIN, &domain, &length) == 0 && domain == AF_UNIX
}

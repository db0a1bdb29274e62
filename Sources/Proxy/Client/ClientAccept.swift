import CUring
import Glibc

/// Accepting: one multishot accept a listener, with a pause when descriptors run out.
extension Worker where Ring: ~Copyable {
    static var backOffNanoseconds: UInt64 { 100_000_000 }

    mutating func startListening() {
        for index in 0..<listeners.count where listeners.entries[index].fd >= 0 && !listeners.entries[index].isArmed {
            if listeners.entries[index].isRetired {
                emptyAndClose(index)
                continue
            }
            listeners.entries[index].isArmed = true
            ring.startAccept(
                listeners.entries[index].fd, token: OperationToken(.accept, slot: UInt32(index)))
        }
    }

    mutating func onAccept(_ completion: Completion) {
        let index = Int(completion.token.slot)
        if !completion.hasMore { listeners.entries[index].isArmed = false }
        if completion.result >= 0 {
            welcome(completion.result, from: index)
        } else {
            onAcceptFailed(completion.result)
        }
        guard !listeners.entries[index].isArmed else { return }
        if isDraining {
            // The supervisor has closed its end too: from now on connections are refused.
            ring.startClose(listeners.entries[index].fd)
            listeners.free(index)
        } else if listeners.entries[index].isRetired {
            emptyAndClose(index)
        } else if completion.result >= 0 || isPassing(completion.result) {
            startListening()
        }
    }

    /// Failures of one connection or one call, after which accepting goes on at once.
    mutating func isPassing(_ result: Int32) -> Bool { result == -ECONNABORTED || result == -EINTR || result == -EAGAIN }

    private mutating func onAcceptFailed(_ result: Int32) {
        if isDraining || result == -ECANCELED || isPassing(result) { return }
        count(.acceptBackoffs)
        logs.events.emit(.error, "accepting pauses", error: result)
        wheel.set(listeners.timer, clock.now &+ Self.backOffNanoseconds)
    }

    /// Gives an accepted connection to the worker that is to serve it.
    mutating func welcome(_ fd: Int32, from index: Int) {
        let entry = listeners.entries[index]
        // The others may have let go of a server that is about to go.
        if entry.isAlone && peers.count > 1 && !entry.isLeaving {
            handRound(fd, server: Int(entry.server))
        } else {
            admit(fd, server: Int(entry.server))
        }
    }

    /// A unix listener belongs to one worker, which gives its connections to all in turn.
    private mutating func handRound(_ fd: Int32, server: Int) {
        nextPeer = (nextPeer &+ 1) % peers.count
        if nextPeer == index {
            admit(fd, server: server)
        } else {
            peers[nextPeer].post(.client(fd, server: servers[server].plan.identity))
        }
    }

    /// A connection that another worker accepted: places of servers differ between workers, identities do not.
    mutating func admit(_ fd: Int32, ofServer identity: Int32) {
        guard let place = (0..<serverCount).first(where: { servers[$0].state != .empty && servers[$0].planUse >= 0 && servers[$0].plan.identity == identity })
        else {
            count(.clientsAccepted)
            count(.clientsRefused)
            return refuse(fd)
        }
        admit(fd, server: place)
    }

    /// Gives an accepted connection its slot, or refuses it with a sentence when the cap is reached.
    mutating func admit(_ fd: Int32, server: Int) {
        count(.clientsAccepted)
        guard !isDraining, servers[server].connections < servers[server].plan.connectionsMax,
            let slot = clients.take()
        else {
            count(.clientsRefused)
            servers[server].plan.tls == nil ? refuse(fd) : ring.startClose(fd)
            return
        }
        servers[server].connections &+= 1
        let client = clients[slot]
        client.initialize(to: ClientConnection(fd: fd, server: Int32(server), slot: slot))
        count(.clientsOpen)
        client.pointee.waitingFor = .head
        if servers[server].plan.tls == nil {
            wheel.set(&client.pointee.timer, clock.now &+ servers[server].plan.headNanoseconds)
        } else {
            client.pointee.flags.insert(.encrypted)
            client.pointee.state = .handshaking
            wheel.set(&client.pointee.timer, clock.now &+ servers[server].plan.handshakeNanoseconds)
        }
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
        for index in 0..<listeners.count where listeners.entries[index].fd >= 0 {
            if listeners.entries[index].isArmed {
                ring.startCancel(OperationToken(.accept, slot: UInt32(index)))
            } else {
                ring.startClose(listeners.entries[index].fd)
                listeners.free(index)
            }
        }
        wheel.clear(listeners.timer)
    }
}

import Glibc

/// What the control thread asks of a worker, done between ticks; and the end of a worker.
extension Worker where Ring: ~Copyable {
    mutating func startWaitingForWake() {
        ring.startRead(
            mailbox.wakeDescriptor, into: UnsafeMutableRawPointer(wakeValue), MemoryLayout<UInt64>.size,
            token: OperationToken(.wake, slot: 0))
    }

    mutating func onWake() { startWaitingForWake() }

    mutating func takeMail() {
        if mailbox.hasMail { readMail() }
    }

    /// Never inlined: what it retains must not be retained by every tick.
    @inline(never)
    private mutating func readMail() {
        for message in mailbox.take() {
            switch message {
            case .drain(let deadline): startDraining(deadlineMilliseconds: deadline)
            case .stop: mustStop = true
            case .logs(let descriptors):
                let use = planUses[Int(newestPlan)]
                logs.replaceDescriptors(descriptors, use.logEntries, count: use.logCount)
            case .addresses(let table): applyAddresses(table)
            case .retireListeners: retireListeners()
            case .plan(let delivery): adopt(delivery)
            case .peers(let mailboxes): peers = mailboxes
            case .client(let fd, let identity): admit(fd, ofServer: identity)
            case .name(let answer): onName(answer)
            }
        }
    }

    /// How long a connection without a request may still begin one when the worker is to end: it may be on its way.
    static var lastRequestNanoseconds: UInt64 { 500_000_000 }

    /// No new connections; those between two requests end now, the others with their answer.
    private mutating func startDraining(deadlineMilliseconds: Int) {
        guard !isDraining else { return }
        isDraining = true
        drainEnd = clock.now &+ UInt64(max(deadlineMilliseconds, 0)) &* 1_000_000
        stopListening()
        for slot in 0..<UInt32(clients.highest) where clients.isTaken(slot) {
            let client = clients[slot]
            if client.pointee.isBetweenRequests {
                close(client)
            } else if client.pointee.state == .idle || client.pointee.state == .proxyHead || client.pointee.state == .handshaking {
                wheel.set(&client.pointee.timer, min(client.pointee.timer.deadline, clock.now &+ Self.lastRequestNanoseconds))
            }
        }
        for slot in 0..<UInt32(connections.highest) where connections.isTaken(slot) {
            let connection = connections[slot]
            if connection.pointee.state == .idle { close(connection) }
        }
        wheel.set(drainTimer, min(drainEnd, clock.now &+ 10_000_000))
    }

    /// Ends the worker when its last client is gone or the deadline has passed.
    mutating func continueDraining() {
        if clients.count == 0 || clock.now >= drainEnd {
            mustStop = true
        } else if !drainTimer.pointee.isLinked {
            wheel.set(drainTimer, min(drainEnd, clock.now &+ 50_000_000))
        }
    }
}

/// Which connection takes which request, and when.
extension LoadWorker {
    /// Gives out what is due: to the connection that has been free longest, or into the queue.
    mutating func startRequests() {
        if plan.timetable == nil {
            let now = clock.now
            while let connection = takeIdle() {
                guard schedule.takeTurn(now: now) else {
                    list(connection)
                    return
                }
                let isMeasured = schedule.isMeasured(now)
                if isMeasured { tally.started &+= 1 }
                assign(connection, DueEntry(intended: now, takenAt: now), isMeasured: isMeasured)
            }
            return
        }
        while let entry = schedule.takeDue(now: clock.now) {
            let isMeasured = schedule.isMeasured(entry.intended)
            if isMeasured { tally.started &+= 1 }
            if !schedule.wait(entry) && isMeasured { tally[.dropped] &+= 1 }
        }
        while schedule.waiting > 0, let connection = takeIdle(), let entry = schedule.takeWaiting() {
            assign(connection, entry, isMeasured: schedule.isMeasured(entry.intended))
        }
    }

    private mutating func takeIdle() -> UnsafeMutablePointer<LoadConnection>? {
        while let slot = idle.take() {
            let connection = connections[slot]
            connection.pointee.flags.remove(.listed)
            // It may have ended since.
            if canTake(connection) { return connection }
        }
        return nil
    }

    private func canTake(_ connection: UnsafeMutablePointer<LoadConnection>) -> Bool {
        switch connection.pointee.state {
        case .open: connection.pointee.count < plan.pipeline
        case .closed: true
        case .connecting, .opening, .draining, .closing, .resting: false
        }
    }

    /// Puts a connection among those that can take a request.
    mutating func list(_ connection: UnsafeMutablePointer<LoadConnection>) {
        guard !connection.pointee.flags.contains(.listed), canTake(connection) else { return }
        connection.pointee.flags.insert(.listed)
        connection.pointee.idleSince = clock.now
        idle.add(connection.pointee.timer.slot)
    }

    private mutating func assign(_ connection: UnsafeMutablePointer<LoadConnection>, _ due: DueEntry, isMeasured: Bool) {
        let place = pending(connection, connection.pointee.count)
        place.initialize(
            to: LoadPending(
                intended: due.intended, readyAt: max(due.intended, connection.pointee.idleSince), takenLate: due.takenAt &- due.intended,
                sentAt: clock.now, entry: Int32(truncatingIfNeeded: book.pick(&turn, &random)), isMeasured: isMeasured, isSent: false))
        connection.pointee.count &+= 1
        connection.pointee.unsent &+= 1
        underWay &+= 1
        if connection.pointee.state == .closed {
            noteSent(place)
            startConnect(connection)
            settle(connection)
            return
        }
        if connection.pointee.count == 1 { setTimer(connection, plan.timeoutNanoseconds) }
        markDirty(connection)
        list(connection)
    }

    /// From now on a request is under way: the first of its bytes goes out, or the connection that it needs is opened.
    mutating func noteSent(_ request: UnsafeMutablePointer<LoadPending>) {
        request.pointee.isSent = true
        request.pointee.sentAt = ring.readClock().now
        if plan.timetable == nil {
            request.pointee.intended = request.pointee.sentAt
        } else if request.pointee.isMeasured {
            tally.lag.record(request.pointee.lag)
        }
    }

    mutating func markDirty(_ connection: UnsafeMutablePointer<LoadConnection>) {
        guard !connection.pointee.flags.contains(.dirty) else { return }
        connection.pointee.flags.insert(.dirty)
        dirty.add(connection.pointee.timer.slot)
    }

    /// The `index`-th request under way on a connection, the oldest first.
    @inline(__always)
    func pending(_ connection: UnsafeMutablePointer<LoadConnection>, _ index: Int) -> UnsafeMutablePointer<LoadPending> {
        var place = connection.pointee.first &+ index
        if place >= plan.pipeline { place &-= plan.pipeline }
        return connections.tail(connection.pointee.timer.slot).assumingMemoryBound(to: LoadPending.self) + place
    }

    /// Takes the oldest request off a connection.
    mutating func takeOldest(_ connection: UnsafeMutablePointer<LoadConnection>) -> LoadPending {
        let oldest = pending(connection, 0).pointee
        connection.pointee.first = connection.pointee.first &+ 1 == plan.pipeline ? 0 : connection.pointee.first &+ 1
        connection.pointee.count &-= 1
        underWay &-= 1
        return oldest
    }

    /// Ends all requests of a connection without an answer.
    mutating func failAll(_ connection: UnsafeMutablePointer<LoadConnection>, _ oldest: LoadError, _ others: LoadError) {
        var error = oldest
        while connection.pointee.count > 0 {
            if takeOldest(connection).isMeasured { tally[error] &+= 1 }
            error = others
        }
        connection.pointee.unsent = 0
        connection.pointee.sentOffset = 0
    }
}

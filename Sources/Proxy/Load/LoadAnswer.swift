/// What an answer means: for the figures, and for the connection it came on.
extension LoadWorker {
    /// The oldest request has its answer.
    mutating func onAnswer(_ connection: UnsafeMutablePointer<LoadConnection>) {
        if connection.pointee.part != .messages { connection.pointee.part = .head }
        // An answer to what is not wholly sent: the rest would be taken for another request.
        let isEarly = isAnsweredEarly(connection)
        let request = takeOldest(connection)
        if schedule.isInMeasuredTime(clock.now) { tally.answeredInTime &+= 1 }
        if request.isMeasured { record(request, status: connection.pointee.status) }
        keepSession(connection)
        let keepsAlive = connection.pointee.flags.contains(.keepsAlive)
        if keepsAlive && !plan.closes && !isEarly {
            if connection.pointee.count > 0 {
                setTimer(connection, plan.timeoutNanoseconds)
            } else {
                wheel.disarm(&connection.pointee.timer)
            }
            list(connection)
            return
        }
        failAll(connection, .reset, .reset)
        if keepsAlive || isEarly {
            close(connection)
        } else {
            // Who closes first keeps the port busy for a minute: that is the server's.
            connection.pointee.state = .draining
            setTimer(connection, Self.drainNanoseconds)
        }
    }

    /// Whether the oldest request has an answer and is not wholly sent. The ring may tell of an answer before it tells of the
    /// send that caused it; then the bytes in flight that belong to the request are no longer waited for.
    private mutating func isAnsweredEarly(_ connection: UnsafeMutablePointer<LoadConnection>) -> Bool {
        guard connection.pointee.unsent == connection.pointee.count else { return false }
        connection.pointee.unsent &-= 1
        let total = book[Int(pending(connection, 0).pointee.entry)].pointee.count
        let isInFlight =
            connection.pointee.flags.contains(.sending) && connection.pointee.flags.isDisjoint(with: [.tls, .sendsPongs])
            && connection.pointee.sendingBytes >= total &- connection.pointee.sentOffset
        connection.pointee.sentOffset = isInFlight ? connection.pointee.sentOffset &- total : 0
        return !isInFlight
    }

    @inline(__always)
    private mutating func record(_ request: LoadPending, status: UInt16) {
        tally.answered &+= 1
        if status > 0 { tally.responses[Int(min(status / 100, 5))] &+= 1 }
        let latency = clock.now &- min(request.intended, clock.now)
        tally.latency.record(latency)
        tally.service.record(clock.now &- min(request.sentAt, clock.now))
        worstNanoseconds = max(worstNanoseconds, latency)
        lastAnswerAt = clock.now
    }

    /// With TLS 1.3 a session comes after the handshake: with the first answer it is there.
    private mutating func keepSession(_ connection: UnsafeMutablePointer<LoadConnection>) {
        guard plan.resumes, connection.pointee.flags.contains(.tls), !connection.pointee.flags.contains(.sessionKept) else { return }
        connection.pointee.flags.insert(.sessionKept)
        guard let newer = channel(connection).pointee.stream.session() else { return }
        session?.free()
        session = newer
    }
}

import Glibc

/// What follows when a backend can't be reached: others are tried, it is tried again later, with growing pauses.
extension Worker where Ring: ~Copyable {
    mutating func onConnectFailed(
        _ connection: UnsafeMutablePointer<BackendConnection>, _ backend: UnsafeMutablePointer<Backend>, errno: Int32,
        _ reason: FailureReason
    ) {
        count(.backendConnectFailures)
        backend.pointee.failures &+= 1
        if backend.pointee.connectFailures == 0 {
            logs.events.emit(.warning, "backend can't be reached", subject: name(backend).slice, error: errno)
        }
        backend.pointee.heldConnections &+= 1  // it stays while it is looked at
        close(connection)
        if backend.pointee.state == .up {
            backend.pointee.connectFailures = min(backend.pointee.connectFailures &+ 1, 30)
            backend.pointee.state = .down
            wheel.set(&backend.pointee.timer, clock.now &+ retryPause(backend))
        }
        refresh(backend)
        reselect(backend, reason)
        backend.pointee.heldConnections &-= 1
        forgetIfDrained(backend)
    }

    /// Doubles from failure to failure up to its limit; a random half of it keeps workers from marching in step.
    private mutating func retryPause(_ backend: UnsafeMutablePointer<Backend>) -> UInt64 {
        let limits = backend.pointee.limits
        let first = max(limits.retryNanoseconds, 1_000_000)
        let doublings = UInt64(min(max(backend.pointee.connectFailures &- 1, 0), 20))
        let pause = min(first &<< doublings, max(limits.retryNanosecondsMax, first))
        return pause / 2 &+ random.next() % (pause / 2 &+ 1)
    }

    /// Those who waited for this backend look for another one.
    private mutating func reselect(_ backend: UnsafeMutablePointer<Backend>, _ reason: FailureReason) {
        // Each is looked at once: who finds nothing waits in a queue, not here.
        var left = backend.pointee.waiting.count
        while left > 0, !backend.pointee.waiting.isEmpty {
            left &-= 1
            reselect(exchanges[backend.pointee.waiting.first], reason)
        }
        guard backend.pointee.state == .down else { return }
        left = backend.pointee.pending.count
        while left > 0, !backend.pointee.pending.isEmpty {
            left &-= 1
            reselect(exchanges[backend.pointee.pending.first], reason)
        }
    }

    private mutating func reselect(_ exchange: UnsafeMutablePointer<Exchange>, _ reason: FailureReason) {
        leaveQueue(exchange)
        exchange.pointee.failure = reason
        exchange.pointee.step = .selectBackend
        walk(exchange)
    }

    /// The pause is over: one of those who wait finds out whether the backend is back.
    mutating func onBackendTimer(_ backend: UnsafeMutablePointer<Backend>) {
        backend.pointee.isOpeningPaused = false
        if backend.pointee.state == .down { backend.pointee.state = .up }
        refresh(backend)
        queuesMayMove = true
    }

    private static var openingPauseNanoseconds: UInt64 { 100_000_000 }

    /// Opens no connection for a moment, because there is nothing to open one with; those who wait try again then.
    mutating func pauseOpening(_ backend: UnsafeMutablePointer<Backend>) {
        backend.pointee.isOpeningPaused = true
        if backend.pointee.state != .down { wheel.set(&backend.pointee.timer, clock.now &+ Self.openingPauseNanoseconds) }
        refresh(backend)
    }
}

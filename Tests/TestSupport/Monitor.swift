import Glibc

/// A value that several threads change and wait for.
public final class Monitor<State>: @unchecked Sendable {
    private var state: State
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    public init(_ state: State) {
        self.state = state
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(changed, nil)
    }

    deinit {
        pthread_cond_destroy(changed)
        pthread_mutex_destroy(mutex)
        changed.deallocate()
        mutex.deallocate()
    }

    /// Reads or changes the value and wakes those who wait for it.
    @discardableResult
    public func with<Result>(_ body: (inout State) throws -> Result) rethrows -> Result {
        pthread_mutex_lock(mutex)
        defer {
            pthread_cond_broadcast(changed)
            pthread_mutex_unlock(mutex)
        }
        return try body(&state)
    }

    /// Waits until `body` answers something other than nil; nil when the deadline came first.
    public func wait<Result>(until deadline: Deadline, _ body: (inout State) throws -> Result?) rethrows -> Result? {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while true {
            if let result = try body(&state) { return result }
            if deadline.isOver { return nil }
            var now = timespec()
            clock_gettime(CLOCK_REALTIME, &now)
            let left = deadline.timespecLeft
            var until = timespec(tv_sec: now.tv_sec + left.tv_sec, tv_nsec: now.tv_nsec + left.tv_nsec)
            if until.tv_nsec >= 1_000_000_000 {
                until.tv_sec += 1
                until.tv_nsec -= 1_000_000_000
            }
            pthread_cond_timedwait(changed, mutex, &until)
        }
    }
}

/// Work on a thread of its own, whose failure surfaces where it is joined.
public final class Background<Value: Sendable>: Sendable {
    private let outcome: Monitor<Result<Value, any Error>?>

    public init(_ body: @escaping @Sendable () throws -> Value) {
        let outcome = Monitor<Result<Value, any Error>?>(nil)
        self.outcome = outcome
        startThread {
            let result = Result { try body() }
            outcome.with { $0 = result }
        }
    }

    /// Waits for the end and gives the value or throws the failure.
    @discardableResult
    public func join(within limit: Duration = Patience.step * 3) throws -> Value {
        guard let result = outcome.wait(until: Deadline(after: limit), { $0 }) else {
            throw ScenarioFailure("work in the background did not end in time")
        }
        return try result.get()
    }

    /// Whether it has ended, well or not.
    public var isOver: Bool { outcome.with { $0 != nil } }
}

/// Starts a detached thread.
public func startThread(_ body: @escaping @Sendable () -> Void) {
    final class Box: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
    var thread = pthread_t()
    let result = pthread_create(
        &thread, nil,
        { argument in
            Unmanaged<Box>.fromOpaque(argument!).takeRetainedValue().body()
            return nil
        }, Unmanaged.passRetained(Box(body)).toOpaque())
    precondition(result == 0, "no thread to be had")
    pthread_detach(thread)
}

import Synchronization

/// A value that threads share, behind a lock: the standard library's `Mutex`, with an order that the thread sanitizer sees.
///
/// A `Mutex` that somebody waits for is handed over by the kernel, which the sanitizer does not watch: it would report a race
/// where there is none. Not for what every request passes: nothing is shared there.
struct Locked<Value: ~Copyable>: ~Copyable, Sendable {
    private let mutex: Mutex<Value>
    private let turns = Atomic<UInt64>(0)

    init(_ value: consuming sending Value) { mutex = Mutex(value) }

    /// Runs `body` while no other thread does; it must not ask for the same lock again.
    func withLock<Outcome: ~Copyable, Failure: Error>(
        _ body: (inout sending Value) throws(Failure) -> sending Outcome
    ) throws(Failure) -> sending Outcome {
        try mutex.withLock { value throws(Failure) in
            turn()
            defer { turn() }
            return try body(&value)
        }
    }

    private func turn() { turns.wrappingAdd(1, ordering: .acquiringAndReleasing) }
}

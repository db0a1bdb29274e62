import CUring
import Glibc
import Synchronization

/// What other threads tell a worker; taken between ticks.
enum WorkerMessage: Sendable {
    case drain(deadlineMilliseconds: Int)
    case stop
    case logs([Int32])
    case addresses(AddressTable)
    /// The mailboxes of all workers, this one's included, in their order.
    case peers([Mailbox])
    /// An accepted connection for this worker, with the server it belongs to.
    case client(Int32, server: Int)
    /// The addresses of a name that an exchange waits for.
    case name(NameAnswer)
}

/// A worker's mailbox: messages wait in a list, a flag says that there are any, an eventfd wakes the worker's ring.
///
/// Nothing here is on the path of a request: the worker looks at one flag a tick.
final class Mailbox: Sendable {
    /// The worker's ring reads it; each post adds one.
    let wakeDescriptor: Int32
    private let messages = Mutex<[WorkerMessage]>([])
    private let waiting = Atomic<Bool>(false)
    private let ended = Atomic<Bool>(false)

    init() {
        wakeDescriptor = clinux_eventfd()
        precondition(wakeDescriptor >= 0, "no descriptor left for a worker's mailbox: raise max-nofile")
    }

    deinit { close(wakeDescriptor) }

    func post(_ message: WorkerMessage) {
        messages.withLock { $0.append(message) }
        waiting.store(true, ordering: .releasing)
        var one: UInt64 = 1
        _ = write(wakeDescriptor, &one, MemoryLayout<UInt64>.size)
    }

    /// Whether `take` would find something; one load.
    var hasMail: Bool { waiting.load(ordering: .acquiring) }

    func take() -> [WorkerMessage] {
        waiting.store(false, ordering: .relaxed)
        return messages.withLock { held in
            defer { held = [] }
            return held
        }
    }

    /// The worker says that it touches nothing any more.
    func end() { ended.store(true, ordering: .releasing) }
    var hasEnded: Bool { ended.load(ordering: .acquiring) }
}

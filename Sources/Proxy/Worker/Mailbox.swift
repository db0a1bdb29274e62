import CUring
import Glibc
import Synchronization

/// What other threads tell a worker; taken between ticks.
enum WorkerMessage: Sendable {
    case drain(deadlineMilliseconds: Int)
    case stop
    case logs([Int32])
    case addresses(AddressTable)
    case plan(PlanDelivery)
    /// Nobody else holds the listeners any more that the newest plan does not name.
    case retireListeners
    /// The mailboxes of all workers, this one's included, in their order.
    case peers([Mailbox])
    /// An accepted connection for this worker, with the identity of the server it belongs to.
    case client(Int32, server: Int32)
    /// The addresses of a name that an exchange waits for.
    case name(NameAnswer)
}

/// What a worker tells the control thread.
enum WorkerReport: Equatable, Sendable {
    /// New requests go by the plan of this generation.
    case adopted(UInt64)
    /// Nothing goes by the plan of this generation any more.
    case unused(UInt64)
}

/// A worker's mailbox: messages wait in a list, a flag says that there are any, an eventfd wakes the worker's ring.
///
/// Nothing here is on the path of a request: the worker looks at one flag a tick.
final class Mailbox: Sendable {
    /// The worker's ring reads it; each post adds one.
    let wakeDescriptor: Int32
    /// The control thread polls it; each report adds one.
    let reportDescriptor: Int32
    private let messages = Locked<[WorkerMessage]>([])
    private let reports = Locked<[WorkerReport]>([])
    private let waiting = Atomic<Bool>(false)
    private let ended = Atomic<Bool>(false)

    init() {
        wakeDescriptor = clinux_eventfd()
        reportDescriptor = clinux_eventfd()
        // Whoever looks without having been woken finds nothing instead of waiting.
        clinux_set_nonblocking(reportDescriptor)
        precondition(wakeDescriptor >= 0 && reportDescriptor >= 0, "no descriptor left for a worker's mailbox: raise max-nofile")
    }

    deinit {
        close(wakeDescriptor)
        close(reportDescriptor)
    }

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

    /// The way back: rare, and never on the path of a request.
    func report(_ report: WorkerReport) {
        reports.withLock { $0.append(report) }
        var one: UInt64 = 1
        _ = write(reportDescriptor, &one, MemoryLayout<UInt64>.size)
    }

    /// Called once `reportDescriptor` is readable.
    func takeReports() -> [WorkerReport] {
        var count: UInt64 = 0
        _ = read(reportDescriptor, &count, MemoryLayout<UInt64>.size)
        return reports.withLock { held in
            defer { held = [] }
            return held
        }
    }

    /// The worker says that it touches nothing any more.
    func end() { ended.store(true, ordering: .releasing) }
    var hasEnded: Bool { ended.load(ordering: .acquiring) }
}

import CUring
import Glibc

/// A listening socket that belongs to one worker.
struct WorkerListener: Sendable {
    /// The worker's own copy; -1 = one that it has already.
    var fd: Int32
    /// Which `server` of the plan it serves, by its place there.
    var server: Int
    /// The supervisor's number for it.
    var id = 0
}

/// What the control thread prepares before a worker's thread starts.
struct WorkerStart: Sendable {
    var index: Int
    /// CPU to pin to; nil = not pinned.
    var cpu: Int?
    var listeners: [WorkerListener]
    var plan: ServingPlan
    /// One descriptor per log of the plan, this worker's own.
    var logDescriptors: [Int32]
    /// Addresses of every `downstream` that are known at the start.
    var addresses: AddressTable
    /// Number of workers of the process.
    var workerCount = 1
    /// The same in all workers; what each does with it differs by its index.
    var seed: UInt64 = 0
    var stickySecret = StickySecret(low: 1, high: 2)
    /// Most client connections that this worker can hold.
    var clientsMax = 65_536
    /// Where names may be asked for; nil = nowhere, so that no name has an address.
    var nameDesk: NameDesk?
}

/// The addresses of one `downstream` of one `server`, as literals or as resolved.
struct BackendAddresses: Sendable, Equatable {
    var server: Int
    var backend: Int
    var addresses: [SocketAddress]
}

/// The addresses of all backends: immutable, one generation; a new one is posted to the workers when a name changes.
final class AddressTable: Sendable {
    let generation: Int
    let entries: [BackendAddresses]
    init(generation: Int, entries: [BackendAddresses]) {
        self.generation = generation
        self.entries = entries
    }
}

/// Why a worker did not start, in a sentence for the operator.
struct WorkerStartFailure: Error {
    var sentence: String
}

/// One backend of one worker, with what it had counted at a moment.
struct BackendSnapshot: Sendable, Equatable {
    var server: Int
    var name: String
    var address: String
    /// In the order of `BackendCounter`.
    var counters: [UInt64]
}

/// The control thread's end of a worker: messages in, counters and events out.
final class WorkerHandle: Sendable {
    let index: Int
    let counters: CounterBlock
    let events: EventLog
    private let mailbox: Mailbox
    private let backends: BackendRegister
    private let thread: Locked<pthread_t?>

    init(index: Int, counters: CounterBlock, events: EventLog, mailbox: Mailbox, backends: BackendRegister, thread: pthread_t) {
        self.index = index
        self.counters = counters
        self.events = events
        self.mailbox = mailbox
        self.backends = backends
        self.thread = Locked(thread)
    }

    func backendSnapshots() -> [BackendSnapshot] { backends.snapshots() }

    /// Stops accepting, lets exchanges finish within the deadline, then ends the thread.
    func drain(deadlineMilliseconds: Int) { mailbox.post(.drain(deadlineMilliseconds: deadlineMilliseconds)) }

    /// Ends the thread at once.
    func stopNow() { mailbox.post(.stop) }

    /// Hands over newly opened logs, in the order of `LogPlan`; the worker owns them.
    func replaceLogDescriptors(_ descriptors: [Int32]) { mailbox.post(.logs(descriptors)) }

    /// Nobody else holds the listeners any more that the newest plan does not name: the worker empties and closes them.
    func retireListeners() { mailbox.post(.retireListeners) }

    /// Introduces all workers to one another, so that a listener that only one of them has serves them all.
    static func introduce(_ workers: [WorkerHandle]) {
        guard workers.count > 1 else { return }
        for worker in workers { worker.mailbox.post(.peers(workers.map(\.mailbox))) }
    }

    /// Tells new addresses of backends.
    func publish(_ table: AddressTable) { mailbox.post(.addresses(table)) }

    /// Hands a new plan over; `.adopted` answers.
    func adopt(_ delivery: PlanDelivery) { mailbox.post(.plan(delivery)) }

    /// Readable when `takeReports` has something to give.
    var reportDescriptor: Int32 { mailbox.reportDescriptor }
    func takeReports() -> [WorkerReport] { mailbox.takeReports() }
    /// Tells the addresses of a name that an exchange waits for.
    func tell(_ answer: NameAnswer) { mailbox.post(.name(answer)) }

    var hasEnded: Bool { mailbox.hasEnded }

    func join() {
        guard
            let thread = thread.withLock({ held in
                defer { held = nil }
                return held
            })
        else { return }
        pthread_join(thread, nil)
    }
}

/// Which backends a worker has counters for; written by the worker when its set changes, read by the control thread.
///
/// Counters are read under the lock and leave as copies, so that those of a backend that is gone can be freed.
final class BackendRegister: Sendable {
    private struct Entry {
        var server: Int
        var name: String
        var address: String
        var counters: CounterBlock
    }

    private let entries = Locked<[Entry]>([])

    /// Makes counters for a backend, all zero.
    func add(server: Int, name: String, address: String) -> CounterBlock {
        let counters = CounterBlock(count: BackendCounter.allCases.count)
        entries.withLock { $0.append(Entry(server: server, name: name, address: address, counters: counters)) }
        return counters
    }

    /// Forgets a backend and frees its counters, which the worker touches no more.
    func remove(_ counters: CounterBlock) {
        entries.withLock { entries in
            guard let place = entries.firstIndex(where: { $0.counters.base == counters.base }) else { return }
            entries.remove(at: place)
            counters.deallocate()
        }
    }

    /// The backend's server has another place in the newest plan.
    func renumber(_ counters: CounterBlock, server: Int) {
        entries.withLock { entries in
            for place in entries.indices where entries[place].counters.base == counters.base { entries[place].server = server }
        }
    }

    func snapshots() -> [BackendSnapshot] {
        entries.withLock { entries in
            entries.map { entry in
                BackendSnapshot(
                    server: entry.server, name: entry.name, address: entry.address,
                    counters: BackendCounter.allCases.map { entry.counters[$0] })
            }
        }
    }
}

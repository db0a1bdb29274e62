import CUring
import Glibc

/// The listening sockets of one worker and how each is doing; an accept is named by the place of its entry.
struct WorkerListeners: ~Copyable {
    struct Entry: BitwiseCopyable {
        /// As the supervisor numbered it.
        var id: Int32
        /// -1 = this place is free.
        var fd: Int32
        /// The worker's server that its connections belong to.
        var server: Int32
        /// No other worker has a socket of this address.
        var isAlone: Bool
        var isArmed = false
        /// The newest plan does not have it: it goes on until everybody else has closed it.
        var isLeaving = false
        /// Nobody else holds it any more: what waits in its queue is accepted, then it is closed.
        var isRetired = false

        var accepts: Bool { fd >= 0 && !isRetired }
    }

    private(set) var entries: UnsafeMutableBufferPointer<Entry>
    private(set) var count = 0
    /// Timer that ends the back-off after descriptors ran out.
    let timer: UnsafeMutablePointer<Timer>

    init(_ listeners: [WorkerListener]) {
        entries = .allocate(capacity: max(listeners.count, 8))
        timer = .allocate(capacity: 1)
        timer.initialize(to: Timer(.worker, slot: 0))
        for listener in listeners { add(listener) }
    }

    /// Takes a socket in; its place was never used, or nothing of its last owner is in flight any more.
    fileprivate mutating func add(_ listener: WorkerListener) {
        let entry = Entry(
            id: Int32(listener.id), fd: listener.fd, server: Int32(listener.server), isAlone: isOnlySocket(listener.fd))
        if let free = (0..<count).first(where: { entries[$0].fd < 0 }) {
            entries[free] = entry
            return
        }
        if count == entries.count {
            let grown = UnsafeMutableBufferPointer<Entry>.allocate(capacity: count * 2)
            for place in 0..<count { grown.initializeElement(at: place, to: entries[place]) }
            entries.deallocate()
            entries = grown
        }
        entries.initializeElement(at: count, to: entry)
        count += 1
    }

    fileprivate func place(of id: Int) -> Int? { (0..<count).first { entries[$0].fd >= 0 && entries[$0].id == Int32(id) } }

    /// Whether connections of a server may still come.
    func serve(_ server: Int32) -> Bool { (0..<count).contains { entries[$0].fd >= 0 && entries[$0].server == server } }

    mutating func free(_ place: Int) {
        entries[place].fd = -1
        entries[place].isArmed = false
    }

    deinit {
        entries.deallocate()
        timer.deallocate()
    }
}

/// Listeners that come and go with a new plan, between ticks.
extension Worker where Ring: ~Copyable {
    /// How many waiting connections a closing listener still takes: more than any queue has.
    private static var lastAcceptsMax: Int { 65_536 }

    /// Takes in which listeners this worker has from now on, `server` being this worker's own number. A descriptor of -1
    /// means a socket that it has already; those that are not named go on until `retireListeners`.
    mutating func adoptListeners(_ wanted: [WorkerListener]) {
        for place in 0..<listeners.count { listeners.entries[place].isLeaving = true }
        for listener in wanted {
            if let place = listeners.place(of: listener.id), !listeners.entries[place].isRetired {
                listeners.entries[place].server = Int32(listener.server)
                listeners.entries[place].isLeaving = false
                if listener.fd >= 0 { ring.startClose(listener.fd) }
            } else if listener.fd >= 0 {
                listeners.add(listener)
            }
        }
        if isDraining { stopListening() } else { startListening() }
    }

    /// Lets the listeners go that the newest plan does not name, once no other process holds them: each accepts what waits in
    /// its queue and is closed, and the next connection is refused by the kernel.
    mutating func retireListeners() {
        for place in 0..<serverCount where servers[place].state == .leaving { servers[place].mayEnd = true }
        for place in 0..<listeners.count where listeners.entries[place].isLeaving && listeners.entries[place].accepts {
            listeners.entries[place].isRetired = true
            if listeners.entries[place].isArmed {
                ring.startCancel(OperationToken(.accept, slot: UInt32(place)))
            } else {
                emptyAndClose(place)
            }
        }
    }

    /// No accept of the ring is in flight: takes the rest of the queue by hand.
    @inline(never)
    mutating func emptyAndClose(_ place: Int) {
        let fd = listeners.entries[place].fd
        for _ in 0..<Self.lastAcceptsMax {
            let accepted = ring.acceptNow(fd)
            if accepted == -EAGAIN { break }
            if accepted >= 0 {
                welcome(accepted, from: place)
            } else if !isPassing(accepted) {
                // Descriptors have run out: those that wait are taken when there are some again.
                return wheel.set(listeners.timer, clock.now &+ Self.backOffNanoseconds)
            }
        }
        ring.startClose(fd)
        listeners.free(place)
    }
}

/// Whether a listener is the only one of its address, so that its worker has to share what it accepts: a unix socket, or one
/// that a service manager opened for all workers. The others have SO_REUSEPORT.
private func isOnlySocket(_ descriptor: Int32) -> Bool {
    var shares: Int32 = 0
    var length = socklen_t(MemoryLayout<Int32>.size)
    return getsockopt(descriptor, SOL_SOCKET, SO_REUSEPORT, &shares, &length) == 0 && shares == 0
}

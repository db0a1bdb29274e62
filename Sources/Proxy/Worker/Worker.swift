import Glibc

/// Everything one core owns: built once in its thread, torn down once; nothing here is shared but counters and the mailbox.
///
/// Generic over its ring, so that whole exchanges also run on a scripted one; specialised for the kernel's.
struct Worker<Ring: RingPort & ~Copyable>: ~Copyable {
    var ring: Ring
    var clock: RingClock
    let index: Int
    var wheel: TimerWheel
    var blocks: BlockPool
    var clients: Slab<ClientConnection>
    var exchanges: Slab<Exchange>
    var connections: Slab<BackendConnection>
    var backends: Slab<Backend>
    let servers: UnsafeMutablePointer<ServerRuntime>
    let serverCount: Int
    var listeners: WorkerListeners
    let counters: CounterBlock
    let mailbox: Mailbox
    var logs: WorkerLogs

    /// Where heads are parsed before they have a place of their own.
    let scratchFields: UnsafeMutablePointer<FieldRange>
    static var scratchFieldsMax: Int { 512 }
    var requestHead = RequestHead()
    var responseHead = ResponseHead()
    /// Bytes of the head that `responseHead` describes, during the steps of the answer.
    var responseBytes = UnsafeRawPointer(bitPattern: 1)!

    /// How many bytes came with it in the same receive.
    var bytesBehindHead = 0

    /// Connections with something to send at the end of this tick.
    var dirtyClients = noSlot
    var dirtyConnections = noSlot
    /// Servers whose queues may move on at the end of this tick.
    var queuesMayMove = false
    /// Connections whose receive found no buffer.
    var starvedCount = 0
    /// Requests that arrived in this tick.
    var batchSize: UInt32 = 0
    /// The pipe of the splice path, empty between calls; nil until first needed or when none is to be had.
    var pipe: Pipe?
    var pipesUnavailableUntil: UInt64 = 0

    /// A stop was asked for: no new connections, idle ones closed, every answer closes its connection.
    var isDraining = false
    var drainEnd: UInt64 = .max
    var mustStop = false
    let minWaitMicroseconds: UInt32
    var lastTrim: UInt64 = 0
    /// The last look at spare memory gave some back, or something has happened since.
    var trimHelps = true
    var requestsSeen: UInt64 = 0
    let debugTrapAtRequest: UInt64
    var random: RandomSource
    let stickySecret: StickySecret
    /// Exchanges whose backend left while they waited for it; used during a change of addresses only.
    var displaced: [UInt32] = []
    /// All workers, for connections of listeners that only this one has; empty where there is but one.
    var peers: [Mailbox] = []
    /// Whose turn it is to get such a connection.
    var nextPeer = 0
    /// Numbers of backends have changed since other threads were shown them.
    var backendsChanged = false
    var backendsPublishedAt: UInt64 = 0
    let register: BackendRegister
    let crashNote: CrashNote
    let drainTimer: UnsafeMutablePointer<Timer>
    /// Number of the tick: requests of one tick may share a backend connection.
    var tickNumber: UInt64 = 0
    /// Own answers carry the date, printed once a second.
    var dateSecond: UInt64 = 0
    let dateText: UnsafeMutableRawPointer
    /// Receives the count of an eventfd.
    let wakeValue: UnsafeMutablePointer<UInt64>

    init(
        ring: consuming Ring, start: WorkerStart, counters: CounterBlock, mailbox: Mailbox, events: EventLog,
        register: BackendRegister
    ) {
        var ring = ring
        clock = ring.readClock()
        self.ring = ring
        index = start.index
        wheel = TimerWheel(now: clock.now)
        blocks = BlockPool()
        let clientsMax = start.clientsMax
        let fieldsMax = start.settings.servers.map(\.limits.fieldsMax).max() ?? 100
        clients = Slab(capacity: clientsMax)
        exchanges = Slab(capacity: clientsMax + 4096, tailBytes: fieldsMax * MemoryLayout<FieldRange>.stride)
        connections = Slab(capacity: 65_536)
        backends = Slab(capacity: 4_096)
        serverCount = start.settings.servers.count
        servers = .allocate(capacity: max(serverCount, 1))
        for (number, settings) in start.settings.servers.enumerated() {
            (servers + number).initialize(
                to: ServerRuntime(settings, workerIndex: start.index, workerCount: start.workerCount, seed: start.seed))
        }
        listeners = WorkerListeners(start.listeners)
        self.counters = counters
        self.mailbox = mailbox
        logs = WorkerLogs(start, events: events)
        self.register = register
        crashNote = CrashNote(worker: start.index)
        drainTimer = .allocate(capacity: 1)
        drainTimer.initialize(to: Timer(.worker, slot: 1))
        scratchFields = .allocate(capacity: Self.scratchFieldsMax)
        minWaitMicroseconds = start.settings.efficiencyMode ? 100 : 0
        debugTrapAtRequest = UInt64(max(start.settings.debugTrapAtRequest, 0))
        random = RandomSource(seed: start.seed &+ UInt64(start.index))
        stickySecret = start.stickySecret
        dateText = .allocate(byteCount: 32, alignment: 1)
        wakeValue = .allocate(capacity: 1)
        applyAddresses(start.addresses)
    }

    /// Adds to a counter that other threads may read.
    @inline(__always)
    func count(_ counter: WorkerCounter, _ amount: Int = 1) {
        let place = counters.base + counter.rawValue
        counters.store(place.pointee &+ UInt64(bitPattern: Int64(amount)), at: counter.rawValue)
    }
}

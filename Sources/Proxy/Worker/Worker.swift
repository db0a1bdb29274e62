import Glibc

/// Everything one core owns: built once in its thread, torn down once; nothing here is shared but counters and the mailbox.
///
/// Generic over its ring, so that whole exchanges also run on a scripted one; specialised for the kernel's.
struct Worker<Ring: RingPort & ~Copyable>: ~Copyable {
    var ring: Ring
    var clock: RingClock
    let index: Int
    let workerCount: Int
    let seed: UInt64
    /// With which suites the kernel seals records of TLS itself.
    var kernelSuites: KernelSuites
    var wheel: TimerWheel
    var blocks: BlockPool
    var clients: Slab<ClientConnection>
    var exchanges: Slab<Exchange>
    var connections: Slab<BackendConnection>
    var backends: Slab<Backend>
    /// What connections under TLS have beside the others.
    var links: Slab<TLSLink>
    /// Where the content of one record is decrypted to; good until the next.
    let plainRoom: UnsafeMutableRawPointer
    /// Where bytes of backends are read to beyond their buffers; good until the next.
    let bulkRoom: UnsafeMutableRawPointer
    /// Clients whose handshake has begun and waits for its turn.
    var begunHandshakes = WaitingClients()
    /// Somebody waits whose turn may come in the next tick.
    var handshakesMayMove = false
    /// Steps of handshakes that may still be taken in this tick.
    var handshakeStepsLeft = 0
    /// Places of servers, some of them empty perhaps; they move at a change of plans only.
    var servers: UnsafeMutablePointer<ServerRuntime>
    var serverCount: Int
    /// Generations of the plan that are in use here; their places are what exchanges and servers name.
    var planUses: UnsafeMutablePointer<PlanUse>
    var planUseCount = 0
    /// The plans themselves, by the same places: held here so that none of them is freed too early.
    var plans: [ServingPlan?] = []
    /// Some generation has lost its last user.
    var plansMayEnd = false
    /// Servers that the newest plan does not have and that still have something to do.
    var leavingServers = 0
    /// The newest plan's place.
    var newestPlan: Int32 = 0
    var listeners: WorkerListeners
    let counters: CounterBlock
    let mailbox: Mailbox
    var logs: WorkerLogs

    /// Where heads are parsed before they have a place of their own.
    let scratchFields: UnsafeMutablePointer<FieldRange>
    static var scratchFieldsMax: Int { 512 }
    /// Fields that have room in an exchange's slot; the table of a larger head has a block.
    let fieldsRoom: Int
    var requestHead = RequestHead()
    /// Where the normal form of a path is written; what it holds is good until the next exchange is routed.
    var pathRoom: UnsafeMutableBufferPointer<UInt8>
    /// Where the target is written that a backend gets in place of the client's.
    let targetRoom: UnsafeMutableRawPointer
    static var targetRoomBytes: Int { 61_440 }
    /// For searches of patterns; how many steps one may take is said by the plan.
    var patterns = PatternScratch(stepsMax: 0)
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
    /// What the process knows of client addresses, and what this worker has borrowed of it.
    var clientTable: ClientTable
    let clientCredits = ClientCredits()
    /// What the next 429 tells in Retry-After.
    var retrySeconds: UInt32 = 1
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
    /// Gathers always, and more.
    var isEfficient: Bool
    var lastTrim: UInt64 = 0
    /// The last look at spare memory gave some back, or something has happened since.
    var trimHelps = true
    var requestsSeen: UInt64 = 0
    var debugTrapAtRequest: UInt64
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
    /// Backends that requests are sent on to; the first `targetCount` are in use.
    let targets: UnsafeMutablePointer<UInt32>
    var targetCount = 0
    let targetNames: UnsafePointer<BackendNames>
    /// Shared by them all: their numbers are told nowhere.
    let targetCounters: CounterBlock
    let nameDesk: NameDesk?
    /// Times in values that are made for heads.
    var valueClock = LogClock()
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
        workerCount = start.workerCount
        seed = start.seed
        kernelSuites = start.kernelSuites
        wheel = TimerWheel(now: clock.now)
        blocks = BlockPool()
        let clientsMax = start.clientsMax
        let settings = start.plan.settings
        fieldsRoom = settings.servers.map(\.limits.fieldsMax).max() ?? 100
        clients = Slab(capacity: clientsMax)
        exchanges = Slab(capacity: clientsMax + 4096, tailBytes: fieldsRoom * MemoryLayout<FieldRange>.stride)
        connections = Slab(capacity: 65_536)
        backends = Slab(capacity: 4_096)
        links = Slab(capacity: clientsMax + 65_536)
        bulkRoom = .allocate(byteCount: Self.bulkRoomBytes, alignment: 4096)
        plainRoom = .allocate(byteCount: Self.plainRoomBytes, alignment: 64)
        serverCount = 0
        servers = .allocate(capacity: 1)
        planUses = .allocate(capacity: 1)
        pathRoom = .allocate(capacity: 1)
        targetRoom = .allocate(byteCount: Self.targetRoomBytes, alignment: 16)
        clientTable = start.plan.limits.table
        precondition(start.index < start.plan.limits.workerCount, "rate limits have no place for worker \(start.index)")
        listeners = WorkerListeners(start.listeners)
        self.counters = counters
        self.mailbox = mailbox
        logs = WorkerLogs(events: events)
        self.register = register
        crashNote = CrashNote(worker: start.index)
        drainTimer = .allocate(capacity: 1)
        drainTimer.initialize(to: Timer(.worker, slot: 1))
        scratchFields = .allocate(capacity: Self.scratchFieldsMax)
        isEfficient = settings.efficiencyMode
        debugTrapAtRequest = UInt64(max(settings.debugTrapAtRequest, 0))
        random = RandomSource(seed: start.seed &+ UInt64(start.index))
        stickySecret = start.stickySecret
        dateText = .allocate(byteCount: 32, alignment: 1)
        targets = .allocate(capacity: Self.targetsMax)
        targetNames = BackendNames.named("redirect", label: "redirect")
        targetCounters = CounterBlock(count: BackendCounter.allCases.count)
        nameDesk = start.nameDesk
        wakeValue = .allocate(capacity: 1)
        begin(start.plan, logDescriptors: start.logDescriptors)
        applyAddresses(start.addresses)
    }

    /// Adds to a counter that other threads may read.
    @inline(__always)
    func count(_ counter: WorkerCounter, _ amount: Int = 1) {
        let place = counters.base + counter.rawValue
        counters.store(place.pointee &+ UInt64(bitPattern: Int64(amount)), at: counter.rawValue)
    }
}

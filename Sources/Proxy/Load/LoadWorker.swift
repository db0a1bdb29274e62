import CUring
import Glibc

/// One thread of the load generator: its ring, its connections, its part of the timetable, its figures.
///
/// Open loop: a request whose time has come takes the connection that has been free longest, or waits for one in a queue;
/// its latency counts from its time in any case. Closed loop: a free connection takes the next request at once.
struct LoadWorker: ~Copyable {
    /// A failed connection of a closed loop is not tried again sooner.
    static var restNanoseconds: UInt64 { 100_000_000 }
    /// How long a server may take to close a connection that it said it would close.
    static var drainNanoseconds: UInt64 { 1_000_000_000 }
    /// Connections that are being opened at a time before the start.
    static var openingMax: Int { 256 }
    /// The longest wait, so that a wish to stop is seen.
    static var waitNanosecondsMax: UInt64 { 50_000_000 }
    static var scratchBytes: Int { 65_536 }

    var ring: KernelRing
    let plan: LoadPlan
    let book: RequestBook
    let thread: Int
    let board: LoadBoard
    var clock: RingClock
    var wheel: TimerWheel
    var blocks = BlockPool()
    var connections: Slab<LoadConnection>
    let channels: UnsafeMutablePointer<TLSChannel>
    let tls: TLSContext?
    /// The newest session, for the next connection.
    var session: TLSSession?
    let address: UnsafeMutablePointer<SocketAddress>
    let serverName: UnsafeMutableBufferPointer<UInt8>
    let limits = HeadLimits()
    var response = ResponseHead()
    let responseFields: UnsafeMutableBufferPointer<FieldRange>
    let scratch: UnsafeMutableRawPointer
    var random: RandomSource
    /// Of a book that is asked in turn.
    var turn: Int
    var tally = LoadTally()
    var worstNanoseconds: UInt64 = 0
    /// Requests that were given to a connection and have not ended.
    var underWay = 0
    /// Places of connections that can take a request, longest free first.
    var idle: SlotQueue
    /// Those that have something new to send.
    var dirty: SlotQueue
    var schedule: LoadSchedule
    /// Connections before the start: begun, and settled one way or the other.
    var begun = 0
    var settled = 0
    var opened = 0
    var lastAnswerAt: UInt64 = 0
    private var publishedAt: UInt64 = 0
    private var usage: ThreadUsage

    init(ring: consuming KernelRing, plan: LoadPlan, thread: Int, board: LoadBoard, tls: TLSContext?) {
        var ring = ring
        clock = ring.readClock()
        wheel = TimerWheel(now: clock.now)
        self.ring = ring
        self.plan = plan
        book = plan.book
        self.thread = thread
        self.board = board
        self.tls = tls
        let count = plan.share(of: plan.connections, thread: thread)
        connections = Slab(capacity: count, tailBytes: plan.pipeline * MemoryLayout<LoadPending>.stride)
        channels = reserve(count * MemoryLayout<TLSChannel>.stride).assumingMemoryBound(to: TLSChannel.self)
        idle = SlotQueue(capacity: count)
        dirty = SlotQueue(capacity: count)
        schedule = LoadSchedule(plan, thread: thread)
        random = RandomSource(seed: mixed(plan.seed &+ 0x5EED) &+ UInt64(thread))
        turn = thread
        address = .allocate(capacity: 1)
        address.initialize(to: plan.address)
        serverName = .allocate(capacity: max(plan.serverName.count, 1))
        _ = serverName.initialize(from: plan.serverName)
        responseFields = .allocate(capacity: limits.fieldsMax)
        responseFields.initialize(repeating: FieldRange())
        scratch = .allocate(byteCount: Self.scratchBytes, alignment: 64)
        usage = ThreadUsage()
        for _ in 0..<count {
            guard let slot = connections.take() else { break }
            connections[slot].initialize(to: LoadConnection(slot: slot))
        }
        self.ring.growBackendBuffers(forConnections: count)
    }

    /// Runs to the end and gives the figures.
    consuming func run() -> LoadTally {
        openAll()
        guard waitForStart() else { return tally }
        while !isDone() { tick() }
        finish()
        return tally
    }

    /// Opens the connections, unless each request brings its own, and reports.
    private mutating func openAll() {
        if plan.closes {
            for slot in 0..<connections.capacity { list(connections[UInt32(slot)]) }
        } else {
            while settled < connections.capacity && !board.stop.load(ordering: .relaxed) {
                // When none of so many could be opened, the rest would only take as long again.
                if opened == 0 && settled >= Self.openingMax { break }
                while begun < connections.capacity && begun &- settled < Self.openingMax {
                    let connection = connections[UInt32(begun)]
                    begun &+= 1
                    startConnect(connection)
                    settle(connection)
                }
                tick()
            }
            // Where another thread had more luck the run goes on, and these are opened when a request needs them.
            for slot in begun..<connections.capacity { list(connections[UInt32(slot)]) }
        }
        board.opened.wrappingAdd(opened, ordering: .relaxed)
        board.ready.wrappingAdd(1, ordering: .releasing)
    }

    private mutating func waitForStart() -> Bool {
        while true {
            let start = board.startAt.load(ordering: .acquiring)
            if start > 0 {
                schedule.begin(at: start)
                return true
            }
            if board.stop.load(ordering: .relaxed) { return false }
            // Connections that end meanwhile are noticed; a start is seen within a millisecond, and lies in the future.
            tick(waitMax: 1_000_000)
        }
    }

    /// One turn: waits, takes what has happened, sends what is due.
    private mutating func tick(waitMax: UInt64 = waitNanosecondsMax) {
        var wait = min(waitMax, wheel.nanosecondsToNext(now: clock.now) ?? .max)
        if let due = schedule.nextEvent { wait = min(wait, due > clock.now ? due &- clock.now : 0) }
        _ = ring.enter(waitNanoseconds: wait, gathering: .none)
        clock = ring.readClock()
        let ready = ring.completionCount()
        for index in 0..<ready { dispatch(ring.completion(at: index)) }
        ring.consumeCompletions(ready)
        while let timer = wheel.nextDue(now: clock.now) { onTimer(timer) }
        usage.note(clock.now, schedule)
        if schedule.hasBegun { startRequests() }
        while let slot = dirty.take() {
            let connection = connections[slot]
            connection.pointee.flags.remove(.dirty)
            push(connection)
            settle(connection)
        }
        if clock.now &- publishedAt > Self.waitNanosecondsMax { publish() }
    }

    private mutating func dispatch(_ completion: Completion) {
        let slot = completion.token.slot
        switch completion.token.kind {
        case .backendConnect: onConnect(completion)
        case .backendReceive: onReceive(completion)
        case .backendSend: onSend(completion)
        case .none, .wake, .accept, .clientReceive, .clientSend, .clientWritable, .clientReadable, .backendWritable,
            .backendReadable, .logWrite:
            return  // silent operations; the rest is never started here
        }
        settle(connections[slot])
    }

    private mutating func onTimer(_ timer: UnsafeMutablePointer<Timer>) {
        let connection = connections[timer.pointee.slot]
        switch timer.pointee.kind {
        case .pace:
            connection.pointee.flags.remove(.paced)
            connection.pointee.pausedUntil = clock.now
            push(connection)
        case .exchange: receive(connection)
        default: onTimeout(connection)
        }
        settle(connection)
    }

    private mutating func publish() {
        publishedAt = clock.now
        board.publish(
            LoadProgress(
                answered: tally.answered, errors: tally.errorsTotal, underWay: UInt64(underWay), queued: UInt64(schedule.waiting),
                worstNanoseconds: worstNanoseconds), thread: thread)
        worstNanoseconds = 0
    }

    // MARK: - The end

    private mutating func isDone() -> Bool {
        if board.stop.load(ordering: .relaxed) { schedule.interrupt(now: clock.now) }
        guard let graceEnd = schedule.graceEnd(now: clock.now) else { return false }
        if underWay == 0 && schedule.waiting == 0 { return true }
        guard clock.now >= graceEnd else { return false }
        // Those that still wait will not be sent; those that were get their time.
        if schedule.waiting == 0 { return true }
        dropWaiting()
        schedule.extendGrace(now: clock.now)
        return underWay == 0
    }

    private mutating func dropWaiting() {
        while let entry = schedule.takeWaiting() {
            if schedule.isMeasured(entry.intended) { tally[.dropped] &+= 1 }
        }
    }

    /// What has not been answered by now never will be.
    private mutating func finish() {
        dropWaiting()
        for slot in 0..<connections.capacity { failAll(connections[UInt32(slot)], .timeout, .timeout) }
        usage.finish(clock.now, schedule, &tally)
        tally.planned = schedule.entriesDrawn
        let from = schedule.measuredFrom
        if schedule.isEndedByCount || schedule.endsAt == .max {
            tally.answeredInTime = tally.answered
            tally.rateNanoseconds = max(lastAnswerAt, from) &- from
            tally.measuredNanoseconds = tally.rateNanoseconds
        } else {
            tally.rateNanoseconds = max(schedule.endsAt, from) &- from
            tally.measuredNanoseconds = max(lastAnswerAt, schedule.endsAt, from) &- from
        }
        publish()
    }
}

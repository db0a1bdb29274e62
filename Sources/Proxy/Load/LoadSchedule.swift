/// An entry of the timetable whose time has come.
struct DueEntry: BitwiseCopyable {
    var intended: UInt64
    /// When the turn began that took it up: later than `intended` by what this program slept or worked too long.
    var takenAt: UInt64
}

/// When a thread's requests are due, and those whose time has come and that wait for a connection.
struct LoadSchedule: ~Copyable {
    private let isOpenLoop: Bool
    private let warmUpNanoseconds: UInt64
    private let durationNanoseconds: UInt64
    private let timeoutNanoseconds: UInt64
    private var warmUp: Timetable.Cursor?
    private var main: Timetable.Cursor?
    private let timetableNanoseconds: UInt64
    /// The next entry, in monotonic nanoseconds.
    private var next: UInt64?
    private let requestsMax: UInt64
    private var requestsBegun: UInt64 = 0
    /// Entries after the warm-up that the timetable has given so far: all of them once it is exhausted.
    private(set) var entriesDrawn: UInt64 = 0

    private let queue: UnsafeMutablePointer<DueEntry>
    private let queueCapacity: Int
    private var queueHead = 0
    private(set) var waiting = 0

    private var hasStarted = false
    private(set) var startAt: UInt64 = 0
    private(set) var hasBegun = false
    /// Nothing more will become due.
    private(set) var isExhausted = false
    private var isInterrupted = false
    /// A number of requests was reached before the end of the time.
    private(set) var isEndedByCount = false
    private var grace: UInt64?
    /// The end of the measured time, or what an interruption left of it; `max` where only a number of requests ends it.
    private(set) var endsAt: UInt64 = .max

    init(_ plan: LoadPlan, thread: Int) {
        isOpenLoop = plan.timetable != nil
        warmUpNanoseconds = plan.warmUpNanoseconds
        durationNanoseconds = plan.durationNanoseconds
        timeoutNanoseconds = plan.timeoutNanoseconds
        timetableNanoseconds = plan.timetable?.durationNanoseconds ?? 0
        main = plan.timetable?.cursor(thread: thread, of: plan.threads)
        if let table = plan.timetable, plan.warmUpNanoseconds > 0 {
            warmUp = Timetable(.constant(table.initialRate), durationNanoseconds: plan.warmUpNanoseconds, seed: 0)
                .cursor(thread: thread, of: plan.threads)
        }
        requestsMax = plan.requestsMax.map { UInt64(plan.share(of: Int(clamping: $0), thread: thread)) } ?? .max
        queueCapacity = max(1, plan.share(of: plan.queueMax, thread: thread))
        queue = .allocate(capacity: queueCapacity)
    }

    deinit { queue.deallocate() }

    var measuredFrom: UInt64 { startAt &+ warmUpNanoseconds }
    func isMeasured(_ intended: UInt64) -> Bool { intended >= measuredFrom }
    /// Whether an answer at this moment counts for the rate.
    func isInMeasuredTime(_ now: UInt64) -> Bool { now >= measuredFrom && now <= endsAt }

    mutating func begin(at start: UInt64) {
        startAt = start
        hasBegun = true
        let planned = isOpenLoop ? timetableNanoseconds : durationNanoseconds
        if planned < LoadPlan.unlimitedNanoseconds { endsAt = measuredFrom &+ planned }
        if isOpenLoop { advance() }
    }

    /// When the loop has to look again; nil = no time in particular.
    var nextEvent: UInt64? {
        if !hasBegun { return nil }
        if isExhausted { return grace }
        return isOpenLoop ? next : hasStarted ? endsAt : startAt
    }

    // MARK: - Open loop

    private mutating func advance() {
        if let time = warmUp?.next() {
            next = startAt &+ time
            return
        }
        warmUp = nil
        if let time = main?.next() {
            entriesDrawn &+= 1
            next = measuredFrom &+ time
            return
        }
        next = nil
        isExhausted = true
        isEndedByCount = main?.isEndedByCount ?? false
    }

    /// The next entry when it is due, taken out; nil when none is.
    @inline(__always)
    mutating func takeDue(now: UInt64) -> DueEntry? {
        guard let due = next, due <= now else { return nil }
        advance()
        return DueEntry(intended: due, takenAt: now)
    }

    /// Puts a request behind the others that wait; false when too many do.
    mutating func wait(_ entry: DueEntry) -> Bool {
        guard waiting < queueCapacity else { return false }
        var place = queueHead &+ waiting
        if place >= queueCapacity { place &-= queueCapacity }
        queue[place] = entry
        waiting &+= 1
        return true
    }

    mutating func takeWaiting() -> DueEntry? {
        guard waiting > 0 else { return nil }
        let entry = queue[queueHead]
        queueHead = queueHead &+ 1 == queueCapacity ? 0 : queueHead &+ 1
        waiting &-= 1
        return entry
    }

    // MARK: - Closed loop

    /// Whether another request may begin now, which then counts.
    mutating func takeTurn(now: UInt64) -> Bool {
        guard !isExhausted, now >= startAt else { return false }
        let measured = isMeasured(now)
        guard now < endsAt, !measured || requestsBegun < requestsMax else {
            isExhausted = true
            isEndedByCount = now < endsAt
            return false
        }
        if measured { requestsBegun &+= 1 }
        return true
    }

    // MARK: - The end

    /// Ends the timetable now; what is under way gets a moment.
    mutating func interrupt(now: UInt64) {
        if isInterrupted { return }
        isInterrupted = true
        if !isExhausted { endsAt = min(endsAt, now) }
        isExhausted = true
        next = nil
        grace = now &+ min(timeoutNanoseconds, 1_000_000_000)
    }

    /// Waits as long again.
    mutating func extendGrace(now: UInt64) { grace = now &+ (isInterrupted ? min(timeoutNanoseconds, 1_000_000_000) : timeoutNanoseconds) }

    /// Until when answers are waited for; nil = not over yet.
    mutating func graceEnd(now: UInt64) -> UInt64? {
        guard hasBegun else { return nil }
        if now >= startAt { hasStarted = true }
        if !isOpenLoop, !isExhausted, now >= endsAt { isExhausted = true }
        guard isExhausted else { return nil }
        if grace == nil { grace = now &+ timeoutNanoseconds }
        return grace
    }
}

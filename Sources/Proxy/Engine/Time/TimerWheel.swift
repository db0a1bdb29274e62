/// Thousands of timeouts at constant cost: a ring of buckets of ten milliseconds.
///
/// A timer lives in the struct it belongs to. Moving a deadline later is one store: the timer stays in its bucket and
/// is put further back when that bucket comes up. Nothing is armed in the kernel; the wait of the loop has the timeout.
struct TimerWheel: ~Copyable {
    static let tickNanoseconds: UInt64 = 10_000_000
    private static let bucketCount = 1024
    private let buckets: UnsafeMutablePointer<UnsafeMutablePointer<Timer>?>
    private let occupied: UnsafeMutablePointer<UInt64>  // one bit a bucket
    /// The next tick to look at; all earlier ones are done.
    private var current: UInt64
    private(set) var count = 0

    init(now: UInt64) {
        buckets = .allocate(capacity: Self.bucketCount)
        buckets.initialize(repeating: nil, count: Self.bucketCount)
        occupied = .allocate(capacity: Self.bucketCount / 64)
        occupied.initialize(repeating: 0, count: Self.bucketCount / 64)
        current = now / Self.tickNanoseconds
    }

    deinit {
        buckets.deallocate()
        occupied.deallocate()
    }

    /// Sets or moves the deadline (monotonic nanoseconds).
    @inline(__always)
    mutating func set(_ timer: UnsafeMutablePointer<Timer>, _ deadline: UInt64) {
        timer.pointee.deadline = deadline
        if timer.pointee.isLinked && Self.tick(deadline) >= timer.pointee.bucketTick { return }
        relink(timer)
    }

    /// Takes a timer out; it never fires.
    mutating func clear(_ timer: UnsafeMutablePointer<Timer>) {
        timer.pointee.deadline = .max
        if timer.pointee.isLinked { unlink(timer) }
    }

    /// Lets a timer rest without the cost of taking it out: it leaves its bucket silently when that comes up.
    @inline(__always)
    func disarm(_ timer: UnsafeMutablePointer<Timer>) { timer.pointee.deadline = .max }

    /// The first due timer, taken out; nil when none is due. Call until nil. Fires up to one tick late, never early.
    mutating func nextDue(now: UInt64) -> UnsafeMutablePointer<Timer>? {
        let end = now / Self.tickNanoseconds
        if count == 0 { current = max(current, end) }
        while current < end {
            let bucket = Int(current % UInt64(Self.bucketCount))
            while let timer = buckets[bucket] {
                unlink(timer)
                if Self.tick(timer.pointee.deadline) <= current { return timer }
                if timer.pointee.deadline != .max { relink(timer) }
            }
            current = count == 0 ? end : current &+ 1
        }
        return nil
    }

    /// How long the loop may sleep; nil when no timer is set.
    func nanosecondsToNext(now: UInt64) -> UInt64? {
        guard count > 0 else { return nil }
        let words = Self.bucketCount / 64
        let first = Int(current % UInt64(Self.bucketCount))
        var distance = -(first % 64)
        for step in 0...words {
            var word = occupied[(first / 64 &+ step) % words]
            if step == 0 { word &= UInt64.max &<< UInt64(first % 64) }
            if word != 0 {
                distance += word.trailingZeroBitCount
                let at = (current &+ UInt64(max(distance, 0)) &+ 1) &* Self.tickNanoseconds
                return at > now ? at &- now : 0
            }
            distance += 64
        }
        return 0
    }

    @inline(__always)
    private static func tick(_ deadline: UInt64) -> UInt64 { deadline / tickNanoseconds }

    private mutating func relink(_ timer: UnsafeMutablePointer<Timer>) {
        if timer.pointee.isLinked { unlink(timer) }
        let farthest = current &+ UInt64(Self.bucketCount &- 1)
        let tick = min(max(Self.tick(timer.pointee.deadline), current), farthest)
        let bucket = Int(tick % UInt64(Self.bucketCount))
        timer.pointee.bucketTick = tick
        timer.pointee.previous = nil
        timer.pointee.next = buckets[bucket]
        buckets[bucket]?.pointee.previous = timer
        buckets[bucket] = timer
        occupied[bucket / 64] |= 1 &<< UInt64(bucket % 64)
        timer.pointee.isLinked = true
        count &+= 1
    }

    private mutating func unlink(_ timer: UnsafeMutablePointer<Timer>) {
        let bucket = Int(timer.pointee.bucketTick % UInt64(Self.bucketCount))
        if let previous = timer.pointee.previous {
            previous.pointee.next = timer.pointee.next
        } else {
            buckets[bucket] = timer.pointee.next
            if buckets[bucket] == nil { occupied[bucket / 64] &= ~(1 &<< UInt64(bucket % 64)) }
        }
        timer.pointee.next?.pointee.previous = timer.pointee.previous
        timer.pointee.previous = nil
        timer.pointee.next = nil
        timer.pointee.isLinked = false
        count &-= 1
    }
}

/// One timeout, embedded in what it belongs to.
struct Timer: BitwiseCopyable {
    fileprivate(set) var deadline: UInt64 = .max
    fileprivate var bucketTick: UInt64 = 0
    fileprivate var next: UnsafeMutablePointer<Timer>?
    fileprivate var previous: UnsafeMutablePointer<Timer>?
    fileprivate(set) var isLinked = false
    let kind: Kind
    let slot: UInt32

    /// Whether it will fire: in a bucket, and not disarmed.
    var isSet: Bool { isLinked && deadline != .max }

    /// What a timer belongs to.
    enum Kind: UInt8 { case client, backendConnection, backend, exchange, pace, worker }

    init(_ kind: Kind, slot: UInt32) {
        self.kind = kind
        self.slot = slot
    }
}

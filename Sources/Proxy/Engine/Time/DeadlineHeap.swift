/// Deadlines to the nanosecond for the few that need it, soonest first; the wheel is cheaper and coarser.
///
/// A heap of fixed capacity: adding and taking cost the logarithm of what waits. Nothing is taken back: who is named too
/// late is told by the generation.
struct DeadlineHeap: ~Copyable {
    struct Entry: BitwiseCopyable {
        var deadline: UInt64
        var slot: UInt32
        var generation: UInt32
    }

    private let entries: UnsafeMutablePointer<Entry>
    private let capacity: Int
    private(set) var count = 0

    init(capacity: Int) {
        self.capacity = capacity
        entries = .allocate(capacity: max(capacity, 1))
    }

    deinit { entries.deallocate() }

    /// When the soonest is due, in monotonic nanoseconds; nil when none waits.
    var next: UInt64? { count > 0 ? entries[0].deadline : nil }

    /// False when there is no room.
    mutating func add(_ entry: Entry) -> Bool {
        guard count < capacity else { return false }
        var place = count
        count &+= 1
        while place > 0 {
            let above = (place &- 1) / 2
            if entries[above].deadline <= entry.deadline { break }
            entries[place] = entries[above]
            place = above
        }
        entries[place] = entry
        return true
    }

    /// The soonest, taken out when it is due.
    mutating func takeDue(now: UInt64) -> Entry? {
        guard count > 0, entries[0].deadline <= now else { return nil }
        let due = entries[0]
        count &-= 1
        let moved = entries[count]
        var place = 0
        while true {
            var below = 2 &* place &+ 1
            if below >= count { break }
            if below &+ 1 < count && entries[below &+ 1].deadline < entries[below].deadline { below &+= 1 }
            if moved.deadline <= entries[below].deadline { break }
            entries[place] = entries[below]
            place = below
        }
        entries[place] = moved
        return due
    }
}

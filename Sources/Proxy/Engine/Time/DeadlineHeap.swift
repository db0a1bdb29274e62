/// Deadlines to the nanosecond for the few that need it, soonest first; the wheel is cheaper and coarser.
///
/// A heap with one place for each slot of a slab: setting, taking and removing cost the logarithm of what waits.
struct DeadlineHeap: ~Copyable {
    private struct Entry: BitwiseCopyable {
        var deadline: UInt64
        var slot: UInt32
    }

    private let entries: UnsafeMutablePointer<Entry>
    /// Where the entry of each slot stands; -1 = it has none.
    private let places: UnsafeMutablePointer<Int32>
    private let slots: Int
    private(set) var count = 0

    init(slots: Int) {
        self.slots = slots
        entries = .allocate(capacity: max(slots, 1))
        places = .allocate(capacity: max(slots, 1))
        places.initialize(repeating: -1, count: max(slots, 1))
    }

    deinit {
        entries.deallocate()
        places.deallocate()
    }

    /// When the soonest is due, in monotonic nanoseconds; nil when none waits.
    var next: UInt64? { count > 0 ? entries[0].deadline : nil }

    /// Gives a slot its deadline, in place of the one that it had.
    mutating func set(_ slot: UInt32, deadline: UInt64) {
        precondition(slot < slots, "a slot that the heap has no place for")
        remove(slot)
        count &+= 1
        lift(Entry(deadline: deadline, slot: slot), from: count &- 1)
    }

    /// Takes the deadline of a slot out, if it has one.
    mutating func remove(_ slot: UInt32) {
        let place = Int(places[Int(slot)])
        guard place >= 0 else { return }
        places[Int(slot)] = -1
        count &-= 1
        guard place < count else { return }
        // The last one fills the gap; it may belong above it or below.
        let moved = entries[count]
        if place > 0 && entries[(place &- 1) / 2].deadline > moved.deadline { lift(moved, from: place) } else { sink(moved, from: place) }
    }

    /// The slot of the soonest deadline, taken out when that is due.
    mutating func takeDue(now: UInt64) -> UInt32? {
        guard count > 0, entries[0].deadline <= now else { return nil }
        let slot = entries[0].slot
        remove(slot)
        return slot
    }

    private func lift(_ entry: Entry, from start: Int) {
        var place = start
        while place > 0 {
            let above = (place &- 1) / 2
            if entries[above].deadline <= entry.deadline { break }
            put(entries[above], at: place)
            place = above
        }
        put(entry, at: place)
    }

    private func sink(_ entry: Entry, from start: Int) {
        var place = start
        while true {
            var below = 2 &* place &+ 1
            if below >= count { break }
            if below &+ 1 < count && entries[below &+ 1].deadline < entries[below].deadline { below &+= 1 }
            if entry.deadline <= entries[below].deadline { break }
            put(entries[below], at: place)
            place = below
        }
        put(entry, at: place)
    }

    private func put(_ entry: Entry, at place: Int) {
        entries[place] = entry
        places[Int(entry.slot)] = Int32(truncatingIfNeeded: place)
    }
}

/// Places of connections in the order in which they came; each stands in it at most once.
struct SlotQueue: ~Copyable {
    private let slots: UnsafeMutablePointer<UInt32>
    private let capacity: Int
    private var head = 0
    private(set) var count = 0

    init(capacity: Int) {
        self.capacity = max(capacity, 1)
        slots = .allocate(capacity: self.capacity)
    }

    deinit { slots.deallocate() }

    mutating func add(_ slot: UInt32) {
        precondition(count < capacity, "a place stands twice in a queue")
        var place = head &+ count
        if place >= capacity { place &-= capacity }
        slots[place] = slot
        count &+= 1
    }

    mutating func take() -> UInt32? {
        guard count > 0 else { return nil }
        let slot = slots[head]
        head = head &+ 1 == capacity ? 0 : head &+ 1
        count &-= 1
        return slot
    }
}

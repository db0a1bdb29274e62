/// Something that happens on a scripted ring at a given time.
struct ScriptedEvent: BitwiseCopyable {
    enum Kind: UInt8 {
        /// An operation is tried.
        case run
        /// The result of an operation that is done becomes visible.
        case post
        /// A cancellation takes effect.
        case cancel
        /// A peer looks at its connections.
        case wake
    }
    var time: UInt64
    var order: UInt64
    var kind: Kind
    /// Operation or peer.
    var subject: Int32
    /// Of the operation, so that an event for its slot's former owner is told apart.
    var generation: UInt32
}

/// What is to come, soonest first; at the same time, first come first.
struct ScriptedAgenda: ~Copyable {
    private var heap: [ScriptedEvent] = []
    private var order: UInt64 = 0

    init() { heap.reserveCapacity(16_384) }

    var isEmpty: Bool { heap.isEmpty }
    var nextTime: UInt64? { heap.first?.time }

    mutating func add(at time: UInt64, _ kind: ScriptedEvent.Kind, _ subject: Int32, _ generation: UInt32 = 0) {
        order &+= 1
        heap.append(ScriptedEvent(time: time, order: order, kind: kind, subject: subject, generation: generation))
        var at = heap.count - 1
        while at > 0, Self.precedes(heap[at], heap[(at - 1) / 2]) {
            heap.swapAt(at, (at - 1) / 2)
            at = (at - 1) / 2
        }
    }

    mutating func takeFirst() -> ScriptedEvent {
        let first = heap[0]
        let last = heap.removeLast()
        guard !heap.isEmpty else { return first }
        heap[0] = last
        var at = 0
        while true {
            var least = at
            for child in (2 * at + 1)...(2 * at + 2) where child < heap.count && Self.precedes(heap[child], heap[least]) {
                least = child
            }
            if least == at { return first }
            heap.swapAt(at, least)
            at = least
        }
    }

    private static func precedes(_ left: ScriptedEvent, _ right: ScriptedEvent) -> Bool {
        left.time != right.time ? left.time < right.time : left.order < right.order
    }
}

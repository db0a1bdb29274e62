import Glibc

/// Fixed places for trivial structs, reached by pointers that never move.
///
/// Address space for the whole capacity is reserved at the start; pages come when slots are first used, and go back to
/// the kernel in slices on idle ticks. The lowest free slot goes first. Generations live outside the slots, so that
/// they survive the giving back. A slot may be longer than its element: the tail is the owner's to use.
struct Slab<Element: BitwiseCopyable>: ~Copyable {
    private let base: UnsafeMutableRawPointer
    private let generations: UnsafeMutablePointer<UInt32>
    private var slots: SlotMap
    let strideBytes: Int
    /// One more than the highest slot that was used since the last trim; pages above were never touched.
    private var used = 0

    var capacity: Int { slots.capacity }
    var count: Int { slots.taken }
    /// One more than the highest slot that may be taken.
    var highest: Int { used }
    /// Bytes of the part that may hold pages.
    var usedBytes: Int { used &* strideBytes }

    init(capacity: Int, tailBytes: Int = 0) {
        strideBytes = (MemoryLayout<Element>.stride + tailBytes + 63) & ~63
        slots = SlotMap(capacity: capacity)
        base = reserve(capacity * strideBytes)
        generations = .allocate(capacity: capacity)
        generations.initialize(repeating: 1, count: capacity)
    }

    deinit {
        munmap(base, max(capacity * strideBytes, 1))
        generations.deallocate()
    }

    /// Takes a slot, which the caller initializes at once; nil when the slab is full.
    mutating func take() -> UInt32? {
        guard let slot = slots.take() else { return nil }
        used = max(used, slot &+ 1)
        return UInt32(truncatingIfNeeded: slot)
    }

    /// Gives a slot back; late completions that name it are told apart by the generation.
    mutating func giveBack(_ slot: UInt32) {
        generations[Int(slot)] &+= 1
        poison(slot)
        slots.giveBack(Int(slot))
    }

    @inline(__always)
    subscript(slot: UInt32) -> UnsafeMutablePointer<Element> {
        (base + Int(slot) &* strideBytes).assumingMemoryBound(to: Element.self)
    }

    /// The bytes behind the element of a slot.
    @inline(__always)
    func tail(_ slot: UInt32) -> UnsafeMutableRawPointer {
        base + (Int(slot) &* strideBytes &+ MemoryLayout<Element>.stride)
    }

    @inline(__always)
    func generation(_ slot: UInt32) -> UInt32 { generations[Int(slot)] }

    /// Whether the token of a completion names the present owner of its slot.
    @inline(__always)
    func isCurrent(_ token: OperationToken) -> Bool {
        slots.isTaken(Int(token.slot)) && generations[Int(token.slot)] & 0xFF_FFFF == token.generation
    }

    func isTaken(_ slot: UInt32) -> Bool { slots.isTaken(Int(slot)) }

    /// Gives the pages of empty slots at the end back to the kernel, at most `sliceBytes` a call; false when there is
    /// nothing left to give.
    mutating func trim(sliceBytes: Int) -> Bool {
        var keep = used
        let floor = max(0, used - max(1, sliceBytes / strideBytes))
        while keep > floor && !slots.isTaken(keep - 1) { keep -= 1 }
        guard keep < used else { return false }
        let page = 4096
        let from = (keep * strideBytes + page - 1) / page * page
        let to = (used * strideBytes + page - 1) / page * page
        if to > from { madvise(base + from, to - from, MADV_DONTNEED) }
        used = keep
        return true
    }

    @inline(__always)
    private func poison(_ slot: UInt32) {
        #if DEBUG
        memset(base + Int(slot) * strideBytes, 0xDB, strideBytes)
        #endif
    }
}

/// Reserves address space that the kernel backs with huge pages where it can: buffers that are used in turn touch every
/// page, and walking the page tables for each costs more than the copying.
func reserveHuge(_ bytes: Int) -> UnsafeMutableRawPointer {
    let huge = 2 << 20
    let start = reserve(bytes + huge)
    let aligned = UnsafeMutableRawPointer(bitPattern: (UInt(bitPattern: start) + UInt(huge) - 1) & ~(UInt(huge) - 1))!
    madvise(aligned, bytes, MADV_HUGEPAGE)
    return aligned
}

/// Reserves address space without memory behind it.
func reserve(_ bytes: Int) -> UnsafeMutableRawPointer {
    let mapped = mmap(nil, max(bytes, 1), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
    guard let mapped, mapped != MAP_FAILED else {
        fatalError("cannot reserve \(bytes) bytes of address space: raise the limit of virtual memory (ulimit -v)")
    }
    return mapped
}

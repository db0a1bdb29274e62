import Glibc

/// A block of memory for heads and output; its header stands in its first bytes.
struct Block: BitwiseCopyable {
    var next: UnsafeMutablePointer<Block>?
    /// Range of the bytes in use, counted from `bytes`.
    var begin: Int32
    var end: Int32
    var capacity: Int32
    var slot: UInt32
    var size: BlockSize
}

enum BlockSize: UInt8, CaseIterable {
    case small, medium, large
    var totalBytes: Int {
        switch self {
        case .small: 4096
        case .medium: 16384
        case .large: 65536
        }
    }
    /// What a worker may have at most of each; the sum bounds its buffers.
    var countMax: Int {
        switch self {
        case .small: 131_072
        case .medium: 32_768
        case .large: 4_096
        }
    }
    var payloadBytes: Int { totalBytes - MemoryLayout<Block>.stride }

    /// The smallest size that holds `bytes`; nil when none does.
    static func holding(_ bytes: Int) -> BlockSize? { allCases.first { $0.payloadBytes >= bytes } }
}

extension UnsafeMutablePointer where Pointee == Block {
    @inline(__always)
    var bytes: UnsafeMutableRawPointer { UnsafeMutableRawPointer(self) + MemoryLayout<Block>.stride }
    /// First byte in use.
    @inline(__always)
    var begin: UnsafeMutableRawPointer { bytes + Int(pointee.begin) }
    /// Number of bytes in use.
    @inline(__always)
    var count: Int { Int(pointee.end &- pointee.begin) }
    /// First free byte, and how many follow.
    @inline(__always)
    var end: UnsafeMutableRawPointer { bytes + Int(pointee.end) }
    @inline(__always)
    var room: Int { Int(pointee.capacity &- pointee.end) }
}

/// The blocks of one worker, in three sizes; given back to the kernel in slices on idle ticks.
struct BlockPool: ~Copyable {
    private var small = BlockSlab(.small)
    private var medium = BlockSlab(.medium)
    private var large = BlockSlab(.large)

    /// Bytes of the blocks that are taken now.
    var takenBytes: Int {
        small.count * BlockSize.small.totalBytes + medium.count * BlockSize.medium.totalBytes
            + large.count * BlockSize.large.totalBytes
    }
    /// Bytes of the part that may hold pages.
    var usedBytes: Int { small.usedBytes + medium.usedBytes + large.usedBytes }

    /// An empty block; nil when the bound of that size is reached.
    mutating func take(_ size: BlockSize) -> UnsafeMutablePointer<Block>? {
        switch size {
        case .small: small.take(size)
        case .medium: medium.take(size)
        case .large: large.take(size)
        }
    }

    mutating func giveBack(_ block: UnsafeMutablePointer<Block>) {
        switch block.pointee.size {
        case .small: small.giveBack(block.pointee.slot)
        case .medium: medium.giveBack(block.pointee.slot)
        case .large: large.giveBack(block.pointee.slot)
        }
    }

    /// Gives one slice of each size back to the kernel; false when there is nothing left to give.
    mutating func trim(sliceBytes: Int) -> Bool {
        let a = small.trim(sliceBytes: sliceBytes)
        let b = medium.trim(sliceBytes: sliceBytes)
        let c = large.trim(sliceBytes: sliceBytes)
        return a || b || c
    }
}

/// The blocks of one size.
private struct BlockSlab: ~Copyable {
    private var slots: SlotMap
    private let base: UnsafeMutableRawPointer
    private let totalBytes: Int
    private var used = 0

    init(_ size: BlockSize) {
        totalBytes = size.totalBytes
        slots = SlotMap(capacity: size.countMax)
        base = reserve(size.countMax * size.totalBytes)
    }

    deinit { munmap(base, slots.capacity * totalBytes) }

    var count: Int { slots.taken }
    var usedBytes: Int { used * totalBytes }

    mutating func take(_ size: BlockSize) -> UnsafeMutablePointer<Block>? {
        guard let slot = slots.take() else { return nil }
        used = max(used, slot &+ 1)
        let block = (base + slot &* totalBytes).assumingMemoryBound(to: Block.self)
        block.initialize(
            to: Block(
                next: nil, begin: 0, end: 0, capacity: Int32(truncatingIfNeeded: size.payloadBytes),
                slot: UInt32(truncatingIfNeeded: slot), size: size))
        return block
    }

    mutating func giveBack(_ slot: UInt32) {
        #if DEBUG
        memset(base + Int(slot) * totalBytes, 0xDB, totalBytes)
        #endif
        slots.giveBack(Int(slot))
    }

    mutating func trim(sliceBytes: Int) -> Bool {
        var keep = used
        let floor = max(0, used - max(1, sliceBytes / totalBytes))
        while keep > floor && !slots.isTaken(keep - 1) { keep -= 1 }
        guard keep < used else { return false }
        madvise(base + keep * totalBytes, (used - keep) * totalBytes, MADV_DONTNEED)
        used = keep
        return true
    }
}

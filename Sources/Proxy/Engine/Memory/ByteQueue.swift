import Glibc

/// First-in first-out bytes in a chain of blocks: what waits to be sent, or to be understood.
///
/// Trivial, so that it lives in a connection's slot; every call that may take or give back blocks gets the pool.
/// Bytes that the kernel is sending stay where they are until `consume`.
struct ByteQueue: BitwiseCopyable {
    private(set) var head: UnsafeMutablePointer<Block>?
    private(set) var tail: UnsafeMutablePointer<Block>?
    private(set) var count = 0

    init() {}

    private init(head: UnsafeMutablePointer<Block>, tail: UnsafeMutablePointer<Block>?, count: Int) {
        self.head = head
        self.tail = tail
        self.count = count
    }

    @inline(__always)
    var isEmpty: Bool { count == 0 }

    /// Room for at least `bytes` in one piece at the end; nil when no block holds them or the pool is exhausted.
    /// What was written is taken over by `commit`.
    @inline(__always)
    mutating func reserve(_ bytes: Int, from pool: inout BlockPool) -> UnsafeMutableRawPointer? {
        if let tail, tail.room >= bytes { return tail.end }
        return addBlock(holding: bytes, from: &pool)
    }

    /// How many bytes fit behind the last `reserve`.
    var room: Int { tail?.room ?? 0 }

    @inline(__always)
    mutating func commit(_ bytes: Int) {
        guard let tail else { return }
        precondition(bytes <= tail.room, "more written than reserved")
        tail.pointee.end &+= Int32(truncatingIfNeeded: bytes)
        count &+= bytes
    }

    /// Copies bytes to the end; false (and nothing copied beyond what fitted) when the pool is exhausted.
    mutating func append(_ bytes: UnsafeRawPointer, _ length: Int, from pool: inout BlockPool) -> Bool {
        var done = 0
        while done < length {
            if tail == nil || tail!.room == 0 {
                guard addBlock(holding: min(length &- done, BlockSize.medium.payloadBytes), from: &pool) != nil else {
                    return false
                }
            }
            let piece = min(length &- done, tail!.room)
            memcpy(tail!.end, bytes + done, piece)
            commit(piece)
            done &+= piece
        }
        return true
    }

    private mutating func addBlock(holding bytes: Int, from pool: inout BlockPool) -> UnsafeMutableRawPointer? {
        guard let size = BlockSize.holding(bytes), let block = pool.take(size) else { return nil }
        if let tail { tail.pointee.next = block } else { head = block }
        tail = block
        return block.bytes
    }

    /// Takes over a block with bytes in it, as the last of the chain.
    mutating func append(_ block: UnsafeMutablePointer<Block>) {
        block.pointee.next = nil
        if let tail { tail.pointee.next = block } else { head = block }
        tail = block
        count &+= block.count
    }

    /// Takes over all blocks of another queue, behind its own.
    mutating func append(contentsOf other: inout ByteQueue) {
        guard let first = other.head else { return }
        if let tail { tail.pointee.next = first } else { head = first }
        tail = other.tail
        count &+= other.count
        other = ByteQueue()
    }

    /// Keeps the first `kept` bytes and gives the others away; an empty queue, and nothing changed, where no block was to be
    /// had for those that share one with the last byte kept.
    ///
    /// What is kept stays where it is, for the kernel may be sending it.
    mutating func split(at kept: Int, from pool: inout BlockPool) -> ByteQueue {
        precondition(kept <= count, "more kept than queued")
        var rest = ByteQueue()
        if kept == 0 {
            swap(&self, &rest)
            return rest
        }
        var block = head
        var left = kept
        while let current = block, left > current.count {
            left &-= current.count
            block = current.pointee.next
        }
        guard let last = block else { return rest }
        let shared = last.count &- left
        if shared > 0 {
            guard let size = BlockSize.holding(shared), let copy = pool.take(size) else { return rest }
            memcpy(copy.bytes, last.begin + left, shared)
            copy.pointee.end = Int32(truncatingIfNeeded: shared)
            last.pointee.end &-= Int32(truncatingIfNeeded: shared)
            rest.append(copy)
        }
        if let behind = last.pointee.next {
            var others = ByteQueue(head: behind, tail: tail, count: count &- kept &- shared)
            rest.append(contentsOf: &others)
        }
        last.pointee.next = nil
        tail = last
        count = kept
        return rest
    }

    /// Forgets the first `bytes` bytes and gives emptied blocks back.
    @inline(__always)
    mutating func consume(_ bytes: Int, into pool: inout BlockPool) {
        precondition(bytes <= count, "more consumed than queued")
        var left = bytes
        count &-= bytes
        while let block = head {
            let piece = min(left, block.count)
            block.pointee.begin &+= Int32(truncatingIfNeeded: piece)
            left &-= piece
            if block.count > 0 { break }
            head = block.pointee.next
            if head == nil { tail = nil }
            pool.giveBack(block)
            if left == 0 && head != nil && head!.count > 0 { break }
        }
    }

    /// Gives everything back.
    mutating func clear(into pool: inout BlockPool) {
        while let block = head {
            head = block.pointee.next
            pool.giveBack(block)
        }
        tail = nil
        count = 0
    }

    /// The first pieces of at most `most` bytes, for one vectored send; `byteCount` tells how many bytes they hold.
    func pieces(byteCount: inout Int, most: Int = .max) -> SendPieces {
        var pieces = SendPieces()
        byteCount = 0
        var block = head
        while let current = block, pieces.count < SendPieces.countMax, byteCount < most {
            let piece = min(current.count, most &- byteCount)
            if piece > 0 {
                pieces.append(current.begin, piece)
                byteCount &+= piece
            }
            block = current.pointee.next
        }
        return pieces
    }
}

import Glibc

/// A bounded queue of bytes: one direction of a scripted connection, or a pipe.
struct ScriptedBytes: ~Copyable {
    private let base: UnsafeMutableRawPointer
    let capacity: Int
    private var start = 0
    private(set) var count = 0

    init(capacity: Int) {
        self.capacity = capacity
        base = .allocate(byteCount: capacity, alignment: 16)
    }

    deinit { base.deallocate() }

    var room: Int { capacity - count }

    /// Adds up to `length` bytes; returns how many there was room for.
    mutating func write(_ bytes: UnsafeRawPointer, _ length: Int) -> Int {
        let taken = min(length, room)
        let end = (start + count) % capacity
        let first = min(taken, capacity - end)
        memcpy(base + end, bytes, first)
        memcpy(base, bytes + first, taken - first)
        count += taken
        return taken
    }

    /// Takes up to `length` bytes out; returns how many there were.
    mutating func read(into bytes: UnsafeMutableRawPointer, _ length: Int) -> Int {
        let taken = min(length, count)
        let first = min(taken, capacity - start)
        memcpy(bytes, base + start, first)
        memcpy(bytes + first, base, taken - first)
        start = (start + taken) % capacity
        count -= taken
        return taken
    }

    /// Moves up to `length` bytes to another queue; returns how many it had room for.
    mutating func move(to other: inout ScriptedBytes, _ length: Int) -> Int {
        var left = min(length, count, other.room)
        let moved = left
        while left > 0 {
            let piece = min(left, capacity - start)
            _ = other.write(base + start, piece)
            start = (start + piece) % capacity
            count -= piece
            left -= piece
        }
        return moved
    }

    mutating func clear() {
        start = 0
        count = 0
    }
}

import Glibc

/// Receive buffers that are lent to a scripted kernel: picked when bytes come, poisoned when they are returned.
final class ScriptedBuffers {
    private let memory: UnsafeMutableRawPointer
    private let free: UnsafeMutablePointer<UInt16>
    private let isLent: UnsafeMutablePointer<Bool>
    private var freeCount: Int
    let count: Int
    let bytes: Int
    private let poisons: Bool

    init(count: Int, bytes: Int, poisons: Bool) {
        self.count = count
        self.bytes = bytes
        self.poisons = poisons
        memory = .allocate(byteCount: count * bytes, alignment: 64)
        free = .allocate(capacity: count)
        isLent = .allocate(capacity: count)
        isLent.initialize(repeating: false, count: count)
        for at in 0..<count { free[at] = UInt16(at) }
        freeCount = count
    }

    deinit {
        memory.deallocate()
        free.deallocate()
        isLent.deallocate()
    }

    /// Buffers that the worker holds.
    var lentCount: Int { count - freeCount }

    func address(_ buffer: UInt16) -> UnsafeRawPointer { UnsafeRawPointer(memory + Int(buffer) * bytes) }

    /// A buffer to fill; nil when all are out.
    func take() -> UInt16? {
        guard freeCount > 0 else { return nil }
        freeCount -= 1
        let buffer = free[freeCount]
        isLent[Int(buffer)] = true
        return buffer
    }

    func fill(_ buffer: UInt16) -> UnsafeMutableRawPointer { memory + Int(buffer) * bytes }

    /// False when the buffer was not out.
    func giveBack(_ buffer: UInt16) -> Bool {
        guard Int(buffer) < count, isLent[Int(buffer)] else { return false }
        isLent[Int(buffer)] = false
        if poisons { memset(memory + Int(buffer) * bytes, 0xDB, bytes) }
        free[freeCount] = buffer
        freeCount += 1
        return true
    }
}

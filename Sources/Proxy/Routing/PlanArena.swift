import Glibc

/// The memory of one serving plan: everything in it lives exactly as long as the plan, and nothing of it is freed alone.
///
/// Filled by one thread while the plan is compiled, read by all workers after that.
final class PlanArena {
    private var pieces: [UnsafeMutableRawPointer] = []
    private var endings: [() -> Void] = []

    /// A copy of the values at an address that stays.
    func array<T: BitwiseCopyable>(_ values: [T]) -> UnsafeBufferPointer<T> {
        guard !values.isEmpty else { return UnsafeBufferPointer(start: nil, count: 0) }
        let memory = UnsafeMutableRawPointer.allocate(
            byteCount: values.count * MemoryLayout<T>.stride, alignment: max(MemoryLayout<T>.alignment, 16))
        pieces.append(memory)
        let typed = memory.bindMemory(to: T.self, capacity: values.count)
        values.withUnsafeBufferPointer { typed.initialize(from: $0.baseAddress!, count: values.count) }
        return UnsafeBufferPointer(start: typed, count: values.count)
    }

    /// One value at an address that stays.
    func place<T: BitwiseCopyable>(_ value: T) -> UnsafePointer<T> { array([value]).baseAddress! }

    func bytes(_ bytes: [UInt8]) -> LastingBytes {
        let copy = array(bytes)
        return copy.isEmpty ? .empty : LastingBytes(start: UnsafeRawPointer(copy.baseAddress!), count: copy.count)
    }

    func bytes(_ text: String) -> LastingBytes {
        bytes(Array(text.utf8))
    }

    /// Runs when the plan is let go: for what other libraries allocated.
    func atEnd(_ ending: @escaping () -> Void) { endings.append(ending) }

    deinit {
        for ending in endings.reversed() { ending() }
        for piece in pieces { piece.deallocate() }
    }
}

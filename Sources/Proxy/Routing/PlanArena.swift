import Glibc

/// The memory of one serving plan: everything in it lives exactly as long as the plan, and nothing of it is freed alone.
///
/// Filled by one thread while the plan is compiled, read by all workers after that. What is put in one after the other
/// stands side by side, in pieces that grow: the tables of a virtual host are near one another, and large plans get huge pages.
final class PlanArena {
    private static let pieceBytesMin = 16 * 1024
    private static let hugePageBytes = 2 * 1024 * 1024

    private var pieces: [UnsafeMutableRawPointer] = []
    /// Of the last piece: its size, and how much of it is taken.
    private var pieceBytes = 0
    private var taken = 0
    private var endings: [() -> Void] = []

    /// A copy of the values at an address that stays.
    func array<T: BitwiseCopyable>(_ values: [T]) -> UnsafeBufferPointer<T> {
        guard !values.isEmpty else { return UnsafeBufferPointer(start: nil, count: 0) }
        let memory = room(values.count * MemoryLayout<T>.stride, alignment: MemoryLayout<T>.alignment)
        let typed = memory.bindMemory(to: T.self, capacity: values.count)
        values.withUnsafeBufferPointer { typed.initialize(from: $0.baseAddress!, count: values.count) }
        return UnsafeBufferPointer(start: typed, count: values.count)
    }

    private func room(_ byteCount: Int, alignment: Int) -> UnsafeMutableRawPointer {
        let start = (taken + alignment - 1) & ~(alignment - 1)
        if let piece = pieces.last, start + byteCount <= pieceBytes {
            taken = start + byteCount
            return piece + start
        }
        var size = max(byteCount, min(max(2 * pieceBytes, Self.pieceBytesMin), Self.hugePageBytes))
        let isHuge = size >= Self.hugePageBytes
        if isHuge { size = (size + Self.hugePageBytes - 1) & ~(Self.hugePageBytes - 1) }
        let piece = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: isHuge ? Self.hugePageBytes : 64)
        if isHuge { madvise(piece, size, MADV_HUGEPAGE) }
        pieces.append(piece)
        pieceBytes = size
        taken = byteCount
        return piece
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

    /// The bytes of a text, where there is one.
    ///
    /// Not by `map`: unspecialized it leaves the count of its nil unwritten, which readers that compare both words take
    /// for a value.
    func bytes(ifAny text: String?) -> LastingBytes? {
        guard let text else { return nil }
        return bytes(text)
    }

    /// Runs when the plan is let go: for what other libraries allocated.
    func atEnd(_ ending: @escaping () -> Void) { endings.append(ending) }

    deinit {
        for ending in endings.reversed() { ending() }
        for piece in pieces { piece.deallocate() }
    }
}

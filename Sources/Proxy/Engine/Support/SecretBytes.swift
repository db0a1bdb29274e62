import Glibc

/// Bytes that nobody else may read: kept in one place, never changed, wiped when the last reference goes.
///
/// An `Array` would leave a copy behind at every growth and at every change of hands.
final class SecretBytes: @unchecked Sendable {
    static let empty = SecretBytes(capacity: 0) { _ in 0 }

    private let memory: UnsafeMutableRawPointer
    private let capacity: Int
    let count: Int

    /// Bytes that are written in place.
    ///
    /// - Parameter fill: gets memory that is all zeros, and says how many bytes of it count.
    init<Failure: Error>(capacity: Int, _ fill: (UnsafeMutableRawBufferPointer) throws(Failure) -> Int) throws(Failure) {
        let memory = UnsafeMutableRawPointer.allocate(byteCount: max(capacity, 1), alignment: 16)
        memset(memory, 0, max(capacity, 1))
        do throws(Failure) {
            count = min(try fill(UnsafeMutableRawBufferPointer(start: memory, count: capacity)), capacity)
        } catch {
            explicit_bzero(memory, capacity)
            memory.deallocate()
            throw error
        }
        self.memory = memory
        self.capacity = capacity
    }

    /// A copy; the original is the caller's to wipe.
    convenience init(_ bytes: [UInt8]) {
        self.init(capacity: bytes.count) { room in
            room.copyBytes(from: bytes)
            return bytes.count
        }
    }

    deinit {
        explicit_bzero(memory, capacity)
        memory.deallocate()
    }

    /// Lends the bytes for the length of a call.
    func withBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        withExtendedLifetime(self) { body(UnsafeRawBufferPointer(start: memory, count: count)) }
    }
}

extension SecretBytes: Hashable {
    static func == (one: SecretBytes, other: SecretBytes) -> Bool {
        one === other || one.count == other.count && memcmp(one.memory, other.memory, one.count) == 0
    }

    func hash(into hasher: inout Hasher) { hasher.combine(bytes: UnsafeRawBufferPointer(start: memory, count: count)) }
}

extension Array where Element == UInt8 {
    /// Overwrites the bytes with zeros, in place when nothing else refers to them.
    mutating func wipe() {
        withUnsafeMutableBytes { if let start = $0.baseAddress { explicit_bzero(start, $0.count) } }
    }
}

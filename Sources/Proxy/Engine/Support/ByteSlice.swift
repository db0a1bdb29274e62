/// A borrowed run of bytes: whoever makes one guarantees that it outlives the call it is passed to.
///
/// A nil start means "there is no such value", which is not the same as an empty one.
struct ByteSlice: BitwiseCopyable {
    var start: UnsafeRawPointer?
    var count: Int

    static var none: ByteSlice { ByteSlice(start: nil, count: 0) }

    init(start: UnsafeRawPointer?, count: Int) {
        self.start = start
        self.count = count
    }

    /// The bytes of a literal, which live as long as the process.
    init(_ literal: StaticString) {
        self.init(start: literal.utf8Start, count: literal.utf8CodeUnitCount)
    }

    var isAbsent: Bool { start == nil }
}

import Glibc

/// Bytes that outlive every request that reads them: of a serving plan's memory, or kept for the life of the process.
struct LastingBytes: BitwiseCopyable, Hashable, @unchecked Sendable {
    let start: UnsafeRawPointer
    let count: Int

    init(start: UnsafeRawPointer, count: Int) {
        self.start = start
        self.count = count
    }

    /// No bytes at all.
    static var empty: LastingBytes {
        let nothing: StaticString = ""
        return LastingBytes(start: nothing.utf8Start, count: 0)
    }

    /// Keeps the text for the life of the process, once however often it is asked for: for names that outlive the
    /// plan they come from. For words of the configuration only, never for bytes of a peer.
    init(interned text: String) {
        self = internedTexts.withLock { known in
            if let bytes = known[text] { return bytes }
            let bytes = LastingBytes(copying: text)
            known[text] = bytes
            return bytes
        }
    }

    private init(copying text: String) {
        let bytes = Array(text.utf8)
        let memory = UnsafeMutableRawPointer.allocate(byteCount: max(bytes.count, 1), alignment: 1)
        bytes.withUnsafeBytes { if $0.count > 0 { memory.copyMemory(from: $0.baseAddress!, byteCount: $0.count) } }
        start = UnsafeRawPointer(memory)
        count = bytes.count
    }

    var slice: ByteSlice { ByteSlice(start: start, count: count) }
    var text: String { String(decoding: UnsafeRawBufferPointer(start: start, count: count), as: UTF8.self) }
    /// For writers of heads.
    var bytes: UnsafeBufferPointer<UInt8> {
        UnsafeBufferPointer(start: start.assumingMemoryBound(to: UInt8.self), count: count)
    }
}

private let internedTexts = Locked<[String: LastingBytes]>([:])

extension Optional where Wrapped == LastingBytes {
    /// How many bytes there are; 0 for nil.
    ///
    /// `bytes?.count` behind a pointer to a large struct reads past nil in debug builds of this compiler.
    @inline(__always)
    var byteCount: Int {
        switch self {
        case .some(let bytes): bytes.count
        case .none: 0
        }
    }
}

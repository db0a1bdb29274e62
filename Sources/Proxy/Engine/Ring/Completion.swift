import CUring

/// One completion, decoded once: what it belongs to, its result and its flags.
struct Completion {
    var token: OperationToken
    /// A count of bytes, a descriptor, or a negative errno.
    var result: Int32
    var flags: UInt32

    /// Whether the operation stays armed and further completions will follow (multishot).
    var hasMore: Bool { flags & UInt32(IORING_CQE_F_MORE) != 0 }
    /// The provided buffer that the kernel picked; nil when none was used.
    var buffer: UInt16? {
        flags & UInt32(IORING_CQE_F_BUFFER) != 0 ? UInt16(truncatingIfNeeded: flags &>> 16) : nil
    }
}

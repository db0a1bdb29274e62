/// What the socket of a client whose records the kernel seals may be given, so that all of it fits.
///
/// The kernel takes bytes, seals them, and counts them as sent although its socket may lack the room for the whole record; what is
/// left then goes out late, or never (docs/internals/kernel-tls.md). So it is never given more than surely fits, and what it takes
/// is in the socket when the call returns.
struct KernelSendRoom: BitwiseCopyable, Equatable {
    /// What the socket may hold for its peer, and holds: memory, not bytes of ours (SK_MEMINFO_SNDBUF, SK_MEMINFO_WMEM_QUEUED).
    var bufferBytes: Int
    var queuedBytes = 0
    /// From how many unsent bytes on it takes no more (TCP_NOTSENT_LOWAT), and how many there are.
    var unsentLowBytes = unlimited
    var unsentBytes = 0
    /// How many bytes of memory one byte may cost: see `KernelFit`.
    var bytesPerByte = 2

    static let unlimited = Int(UInt32.max)
    /// Kept free beside what is given: heads and tags of records that came in many small pieces, packets that are not full, and
    /// `controlBytes`.
    static let spareBytes = 9_216
    /// What an alert takes at the most: a packet of its own.
    static let controlBytes = 3_072

    /// - Parameter told: what the socket says.
    init(_ told: (buffer: UInt32, queued: UInt32, unsent: UInt32), unsentLowBytes: Int, bytesPerByte: Int) {
        bufferBytes = Int(told.buffer)
        queuedBytes = Int(told.queued)
        unsentBytes = Int(told.unsent)
        self.unsentLowBytes = unsentLowBytes
        self.bytesPerByte = bytesPerByte
    }

    init(bufferBytes: Int, queuedBytes: Int = 0, unsentLowBytes: Int = unlimited, unsentBytes: Int = 0, bytesPerByte: Int = 2) {
        self.bufferBytes = bufferBytes
        self.queuedBytes = queuedBytes
        self.unsentLowBytes = unsentLowBytes
        self.unsentBytes = unsentBytes
        self.bytesPerByte = bytesPerByte
    }

    private var freeBytes: Int { min(bufferBytes &- queuedBytes, unsentLowBytes &- unsentBytes) }

    /// What fits whenever a poll calls the socket writable: the kernel does when a third of its buffer is free, and less than half
    /// of what may be unsent is. 0 or less = a poll may call it writable although nothing fits.
    var writableBytes: Int { (min(bufferBytes / 3, unsentLowBytes / 2) &- Self.spareBytes) / bytesPerByte }

    /// An alert fits.
    var takesControl: Bool { freeBytes >= Self.controlBytes }

    /// How many of `wanted` bytes to give: all of them, or whole records where more than one fits.
    ///
    /// Waiting by a poll ends: whenever that says "writable", `writableBytes` fit, and for no more than those is waited.
    func helping(of wanted: Int) -> KernelHelping {
        let fits = (freeBytes &- Self.spareBytes) / bytesPerByte
        if wanted <= fits { return .give(wanted) }
        let least = min(writableBytes, TLSStream.recordBytesMax)
        if least <= 0 { return .bufferTooSmall }
        if fits < least { return .waitUntilWritable }
        return .give(fits > TLSStream.recordBytesMax ? fits &- fits % TLSStream.recordBytesMax : fits)
    }
}

/// What `KernelSendRoom.helping` says.
enum KernelHelping: BitwiseCopyable, Equatable {
    case give(Int)
    case waitUntilWritable
    /// No poll would help.
    case bufferTooSmall
}

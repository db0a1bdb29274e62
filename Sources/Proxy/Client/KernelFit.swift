/// Whether a connection is one that the kernel may seal for.
enum KernelFit: BitwiseCopyable, Equatable {
    /// It is, with so many bytes of memory at the most for one byte.
    case fits(bytesPerByte: Int)
    /// Its send buffer has to be made larger first.
    case bufferTooSmall
    /// The peer takes little just now; later perhaps.
    case notNow
    /// As long as it stands nothing will change about it.
    case never

    /// Less, and a writable socket would not take a helping worth a record.
    static let bufferBytesMin: Int = 40 * 1_024
    /// What is asked for where there is less; the kernel doubles it.
    static let bufferBytesAsked: Int = 64 * 1_024
    /// Less may not be unsent, or a writable socket would not take a helping.
    static let unsentLowBytesMin: Int = 32 * 1_024
    private static let segmentBytesMin = 512
    private static let windowBytesMin = 2_048
    private static let largeWindowBytes = 8_192

    /// - Parameters:
    ///   - window: what the peer takes just now. The kernel fills a packet with up to half of the largest window that it has seen, in
    ///     whole segments: at least a quarter. A packet costs some 1,300 bytes beside its content, so that a byte costs less
    ///     than two behind a window of 8 KiB, and less than four behind one of 2 KiB.
    ///   - segment: most bytes in a packet on the wire.
    init(bufferBytes: Int, unsentLowBytes: Int, window: Int, segment: Int) {
        if unsentLowBytes < Self.unsentLowBytesMin || segment < Self.segmentBytesMin {
            self = .never
        } else if window < Self.windowBytesMin {
            self = .notNow
        } else if bufferBytes < Self.bufferBytesMin {
            self = .bufferTooSmall
        } else {
            self = .fits(bytesPerByte: window < Self.largeWindowBytes ? 4 : 2)
        }
    }
}

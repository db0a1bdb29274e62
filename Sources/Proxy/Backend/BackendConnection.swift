/// One connection to a backend: trivial, in the worker's slab.
struct BackendConnection: BitwiseCopyable {
    enum State: UInt8 { case connecting, idle, active, closing }

    /// What the next byte from the backend is.
    enum Phase: UInt8 { case head, length, chunked, untilClose, tunnel }

    struct Flags: OptionSet, BitwiseCopyable {
        let rawValue: UInt32
        static let receiving = Flags(rawValue: 1)
        static let sending = Flags(rawValue: 2)
        static let dirty = Flags(rawValue: 4)
        static let sawEnd = Flags(rawValue: 8)
        /// Not to be used again after what it has.
        static let doomed = Flags(rawValue: 16)
        /// Reading stopped because the client is slower.
        static let paused = Flags(rawValue: 32)
        static let starved = Flags(rawValue: 64)
        static let nonBlocking = Flags(rawValue: 128)
        static let polling = Flags(rawValue: 256)
        static let pollingWritable = Flags(rawValue: 512)
        /// Half-close once everything is sent (tunnels).
        static let endAfterSend = Flags(rawValue: 1024)
        static let sendSideClosed = Flags(rawValue: 2048)
        /// Takes no further pipelined request.
        static let full = Flags(rawValue: 4096)
        /// Its answer goes by splice: nothing is received into buffers.
        static let splicing = Flags(rawValue: 32768)
        /// Not read for now: a limit holds its answer back.
        static let held = Flags(rawValue: 1 << 20)
    }

    var timer: Timer
    let fd: Int32
    let backend: Int32
    var state = State.connecting
    var phase = Phase.head
    var flags: Flags = []
    var inFlight: Int32 = 0
    var sendingBytes = 0
    var output = ByteQueue()
    /// Exchanges whose requests were sent and whose answers are due, in order.
    var exchanges = ExchangeList()
    /// The answer's head that has come in part, in one piece.
    var headBlock: UnsafeMutablePointer<Block>?
    var headArrival = HeadArrival()
    var remaining: UInt64 = 0
    var decoder = ChunkedDecoder()
    var trailers: UnsafeMutablePointer<Block>?
    /// What it has beside a plain connection; nil = it is one.
    var tls: UnsafeMutablePointer<TLSLink>?
    /// What its backend's certificate was checked for: it serves nobody who wants it checked for something else.
    var tlsMark: UInt64 = 0
    var nextIdle = noSlot
    var previousIdle = noSlot
    var nextDirty = noSlot
    var requestCount: Int32 = 0
    /// The client whose PROXY head it began with, the only one that it serves; 0 = nobody's.
    var owner: UInt64 = 0
    /// The timer runs for a write, not for an answer.
    var waitsForWrite = false
    var bytesSent: UInt64 = 0
    /// When the connection was asked for.
    var startedAt: UInt64
    var connectNanoseconds: UInt64 = 0
    var localPort: UInt16 = 0
    /// When the exchange at the head became the one whose answer is due.
    var headSince: UInt64 = 0

    init(fd: Int32, backend: Int32, slot: UInt32, now: UInt64) {
        timer = Timer(.backendConnection, slot: slot)
        self.fd = fd
        self.backend = backend
        startedAt = now
    }
}

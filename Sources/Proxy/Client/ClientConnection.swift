/// "No slot": the end of a list, or nothing attached.
let noSlot: UInt32 = .max

/// One accepted connection: trivial, in the worker's slab; holds no buffer while it is idle.
struct ClientConnection: BitwiseCopyable {
    enum State: UInt8 {
        /// The PROXY head of whoever stands before us may or must come first.
        case proxyHead
        /// TLS is being agreed, or has to be.
        case handshaking
        /// Between requests, or before the first.
        case idle
        /// Part of a head has come.
        case head
        /// The head is through, bytes of the body are due.
        case body
        /// The request is whole; what comes now belongs to the next one and waits.
        case answering
        /// After an upgrade: bytes go both ways as they are.
        case tunnel
        /// Our side is closed; what the peer still sends is thrown away, within bounds.
        case lingering
        /// Nothing more happens but the end of what is in flight.
        case closing
    }

    struct Flags: OptionSet, BitwiseCopyable {
        let rawValue: UInt32
        /// A multishot receive is armed.
        static let receiving = Flags(rawValue: 1)
        /// Its cancellation was asked for.
        static let receiveCancelled = Flags(rawValue: 2)
        /// Nothing shall be received for now: the other side is slower.
        static let paused = Flags(rawValue: 4)
        static let sending = Flags(rawValue: 8)
        /// The peer has closed its sending side.
        static let sawEnd = Flags(rawValue: 16)
        /// In the list of connections that have something to send.
        static let dirty = Flags(rawValue: 32)
        /// The receive ran out of buffers and waits for some.
        static let starved = Flags(rawValue: 64)
        /// The socket was made non-blocking for splice.
        static let nonBlocking = Flags(rawValue: 128)
        /// A poll for splice is armed.
        static let polling = Flags(rawValue: 256)
        /// Close when everything is sent.
        static let closeAfterSend = Flags(rawValue: 512)
        /// Close with a reset, so that the peer can tell.
        static let reset = Flags(rawValue: 1024)
        /// Half-close once everything is sent (tunnels).
        static let endAfterSend = Flags(rawValue: 2048)
        static let sendSideClosed = Flags(rawValue: 4096)
        static let pollingReadable = Flags(rawValue: 16384)
        /// Waiting bytes are being used just now, further up the stack.
        static let usingInput = Flags(rawValue: 32768)
        /// What is queued for it is held back by a limit.
        static let held = Flags(rawValue: 1 << 20)
        /// One connection more than its server may have: answered when its first head has told whether it asks how we are.
        static let overLimit = Flags(rawValue: 1 << 22)
        /// Backend connections that began with its PROXY head serve it alone.
        static let ownsConnections = Flags(rawValue: 1 << 21)
        /// Came to a port of TLS.
        static let encrypted = Flags(rawValue: 1 << 24)
        /// In the line of handshakes that wait for their turn.
        static let waitsForTurn = Flags(rawValue: 1 << 25)
    }

    var timer: Timer
    let fd: Int32
    let server: Int32
    var state = State.idle
    /// What the timer is set for.
    var waitingFor = ClientWait.head
    var flags: Flags = []
    /// Operations that the kernel has not completed.
    var inFlight: Int32 = 0
    /// Bytes of the send in flight.
    var sendingBytes = 0
    var output = ByteQueue()
    /// What came before it could be used.
    var input = ByteQueue()
    /// The head that has come in part, in one piece.
    var headBlock: UnsafeMutablePointer<Block>?
    /// When an incomplete head is worth another look.
    var headArrival = HeadArrival()
    /// What it has beside a plain connection; nil = nothing was encrypted yet, or ever.
    var tls: UnsafeMutablePointer<TLSLink>?
    var exchange = noSlot
    var nextDirty = noSlot
    /// Neighbours in the line of handshakes.
    var nextWaiting = noSlot
    var previousWaiting = noSlot
    var requestCount: UInt32 = 0
    var bytesReceived: UInt64 = 0
    var bytesSent: UInt64 = 0
    /// Port that it came to, once somebody asked; 0 = not yet, or a unix socket.
    var localPort: UInt16 = 0
    /// Bytes thrown away while lingering.
    var drainedBytes = 0
    /// Since when the peer is waited for without a break, and how many bytes it moved since: the measure of its rate.
    var rateSince: UInt64 = 0
    var rateBytes: UInt64 = 0
    /// When it last moved any.
    var progressAt: UInt64 = 0
    /// The limit at which it counts as open; held until it is closed.
    var limit: UnsafePointer<LimitPlan>?
    /// Asked from the kernel when first needed, or told by a PROXY head; length 0 = not yet.
    var address = SocketAddress()

    /// It has been answered and has not begun to ask again: whoever closes it takes nothing from the peer.
    var isBetweenRequests: Bool { state == .idle && requestCount > 0 }

    init(fd: Int32, server: Int32, slot: UInt32) {
        timer = Timer(.client, slot: slot)
        self.fd = fd
        self.server = server
    }
}

/// Which of the client's timers runs.
///
/// `kernelEnd`: the kernel seals, and has to put what is left into the socket before the end.
enum ClientWait: UInt8 { case head, bodyGap, idle, writeProgress, linger, tunnelIdle, kernelEnd, nothing }

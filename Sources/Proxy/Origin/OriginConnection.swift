/// One connection of the origin: trivial, in a slab.
struct OriginConnection: BitwiseCopyable {
    enum State: UInt8 {
        /// Between requests, or within a head.
        case head
        /// The body of a request is due; `sink` says where it goes.
        case body
        /// The answer goes on by `plan`; what comes meanwhile waits.
        case answering
        /// After an upgrade.
        case tunnel
        /// Our side is closed; what still comes is thrown away.
        case lingering
        /// Nothing more happens but the end of what is in flight.
        case closing
    }

    struct Flags: OptionSet, BitwiseCopyable {
        let rawValue: UInt16
        static let receiving = Flags(rawValue: 1)
        /// Nothing is received until what waits has been used.
        static let paused = Flags(rawValue: 2)
        static let sending = Flags(rawValue: 4)
        static let sawEnd = Flags(rawValue: 8)
        /// The present answer is the last.
        static let endsAfterAnswer = Flags(rawValue: 16)
        /// Close when everything is sent.
        static let closeAfterSend = Flags(rawValue: 32)
        /// Bytes in flight come from the table and not from `output`.
        static let sendsPattern = Flags(rawValue: 64)
        /// The answer is broken off where its half has been sent.
        static let breaksOff = Flags(rawValue: 128)
        /// The request at hand is of HTTP/1.0.
        static let isOld = Flags(rawValue: 256)
        /// The answer to this request has no body, whatever its head says.
        static let headOnly = Flags(rawValue: 512)
        /// Some bytes of a head have come.
        static let headBegun = Flags(rawValue: 1024)
        static let tls = Flags(rawValue: 2048)
        /// The whole request is there, and its answer waits for its time.
        static let waits = Flags(rawValue: 4096)
        /// A body of chunks ends without the last one.
        static let endsShort = Flags(rawValue: 8192)
    }

    /// What the answer still owes once the request is whole.
    enum Plan: UInt8 {
        /// `held` is all there is.
        case nothing
        /// `remaining` bytes of the pattern.
        case pattern
        /// The same in chunks of changing sizes.
        case chunks
        /// `remaining` dots, one a tenth of a second.
        case drip
        /// A sentence about the body that came.
        case report
        /// No answer but a reset.
        case reset
    }

    /// Where the body of a request goes.
    enum Sink: UInt8 { case discarded, echoed, compared }

    var timer: Timer
    let socket: Int32
    var state = State.head
    var plan = Plan.nothing
    var sink = Sink.discarded
    var flags: Flags = []
    var inFlight: Int32 = 0
    /// Received and not yet used.
    var input = ByteQueue()
    /// To be sent in order.
    var output = ByteQueue()
    /// The beginning of an answer that waits for the end of its request.
    var held = ByteQueue()
    /// Bytes of the send in flight.
    var sendingBytes = 0
    var arrival = HeadArrival()

    var requestIsChunked = false
    var requestRemaining: UInt64 = 0
    var decoder = ChunkedDecoder()
    /// Bytes of the request's body so far, and the first that was not the pattern's.
    var requestBodyBytes: UInt64 = 0
    var firstDifference: UInt64?

    /// How long the answer waits once the request is whole.
    var delayNanoseconds: UInt64 = 0
    var remaining: UInt64 = 0
    /// Where in the pattern the next byte to send, or to compare, stands.
    var position = 0
    /// The state of an upgraded connection that speaks WebSocket; nil where bytes are echoed as they are.
    var webSocket: WebSocketEcho?

    init(socket: Int32, slot: UInt32) {
        timer = Timer(.client, slot: slot)
        self.socket = socket
    }
}

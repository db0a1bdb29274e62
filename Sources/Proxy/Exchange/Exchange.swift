/// All state of one request and its answer: trivial, in the worker's slab; its field table stands in the slot's tail as a rule.
struct Exchange: BitwiseCopyable {
    struct Flags: OptionSet, BitwiseCopyable {
        let rawValue: UInt32
        /// The request has been received whole.
        static let requestWhole = Flags(rawValue: 1)
        /// The request's last byte is in the backend connection's queue.
        static let requestSent = Flags(rawValue: 2)
        /// Some of the request's body has been passed on, so it can't be sent again.
        static let bodyConsumed = Flags(rawValue: 4)
        /// Bytes of the final answer are in the client's queue.
        static let answerBegun = Flags(rawValue: 8)
        /// The whole answer is in the client's queue.
        static let answerWhole = Flags(rawValue: 16)
        /// The client connection stays open afterwards.
        static let keepsClient = Flags(rawValue: 32)
        /// The client is gone; what the backend still sends is thrown away.
        static let abandoned = Flags(rawValue: 64)
        /// Must have a backend connection of its own.
        static let unshared = Flags(rawValue: 128)
        /// Shares its backend connection with others in flight.
        static let pipelined = Flags(rawValue: 256)
        static let reusedConnection = Flags(rawValue: 512)
        static let firstByteSeen = Flags(rawValue: 1024)
        /// The body goes by splice from backend to client.
        static let splicingAnswer = Flags(rawValue: 2048)
        /// The body goes by splice from client to backend.
        static let splicingRequest = Flags(rawValue: 4096)
        static let logged = Flags(rawValue: 8192)
        /// A request went out and counts as waiting in the balancer's estimate.
        static let waitsForFirstByte = Flags(rawValue: 16384)
        /// A new sticky cookie has to be set.
        static let setsCookie = Flags(rawValue: 32768)
        static let usedBackend = Flags(rawValue: 65536)
        static let tunnel = Flags(rawValue: 131072)
        /// Counted among the active ones of its backend.
        static let countedActive = Flags(rawValue: 262144)
        /// Wants a connection that never served before: a used one has just died under it.
        static let fresh = Flags(rawValue: 524288)
        /// Passes the steps from `route` on for a second time, because the plan has changed: what counts requests has
        /// counted this one.
        static let rerouted = Flags(rawValue: 1_048_576)
        /// Comes from a peer whose fields about its own clients count.
        static let fromTrustedPeer = Flags(rawValue: 1 << 30)
    }

    /// How the answer's body ends toward the client.
    enum AnswerFraming: UInt8 { case none, length, chunked, untilClose }

    var timer: Timer
    let slot: UInt32
    let client: UInt32
    /// Place among the worker's servers.
    let server: Int32
    /// What the configuration says of this request; until one is found, its server's fallback.
    var rule: UnsafePointer<RulePlan>
    /// Which generation of the plan it counts as a user of: a place among the worker's `planUses`. -1 = none: tunnels.
    var planUse: Int32 = -1
    var step = Step.admit
    var flags: Flags = []
    /// Index of the chosen backend; -1 = none yet.
    var backend: Int32 = -1
    var connection = noSlot
    /// What its connection had sent, or queued, before this request.
    var sentMark: UInt64 = 0
    /// Neighbours in the list that it waits in, or in its connection's queue of requests sent.
    var next = noSlot
    var previous = noSlot
    var waitsIn = WaitingPlace.nowhere

    var head = RequestHead()
    /// The head's bytes, from the block's begin.
    var headBlock: UnsafeMutablePointer<Block>
    /// Fields of the head, in the slot's tail, or in a block where that is too small.
    var fields: UnsafeMutablePointer<FieldRange>
    var fieldBlock: UnsafeMutablePointer<Block>?
    var fieldCount: Int = 0

    /// The target that the backend gets, where it is another one.
    var target: UnsafeMutablePointer<Block>?
    /// Place of the field with the identifier that a trusted peer gave the request; -1 = it has ours.
    var identifierField: Int16 = -1

    // The request's body.
    var requestRemaining: UInt64 = 0
    var requestDecoder = ChunkedDecoder()
    var requestBodyBytes: UInt64 = 0
    var trailers: UnsafeMutablePointer<Block>?

    // The answer.
    var status: UInt16 = 0
    var backendStatus: UInt16 = 0
    var answerFraming = AnswerFraming.none
    var answerBodyBytes: UInt64 = 0
    var splicedBytes: UInt64 = 0
    var discardedBytes = 0
    var failure = FailureReason.none
    var retries: UInt8 = 0
    /// Splice of the answer and of the request, which may both be under way in a tunnel.
    var answerSplice = SpliceState()
    var requestSplice = SpliceState()
    /// Captured fields of the answer for the log.
    var captured: UnsafeMutablePointer<Block>?

    // Times, monotonic nanoseconds; 0 = not reached.
    var startedAt: UInt64
    var startedWall: UInt64
    var pendingSince: UInt64 = 0
    var pendingNanoseconds: UInt64 = 0
    var sentAt: UInt64 = 0
    var firstByteAt: UInt64 = 0
    /// Counters of the client connection when the exchange began.
    var clientBytesReceivedBefore: UInt64 = 0
    var clientBytesSentBefore: UInt64 = 0
    var backendBytesSent: UInt64 = 0
    var backendBytesReceived: UInt64 = 0
    var backendLocalPort: UInt16 = 0
    var connectNanoseconds: UInt64 = 0
    /// The backend that it was given to last.
    var backendNames: UnsafePointer<BackendNames>?
    /// Entries of the worker's logs that a tunnel writes to in the end.
    var tunnelAccessLog: Int32 = -1
    var tunnelErrorLog: Int32 = -1
    /// Counts the requests of its worker.
    var sequence: UInt64 = 0
    var requestNumber: UInt32 = 0
    var batchSize: UInt32 = 0

    init(
        slot: UInt32, client: UInt32, server: Int32, rule: UnsafePointer<RulePlan>, headBlock: UnsafeMutablePointer<Block>,
        fields: UnsafeMutablePointer<FieldRange>, clock: RingClock
    ) {
        timer = Timer(.exchange, slot: slot)
        self.slot = slot
        self.client = client
        self.server = server
        self.rule = rule
        self.headBlock = headBlock
        self.fields = fields
        startedAt = clock.now
        startedWall = clock.wall
    }
}

/// In which list an exchange is.
enum WaitingPlace: UInt8 {
    case nowhere, connectionQueue, backendWaiting
    /// The queue of a backend, by the backend's own rules or, because a cookie names it, by those of the server.
    case backendPending, backendPinned
    /// The queue of a group of backends.
    case groupPending
}

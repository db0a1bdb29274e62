/// One connection of the load generator, or the place of one: trivial, in a slab, with its requests behind it.
struct LoadConnection: BitwiseCopyable {
    enum State: UInt8 {
        case closed
        case connecting
        /// The handshake of TLS, or of WebSocket, is under way.
        case opening
        case open
        /// The last answer has come; the server is to end the connection.
        case draining
        /// Nothing more happens but the end of what is in flight.
        case closing
        /// Closed after a failure, and not tried again at once.
        case resting
    }

    /// What the next byte from the server belongs to.
    enum Part: UInt8 { case head, length, chunks, untilEnd, messages }

    struct Flags: OptionSet, BitwiseCopyable {
        let rawValue: UInt16
        static let receiving = Flags(rawValue: 1)
        static let sending = Flags(rawValue: 2)
        /// It stands in the queue of those that can take a request.
        static let listed = Flags(rawValue: 4)
        /// It stands in the list of those that have something to send.
        static let dirty = Flags(rawValue: 8)
        static let tls = Flags(rawValue: 16)
        /// Sends again when the timer says so.
        static let paced = Flags(rawValue: 32)
        /// To rest when it is closed.
        static let rests = Flags(rawValue: 64)
        /// The server keeps the connection open after the present answer.
        static let keepsAlive = Flags(rawValue: 128)
        /// The session of TLS has been asked for.
        static let sessionKept = Flags(rawValue: 256)
        /// The peer has said that it sends no more, and not just ended.
        static let sawEnd = Flags(rawValue: 512)
        /// Bytes in flight are of `pongs`.
        static let sendsPongs = Flags(rawValue: 1024)
    }

    /// The timeout of what is under way.
    var timer: Timer
    /// When to send on, of a slow writer.
    var sendTimer: Timer
    /// When to read on, of a slow reader.
    var readTimer: Timer
    var socket: Int32 = -1
    var state = State.closed
    var part = Part.head
    var flags: Flags = []
    /// Operations that the ring has in hand.
    var inFlight: Int32 = 0
    /// The oldest request under way, how many there are, and how many of them are not wholly sent.
    var first = 0
    var count = 0
    var unsent = 0
    /// Bytes of the first unsent request that have gone.
    var sentOffset = 0
    /// Bytes of the send in flight.
    var sendingBytes = 0
    /// Bytes of the opening of a WebSocket that have not gone.
    var preambleLeft = 0
    /// Since when it could take another request.
    var idleSince: UInt64 = 0
    /// A slow writer may send on, and a slow reader read on, from these moments on.
    var sendPace = Pace()
    var readPace = Pace()
    /// When the last pause of a slow writer ended.
    var pausedUntil: UInt64 = 0
    /// Answers to pings of a WebSocket server, which go out between two messages.
    var pongs = ByteQueue()
    /// Bytes of a head that came in pieces.
    var carry: UnsafeMutablePointer<Block>?
    var arrival = HeadArrival()
    var status: UInt16 = 0
    var remaining: UInt64 = 0
    var decoder = ChunkedDecoder()
    var reply = WebSocketReply()

    init(slot: UInt32) {
        timer = Timer(.client, slot: slot)
        sendTimer = Timer(.pace, slot: slot)
        readTimer = Timer(.exchange, slot: slot)
    }
}

/// A request under way.
struct LoadPending: BitwiseCopyable {
    /// When the timetable wanted it.
    var intended: UInt64
    /// When it could have gone: its time had come and its connection was free.
    var readyAt: UInt64
    /// How late the turn was that took it off the timetable.
    var takenLate: UInt64
    /// When its first byte was given to the kernel; in a new connection, when that was begun.
    var sentAt: UInt64
    var entry: Int32
    var isMeasured: Bool
    /// `sentAt` is known.
    var isSent: Bool

    /// What this program itself has added to the latency: how late it sent though a connection was free, or, where none was, how late
    /// it looked at the time. A program that did not look would have found answers late, too.
    var lag: UInt64 { max(sentAt &- min(readyAt, sentAt), takenLate) }
}

/// One backend as one worker sees it: one resolved address of one `downstream`, its pool and its state.
struct Backend: BitwiseCopyable {
    enum State: UInt8 {
        /// Takes requests.
        case up
        /// The last connect failed; tried again when its timer fires.
        case down
        /// Left the configuration or the name's answer: finishes what it has.
        case draining
    }

    var timer: Timer
    let server: Int32
    /// Place among the `downstream` sections of its server.
    var settingsIndex: Int32
    var names: UnsafePointer<BackendNames>
    var address: SocketAddress
    var limits: BackendLimits
    var state = State.up
    /// Idle connections, the one used last on top.
    var idleTop = noSlot
    var idleCount: Int32 = 0
    var connectingCount: Int32 = 0
    /// All connections, in whatever state.
    var connectionCount: Int32 = 0
    var activeExchanges: Int32 = 0
    /// Exchanges that were given to this backend and wait for a connection that is being opened.
    var waiting = ExchangeList()
    /// Exchanges that wait for this very backend: it has a queue of its own, or a sticky cookie names it.
    var pending = ExchangeList()
    /// The connection that takes further requests of this tick (pipelining); noSlot = none.
    var sharedConnection = noSlot
    var connectFailures: Int32 = 0
    /// No sharing of connections before that time.
    var sharingOffUntil: UInt64 = 0
    var requests: UInt64 = 0
    var responses: UInt64 = 0
    var failures: UInt64 = 0
    var bytesSent: UInt64 = 0
    var bytesReceived: UInt64 = 0
    /// Where other threads read about it.
    let counters: CounterBlock
    /// Connections that hold a slot, closing ones included.
    var heldConnections: Int32 = 0
    /// In which tick `sharedConnection` was given its first request.
    var sharedTick: UInt64 = 0
    /// No descriptor or slot was left for another connection; tried again when the timer fires.
    var isOpeningPaused = false
    /// No `downstream`, but a place that requests are sent on to.
    var isTarget = false
    /// Index among the candidates of its server; -1 = it has left the choice.
    var candidate: Int32 = 0
    /// The newest session, for the next connection to begin with.
    var session: TLSSession?
    /// What the operator was told last.
    var tlsFailure = TLSFailure.none
}

/// The settings of a backend that its connections need, without strings.
struct BackendLimits: BitwiseCopyable {
    var connections: Int32
    var connectionsMax: Int32
    var idleNanoseconds: UInt64
    var requestsPerConnectionMax: Int32
    var connectNanoseconds: UInt64
    var readNanoseconds: UInt64
    var writeNanoseconds: UInt64
    var retryNanoseconds: UInt64
    var retryNanosecondsMax: UInt64
    var highBytes: Int
    var lowBytes: Int
    var head: HeadLimits
    var pipeline: Int32
    /// Time to first byte up to which connections are shared.
    var pipelineNanoseconds: UInt64
    var hasPendingQueue: Bool
    var pendingNanoseconds: UInt64
    var pendingMax: Int32
    var socket: SocketOptions
    /// Its connections begin with a PROXY head and serve one client each.
    var proxyHead: BackendSettings.SentProxyHead
    /// nil = plain HTTP. Good as long as the plan that it came with.
    var tls: BackendTLS?
}

/// A first-in first-out list of exchanges, linked through them.
struct ExchangeList: BitwiseCopyable {
    var first = noSlot
    var last = noSlot
    var count: Int32 = 0
    var isEmpty: Bool { count == 0 }
}

import Glibc

/// Bytes that live as long as the process: made once from a setting, read on the path of requests.
struct LastingBytes: BitwiseCopyable {
    let start: UnsafeRawPointer
    let count: Int

    init(start: UnsafeRawPointer, count: Int) {
        self.start = start
        self.count = count
    }

    init(_ text: String) {
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

/// One `server` as one worker runs it: its settings without strings, its candidates, its queue.
struct ServerRuntime {
    let limits: HeadLimits
    let bodyBytesMax: UInt64
    let requestsPerConnectionMax: UInt32
    let drainBytesMax: Int
    let headNanoseconds: UInt64
    let bodyGapNanoseconds: UInt64
    let idleNanoseconds: UInt64
    let writeNanoseconds: UInt64
    let tunnelIdleNanoseconds: UInt64
    let rateMin: UInt64
    let rateGraceNanoseconds: UInt64
    let highBytes: Int
    let lowBytes: Int
    let splice: SpliceSettings
    /// Unsent bytes above which the socket of a client takes no more; 0 = as many as the system likes.
    let notSentLowBytes: Int
    let forwardedFor: ForwardingSettings.ForwardedFor
    let forwardsProto: Bool
    let forwardsHost: Bool
    let via: LastingBytes?
    let allowsTrace: Bool
    let connectionsMax: Int
    let pendingNanoseconds: UInt64
    let pendingMax: Int32
    let hashKey: HashSource
    let stickyCookie: LastingBytes?
    let backendNames: UnsafeMutablePointer<LastingBytes>
    /// `host:port` as configured, for the log and for requests without a host.
    let backendLabels: UnsafeMutablePointer<LastingBytes>
    let backendLimits: UnsafeMutablePointer<BackendLimits>
    let backendWeights: UnsafeMutablePointer<Int32>
    let backendCount: Int

    var balancer: Balancer
    var candidates = Candidates(start: nil, count: 0)
    /// Backend of each candidate.
    var candidateBackends: UnsafeMutablePointer<UInt32>
    var pending = ExchangeList()
    /// Exchanges that wait by this server's rules: those of its queue, and those pinned to a backend without rules of its own.
    var pendingCount: Int32 = 0
    var connections = 0

    enum HashSource { case none, source, uri, header(LastingBytes), cookie(LastingBytes) }
}

private func nanoseconds(_ milliseconds: Int) -> UInt64 { UInt64(max(milliseconds, 0)) &* 1_000_000 }

extension ServerRuntime {
    /// Backends that one server can have, over all the addresses of its names.
    static let candidatesMax = 1024

    init(_ settings: ServerSettings, workerIndex: Int, workerCount: Int, seed: UInt64) {
        limits = HeadLimits(
            lineBytesMax: settings.limits.requestLineBytesMax, headBytesMax: settings.limits.headBytesMax,
            fieldsMax: settings.limits.fieldsMax)
        bodyBytesMax = settings.limits.bodyBytesMax == 0 ? .max : settings.limits.bodyBytesMax
        requestsPerConnectionMax = UInt32(clamping: settings.limits.requestsPerConnectionMax)
        drainBytesMax = settings.limits.drainBytesMax
        headNanoseconds = nanoseconds(settings.timers.headMilliseconds)
        bodyGapNanoseconds = nanoseconds(settings.timers.bodyGapMilliseconds)
        idleNanoseconds = nanoseconds(settings.timers.keepAliveIdleMilliseconds)
        writeNanoseconds = nanoseconds(settings.timers.writeProgressMilliseconds)
        tunnelIdleNanoseconds = nanoseconds(settings.timers.tunnelIdleMilliseconds)
        rateMin = UInt64(max(settings.timers.rateMinBytesPerSecond, 0))
        rateGraceNanoseconds = nanoseconds(settings.timers.rateGraceMilliseconds)
        highBytes = settings.watermark.highBytes
        lowBytes = settings.watermark.lowBytes
        splice = settings.splice
        notSentLowBytes = settings.tcp.notSentLowBytes
        forwardedFor = settings.forwarded.forwardedFor
        forwardsProto = settings.forwarded.proto
        forwardsHost = settings.forwarded.host
        via = settings.via.map { LastingBytes($0) }
        allowsTrace = settings.allowTrace
        connectionsMax = settings.connectionsMax == 0 ? .max : settings.connectionsMax
        pendingNanoseconds = nanoseconds(settings.pending.timeoutMilliseconds)
        pendingMax = settings.pending.countMax == 0 ? .max : Int32(clamping: settings.pending.countMax)
        hashKey =
            switch (settings.balancing.method, settings.balancing.hashKey) {
            case (.hash, .source): .source
            case (.hash, .uri): .uri
            case (.hash, .header(let name)): .header(LastingBytes(name.lowercased()))
            case (.hash, .cookie(let name)): .cookie(LastingBytes(name))
            default: .none
            }
        stickyCookie = settings.balancing.stickyCookie.map { LastingBytes($0) }
        backendCount = settings.backends.count
        backendNames = .allocate(capacity: max(backendCount, 1))
        backendLabels = .allocate(capacity: max(backendCount, 1))
        backendLimits = .allocate(capacity: max(backendCount, 1))
        backendWeights = .allocate(capacity: max(backendCount, 1))
        for (index, backend) in settings.backends.enumerated() {
            let label = backend.label
            (backendNames + index).initialize(to: LastingBytes(backend.name.isEmpty ? label : backend.name))
            (backendLabels + index).initialize(to: LastingBytes(label))
            (backendLimits + index).initialize(to: BackendLimits(backend))
            (backendWeights + index).initialize(to: Int32(clamping: backend.weight))
        }
        balancer = Balancer(
            settings: settings.balancing, workerIndex: workerIndex, workerCount: workerCount, seed: seed)
        candidateBackends = .allocate(capacity: Self.candidatesMax)
    }
}

extension ServerRuntime {
    /// When to look at a client that is waited for: every second while its rate is watched, else at the limit itself.
    func timerNanoseconds(_ limit: UInt64) -> UInt64 {
        guard rateMin > 0 else { return limit }
        return limit == 0 ? 1_000_000_000 : min(limit, 1_000_000_000)
    }
}

extension BackendSettings {
    /// `host:port`, or the path of a unix socket.
    var label: String {
        switch address {
        case .ipv4(let text), .name(let text): "\(text):\(port)"
        case .ipv6(let text): "[\(text)]:\(port)"
        case .unix(let path): path
        }
    }
}

extension BackendLimits {
    init(_ settings: BackendSettings) {
        connections = Int32(clamping: settings.connections)
        connectionsMax = Int32(clamping: settings.connectionsMax)
        idleNanoseconds = nanoseconds(settings.idleMilliseconds)
        requestsPerConnectionMax = Int32(clamping: settings.requestsPerConnectionMax)
        connectNanoseconds = nanoseconds(settings.connectMilliseconds)
        readNanoseconds = nanoseconds(settings.readMilliseconds)
        writeNanoseconds = nanoseconds(settings.writeMilliseconds)
        retryNanoseconds = nanoseconds(settings.retryMilliseconds)
        retryNanosecondsMax = nanoseconds(settings.retryMillisecondsMax)
        highBytes = settings.watermark.highBytes
        lowBytes = settings.watermark.lowBytes
        head = HeadLimits(
            lineBytesMax: settings.headBytesMax, headBytesMax: settings.headBytesMax, fieldsMax: settings.fieldsMax)
        pipeline = Int32(clamping: settings.pipeline)
        pipelineNanoseconds = nanoseconds(settings.pipelineLatencyMilliseconds)
        hasPendingQueue = settings.pending != nil
        pendingNanoseconds = nanoseconds(settings.pending?.timeoutMilliseconds ?? 0)
        let count = settings.pending?.countMax ?? 0
        pendingMax = count == 0 ? .max : Int32(clamping: count)
        socket = SocketOptions(settings.tcp)
    }
}

extension SocketOptions {
    init(_ settings: SocketSettings) {
        noDelay = settings.noDelay
        keepAlive = settings.keepAlive
        userTimeoutMilliseconds = Int32(clamping: settings.userTimeoutMilliseconds)
        notSentLowBytes = Int32(clamping: settings.notSentLowBytes)
        congestionControl = settings.congestionControl.map { LastingBytes($0).slice } ?? .none
    }
}

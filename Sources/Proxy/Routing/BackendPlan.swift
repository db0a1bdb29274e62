import Glibc

/// One `downstream` of a server as the plan has it.
struct BackendPlan: BitwiseCopyable {
    let names: UnsafePointer<BackendNames>
    let limits: BackendLimits
    let weight: Int32
}

/// How a backend is called in logs and heads; kept for the life of the process, one of each, so that pointers that are
/// equal mean names that are equal.
struct BackendNames: BitwiseCopyable {
    /// As configured; its label where it has no name.
    let name: LastingBytes
    /// `host:port` as configured, or the path of a unix socket.
    let label: LastingBytes

    static func of(_ settings: BackendSettings) -> UnsafePointer<BackendNames> {
        let label = settings.label
        return named(settings.name.isEmpty ? label : settings.name, label: label)
    }

    static func named(_ name: String, label: String) -> UnsafePointer<BackendNames> {
        knownNames.withLock { known in
            let key = "\(name)\n\(label)"
            if let names = known[key] { return names }
            let names = UnsafeMutablePointer<BackendNames>.allocate(capacity: 1)
            names.initialize(to: BackendNames(name: LastingBytes(interned: name), label: LastingBytes(interned: label)))
            let kept = Kept(UnsafePointer(names))
            known[key] = kept
            return kept
        }.pointer
    }

    private struct Kept: @unchecked Sendable {
        let pointer: UnsafePointer<BackendNames>
        init(_ pointer: UnsafePointer<BackendNames>) { self.pointer = pointer }
    }
    private static let knownNames = Locked<[String: Kept]>([:])
}

/// Backends that serve together, and how one of them is chosen: what rules with equal backends and balancing share.
struct BackendGroupPlan: BitwiseCopyable {
    /// Places among the backends of the server, in the order in which the rule names them.
    let members: UnsafeBufferPointer<Int32>
    let method: BalancingSettings.Method
    let hashKey: HashSource
    let hashLoadPercentMax: Int
    let stickyCookie: LastingBytes?

    enum HashSource: BitwiseCopyable { case none, source, uri, header(LastingBytes), cookie(LastingBytes) }
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
        proxyHead = settings.proxyHead
        tls = nil
    }
}

extension SocketOptions {
    init(_ settings: SocketSettings) {
        noDelay = settings.noDelay
        keepAlive = settings.keepAlive
        userTimeoutMilliseconds = Int32(clamping: settings.userTimeoutMilliseconds)
        notSentLowBytes = Int32(clamping: settings.notSentLowBytes)
        congestionControl = settings.congestionControl.map { LastingBytes(interned: $0).slice } ?? .none
    }
}

func nanoseconds(_ milliseconds: Int) -> UInt64 { UInt64(max(milliseconds, 0)) &* 1_000_000 }

import CUring

/// One `rate-limit` section, compiled: what holds for everybody together, and what for each client address.
///
/// Made by `LimitRegister`, which keeps it while a plan, a tunnel or a client connection refers to it.
struct LimitPlan: BitwiseCopyable {
    let cell: LimitCell
    /// Stands for the section in the table of clients; the same in every plan.
    let identity: UInt64
    let all: RatePlan
    let client: RatePlan
    /// How much a splice moves at once, so that slow rates are shared fairly.
    let helpingBytes: Int
    /// Whether it says anything about bytes in either direction.
    let limitsRead: Bool
    let limitsWrite: Bool
    /// Whether it says how much may be open at one time.
    let countsOpen: Bool
    /// Tunnels and client connections that outlive the plan they came with.
    let users: UnsafeMutablePointer<UInt64>

    init(_ settings: LimitSettings, cell: LimitCell, identity: UInt64, workerCount: Int, users: UnsafeMutablePointer<UInt64>) {
        self.cell = cell
        self.identity = identity
        all = RatePlan(settings.all, workerCount: workerCount)
        client = RatePlan(settings.client, workerCount: workerCount)
        helpingBytes = min(all.helpingBytes, client.helpingBytes)
        limitsRead = all.read.isLimited || client.read.isLimited
        limitsWrite = all.write.isLimited || client.write.isLimited
        countsOpen = all.openMax > 0 || client.openMax > 0
        self.users = users
    }

    @inline(__always)
    func retain() { _ = clinux_add_relaxed(users, 1) }
    @inline(__always)
    func release() { _ = clinux_add_relaxed(users, 0 &- 1) }
}

/// The numbers of one `rate-limit` or its `client` section.
struct RatePlan: BitwiseCopyable {
    let requests: RateBucket
    let read: RateBucket
    let write: RateBucket
    /// How many tokens a worker borrows at a time.
    let requestBatch: UInt64
    /// 0 = without limit.
    let openMax: UInt64
    let openBatch: UInt64
    let helpingBytes: Int

    /// A batch is what comes in 20 ms for all workers together, so that their unspent batches are 2 % of a second.
    private static func batch(_ perSecond: UInt64, burst: UInt64, workerCount: Int) -> UInt64 {
        max(1, min(64, perSecond / (50 * UInt64(max(workerCount, 1))), burst / 4))
    }

    /// A bucket of bytes holds what comes in a tenth of a second; nothing smaller than a helping makes sense.
    private static func bytes(_ perSecond: Int) -> RateBucket {
        perSecond == 0 ? .unlimited : RateBucket(perSecond: UInt64(perSecond), burst: UInt64(max(perSecond / 10, 1)))
    }

    private static let helpingBytesMin = 16 * 1024
    private static let helpingBytesMax = 1 << 20

    init(_ settings: RateSettings, workerCount: Int) {
        let perSecond = UInt64(max(settings.requestsPerSecond, 0))
        let burst = UInt64(max(settings.requestsBurst ?? settings.requestsPerSecond, 1))
        requests = perSecond == 0 ? .unlimited : RateBucket(perSecond: perSecond, burst: burst)
        requestBatch = Self.batch(perSecond, burst: burst, workerCount: workerCount)
        read = Self.bytes(settings.readBytesPerSecond)
        write = Self.bytes(settings.writeBytesPerSecond)
        openMax = UInt64(max(settings.connectionsMax, 0))
        // Where this is 1 counting is exact; above, what lies idle with the workers is 3 % of the limit at most.
        openBatch = max(1, openMax / (64 * UInt64(max(workerCount, 1))))
        var helping = Self.helpingBytesMax
        for rate in [settings.readBytesPerSecond, settings.writeBytesPerSecond] where rate > 0 {
            helping = min(helping, max(rate / 20, Self.helpingBytesMin))
        }
        helpingBytes = helping
    }
}

/// The limits that one exchange is under: those of its server, its virtual host and its rule, as far as there are any.
struct LimitChain: BitwiseCopyable, Hashable {
    var server: UnsafePointer<LimitPlan>?
    var virtualHost: UnsafePointer<LimitPlan>?
    var rule: UnsafePointer<LimitPlan>?

    @inline(__always)
    var isEmpty: Bool { server == nil && virtualHost == nil && rule == nil }

    @inline(__always)
    subscript(level: Int) -> UnsafePointer<LimitPlan>? { level == 0 ? server : level == 1 ? virtualHost : rule }
    static var levels: Int { 3 }

    /// How much a splice may move at once.
    var helpingBytes: Int {
        var helping = Int.max
        for level in 0..<Self.levels { if let limit = self[level] { helping = min(helping, limit.pointee.helpingBytes) } }
        return helping
    }
}

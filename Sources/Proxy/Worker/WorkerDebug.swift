/// What the debugging settings do to a worker: faults and slowness on purpose, so that what must notice them can be tried.
struct WorkerDebug: BitwiseCopyable {
    /// One look for a worker that has none of it.
    let isOn: Bool
    private let trapAtRequest: UInt64
    private let burnRounds: UInt64
    /// What the busy loop came to; it is kept so that the loop cannot be left out.
    private var burned: UInt64 = 0

    init(_ settings: GlobalSettings) {
        trapAtRequest = UInt64(max(settings.debugTrapAtRequest, 0))
        burnRounds = UInt64(max(settings.debugBurnNanoseconds, 0))
        isOn = trapAtRequest != 0 || burnRounds != 0
    }

    @inline(never)
    mutating func atRequest(_ number: UInt64) {
        // Dies as a bug would.
        precondition(trapAtRequest == 0 || number != trapAtRequest, "trapped by the setting debug-trap-at-request")
        // Not by the clock: a slow build has more instructions to do, and counts are to see that too. Each round waits for the
        // one before, which takes four cycles for the product and the sum, so about a nanosecond, and is nothing that a compiler can make one of
        // several.
        var value = burned | 1
        for _ in 0..<burnRounds { value = value &* 0x2545_F491_4F6C_DD1D ^ (value >> 29) }
        burned = value
    }
}

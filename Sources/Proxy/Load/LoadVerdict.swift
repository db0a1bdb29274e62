/// Whether the figures of a run tell of the server, or of the generator itself.
struct LoadVerdict: Sendable, Equatable {
    /// Why they tell of the generator; empty = they do not.
    var reasons: [String] = []
    var isBottleneck: Bool { !reasons.isEmpty }

    /// A thread that works, or waits for a CPU to work on, for more than this share of the time is never there in time.
    static let busyShareMax = 0.95
    /// A lag below this is what kernels and clocks do.
    static let lagNanosecondsMax: UInt64 = 1_000_000
    /// The part of a latency that may be the generator's own.
    static let lagShareMax = 0.25

    init(_ tally: LoadTally, isOpenLoop: Bool) {
        if tally.busyShareMax >= Self.busyShareMax {
            let used = Int((tally.cpuShareMax * 100).rounded())
            let waited = Int(((tally.busyShareMax - tally.cpuShareMax) * 100).rounded())
            reasons.append(
                "a thread was busy all the time, \(used) % on a CPU and \(waited) % waiting for one: give it help (--threads), less to do, "
                    + "or a CPU of its own (--cpu)")
        }
        guard isOpenLoop else { return }
        let lag = tally.lag.nanoseconds(percentile: 99)
        let latency = tally.latency.nanoseconds(percentile: 99)
        if lag > Self.lagNanosecondsMax, Double(lag) > Self.lagShareMax * Double(latency) {
            reasons.append(
                "one request in a hundred was taken up or sent \(lag / 1_000) us late by this program itself; its latency says "
                    + "\(latency / 1_000) us: lower the rate, or give the generator a CPU of its own (--cpu)")
        }
    }
}

/// Estimates how long a candidate takes to its first byte: quick to believe bad news, slow to believe good news, forgetful when unused.
///
/// A sample above the estimate pulls it up within about `attackNanoseconds`, one below lets it sink within about `releaseNanoseconds`. Both are
/// times, not shares of a sample, so that an estimate means the same at ten and at ten thousand requests a second, and one odd sample
/// among many does not condemn a backend as a plain peak estimate would.
/// The first few samples are averaged, so that none of them is the whole truth. Times are monotonic nanoseconds.
struct RoundTripEstimate {
    static let attackNanoseconds = 300_000_000.0
    static let releaseNanoseconds = 1_000_000_000.0
    /// What a first failure counts as, when nothing is known yet.
    static let failureNanoseconds = 100_000_000.0
    /// No estimate rises above this, so that costs stay comparable.
    static let nanosecondsMax = 60_000_000_000.0

    /// 0 = no sample yet.
    private var smoothed = 0.0
    private var lastSample: UInt64 = 0
    private var lastStart: UInt64 = 0
    /// Since when requests have waited here without any first byte arriving.
    private var waitingSince: UInt64 = 0
    private var waiting: Int32 = 0
    /// Samples so far, up to `samplesAveraged`.
    private var samples: Int32 = 0
    private static let samplesAveraged: Int32 = 16

    var isKnown: Bool { smoothed > 0 }

    /// The estimate itself, neither faded nor raised; 0 = no sample yet.
    var smoothedNanoseconds: Double { smoothed }

    /// For counters and logs.
    var microseconds: UInt64 { UInt64(smoothed / 1_000) }

    /// A request goes out; pairs with exactly one of `record`, `onFailure` and `onAbandon`.
    mutating func onStart(now: UInt64) {
        if waiting == 0 { waitingSince = now }
        waiting &+= 1
        lastStart = now
    }

    /// The first byte of an answer came `sampleNanoseconds` after its request went out.
    mutating func record(sampleNanoseconds: UInt64, now: UInt64) {
        endWaiting()
        learn(min(max(Double(sampleNanoseconds), 1), Self.nanosecondsMax), now: now)
        waitingSince = now
    }

    /// The request died before its first byte: a backend that fails fast must not look fast.
    mutating func onFailure(now: UInt64) {
        endWaiting()
        smoothed = isKnown ? min(smoothed * 2, Self.nanosecondsMax) : Self.failureNanoseconds
        lastSample = now
    }

    /// The request ended before its first byte for a reason that says nothing about the backend, such as a client that left.
    mutating func onAbandon(now: UInt64) { endWaiting() }

    private mutating func endWaiting() { if waiting > 0 { waiting &-= 1 } }

    private mutating func learn(_ sample: Double, now: UInt64) {
        if isKnown {
            let elapsed = Double(now &- min(lastSample, now))
            var kept = sample > smoothed ? fading(elapsed / Self.attackNanoseconds) : fading(elapsed / Self.releaseNanoseconds)
            if samples < Self.samplesAveraged {
                samples &+= 1
                kept = min(kept, 1 - 1 / Double(samples))
            }
            smoothed = sample + (smoothed - sample) * kept
        } else {
            smoothed = sample
            samples = 1
        }
        lastSample = now
    }

    /// Expected nanoseconds to the first byte of one more request; `unknown` while there is no sample.
    ///
    /// Fades while the candidate is left alone, so that it gets probed: by time, but no faster than `choicesPassedBy` allows, so that on
    /// a quiet listener a slow backend is not probed with every few requests. Rises while requests wait there longer than was expected.
    func expected(now: UInt64, active: Int32, choicesPassedBy: Double, unknown: Double) -> Double {
        guard isKnown else { return max(unknown, overdue(now: now, active: active)) }
        let untouched = Double(now &- min(max(lastSample, lastStart), now)) / Self.releaseNanoseconds
        return max(smoothed * fading(min(untouched, choicesPassedBy)), overdue(now: now, active: active))
    }

    /// How long the requests that wait here have seen no first byte; 0 when none waits. Exact enough without a queue of starting times.
    private func overdue(now: UInt64, active: Int32) -> Double {
        waiting > 0 && active > 0 ? Double(now &- min(waitingSince, now)) : 0
    }
}

/// Falls from 1 towards 0 like e⁻ˣ at a fraction of its price: 0.4 at 1, 0.1 at 3.4, 0.02 at 9.
@inline(__always)
private func fading(_ x: Double) -> Double { 1 / (1 + x + x * x / 2) }

/// Takes the candidate that promises the earliest first byte: expected time × (exchanges in flight + 1) ÷ weight.
///
/// The factor keeps concurrent clients from herding onto the fastest: each request it takes makes it dearer at once, before any
/// answer has been measured.
struct LowestRTT {
    /// Where the scan begins; moves with every choice, so that equals share and workers differ from the start.
    private var start: Int

    init(workerIndex: Int) { start = workerIndex }

    mutating func choose(_ candidates: Candidates, choice: UInt64, now: UInt64) -> Int {
        guard candidates.count > 0 else { return -1 }
        let pricing = Pricing(candidates, choice: choice, now: now)
        start = (start &+ 1) % candidates.count
        var best = -1
        var lowest = Double.infinity
        var index = start
        for _ in 0..<candidates.count {
            if candidates[index].isEligible {
                let price = pricing.price(of: candidates[index])
                if price < lowest { (best, lowest) = (index, price) }
            }
            index &+= 1
            if index == candidates.count { index = 0 }
        }
        return best
    }
}

/// Prices candidates for one choice, all by the same clock and by the same guess for those never measured.
struct Pricing {
    /// A candidate is wholly forgotten no sooner than after about this many choices per candidate that went elsewhere.
    private static let choicesPerCandidate = 4.0

    private let choice: UInt64
    private let now: UInt64
    private let choicesScale: Double
    /// The best known estimate, which is what a newcomer is credited with: it gets its share, not a burst.
    private let unknown: Double

    init(_ candidates: Candidates, choice: UInt64, now: UInt64) {
        self.choice = choice
        self.now = now
        choicesScale = 1 / (Self.choicesPerCandidate * Double(max(1, candidates.count)))
        var least = Double.infinity
        var index = 0
        while index < candidates.count {
            let estimate = candidates[index].roundTrip
            if candidates[index].isEligible, estimate.isKnown { least = min(least, estimate.smoothedNanoseconds) }
            index &+= 1
        }
        unknown = least.isFinite ? least : 1
    }

    /// Cost of sending one more request there; comparable within one choice only.
    @inline(__always)
    func price(of candidate: Candidate) -> Double {
        let passedBy = Double(choice &- min(candidate.lastChoice, choice)) * choicesScale
        let expected = candidate.roundTrip.expected(now: now, active: candidate.active, choicesPassedBy: passedBy, unknown: unknown)
        return expected * Double(max(0, candidate.active) &+ 1) / Double(candidate.weight)
    }
}

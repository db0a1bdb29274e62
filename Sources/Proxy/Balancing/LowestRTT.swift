/// Takes the candidate that promises the earliest first byte: expected time × (1 + exchanges in flight for its weight).
///
/// The factor keeps concurrent clients from herding onto the fastest: each request it takes makes it dearer at once, before any
/// answer has been measured. Prices that differ by less than the noise of measuring count as equal, and equals take weighted turns: without
/// that a lone client would follow the luck of the last samples.
struct LowestRTT {
    /// Prices up to this multiple of the lowest are equal to it.
    static let equalityFactor = 1.5

    func choose(_ candidates: Candidates, choice: UInt64, now: UInt64) -> Int {
        let pricing = Pricing(candidates, choice: choice, now: now)
        var lowest = Double.infinity
        var index = 0
        while index < candidates.count {
            if candidates[index].isEligible {
                candidates.members[index].price = pricing.price(candidates, index)
                lowest = min(lowest, candidates.members[index].price)
            }
            index &+= 1
        }
        let bound = lowest * Self.equalityFactor
        return takeTurn(candidates) { candidates[$0].isEligible && candidates.members[$0].price <= bound }
    }
}

/// Prices candidates for one choice: all by the same clock, the same heaviest weight and the same guess for those never measured.
struct Pricing {
    /// An unused candidate is forgotten no faster than by one release time of its estimate per this many choices for each candidate.
    private static let choicesPerCandidate = 4.0

    private let choice: UInt64
    private let now: UInt64
    private let choicesScale: Double
    private let heaviest: Double
    /// The best known estimate: a newcomer is credited with it while its first requests are on their way.
    private let unknown: Double

    init(_ candidates: Candidates, choice: UInt64, now: UInt64) {
        self.choice = choice
        self.now = now
        choicesScale = 1 / (Self.choicesPerCandidate * Double(max(1, candidates.count)))
        var least = Double.infinity
        var heaviest: Int32 = 1
        var index = 0
        while index < candidates.count {
            if candidates[index].isEligible {
                let known = candidates[index].roundTrip.smoothedNanoseconds
                if known > 0 { least = min(least, known) }
                heaviest = max(heaviest, candidates[index].weight)
            }
            index &+= 1
        }
        unknown = least.isFinite ? least : 1
        self.heaviest = Double(heaviest)
    }

    /// Cost of sending one more request there; comparable within one choice only. 0 for a newcomer without any request: it is tried first.
    ///
    /// Load counts relative to the heaviest, so that idle candidates cost the same whatever their weight, and turns, not prices, share a trickle
    /// of requests among them.
    @inline(__always)
    func price(_ candidates: Candidates, _ index: Int) -> Double {
        let candidate = candidates[index]
        if candidate.active <= 0, !candidate.roundTrip.isKnown { return 0 }
        let passedBy = Double(choice &- min(candidates.members[index].lastChoice, choice)) * choicesScale
        let expected = candidate.roundTrip.expected(now: now, active: candidate.active, choicesPassedBy: passedBy, unknown: unknown)
        return expected * (1 + Double(max(0, candidate.active)) * heaviest / Double(candidate.weight))
    }
}

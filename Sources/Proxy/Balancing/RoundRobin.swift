/// Smooth weighted round robin: weights 5, 1, 1 give a a b a c a a, never five in a row.
///
/// Every choice credits each eligible candidate with its weight and takes the sum of the weights from the one that has most. An
/// ineligible candidate neither gains nor loses, so it is not owed a burst when it returns.
struct RoundRobin {
    /// Enough to spread workers; bounds the work of a rebuild whatever the weights.
    private static let offsetStepsMax = 4_096

    private let workerIndex: Int
    private let workerCount: Int

    init(workerIndex: Int, workerCount: Int) {
        self.workerIndex = workerIndex
        self.workerCount = max(1, workerCount)
    }

    /// Starts the round anew, each worker at another place of it, so that workers do not march in step.
    func rebuild(_ candidates: Candidates) {
        var round = 0
        for index in candidates.indices {
            candidates.members[index].roundRobinCredit = 0
            round &+= Int(max(0, candidates[index].weight))
        }
        let divisor = candidates.indices.reduce(0) { greatestCommonDivisor($0, Int(max(0, candidates[$1].weight))) }
        guard divisor > 0 else { return }
        let steps = min(round / divisor, Self.offsetStepsMax) * (workerIndex % workerCount) / workerCount
        for _ in 0..<steps { _ = takeTurn(candidates) { candidates[$0].weight > 0 } }
    }

    func choose(_ candidates: Candidates) -> Int { takeTurn(candidates) { candidates[$0].isEligible } }
}

/// Gives the turn to one of those that take part (told by their places), by their weights over time; -1 when none does.
@inline(__always)
func takeTurn(_ candidates: Candidates, _ takesPart: (Int) -> Bool) -> Int {
    var best = -1
    var sum: Int64 = 0
    var index = 0
    while index < candidates.count {
        if takesPart(index) {
            let weight = Int64(candidates[index].weight)
            sum &+= weight
            candidates.members[index].roundRobinCredit &+= weight
            if best < 0 || candidates.members[index].roundRobinCredit > candidates.members[best].roundRobinCredit { best = index }
        }
        index &+= 1
    }
    if best >= 0 { candidates.members[best].roundRobinCredit &-= sum }
    return best
}

private func greatestCommonDivisor(_ first: Int, _ second: Int) -> Int {
    var (a, b) = (first, second)
    while b != 0 { (a, b) = (b, a % b) }
    return a
}

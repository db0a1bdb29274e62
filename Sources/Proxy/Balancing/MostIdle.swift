/// Takes the candidate with most idle connections, counted in weights; the first of equals.
///
/// Where pools open on demand and nothing is idle, the one with the fewest exchanges in flight for its weight.
func chooseMostIdle(_ candidates: Candidates) -> Int {
    var best = -1
    var index = 0
    while index < candidates.count {
        if candidates[index].isEligible, best < 0 || isIdler(candidates[index], than: candidates[best]) { best = index }
        index &+= 1
    }
    return best
}

@inline(__always)
private func isIdler(_ candidate: Candidate, than other: Candidate) -> Bool {
    let (idle, otherIdle) = (Int64(candidate.idle) &* Int64(candidate.weight), Int64(other.idle) &* Int64(other.weight))
    if idle != otherIdle { return idle > otherIdle }
    return Int64(candidate.active) &* Int64(other.weight) < Int64(other.active) &* Int64(candidate.weight)
}

import Glibc

/// Sends equal keys to the same candidate as long as it can take them, and moves only what must move when the set changes.
///
/// Rendezvous hashing: each candidate scores the key, the highest score wins. Compared with a ring of points or a Maglev table it needs no
/// table at all (nothing to allocate or rebuild when a backend goes down), moves exactly the share of the newcomer, follows weights
/// exactly, and finds the next best by the same pass. The price is a pass over all candidates, about five nanoseconds each; backends
/// behind one listener are tens.
///
/// Loads are bounded (Mirrokni, Thorup, Zadimoghaddam): a candidate whose exchanges in flight would exceed `loadPercentMax` of its fair share
/// is passed over for the next best. Loads are those of this worker.
struct ConsistentHash {
    private let loadPercentMax: Int64
    private var weightsDiffer = false

    init(loadPercentMax: Int) { self.loadPercentMax = Int64(max(100, min(loadPercentMax, 10_000))) }

    mutating func rebuild(_ candidates: Candidates) {
        weightsDiffer = candidates.indices.contains { candidates[$0].weight != candidates[0].weight }
    }

    func choose(_ candidates: Candidates, key: UInt64) -> Int {
        // Who has no room at the moment still carries load; who is down and empty does not count.
        var load: Int64 = 1
        var weights: Int64 = 0
        var index = 0
        while index < candidates.count {
            let candidate = candidates[index]
            if candidate.weight > 0, candidate.isUsable || candidate.active > 0 {
                load &+= Int64(candidate.active)
                weights &+= Int64(candidate.weight)
            }
            index &+= 1
        }
        return weightsDiffer
            ? best(candidates, key: key, load: load, weights: weights, weightedScore)
            : best(candidates, key: key, load: load, weights: weights, plainScore)
    }

    @inline(__always)
    private func best(
        _ candidates: Candidates, key: UInt64, load: Int64, weights: Int64, _ score: (borrowing Candidate, UInt64) -> Double
    ) -> Int {
        var best = -1
        var highest = -Double.infinity
        var leastLoaded = -1
        var index = 0
        while index < candidates.count {
            if candidates[index].isEligible {
                if hasRoom(candidates[index], load: load, weights: weights) {
                    let score = score(candidates[index], key)
                    if score > highest { (best, highest) = (index, score) }
                }
                if leastLoaded < 0 || isLessLoaded(candidates[index], than: candidates[leastLoaded]) { leastLoaded = index }
            }
            index &+= 1
        }
        return best >= 0 ? best : leastLoaded
    }

    /// Whether one more stays within ⌈percent × fair share⌉.
    @inline(__always)
    private func hasRoom(_ candidate: Candidate, load: Int64, weights: Int64) -> Bool {
        // active < ⌈a ÷ b⌉ ⟺ active × b < a; 2³¹ exchanges × 2³¹ weights would not fit, so the product is taken in Double.
        Double(candidate.active) * Double(weights) * 100 < Double(loadPercentMax) * Double(load) * Double(candidate.weight)
    }

    @inline(__always)
    private func isLessLoaded(_ candidate: Candidate, than other: Candidate) -> Bool {
        Int64(candidate.active) &* Int64(other.weight) < Int64(other.active) &* Int64(candidate.weight)
    }
}

/// Uniform in (0, 1), different for every pair of candidate and key.
@inline(__always)
private func plainScore(_ candidate: borrowing Candidate, _ key: UInt64) -> Double {
    (Double(mixed(candidate.identity ^ mixed(key)) >> 11) + 0.5) * 0x1p-53
}

/// Wins in proportion to the weight: the logarithmic method of weighted rendezvous hashing.
@inline(__always)
private func weightedScore(_ candidate: borrowing Candidate, _ key: UInt64) -> Double {
    Double(candidate.weight) / -log(plainScore(candidate, key))
}

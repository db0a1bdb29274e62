/// Picks the candidate of one request by the configured method; one per worker and group of backends.
///
/// Trivial, deterministic for a given seed and clock, and blind to everything but the candidates it is shown. A choice allocates nothing and
/// costs one or two passes over the candidates.
struct Balancer {
    let method: BalancingSettings.Method
    private let roundRobin: RoundRobin
    private let lowestRTT = LowestRTT()
    private let twoChoices = TwoChoices()
    private var consistentHash: ConsistentHash
    private var random: RandomSource
    /// Choices made so far, by which an estimate knows how often its candidate was passed by.
    private var choices: UInt64 = 0

    /// Workers of one process share `seed` and still draw differently and start at different candidates.
    init(settings: BalancingSettings, workerIndex: Int, workerCount: Int, seed: UInt64) {
        method = settings.method
        roundRobin = RoundRobin(workerIndex: workerIndex, workerCount: workerCount)
        consistentHash = ConsistentHash(loadPercentMax: settings.hashLoadPercentMax)
        random = RandomSource(seed: seed &+ UInt64(truncatingIfNeeded: workerIndex) &* 0x9E37_79B9_7F4A_7C15)
    }

    /// Call when candidates were added, removed or given another weight; a change of `isUsable` alone needs no call.
    mutating func rebuild(_ candidates: Candidates) {
        roundRobin.rebuild(candidates)
        consistentHash.rebuild(candidates)
    }

    /// Index of the candidate for the next request; -1 when none is usable.
    /// - Parameters:
    ///   - key: hash of source, URI, header or cookie for `.hash`; 0 = the request has none, which is then balanced by two choices.
    ///   - now: monotonic nanoseconds.
    mutating func choose(_ candidates: Candidates, key: UInt64, now: UInt64) -> Int {
        choices &+= 1
        let chosen =
            switch method {
            case .rtt: lowestRTT.choose(candidates, choice: choices, now: now)
            case .roundrobin: roundRobin.choose(candidates)
            case .mostIdle: chooseMostIdle(candidates)
            case .random: chooseAtRandom(candidates, &random)
            case .none: chooseFirstAvailable(candidates)
            case .twoChoices: twoChoices.choose(candidates, choice: choices, now: now, &random)
            case .hash:
                key == 0
                    ? twoChoices.choose(candidates, choice: choices, now: now, &random) : consistentHash.choose(candidates, key: key)
            }
        if chosen >= 0 { candidates.members[chosen].lastChoice = choices }
        return chosen
    }
}

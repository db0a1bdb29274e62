@testable import Proxy

/// Backends with latencies and clients in a closed loop, moved by a manual clock: what a balancer does to a worker, without a worker.
final class Simulation {
    static let millisecond: UInt64 = 1_000_000
    static let second: UInt64 = 1_000_000_000

    /// Mean time to first byte of each backend in milliseconds; change it while the simulation runs.
    var latencyMilliseconds: [Double]
    /// 0 = every answer takes exactly the mean; 1 = exponentially distributed around it.
    var jitter = 0.5
    /// What clients wait between an answer and the next request.
    var thinkMilliseconds = 0.0
    let candidates: Candidates
    private(set) var now: UInt64 = Simulation.second
    private(set) var picks: [(time: UInt64, backend: Int)] = []
    /// Most exchanges in flight seen on each backend, since it was last set to zeros.
    var activeMax: [Int32]

    private var balancer: Balancer
    private var random: RandomSource
    private var events: [Event] = []

    private struct Event {
        var time: UInt64
        /// -1: a client that is about to ask; otherwise the backend whose first byte arrives.
        var backend: Int
        var startedAt: UInt64
    }

    init(method: BalancingSettings.Method, latencyMilliseconds: [Double], weights: [Int32]? = nil, clients: Int, seed: UInt64) {
        var settings = BalancingSettings()
        settings.method = method
        balancer = Balancer(settings: settings, workerIndex: 0, workerCount: 1, seed: seed)
        random = RandomSource(seed: seed ^ 0xC0FF_EE)
        self.latencyMilliseconds = latencyMilliseconds
        activeMax = latencyMilliseconds.map { _ in 0 }
        candidates = makeCandidates(weights ?? latencyMilliseconds.map { _ in 1 })
        balancer.rebuild(candidates)
        for _ in 0..<clients { push(Event(time: now, backend: -1, startedAt: 0)) }
    }

    deinit { candidates.deallocate() }

    func run(milliseconds: Int) {
        let end = now + UInt64(milliseconds) * Self.millisecond
        while let next = events.first, next.time <= end {
            pop()
            now = next.time
            if next.backend >= 0 { finish(next) } else { ask() }
        }
        now = end
    }

    /// Shares of the requests that were sent in the last `milliseconds`.
    func shares(lastMilliseconds milliseconds: Int) -> [Double] {
        let since = now - UInt64(milliseconds) * Self.millisecond
        var counts = latencyMilliseconds.map { _ in 0.0 }
        for pick in picks.reversed() {
            if pick.time < since { break }
            counts[pick.backend] += 1
        }
        let sum = counts.reduce(0, +)
        return counts.map { sum == 0 ? 0 : $0 / sum }
    }

    private func ask() {
        let backend = balancer.choose(candidates, key: 0, now: now)
        precondition(backend >= 0)
        picks.append((now, backend))
        candidates[backend].active += 1
        activeMax[backend] = max(activeMax[backend], candidates[backend].active)
        candidates[backend].roundTrip.onStart(now: now)
        let latency = latencyMilliseconds[backend] * (1 - jitter + jitter * exponential())
        push(Event(time: now + UInt64(latency * Double(Self.millisecond)), backend: backend, startedAt: now))
    }

    private func finish(_ event: Event) {
        candidates[event.backend].roundTrip.record(sampleNanoseconds: now - event.startedAt, now: now)
        candidates[event.backend].active -= 1
        push(Event(time: now + UInt64(thinkMilliseconds * Double(Self.millisecond)), backend: -1, startedAt: 0))
    }

    /// Mean 1.
    private func exponential() -> Double {
        var sum = 0.0  // −ln u by counting doublings: no mathematics library needed, and exact enough for a latency
        var u = (Double(random.next() >> 11) + 0.5) * 0x1p-53
        while u < 0.5 { (u, sum) = (u * 2, sum + 0.693_147_180_56) }
        let x = 1 - u  // 0 … 0.5: series of −ln(1 − x)
        return sum + x * (1 + x * (0.5 + x * (1.0 / 3 + x * (0.25 + x * 0.2))))
    }

    private func push(_ event: Event) {
        events.append(event)
        var index = events.count - 1
        while index > 0, events[index].time < events[(index - 1) / 2].time {
            events.swapAt(index, (index - 1) / 2)
            index = (index - 1) / 2
        }
    }

    private func pop() {
        events.swapAt(0, events.count - 1)
        events.removeLast()
        var index = 0
        while true {
            var least = index
            for child in [2 * index + 1, 2 * index + 2] where child < events.count && events[child].time < events[least].time {
                least = child
            }
            if least == index { return }
            events.swapAt(index, least)
            index = least
        }
    }
}

/// Usable candidates of the given weights with identities of their own.
func makeCandidates(_ weights: [Int32]) -> Candidates {
    let all = UnsafeMutablePointer<Candidate>.allocate(capacity: max(weights.count, 1))
    for (index, weight) in weights.enumerated() {
        var candidate = Candidate(identity: mixed(UInt64(index) + 1_000), weight: weight)
        candidate.isUsable = true
        (all + index).initialize(to: candidate)
    }
    return Candidates(all: all, group: weights.indices.map { Int32($0) })
}

extension Candidates {
    /// A group with those members of `all`, in that order.
    init(all: UnsafeMutablePointer<Candidate>, group: [Int32]) {
        let members = UnsafeMutablePointer<GroupMember>.allocate(capacity: max(group.count, 1))
        for (index, candidate) in group.enumerated() {
            (members + index).initialize(to: GroupMember(candidate: candidate, backend: UInt32(candidate)))
        }
        self.init(all: all, members: members, count: group.count)
    }

    /// Ends a group that owns its candidates.
    func deallocate() {
        all.deallocate()
        members.deallocate()
    }
}

/// Seeds of this run: fixed ones, so that a failure can be repeated; printed with each failing expectation as the test's argument.
let simulationSeeds: [UInt64] = [1, 4_711, 0xDEAD_BEEF, 987_654_321]

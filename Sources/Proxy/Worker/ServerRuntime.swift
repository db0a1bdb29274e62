import Glibc

/// One `server` as one worker runs it: what the plan says of it, and what only this worker knows.
///
/// Its place among the worker's servers stays the same from plan to plan, so that connections and exchanges name it by
/// a number.
struct ServerRuntime: BitwiseCopyable {
    enum State: UInt8 {
        /// The place is free.
        case empty
        case serving
        /// The configuration has it no more: it serves out the clients that it has, by the plan that they knew.
        case leaving
    }

    var state = State.empty
    /// Leaving, and no connection for it is on its way from another worker any more.
    var mayEnd = false
    var plan: ServerPlan
    /// Which plan that is: a place among the worker's `planUses`.
    var planUse: Int32
    /// Place among the servers of that plan.
    var number: Int32
    /// Client connections, and how many of them are tunnels, which need no plan.
    var connections = 0
    var tunnels = 0
    /// Handshakes of its clients that are under way, and clients that have to wait before theirs begins.
    var handshakes: Int32 = 0
    var newHandshakes = WaitingClients()
    /// Exchanges that wait in the queues that the server's own limit holds for.
    var pendingCount: Int32 = 0
    /// All backends × addresses, in the order of the configuration; one buffer for the life of the server.
    let candidates: UnsafeMutablePointer<Candidate>
    /// Backend of each candidate.
    let candidateBackends: UnsafeMutablePointer<UInt32>
    var candidateCount = 0
    /// Backends that hold a slot, those that have left the choice included.
    var backendCount = 0
    /// As many as the plan has.
    var groups: UnsafeMutablePointer<BackendGroup>
    var groupCount = 0

    /// Backends that one server can have, over all the addresses of its names.
    static let candidatesMax = PlanCompiler.backendsMax

    init(_ plan: ServerPlan, planUse: Int32, number: Int32) {
        self.plan = plan
        self.planUse = planUse
        self.number = number
        state = .serving
        candidates = .allocate(capacity: Self.candidatesMax)
        candidateBackends = .allocate(capacity: Self.candidatesMax)
        groups = .allocate(capacity: 1)
    }
}

extension ServerRuntime {
    /// When to look at a client that is waited for: every second while its rate is watched, else at the limit itself.
    func timerNanoseconds(_ limit: UInt64) -> UInt64 {
        guard plan.rateMin > 0 else { return limit }
        return limit == 0 ? 1_000_000_000 : min(limit, 1_000_000_000)
    }

    /// The group of a rule of this server's plan; nil where the rule needs no backend.
    @inline(__always)
    func group(_ number: Int32) -> UnsafeMutablePointer<BackendGroup>? { number < 0 ? nil : groups + Int(number) }

    /// The candidates as a group sees them.
    @inline(__always)
    func candidates(of group: UnsafeMutablePointer<BackendGroup>) -> Candidates {
        Candidates(all: candidates, members: group.pointee.members, count: group.pointee.count)
    }
}

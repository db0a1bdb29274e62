/// What a balancer may know of one candidate: one resolved address of one backend, as one worker sees it.
///
/// Trivial on purpose: a worker keeps the candidates of a server in one buffer, in the order of the configuration.
/// The worker writes `isUsable`, `active` and `idle` as connections come and go.
struct Candidate: BitwiseCopyable {
    /// Enabled, up, not draining, and able to take one more request now: an idle connection, room to open one, or room in a pipeline.
    var isUsable = false
    /// Share of the work relative to the others; 0 or less takes none at all.
    var weight: Int32 = 1
    /// Exchanges in flight on it from this worker.
    var active: Int32 = 0
    /// Idle connections of this worker to it.
    var idle: Int32 = 0
    /// Smoothed time to first byte.
    var roundTrip = RoundTripEstimate()
    /// Stable name of the backend at this address: the same in every worker and after a restart. See `backendIdentity`.
    var identity: UInt64 = 0
    /// What sticky cookies say for this candidate. See `StickySecret.token`.
    var stickyToken: UInt64 = 0

    init() {}

    init(identity: UInt64, weight: Int32) {
        self.identity = identity
        self.weight = weight
    }

    /// Whether any method may pick it now.
    var isEligible: Bool { isUsable && weight > 0 }
}

/// A candidate as a member of one group: what its balancer keeps for itself, because groups share candidates.
struct GroupMember: BitwiseCopyable {
    /// Place among the candidates of the server.
    var candidate: Int32
    /// Slot of its backend.
    var backend: UInt32
    /// How far round robin owes (positive) or has advanced (negative) this member.
    var roundRobinCredit: Int64 = 0
    /// What one more request would have cost at the last choice.
    var price = 0.0
    /// Number of the choice that picked it last.
    var lastChoice: UInt64 = 0

    init(candidate: Int32, backend: UInt32) {
        self.candidate = candidate
        self.backend = backend
    }
}

/// The candidates of one choice: the members of a group, in its order.
struct Candidates: BitwiseCopyable {
    let all: UnsafeMutablePointer<Candidate>
    let members: UnsafeMutablePointer<GroupMember>
    let count: Int

    var indices: Range<Int> { 0..<count }

    subscript(index: Int) -> Candidate {
        @inline(__always) unsafeAddress { UnsafePointer(all + Int(members[index].candidate)) }
        @inline(__always) nonmutating unsafeMutableAddress { all + Int(members[index].candidate) }
    }
}

/// Names the backend of configuration name `name` at `address` for hashing and sticky cookies: the same in every worker and after every restart.
func backendIdentity(name: String, address: SocketAddress) -> UInt64 {
    var text = Array(name.utf8)
    text.append(0)
    text.append(contentsOf: address.description.utf8)
    return text.withUnsafeBytes { hashKey($0) }
}

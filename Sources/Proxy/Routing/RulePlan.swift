/// One rule of a plan: its name, and what becomes of its requests.
///
/// Small, because there are many and any of them may be next: half a line of the cache is all of it that a request touches,
/// and what it points at is shared by all rules that do the same.
struct RulePlan: BitwiseCopyable, Hashable {
    /// Its title in the configuration, which is what `{RULE}` says; kept for the life of the process.
    var name = LastingBytes.empty
    var policy: UnsafePointer<RulePolicy>
    /// A rule of the same name and nothing else, which outlives all plans: tunnels hold this one.
    var lasting: UnsafePointer<RulePlan>
}

/// What becomes of the requests of a rule, with everything resolved that it inherits from its host and its server.
///
/// Every member has a neutral value, which is what `lasting` and a server's fallback have.
struct RulePolicy: BitwiseCopyable, Hashable {
    /// Among the groups of its server; -1 = needs no backend.
    var group: Int32 = -1
    /// Name of the cookie that pins a client to a backend of the group; nil = none.
    var stickyCookie: LastingBytes?
    /// Most time between two pieces of a request's body; 0 = any.
    var bodyGapNanoseconds: UInt64 = 0
    /// Most time without the client taking anything of its answer; 0 = any.
    var writeNanoseconds: UInt64 = 0
    /// Places among the logs of the plan; `LogPlan.none` = off.
    var accessLog = LogPlan.none
    var errorLog = LogPlan.none
    /// What becomes of the heads of requests and answers.
    var rewriting = RewritePlan.neutral
    /// What we answer ourselves; nil = nothing but what went wrong, in one line of text.
    var answers: UnsafePointer<AnswerPlan>?
    /// After the request's head, bytes pass both ways unread.
    var isPassthrough = false
    /// Where its backends may send a request on to; nil = nowhere.
    var delegation: UnsafePointer<DelegationPolicy>?
    /// Who may ask here, and how much.
    var admission = RuleAdmission()

    /// Does nothing; lives as long as the process.
    nonisolated(unsafe) static let neutral: UnsafePointer<RulePolicy> = {
        let place = UnsafeMutablePointer<RulePolicy>.allocate(capacity: 1)
        place.initialize(to: RulePolicy())
        return UnsafePointer(place)
    }()
}

/// The policy's members, for those who have the rule.
extension RulePlan {
    @inline(__always) var group: Int32 { policy.pointee.group }
    @inline(__always) var stickyCookie: LastingBytes? { policy.pointee.stickyCookie }
    @inline(__always) var bodyGapNanoseconds: UInt64 { policy.pointee.bodyGapNanoseconds }
    @inline(__always) var writeNanoseconds: UInt64 { policy.pointee.writeNanoseconds }
    @inline(__always) var accessLog: Int32 { policy.pointee.accessLog }
    @inline(__always) var errorLog: Int32 { policy.pointee.errorLog }
    @inline(__always) var rewriting: UnsafePointer<RewritePlan> { policy.pointee.rewriting }
    @inline(__always) var answers: UnsafePointer<AnswerPlan>? { policy.pointee.answers }
    @inline(__always) var isPassthrough: Bool { policy.pointee.isPassthrough }
    @inline(__always) var delegation: UnsafePointer<DelegationPolicy>? { policy.pointee.delegation }
    @inline(__always) var admission: RuleAdmission { policy.pointee.admission }
}

/// The lists and limits that hold once a rule is known; those of its server have been looked at by then.
struct RuleAdmission: BitwiseCopyable, Hashable {
    var hostAccess: UnsafePointer<AccessList>?
    var access: UnsafePointer<AccessList>?
    /// Its server's is not among them: the exchange has it already.
    var limits = LimitChain()

    var isEmpty: Bool { hostAccess == nil && access == nil && limits.isEmpty }
}

extension RulePlan {
    /// A rule without any effect, with memory of its own for the life of the process: one for each name.
    static func lasting(named name: String) -> UnsafePointer<RulePlan> {
        lastingRules.withLock { known in
            if let rule = known[name] { return rule }
            let rule = UnsafeMutablePointer<RulePlan>.allocate(capacity: 1)
            rule.initialize(
                to: RulePlan(name: LastingBytes(interned: name), policy: RulePolicy.neutral, lasting: UnsafePointer(rule)))
            let kept = LastingRule(pointer: UnsafePointer(rule))
            known[name] = kept
            return kept
        }.pointer
    }

    private struct LastingRule: @unchecked Sendable { let pointer: UnsafePointer<RulePlan> }
    private static let lastingRules = Locked<[String: LastingRule]>([:])
}

import Synchronization

/// What becomes of the requests of one rule, with everything resolved that it inherits from its host and its server.
///
/// Every member has a neutral value, which is what `lasting` and a server's fallback have.
struct RulePlan: BitwiseCopyable {
    /// Its title in the configuration, which is what `{RULE}` says; kept for the life of the process.
    var name = LastingBytes.empty
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
    /// A rule of the same name and nothing else, which outlives all plans: tunnels hold this one.
    var lasting: UnsafePointer<RulePlan>
}

extension RulePlan {
    /// A rule without any effect, with memory of its own for the life of the process: one for each name.
    static func lasting(named name: String) -> UnsafePointer<RulePlan> {
        lastingRules.withLock { known in
            if let rule = known[name] { return rule }
            let rule = UnsafeMutablePointer<RulePlan>.allocate(capacity: 1)
            rule.initialize(to: RulePlan(name: LastingBytes(interned: name), lasting: UnsafePointer(rule)))
            let kept = LastingRule(pointer: UnsafePointer(rule))
            known[name] = kept
            return kept
        }.pointer
    }

    private struct LastingRule: @unchecked Sendable { let pointer: UnsafePointer<RulePlan> }
    private static let lastingRules = Mutex<[String: LastingRule]>([:])
}

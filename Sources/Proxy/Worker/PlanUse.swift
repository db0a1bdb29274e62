/// One generation of the serving plan as one worker uses it.
///
/// Counted without atomics: the worker's own exchanges but for tunnels, one for each of its servers that runs by this
/// plan, one while it is the newest. At zero the worker says so, and the control thread may free the plan.
struct PlanUse: BitwiseCopyable {
    /// 0 = the place is free.
    var generation: UInt64
    var users: Int
    /// Place among the plan's logs → entry of the worker's logs; -1 = off.
    var logEntries: UnsafeMutablePointer<Int32>
    var logCount: Int
}

extension Worker where Ring: ~Copyable {
    /// Counts an exchange among the users of the plan that its server runs by.
    @inline(__always)
    mutating func enterPlan(_ exchange: UnsafeMutablePointer<Exchange>, _ server: UnsafeMutablePointer<ServerRuntime>) {
        exchange.pointee.planUse = server.pointee.planUse
        exchange.pointee.rule = server.pointee.plan.fallback
        planUses[Int(server.pointee.planUse)].users &+= 1
    }

    /// The exchange needs its plan no more. Its rule must not be looked at after that.
    @inline(__always)
    mutating func leavePlan(_ exchange: UnsafeMutablePointer<Exchange>) {
        leavePlan(exchange.pointee.planUse)
        exchange.pointee.planUse = -1
    }

    @inline(__always)
    mutating func leavePlan(_ use: Int32) {
        planUses[Int(use)].users &-= 1
        if planUses[Int(use)].users == 0 { plansMayEnd = true }
    }
}

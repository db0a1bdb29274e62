/// A group of backends as one worker uses it: who of the server's candidates belongs to it, how the next is chosen, and
/// who waits for one of them.
struct BackendGroup: BitwiseCopyable {
    var plan: BackendGroupPlan
    var balancer: Balancer
    var members: UnsafeMutablePointer<GroupMember>
    var count = 0
    /// Exchanges that wait for any backend of this group.
    var pending = ExchangeList()
    /// Nothing can be had for its first just now; good within one look at all queues.
    var isStuck = false

    init(_ plan: BackendGroupPlan, balancer: Balancer) {
        self.plan = plan
        self.balancer = balancer
        members = .allocate(capacity: 1)
    }
}

extension Worker where Ring: ~Copyable {
    /// The group that serves an exchange; its rule must be one that has a group.
    @inline(__always)
    mutating func group(of exchange: UnsafeMutablePointer<Exchange>) -> UnsafeMutablePointer<BackendGroup> {
        servers[Int(exchange.pointee.server)].groups + Int(exchange.pointee.rule.pointee.group)
    }

    /// Makes the groups of a server anew after its plan; none of them may have anyone waiting.
    mutating func makeGroups(_ server: UnsafeMutablePointer<ServerRuntime>) {
        let plans = server.pointee.plan.groups
        let groups = UnsafeMutablePointer<BackendGroup>.allocate(capacity: max(plans.count, 1))
        for number in 0..<plans.count {
            (groups + number).initialize(to: BackendGroup(plans[number], balancer: makeBalancer(plans[number])))
        }
        freeGroups(server)
        server.pointee.groups.deallocate()
        server.pointee.groups = groups
        server.pointee.groupCount = plans.count
    }

    mutating func freeGroups(_ server: UnsafeMutablePointer<ServerRuntime>) {
        for number in 0..<server.pointee.groupCount { server.pointee.groups[number].members.deallocate() }
        server.pointee.groupCount = 0
    }

    private mutating func makeBalancer(_ plan: BackendGroupPlan) -> Balancer {
        var settings = BalancingSettings()
        settings.method = plan.method
        settings.hashLoadPercentMax = plan.hashLoadPercentMax
        return Balancer(settings: settings, workerIndex: index, workerCount: workerCount, seed: seed)
    }

    /// Finds the members of every group among the candidates, after these have changed.
    mutating func rebuildGroups(_ server: UnsafeMutablePointer<ServerRuntime>) {
        for number in 0..<server.pointee.groupCount { rebuild(server.pointee.groups + number, server) }
    }

    private mutating func rebuild(_ group: UnsafeMutablePointer<BackendGroup>, _ server: UnsafeMutablePointer<ServerRuntime>) {
        let places = group.pointee.plan.members
        let slots = server.pointee.candidateBackends
        var members: [GroupMember] = []
        for place in places {
            for at in 0..<server.pointee.candidateCount where backends[slots[at]].pointee.settingsIndex == place {
                var member = GroupMember(candidate: Int32(at), backend: slots[at])
                if let old = formerMember(group, slots[at]) { member.lastChoice = old.lastChoice }
                members.append(member)
            }
        }
        group.pointee.members.deallocate()
        group.pointee.members = .allocate(capacity: max(members.count, 1))
        for (at, member) in members.enumerated() { (group.pointee.members + at).initialize(to: member) }
        group.pointee.count = members.count
        group.pointee.balancer.rebuild(server.pointee.candidates(of: group))
    }

    private mutating func formerMember(_ group: UnsafeMutablePointer<BackendGroup>, _ backend: UInt32) -> GroupMember? {
        for at in 0..<group.pointee.count where group.pointee.members[at].backend == backend { return group.pointee.members[at] }
        return nil
    }
}

import Glibc

/// A plan becomes what a worker serves by.
extension Worker where Ring: ~Copyable {
    /// The first plan: every server of it is new.
    mutating func begin(_ plan: ServingPlan, logDescriptors: [Int32]) {
        newestPlan = addPlanUse(plan, logDescriptors)
        takeGlobals(plan)
        for (number, server) in plan.servers.enumerated() { addServer(server, number) }
    }

    /// Takes what a plan says of the whole worker.
    mutating func takeGlobals(_ plan: ServingPlan) {
        isEfficient = plan.settings.efficiencyMode
        patterns.setStepsMax(plan.settings.matchStepsMax)
        debug = WorkerDebug(plan.settings)
        // A normal form is at most three times as long as the path.
        let room = 3 * (plan.settings.servers.map(\.limits.requestLineBytesMax).max() ?? 0)
        guard room > pathRoom.count else { return }
        pathRoom.deallocate()
        pathRoom = .allocate(capacity: room)
        pathRoom.initialize(repeating: 0)
    }

    /// Counts the worker itself as a user of a plan; the place of the count.
    mutating func addPlanUse(_ plan: ServingPlan, _ logDescriptors: [Int32]) -> Int32 {
        let use = PlanUse(
            generation: plan.generation, users: 1, logEntries: logs.take(plan.logs, descriptors: logDescriptors),
            logCount: plan.logs.entries.count)
        if let free = plans.firstIndex(where: { $0 == nil }) {
            planUses[free] = use
            plans[free] = plan
            return Int32(free)
        }
        let larger = UnsafeMutablePointer<PlanUse>.allocate(capacity: planUseCount + 1)
        larger.moveInitialize(from: planUses, count: planUseCount)
        (larger + planUseCount).initialize(to: use)
        planUses.deallocate()
        planUses = larger
        planUseCount += 1
        plans.append(plan)
        return Int32(planUseCount - 1)
    }

    /// A place for a server of the newest plan.
    mutating func addServer(_ plan: ServerPlan, _ number: Int) {
        let server = ServerRuntime(plan, planUse: newestPlan, number: Int32(number))
        planUses[Int(newestPlan)].users += 1
        var place = 0
        while place < serverCount, servers[place].state != .empty { place += 1 }
        if place == serverCount {
            let larger = UnsafeMutablePointer<ServerRuntime>.allocate(capacity: serverCount + 1)
            larger.moveInitialize(from: servers, count: serverCount)
            servers.deallocate()
            servers = larger
            serverCount += 1
        }
        (servers + place).initialize(to: server)
        makeGroups(servers + place)
    }
}

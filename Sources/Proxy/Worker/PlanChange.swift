import Glibc

/// What the control thread hands to a worker when the configuration has changed.
struct PlanDelivery: Sendable {
    var plan: ServingPlan
    var addresses: AddressTable
    /// One for each place of the plan's logs, this worker's own; those of logs that it has already take the place of the old.
    var logDescriptors: [Int32]
    /// All listeners of this worker, with the places that their servers have in the plan.
    var listeners: [WorkerListener]
}

/// A new plan takes the place of the one before, between two ticks.
///
/// Exchanges in flight keep the rule and the plan that they began under; those that wait in queues have sent nothing yet
/// and are routed anew. Servers, backends and listeners that both plans have stay, with everything that they hold.
extension Worker where Ring: ~Copyable {
    mutating func adopt(_ delivery: PlanDelivery) {
        guard !isDraining else { return discard(delivery) }
        let before = newestPlan
        newestPlan = addPlanUse(delivery.plan, delivery.logDescriptors)
        takeGlobals(delivery.plan)
        let known = serverCount
        var isNew = [Bool](repeating: true, count: delivery.plan.servers.count)
        for place in 0..<known where servers[place].state == .serving {
            let identity = servers[place].plan.identity
            if let number = delivery.plan.servers.firstIndex(where: { $0.identity == identity }) {
                isNew[number] = false
                change(place, to: delivery.plan.servers[number], number)
            } else {
                leave(place)
            }
        }
        for (number, plan) in delivery.plan.servers.enumerated() where isNew[number] { addServer(plan, number) }
        leavePlan(before)
        updateBackends(delivery.addresses)
        adoptListeners(
            delivery.listeners.compactMap { listener in
                guard let place = place(ofServer: listener.server) else { return nil }
                return WorkerListener(fd: listener.fd, server: place, id: listener.id)
            })
        queuesMayMove = true
        handshakesMayMove = true
        routeDisplaced()
        mailbox.report(.adopted(delivery.plan.generation))
    }

    /// The configuration has a server no more: clients between two requests go now, the others with their answer, also those
    /// that have connected and not asked yet.
    private mutating func leave(_ place: Int) {
        servers[place].state = .leaving
        leavingServers += 1
        for slot in 0..<UInt32(clients.highest) where clients.isTaken(slot) {
            let client = clients[slot]
            if client.pointee.server == Int32(place), client.pointee.isBetweenRequests { close(client) }
        }
    }

    /// A worker that is about to end takes no plan any more.
    private mutating func discard(_ delivery: PlanDelivery) {
        for descriptor in delivery.logDescriptors where descriptor >= 0 { Glibc.close(descriptor) }
        for listener in delivery.listeners where listener.fd >= 0 { Glibc.close(listener.fd) }
    }

    /// Where a server of the newest plan stands here.
    private mutating func place(ofServer number: Int) -> Int? {
        (0..<serverCount).first { servers[$0].state == .serving && servers[$0].number == Int32(number) }
    }

    /// A server goes on under another plan.
    private mutating func change(_ place: Int, to plan: ServerPlan, _ number: Int) {
        let server = servers + place
        emptyQueues(server)
        leavePlan(server.pointee.planUse)
        planUses[Int(newestPlan)].users += 1
        server.pointee.plan = plan
        server.pointee.planUse = newestPlan
        server.pointee.number = Int32(number)
        for at in 0..<server.pointee.candidateCount {
            let backend = backends[server.pointee.candidateBackends[at]]
            let name = backend.pointee.names.pointee.name.start
            // Names are kept once: the same name has the same bytes. The first section of a name takes its addresses.
            guard let found = plan.backends.indices.first(where: { plan.backends[$0].names.pointee.name.start == name }) else {
                backend.pointee.settingsIndex = -1
                // It opens no connection any more, and what it would need may go with its plan.
                backend.pointee.limits.tls = nil
                backend.pointee.state = .draining
                continue
            }
            backend.pointee.settingsIndex = Int32(found)
            backend.pointee.names = plan.backends[found].names
            backend.pointee.isOpeningPaused = false
            limit(backend, to: plan.backends[found].limits)
            server.pointee.candidates[at].weight = plan.backends[found].weight
            register.renumber(backend.pointee.counters, server: number)
        }
        makeGroups(server)
    }

    /// Other limits for a backend: idle connections beyond them end now, the others after their exchange.
    private mutating func limit(_ backend: UnsafeMutablePointer<Backend>, to limits: BackendLimits) {
        let isOtherTLS = backend.pointee.limits.tlsMark != limits.tlsMark
        backend.pointee.limits = limits
        if isOtherTLS {
            forgetSession(backend)
            backend.pointee.sharedConnection = noSlot
        }
        backend.pointee.heldConnections &+= 1  // it stays while it is looked at
        while isOtherTLS || backend.pointee.connectionCount > limits.connectionsMax, let idle = checkOut(backend) { close(idle) }
        backend.pointee.heldConnections &-= 1
        var slot = backend.pointee.idleTop
        while slot != noSlot {
            let idle = connections[slot]
            slot = idle.pointee.nextIdle
            if limits.idleNanoseconds > 0 {
                wheel.set(&idle.pointee.timer, clock.now &+ limits.idleNanoseconds)
            } else {
                wheel.disarm(&idle.pointee.timer)
            }
        }
    }

    /// Takes out everybody who waits for a connection of this server.
    private mutating func emptyQueues(_ server: UnsafeMutablePointer<ServerRuntime>) {
        for number in 0..<server.pointee.groupCount {
            let group = server.pointee.groups + number
            while !group.pointee.pending.isEmpty { displace(exchanges[group.pointee.pending.first]) }
        }
        for at in 0..<server.pointee.candidateCount {
            let backend = backends[server.pointee.candidateBackends[at]]
            while !backend.pointee.waiting.isEmpty { displace(exchanges[backend.pointee.waiting.first]) }
            while !backend.pointee.pending.isEmpty { displace(exchanges[backend.pointee.pending.first]) }
        }
    }

    private mutating func displace(_ exchange: UnsafeMutablePointer<Exchange>) {
        leaveQueue(exchange)
        displaced.append(exchange.pointee.slot)
    }

    /// Sends those on who waited, in the order in which they came.
    private mutating func routeDisplaced() {
        let moved = displaced.sorted { exchanges[$0].pointee.sequence < exchanges[$1].pointee.sequence }
        displaced = []
        for slot in moved {
            let exchange = exchanges[slot]
            exchange.pointee.backend = -1
            exchange.pointee.step = stepOfNewTry(exchange)
            walk(exchange)
        }
    }

    // MARK: - What is used no more

    /// Lets go of servers and plans that nobody needs any more; at the end of a tick in which that may have happened.
    @inline(never)
    mutating func settlePlans() {
        if leavingServers > 0 {
            for place in 0..<serverCount where servers[place].state == .leaving { settleLeaving(place) }
        }
        if plansMayEnd { endPlans() }
    }

    /// A server that the configuration has no more: first its clients go, then its backends, then its place is free.
    private mutating func settleLeaving(_ place: Int) {
        let server = servers + place
        guard server.pointee.mayEnd, !listeners.serve(Int32(place)), server.pointee.connections == server.pointee.tunnels
        else { return }
        if server.pointee.planUse >= 0 {
            for at in 0..<server.pointee.candidateCount { backends[server.pointee.candidateBackends[at]].pointee.state = .draining }
            rebuildCandidates(place)
            freeGroups(server)
            server.pointee.plan.forgetPlan()
            leavePlan(server.pointee.planUse)
            server.pointee.planUse = -1
        }
        guard server.pointee.connections == 0, server.pointee.backendCount == 0 else { return }
        server.pointee.groups.deallocate()
        server.pointee.candidates.deallocate()
        server.pointee.candidateBackends.deallocate()
        server.pointee.state = .empty
        leavingServers -= 1
    }

    private mutating func endPlans() {
        plansMayEnd = false
        for place in 0..<planUseCount where planUses[place].generation != 0 && planUses[place].users == 0 {
            logs.letGo(planUses[place].logEntries, count: planUses[place].logCount)
            mailbox.report(.unused(planUses[place].generation))
            planUses[place].generation = 0
            plans[place] = nil
        }
    }
}

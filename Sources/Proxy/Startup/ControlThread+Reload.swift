import CUring
import Glibc

/// The control thread's part in a reload: passes the plan on, and knows who goes by which.
extension ControlThread {
    /// What new requests go by.
    var plan: ServingPlan { plans[plans.count - 1] }

    /// The supervisor's number of a plan: this process may have begun with a later one than the first.
    func number(of plan: ServingPlan) -> Int { handover.assignment.generation + Int(plan.generation) - 1 }

    func beginReload(_ files: [Int32]) {
        guard endsAt == nil, reload == nil else {
            for file in files { close(file) }
            return
        }
        reload = ServerReload(files.first)
        if reload == nil { channel.send(.reloadRefused("the server process cannot read what it was handed")) }
    }

    func advanceReload(_ entries: some Collection<pollfd>, _ now: Int) {
        guard let reload else { return }
        do throws(LaunchFailure) {
            try reload.advance(entries, now: now, after: plan, names, tlsProvision)
        } catch {
            self.reload = nil
            channel.send(.reloadRefused(error.description))
            return
        }
        if case .ready = reload.step { adopt(reload) }
        if case .adopting = reload.step, workers.allSatisfy({ adopted[$0.index] == plan.generation }) {
            self.reload = nil
            channel.send(.reloaded)
        }
    }

    /// Hands a plan that is compiled to all workers.
    private func adopt(_ reload: ServerReload) {
        guard let plan = reload.plan, let names = reload.names else { return }
        let (listeners, logs) = reload.handOver(toWorkers: workers.count)
        let table = names.table()
        self.names = names
        logCount = logs.count
        plans.append(plan)
        for (worker, listeners) in zip(workers, listeners) {
            worker.adopt(
                PlanDelivery(plan: plan, addresses: table, logDescriptors: self.logs(of: worker.index, among: logs), listeners: listeners))
        }
        for descriptor in logs { close(descriptor) }
        _ = Allocator.live.setTrimThreshold(plan.settings.memoryTrimBytes)
    }

    /// A stop ends a reload that the workers have not been told of.
    func abandonReload() {
        reload?.giveUp()
        reload = nil
    }

    /// Takes note of what a worker says about plans; one that nobody uses any more is let go.
    func hear(_ worker: WorkerHandle) {
        for report in worker.takeReports() {
            switch report {
            case .adopted(let generation): adopted[worker.index] = generation
            case .unused(let generation):
                unused[generation, default: 0] += 1
                guard unused[generation] == workers.count else { continue }
                unused[generation] = nil
                plans.removeAll { $0.generation == generation }
            }
        }
    }
}

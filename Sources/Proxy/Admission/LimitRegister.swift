import Glibc

/// All rate limits of the process by the place where they stand, so that a reload keeps what is in their buckets.
///
/// Used by the thread that compiles plans, before it hands them over. What no plan refers to any more goes with the next
/// plan, once nothing that outlived its plan holds it.
final class LimitRegister: Sendable {
    let table: ClientTable
    let workerCount: Int

    private struct Entry {
        let cell: LimitCell
        var plans: [Held] = []
    }
    private struct Held {
        let plan: UnsafeMutablePointer<LimitPlan>
        let settings: LimitSettings
        var references: Int
    }
    private struct State: @unchecked Sendable { var entries: [String: Entry] = [:] }
    private let state = Locked(State())

    init(table: ClientTable, workerCount: Int) {
        self.table = table
        self.workerCount = workerCount
    }

    /// The register of a process that begins to serve by these settings.
    convenience init(_ settings: GlobalSettings) {
        let workers = settings.workers ?? Int(sysconf(Int32(_SC_NPROCESSORS_CONF)))
        self.init(table: ClientTable(entries: settings.clientTableEntries), workerCount: max(workers, 1))
    }

    /// The limit at a place such as `server 0.0.0.0:80 / vhost a / rule b`; nil where nothing is limited. Held until the
    /// arena ends.
    func limit(_ settings: LimitSettings, at place: String, for arena: PlanArena) -> UnsafePointer<LimitPlan>? {
        guard settings != LimitSettings() else { return nil }
        let plan = state.withLock { state in
            var entry = state.entries[place] ?? Entry(cell: LimitCell(workerCount: workerCount))
            defer { state.entries[place] = entry }
            if let known = entry.plans.firstIndex(where: { $0.settings == settings }) {
                entry.plans[known].references += 1
                return Address(entry.plans[known].plan)
            }
            let users = UnsafeMutablePointer<UInt64>.allocate(capacity: 1)
            users.initialize(to: 0)
            let plan = UnsafeMutablePointer<LimitPlan>.allocate(capacity: 1)
            plan.initialize(
                to: LimitPlan(
                    settings, cell: entry.cell, identity: identity(of: place), workerCount: workerCount, users: users))
            entry.plans.append(Held(plan: plan, settings: settings, references: 1))
            return Address(plan)
        }.plan
        arena.atEnd { [self] in release(plan, at: place) }
        return UnsafePointer(plan)
    }

    private struct Address: @unchecked Sendable {
        let plan: UnsafeMutablePointer<LimitPlan>
        init(_ plan: UnsafeMutablePointer<LimitPlan>) { self.plan = plan }
    }

    private func release(_ plan: UnsafeMutablePointer<LimitPlan>, at place: String) {
        let address = Address(plan)
        state.withLock { state in
            guard let at = state.entries[place]?.plans.firstIndex(where: { $0.plan == address.plan }) else { return }
            state.entries[place]?.plans[at].references -= 1
        }
    }

    /// Frees what nobody refers to any more; once for all that a plan lets go, because it looks at every place.
    func sweep() {
        state.withLock { state in
            for (place, entry) in state.entries {
                var kept = entry
                kept.plans.removeAll { held in
                    guard held.references == 0, held.plan.pointee.users.pointee == 0 else { return false }
                    held.plan.pointee.users.deallocate()
                    held.plan.deallocate()
                    return true
                }
                if kept.plans.isEmpty && kept.cell.isQuiet(workerCount: workerCount) {
                    kept.cell.deallocate()
                    state.entries[place] = nil
                } else {
                    state.entries[place] = kept
                }
            }
        }
    }

    /// How many places are known, for tests.
    var count: Int { state.withLock { $0.entries.count } }

    /// The same in every process, and different for places with different names.
    private func identity(of place: String) -> UInt64 {
        var bytes = Array(place.utf8)
        return bytes.withUnsafeMutableBytes { hashKey(UnsafeRawBufferPointer($0)) } & ~3
    }
}

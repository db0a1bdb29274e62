import CUring
import Glibc

/// The server process's half of a reload, in steps between which the control thread goes on with everything else:
///
///     descriptors come in → a short-lived thread compiles the plan → names that are new are asked for → the workers take it
///
/// Nothing that serves knows of it before the last step.
final class ServerReload {
    /// How long names that are new may take; what is unknown then is asked for again while the others are served.
    static let namesMilliseconds = NameWatch.startMilliseconds

    enum Step {
        case collecting
        case compiling(ShortThread<Compiled>)
        case resolving(until: Int)
        /// Everything is there: the workers may have it.
        case ready
        /// The workers have been told.
        case adopting
    }

    typealias Compiled = Result<ServingPlan, LaunchFailure>

    let assignment: ReloadAssignment
    private(set) var step = Step.collecting
    private(set) var plan: ServingPlan?
    private(set) var names: NameWatch?
    private var descriptors: [Int32] = []

    /// Takes over the memory file of the assignment; nil when it cannot be read.
    init?(_ file: Int32?) {
        guard let file else { return nil }
        defer { close(file) }
        guard let assignment = decode(file, ReloadAssignment.init(encoded:)) else { return nil }
        self.assignment = assignment
    }

    /// Takes over a batch of descriptors.
    func take(_ batch: [Int32]) { descriptors += batch }

    /// What to poll for; `advance` takes the same entries back.
    var interests: [pollfd] {
        switch step {
        case .compiling(let thread): [pollfd(fd: thread.doneDescriptor, events: Int16(POLLIN), revents: 0)]
        case .resolving: names?.interests ?? []
        case .collecting, .ready, .adopting: []
        }
    }

    /// How long nothing needs doing.
    func timeoutMilliseconds(_ now: Int) -> Int {
        switch step {
        case .resolving(let until): max(0, min(until - now, names?.timeoutMilliseconds ?? Int.max))
        case .ready: 0
        case .collecting, .compiling, .adopting: Int.max
        }
    }

    /// Takes the next step where it can be taken.
    ///
    /// - Throws: why there will be no reload; everything that came with it is closed.
    func advance(_ entries: some Collection<pollfd>, now: Int, after current: ServingPlan, _ watch: NameWatch, _ tls: TLSContexts.Provision) throws(LaunchFailure) {
        switch step {
        case .collecting where descriptors.count >= assignment.descriptorCount: try compile(after: current, tls)
        case .compiling(let thread):
            guard let compiled = thread.take() else { return }
            let plan: ServingPlan
            do {
                plan = try compiled.get()
            } catch {
                giveUp()
                throw error
            }
            self.plan = plan
            do throws(LaunchFailure) {
                names = try NameWatch(plan.settings, after: watch)
            } catch {
                giveUp()
                throw error
            }
            names?.start()
            step = .resolving(until: now + Self.namesMilliseconds)
            settleNames([], now)
        case .resolving: settleNames(entries, now)
        case .collecting, .ready, .adopting: break
        }
    }

    private func compile(after current: ServingPlan, _ tls: TLSContexts.Provision) throws(LaunchFailure) {
        let thread = ShortThread<Compiled>()
        let source = assignment.source
        let started = thread.start("reload") { () -> Compiled in
            guard let settings = source.load().settings else {
                return .failure(LaunchFailure("the configuration reads differently in the server process"))
            }
            do throws(PlanFailure) {
                return .success(try ServingPlan(settings, after: current, tls: tls))
            } catch {
                return .failure(LaunchFailure(error.sentence))
            }
        }
        guard started == 0 else {
            giveUp()
            throw LaunchFailure("no thread to compile the new configuration: \(errorText(started))")
        }
        step = .compiling(thread)
    }

    private func settleNames(_ entries: some Collection<pollfd>, _ now: Int) {
        guard case .resolving(let until) = step, let names else { return }
        _ = names.handle(entries)
        if names.isSettled || now >= until { step = .ready }
    }

    /// What the workers get: for each its listeners, and the logs, which are copied for each of them. Called once, when ready.
    func handOver(toWorkers count: Int) -> (listeners: [[WorkerListener]], logs: [Int32]) {
        step = .adopting
        let handed = Dictionary(zip(assignment.handed, descriptors), uniquingKeysWith: { first, _ in first })
        var listeners = [[WorkerListener]](repeating: [], count: count)
        for listener in assignment.listeners where listeners.indices.contains(listener.worker) {
            listeners[listener.worker].append(
                WorkerListener(fd: handed[listener.id] ?? -1, server: listener.server, id: listener.id))
        }
        let logs = Array(descriptors.dropFirst(assignment.handed.count))
        descriptors = []
        return (listeners, logs)
    }

    /// Closes what came for nothing.
    func giveUp() {
        for descriptor in descriptors { close(descriptor) }
        descriptors = []
    }
}

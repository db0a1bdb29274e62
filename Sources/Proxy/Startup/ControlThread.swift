import CUring
import Glibc

/// The main thread of the server process: starts the workers, then waits for the supervisor, the admin socket and time.
final class ControlThread {
    let channel: ControlChannel
    let handover: Handover
    /// The plans that some worker uses, oldest first; the last one is what new requests go by.
    var plans: [ServingPlan]
    /// What contexts of TLS are made with, in every plan.
    let tlsProvision: TLSContexts.Provision
    var reload: ServerReload?
    /// By worker: the generation that it said last it goes by.
    var adopted: [Int: UInt64] = [:]
    /// By generation: how many workers use it no more.
    var unused: [UInt64: Int] = [:]
    private var lastReload: ReloadRecord
    private(set) var workers: [WorkerHandle] = []
    private var eventsLost: [Int: UInt64] = [:]
    var names: NameWatch
    /// Names that backends send requests on to.
    private let lookups: NameLookups
    private var admin: AdminServer?
    private var idleTrim = IdleTrim()
    private var nextLookAt = 0
    private var hasSupervisor = true
    private var pendingLogs: [Int32] = []
    var logCount: Int
    private let startedAt = monotonicMilliseconds()
    /// When the process ends whether or not the workers have ended; nil while it serves.
    private(set) var endsAt: Int?
    private static let pollWhileEndingMilliseconds: Int32 = 10
    private static let graceMilliseconds = 1_000
    private static let lookEveryMilliseconds = 1_000

    init(_ handover: Handover, channel: ControlChannel) throws(LaunchFailure) {
        self.handover = handover
        self.channel = channel
        if let notes = CrashNotes.map(handover.crashNotes) {
            CrashNotes.install(notes, control: channel.descriptor, word: ControlMessage.crashedByte)
        }
        close(handover.crashNotes)
        guard let settings = handover.assignment.source.load().settings else {
            throw LaunchFailure("the configuration reads differently in the server process")
        }
        if !settings.vectorCiphers { VectorCipher.forbid() }
        // Before the rights go, and with `rootdir` the way to the library.
        _ = VectorCipher.choice
        guard let secret = handover.assignment.ticketSecret.withBytes({ TLSTicketSecret(Array($0)) }) else {
            throw LaunchFailure("the supervisor sent no secret for the keys of tickets")
        }
        tlsProvision = TLSContexts.Provision(workers: handover.assignment.workers, secret: secret)
        do throws(PlanFailure) {
            plans = [try ServingPlan(settings, tls: tlsProvision)]
        } catch {
            throw LaunchFailure(error.sentence)
        }
        logCount = handover.logs.count
        lastReload = handover.assignment.lastReload
        names = try NameWatch(settings)
        lookups = NameLookups(servers: settings.resolvers)
        try becomeServant()
        if let refusal = RingRefusal(.gather()) { throw LaunchFailure("cannot serve: \(refusal.sentence)") }
        if !Allocator.live.setTrimThreshold(settings.memoryTrimBytes) {
            channel.send(.notice(.warn, "memtrim-sz: \(Allocator.live.name) did not take it"))
        }
        names.resolveAll(stops: { channel.hasNews })
        try startWorkers(addresses: names.table())
        if let listener = handover.admin {
            admin = AdminServer(listener: listener) { [unowned self] in answer($0) }
        }
    }

    /// Serves until told to stop; the exit code.
    func run() -> Int32 {
        if plan.settings.daemonize { leaveStandardStreams() }
        channel.send(.ready)
        while true {
            if let code = turn() { return code }
        }
    }

    private func turn() -> Int32? {
        // poll leaves out a negative descriptor, and then reports nothing for it.
        var waiting = [pollfd(fd: hasSupervisor ? channel.descriptor : -1, events: Int16(POLLIN), revents: 0)]
        let guests = admin?.interests ?? []
        waiting += guests
        let nameSockets = names.interests
        waiting += nameSockets
        waiting += workers.map { pollfd(fd: $0.reportDescriptor, events: Int16(POLLIN), revents: 0) }
        let lookupSockets = lookups.interests
        waiting += lookupSockets
        waiting += reload?.interests ?? []
        _ = poll(&waiting, nfds_t(waiting.count), pollTimeout())
        if waiting[0].revents != 0 { onSupervisor() }
        let now = monotonicMilliseconds()
        admin?.handle(waiting[1..<1 + guests.count], now: now)
        let behindGuests = waiting[(1 + guests.count)...]
        if let table = names.handle(behindGuests.prefix(nameSockets.count)) {
            for worker in workers { worker.publish(table) }
        }
        let behindNames = behindGuests.dropFirst(nameSockets.count)
        for (worker, entry) in zip(workers, behindNames) where entry.revents != 0 { hear(worker) }
        let behindWorkers = behindNames.dropFirst(workers.count)
        for (worker, answer) in lookups.handle(behindWorkers.prefix(lookupSockets.count), now: monotonicNanoseconds()) {
            workers[worker].tell(answer)
        }
        advanceReload(behindWorkers.dropFirst(lookupSockets.count), now)
        for notice in names.takeNotices() { channel.send(.notice(notice.isRecovery ? .notice : .warn, "\(notice)")) }
        guard let endsAt else { return look(now) }
        if workers.allSatisfy(\.hasEnded) {
            for worker in workers { worker.join() }
            return 0
        }
        return now >= endsAt ? 0 : nil
    }

    /// What wants a look now and then: workers that ended unasked, and memory that a load left behind.
    private func look(_ now: Int) -> Int32? {
        guard now >= nextLookAt else { return nil }
        nextLookAt = now + Self.lookEveryMilliseconds
        MaintenanceFlag.lookAtFiles()
        if let ended = workers.first(where: \.hasEnded) {
            channel.send(.failed("worker \(ended.index) ended unasked; the server process ends with it"))
            return 1
        }
        for (index, worker) in workers.enumerated() { tellEvents(of: worker, index) }
        if idleTrim.observe(activity: workers.reduce(0) { $0 &+ $1.counters[WorkerCounter.requests] }, at: now) {
            Allocator.live.trim()
        }
        return nil
    }

    /// Passes on what a worker noted for the operator.
    private func tellEvents(of worker: WorkerHandle, _ index: Int) {
        while let event = worker.events.next() {
            channel.send(.notice(event.level.settingsLevel, "worker \(worker.index): \(event.sentence)"))
        }
        let lost = worker.events.dropped
        if lost != eventsLost[index, default: 0] {
            channel.send(.notice(.warn, "worker \(worker.index): \(lost &- eventsLost[index, default: 0]) events lost"))
            eventsLost[index] = lost
        }
    }

    private func pollTimeout() -> Int32 {
        if endsAt != nil { return Self.pollWhileEndingMilliseconds }
        let now = monotonicMilliseconds()
        let deadline = min(admin?.nextDeadline ?? Int.max, nextLookAt)
        let ofNames = min(names.timeoutMilliseconds ?? Int.max, lookups.timeoutMilliseconds ?? Int.max)
        let patience = min(ofNames, reload?.timeoutMilliseconds(now) ?? Int.max)
        return Int32(clamping: max(0, min(deadline - now, patience)))
    }

    private func answer(_ command: AdminCommand) -> String {
        switch command {
        case .stat: report.text
        case .statJSON: report.json.printed() + "\n"
        case .version: Versions.text
        case .help: AdminCommand.helpText
        }
    }

    private var report: StatReport {
        StatReport(
            workers, uptimeMilliseconds: monotonicMilliseconds() - startedAt, restarts: handover.assignment.restarts,
            process: getpid(),
            configuration: StatReport.Configuration(
                generation: number(of: plan), inUse: plans.map(number), lastReload: lastReload))
    }

    private func onSupervisor() {
        switch channel.receive() {
        case .message(.drain(let deadline), _): drain(deadline)
        case .message(.stopNow, _): stopNow()
        case .message(.logs, let batch): onLogs(batch)
        case .message(.reload, let files): beginReload(files)
        case .message(.descriptors, let batch) where reload != nil: reload?.take(batch)
        case .message(.listenersReleased, _): for worker in workers { worker.retireListeners() }
        case .message(.lastReload(let record), _): lastReload = record
        case .message(_, let descriptors): for descriptor in descriptors { close(descriptor) }
        case .unreadable: break
        case .closed:
            // The supervisor is gone: nobody else would end this process.
            hasSupervisor = false
            if endsAt == nil { drain(plan.settings.drainDeadlineMilliseconds) }
        }
    }

    private func drain(_ deadline: Int) {
        abandonReload()
        for worker in workers { worker.drain(deadlineMilliseconds: deadline) }
        endsAt = monotonicMilliseconds() + deadline + Self.graceMilliseconds
    }

    private func stopNow() {
        abandonReload()
        for worker in workers { worker.stopNow() }
        endsAt = monotonicMilliseconds() + Self.graceMilliseconds
    }

    private func onLogs(_ batch: [Int32]) {
        pendingLogs += batch
        guard pendingLogs.count >= logCount else { return }
        for worker in workers { worker.replaceLogDescriptors(logs(of: worker.index, among: pendingLogs)) }
        for descriptor in pendingLogs { close(descriptor) }
        pendingLogs = []
    }

    /// Copies of the descriptors that one worker writes its logs to.
    func logs(of worker: Int, among all: [Int32]) -> [Int32] {
        LogPlan(plan.settings).descriptors(ofWorker: worker, of: handover.assignment.workers, among: all).map(cprocess_duplicate)
    }

    private func startWorkers(addresses: AddressTable) throws(LaunchFailure) {
        let assignment = handover.assignment
        var source = SystemRandomNumberGenerator()
        let seed: UInt64 = source.next()
        let stickySecret = plan.settings.stickySecret.map { StickySecret(text: $0) } ?? .random()
        for index in 0..<assignment.workers {
            var listeners: [WorkerListener] = []
            for (listener, descriptor) in zip(assignment.listeners, handover.listeners) where listener.worker == index {
                listeners.append(WorkerListener(fd: descriptor, server: listener.server, id: listener.id))
            }
            let start = WorkerStart(
                index: index, cpu: index < assignment.cpus.count ? assignment.cpus[index] : nil, listeners: listeners,
                plan: plan, logDescriptors: logs(of: index, among: handover.logs), addresses: addresses,
                workerCount: assignment.workers, seed: seed, stickySecret: stickySecret, clientsMax: clientsMax,
                nameDesk: lookups.desk)
            do {
                workers.append(try startWorker(start))
            } catch {
                throw LaunchFailure(error.sentence)
            }
        }
        for descriptor in handover.logs { close(descriptor) }
        WorkerHandle.introduce(workers)
    }

    /// What the limit of open files leaves for clients, shared out over the workers.
    private var clientsMax: Int {
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        let assignment = handover.assignment
        let plan = ResourcePlan(
            settings: plan.settings, crew: Crew(workers: assignment.workers, cpus: assignment.cpus),
            openFiles: ResourceLimit(soft: UInt64(limit.rlim_cur), hard: UInt64(limit.rlim_max)))
        return max(64, min(plan.clientConnectionsMax / assignment.workers, 1 << 20))
    }

    /// Gives up the supervisor's rights for good, before the first ring is made and the first byte is read.
    private func becomeServant() throws(LaunchFailure) {
        guard let rights = handover.assignment.rights else { return }
        let result = cprocess_drop_rights(uid_t(rights.user), gid_t(rights.group))
        guard result == 0 else {
            throw LaunchFailure("cannot become user \(rights.user), group \(rights.group): \(errorText(result))")
        }
    }
}

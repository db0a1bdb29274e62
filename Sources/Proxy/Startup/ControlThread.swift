import CUring
import Glibc

/// The main thread of the server process: starts the workers, then waits for the supervisor, the admin socket and time.
final class ControlThread {
    private let channel: ControlChannel
    private let settings: GlobalSettings
    private let handover: Handover
    private var workers: [WorkerHandle] = []
    private var pendingLogs: [Int32] = []
    /// When the process ends whether or not the workers have ended; nil while it serves.
    private var endsAt: Int?
    private static let pollWhileEndingMilliseconds = 10
    private static let graceMilliseconds = 1_000

    init(_ handover: Handover, channel: ControlChannel) throws(LaunchFailure) {
        self.handover = handover
        self.channel = channel
        if let notes = CrashNotes.map(handover.crashNotes) { CrashNotes.install(notes) }
        close(handover.crashNotes)
        settings = try Self.settings(handover.assignment.source)
        try startWorkers(addresses: AddressTable(generation: 0, entries: []))
    }

    /// Serves until told to stop; the exit code.
    func run() -> Int32 {
        channel.send(.ready)
        while true {
            if let code = turn() { return code }
        }
    }

    private func turn() -> Int32? {
        var waiting = [pollfd(fd: channel.descriptor, events: Int16(POLLIN), revents: 0)]
        let timeout = endsAt == nil ? -1 : Self.pollWhileEndingMilliseconds
        _ = poll(&waiting, nfds_t(waiting.count), Int32(timeout))
        if waiting[0].revents != 0 { onSupervisor() }
        guard let endsAt else { return nil }
        if workers.allSatisfy(\.hasEnded) {
            for worker in workers { worker.join() }
            return 0
        }
        return monotonicMilliseconds() >= endsAt ? 0 : nil
    }

    private func onSupervisor() {
        switch channel.receive() {
        case .message(.drain(let deadline), _): drain(deadline)
        case .message(.stopNow, _): stopNow()
        case .message(.logs, let batch): onLogs(batch)
        case .message(_, let descriptors): for descriptor in descriptors { close(descriptor) }
        case .unreadable: break
        case .closed:
            // The supervisor is gone: nobody else would end this process.
            if endsAt == nil { drain(settings.drainDeadlineMilliseconds) }
        }
    }

    private func drain(_ deadline: Int) {
        for worker in workers { worker.drain(deadlineMilliseconds: deadline) }
        endsAt = monotonicMilliseconds() + deadline + Self.graceMilliseconds
    }

    private func stopNow() {
        for worker in workers { worker.stopNow() }
        endsAt = monotonicMilliseconds() + Self.graceMilliseconds
    }

    private func onLogs(_ batch: [Int32]) {
        pendingLogs += batch
        guard pendingLogs.count >= handover.logs.count else { return }
        for worker in workers { worker.replaceLogDescriptors(pendingLogs.map(cprocess_duplicate)) }
        for descriptor in pendingLogs { close(descriptor) }
        pendingLogs = []
    }

    private func startWorkers(addresses: AddressTable) throws(LaunchFailure) {
        let assignment = handover.assignment
        for index in 0..<assignment.workers {
            var listeners: [WorkerListener] = []
            for (listener, descriptor) in zip(assignment.listeners, handover.listeners) where listener.worker == index {
                listeners.append(WorkerListener(fd: descriptor, server: listener.server))
            }
            let start = WorkerStart(
                index: index, cpu: index < assignment.cpus.count ? assignment.cpus[index] : nil, listeners: listeners,
                settings: settings, logDescriptors: handover.logs.map(cprocess_duplicate), addresses: addresses)
            do {
                workers.append(try startWorker(start))
            } catch {
                throw LaunchFailure(error.sentence)
            }
        }
        for descriptor in handover.logs { close(descriptor) }
    }

    /// Reads the settings again from the texts that the supervisor read.
    private static func settings(_ source: ConfigurationSource) throws(LaunchFailure) -> GlobalSettings {
        let loaded =
            switch source {
            case .quick(let listen, let to): GlobalSettings.quick(listen: listen, to: to)
            case .file(let path, let texts):
                loadConfiguration(path: path, environment: currentEnvironment()) { path in
                    texts.first { $0.path == path }?.text
                }
            }
        guard let settings = loaded.settings else { throw LaunchFailure("the configuration reads differently here") }
        return settings
    }
}

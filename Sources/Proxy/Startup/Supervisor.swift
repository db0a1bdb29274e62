import CUring
import Glibc
import Logging

/// The parent process: keeps the listeners and the rights, and a server process alive.
///
/// Runs on one thread, never serves a byte, and touches nothing that can fail by what clients send.
final class Supervisor {
    enum Phase: Equatable {
        /// A server process was started and has not reported yet.
        case starting
        case serving
        /// A deadly signal came, and the process should be gone; killed at this time.
        case dying(until: Int)
        /// The last process died; the next starts at this time.
        case pausing(until: Int)
        /// Asked to finish its exchanges; ended by force at this time.
        case draining(until: Int)
        /// Asked to end at once; killed at this time.
        case ending(until: Int)
    }

    /// What the server may need beyond its deadline to close everything, in milliseconds.
    private static let graceMilliseconds = 2_000
    private static let endingMilliseconds = 500
    /// How long a crashed process may take to die while clients wait for the next one, in milliseconds.
    private static let dyingMilliseconds = 200

    /// What runs, and what the next process starts with: the newest configuration that was taken.
    var prepared: PreparedRun
    private let signals: Int32
    private(set) var phase = Phase.starting
    private var process: Int32 = 0
    private(set) var channel: ControlChannel?
    var reload = PendingReload()
    /// Files whose change is a reason to reload.
    var watch: MaterialWatch?
    private var policy = RestartPolicy()
    private var restarts = 0
    private var hasServed = false
    private var servingSince = 0
    private(set) var listenersAreOpen = true
    private var failure: String?
    private let crashNotes: UnsafeMutablePointer<UInt64>?
    private let crashNotesDescriptor: Int32
    private var backtrace: BacktraceFile?
    private let operatorSink: OperatorLogSink
    private var operatorLog: Logger

    init(_ prepared: PreparedRun, signals: Int32) throws(LaunchFailure) {
        self.prepared = prepared
        self.signals = signals
        watch = MaterialWatch(
            prepared.assignment.source, every: prepared.settings.materialReloadMilliseconds, now: monotonicMilliseconds())
        crashNotesDescriptor = cprocess_memory_file("weir-crash-notes", CrashNotes.memoryBytes)
        guard crashNotesDescriptor >= 0 else {
            throw LaunchFailure("no memory for crash notes: \(errorText(crashNotesDescriptor))")
        }
        crashNotes = CrashNotes.map(crashNotesDescriptor)
        backtrace = BacktraceFile()
        let settings = prepared.settings.operatorLog
        let descriptor = cprocess_duplicate(prepared.logs[LogPlan.operatorLog])
        operatorSink = OperatorLogSink(descriptor: descriptor, form: Self.form(descriptor, settings))
        operatorLog = OperatorLog.logger(operatorSink, settings)
    }

    private static func form(_ descriptor: Int32, _ settings: LogSettings) -> OperatorLogSink.Form {
        OperatorLogSink.form(of: descriptor, settings, journalStream: getenv("JOURNAL_STREAM").map { String(cString: $0) })
    }

    /// One sentence for the operator's log.
    func report(_ level: LogSettings.Level, _ sentence: String) {
        operatorLog.log(level: level.loggerLevel, "\(sentence)")
    }

    /// Serves until asked to stop; the exit code.
    func run() throws(LaunchFailure) -> Int32 {
        cprocess_adopt_orphans()
        defer {
            closeListeners()
            backtrace?.abandon()
        }
        try startServer()
        while true {
            if let code = waitForEvents() { return code }
        }
    }

    // MARK: Events

    private func waitForEvents() -> Int32? {
        var waiting = [pollfd(fd: signals, events: Int16(POLLIN), revents: 0)]
        if let channel { waiting.append(pollfd(fd: channel.descriptor, events: Int16(POLLIN), revents: 0)) }
        _ = poll(&waiting, nfds_t(waiting.count), pollTimeout())
        if waiting.count > 1, waiting[1].revents != 0 { onChannel() }
        while true {
            let signal = cprocess_next_signal(signals)
            guard signal > 0 else { break }
            if let code = onSignal(signal) { return code }
        }
        return onTime()
    }

    private func onSignal(_ signal: Int32) -> Int32? {
        switch signal {
        case SIGCHLD:
            var ending = cprocess_ending()
            while true {
                let ended = cprocess_reap(&ending)
                guard ended > 0 else { return nil }
                if ended == process, let code = onServerEnded(ending) { return code }
                if let sentence = backtrace?.finish(ended) { report(.error, sentence) }
                if ended == prepared.companion { report(.warn, "the origin of the demo has ended") }
            }
        case SIGTERM, SIGINT: return stop()
        case SIGUSR1: reopenLogs()
        case SIGHUP: reload.wish = .all
        default: break
        }
        return nil
    }

    private func onChannel() {
        guard let channel else { return }
        switch channel.receive() {
        case .message(.ready, _):
            servingSince = monotonicMilliseconds()
            if phase == .starting { phase = .serving }
            if !hasServed {
                hasServed = true
                prepared.announceReady()
            } else {
                report(.notice, "serving again, with process \(process)")
            }
        case .message(.failed(let sentence), _): failure = sentence
        case .message(.notice(let level, let line), _): report(level, line)
        case .message(.reloaded, _): onReloaded()
        case .message(.reloadRefused(let sentence), _): giveUpReload(sentence)
        case .message(.crashed, _):
            if phase == .serving || phase == .starting {
                phase = .dying(until: monotonicMilliseconds() + Self.dyingMilliseconds)
            }
        case .message(let other, let descriptors):
            for descriptor in descriptors { close(descriptor) }
            report(.error, "the server process sent '\(other)', which is not for it to send")
        case .unreadable: report(.error, "the server process sent an unreadable message")
        case .closed: closeChannel()  // SIGCHLD follows and says why
        }
    }

    private func onTime() -> Int32? {
        let now = monotonicMilliseconds()
        backtrace?.enforce(now: now)
        switch phase {
        case .pausing(let until) where now >= until:
            do throws(LaunchFailure) {
                try startServer()
            } catch {
                report(.error, "\(error)")
                pauseBeforeRestart()
            }
        case .dying(let until) where now >= until:
            kill(-process, SIGKILL)  // its group: a backtracer too
            phase = .dying(until: now + Self.dyingMilliseconds)
        case .draining(let until) where now >= until:
            report(.warn, "the server process does not end; it is killed")
            kill(-process, SIGKILL)  // its group: a backtracer too
            phase = .ending(until: now + Self.endingMilliseconds)
        case .ending(let until) where now >= until:
            kill(-process, SIGKILL)  // its group: a backtracer too
            phase = .ending(until: now + Self.endingMilliseconds)
        case .starting, .serving, .dying, .pausing, .draining, .ending: break
        }
        advanceReload(now: now)
        return nil
    }

    private func pollTimeout() -> Int32 {
        let deadline = [backtrace?.deadline, reload.warnsAt, reload.isIdle ? watch?.looksAt : nil].compactMap(\.self).min()
        let patience = deadline.map { Int32(clamping: max(1, $0 - monotonicMilliseconds())) } ?? -1
        return switch phase {
        case .starting, .serving: patience
        case .dying(let until), .pausing(let until), .draining(let until), .ending(let until):
            Int32(clamping: max(0, until - monotonicMilliseconds()))
        }
    }

    // MARK: Stopping

    private func stop() -> Int32? {
        let now = monotonicMilliseconds()
        let deadline = prepared.settings.drainDeadlineMilliseconds
        switch phase {
        case .pausing:
            closeListeners()
            return 0
        case .starting, .serving, .dying:
            report(.notice, "stopping: open exchanges have \(seconds(deadline)) to finish; a second signal ends them at once")
            prepared.outside.manager?.tell(.stopping)
            closeListeners()
            channel?.send(.drain(deadlineMilliseconds: deadline))
            phase = .draining(until: now + deadline + Self.graceMilliseconds)
        case .draining:
            report(.notice, "ending at once")
            channel?.send(.stopNow)
            phase = .ending(until: now + Self.endingMilliseconds)
        case .ending: kill(-process, SIGKILL)  // its group: a backtracer too
        }
        return nil
    }

    /// Gives up the listeners; the server's copies are then the last ones and go when it closes them.
    private func closeListeners() {
        guard listenersAreOpen else { return }
        listenersAreOpen = false
        reload.candidate?.giveUp()
        reload.candidate = nil
        prepared.listeners.close()
        prepared.listeners.removeUnixFiles()
        prepared.admin?.remove()
    }

    // MARK: The server process

    private func startServer() throws(LaunchFailure) {
        var ours: Int32 = -1
        var theirs: Int32 = -1
        let paired = cprocess_socket_pair(&ours, &theirs)
        guard paired == 0 else { throw LaunchFailure("no socket pair for the server process: \(errorText(paired))") }
        defer { close(theirs) }
        process = spawnSelf(
            serverProcessCommand, control: theirs,
            variables: ["SWIFT_BACKTRACE": backtrace?.settingForNext(sharesUser: prepared.assignment.rights == nil) ?? "enable=no"])
        guard process > 0 else {
            close(ours)
            throw LaunchFailure("cannot start the server process: \(errorText(process))")
        }
        let channel = ControlChannel(descriptor: ours)
        self.channel = channel
        phase = .starting
        failure = nil
        servingSince = monotonicMilliseconds()
        try handOver(to: channel)
    }

    private func handOver(to channel: ControlChannel) throws(LaunchFailure) {
        var assignment = prepared.assignment
        assignment.restarts = restarts
        assignment.lastReload = reload.record
        let file = try memoryFile("weir-assignment", wiping: assignment.encoded())
        defer { close(file) }
        // A process that dies meanwhile is told about by SIGCHLD; its end here is no news.
        channel.send(.assignment, [file])
        var descriptors = prepared.listeners.listeners.map(\.descriptor) + prepared.logs
        if let admin = prepared.admin { descriptors.append(admin.descriptor) }
        descriptors.append(crashNotesDescriptor)
        channel.sendBatches(.descriptors, descriptors)
    }

    private func onServerEnded(_ status: cprocess_ending) -> Int32? {
        // What it sent before its end still waits in the channel.
        while let channel, hasMessage(channel) { onChannel() }
        closeChannel()
        let ending = describe(status)
        giveUpReload("the server process ended before it had taken the new configuration")
        backtrace?.expect(ending.crash, of: process, now: monotonicMilliseconds())
        process = 0
        switch phase {
        case .draining, .ending:
            guard let signal = ending.signal, signal != SIGKILL else { return ending.exitCode ?? 0 }
            report(.error, ending.sentence)
            return 1
        case .starting where !hasServed, .dying where !hasServed:
            report(.error, failure ?? ending.sentence)
            // Whoever gave the command looks at its standard error.
            if prepared.settings.operatorLog.output != .stderr { say(failure ?? ending.sentence) }
            return 1
        case .starting, .serving, .dying, .pausing:
            report(.error, failure ?? ending.sentence)
            restarts += 1
            pauseBeforeRestart()
            return onTime()
        }
    }

    private func pauseBeforeRestart() {
        let now = monotonicMilliseconds()
        let pause = policy.pause(afterServing: now - servingSince)
        if pause > 0 {
            report(.error, "died \(policy.deaths) times in a row; the next start is in \(seconds(pause)), the ports stay open")
        }
        phase = .pausing(until: now + pause)
    }

    private func describe(_ status: cprocess_ending) -> Ending {
        Ending(
            process: process, exitCode: status.exit_code >= 0 ? status.exit_code : nil,
            signal: status.signal > 0 ? status.signal : nil, wroteCore: status.core != 0,
            crash: crashNotes.flatMap(CrashNotes.read))
    }

    private func hasMessage(_ channel: ControlChannel) -> Bool {
        var waiting = pollfd(fd: channel.descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&waiting, 1, 0) > 0 && waiting.revents & Int16(POLLIN) != 0
    }

    private func closeChannel() {
        if let channel { close(channel.descriptor) }
        channel = nil
    }

    // MARK: Logs

    /// Opens all logs anew, once no reload is under way, which does the same.
    private func reopenLogs() {
        guard reload.candidate == nil else { return reload.reopensLogs = true }
        do throws(LaunchFailure) {
            use(logs: try LogPlan(prepared.settings).open(workers: prepared.assignment.workers))
            channel?.sendBatches(.logs, prepared.logs)
            report(.notice, "log files reopened")
        } catch {
            report(.error, "\(error); the old files stay in use")
        }
    }

    /// Goes on in other descriptors, as the settings now say.
    func use(logs: [Int32]) {
        for descriptor in prepared.logs { close(descriptor) }
        prepared.logs = logs
        let settings = prepared.settings.operatorLog
        let descriptor = cprocess_duplicate(logs[LogPlan.operatorLog])
        operatorSink.reopen(descriptor, form: Self.form(descriptor, settings))
        operatorLog = OperatorLog.logger(operatorSink, settings)
    }

    /// What was put off while a reload was under way.
    func reopenLogsIfAsked() {
        guard reload.reopensLogs else { return }
        reload.reopensLogs = false
        reopenLogs()
    }
}

/// A file in memory that another process can be handed.
///
/// - Parameter wiping: what goes into it, and stays nowhere else.
func memoryFile(_ name: String, wiping bytes: consuming [UInt8]) throws(LaunchFailure) -> Int32 {
    defer { bytes.wipe() }
    let file = cprocess_memory_file(name, bytes.count)
    guard file >= 0 else { throw LaunchFailure("no memory for the hand-over: \(errorText(file))") }
    guard pwrite(file, bytes, bytes.count, 0) == bytes.count else {
        close(file)
        throw LaunchFailure("no memory for the hand-over: \(errorText(errno))")
    }
    return file
}

/// `30 s`, `1.5 s`.
func seconds(_ milliseconds: Int) -> String {
    let tenths = milliseconds % 1_000 / 100
    return tenths == 0 ? "\(milliseconds / 1_000) s" : "\(milliseconds / 1_000).\(tenths) s"
}

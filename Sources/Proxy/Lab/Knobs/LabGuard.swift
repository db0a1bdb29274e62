import CUring
import Glibc

/// Stands between the lab and the machine: whatever ends the lab, its changes are put back and what it started ends.
///
/// - An end by itself, and SIGINT, SIGTERM and SIGHUP: this process restores.
/// - SIGKILL and crashes: a second process, the watcher, holds the other end of a connection, sees it end and restores.
/// - Both killed: the next `weir lab` restores first, as does `weir lab restore`.
final class LabGuard: Sendable {
    private struct State {
        var journal: ChangeJournal?
        var watcher: LabWatcher?
        var children: Set<pid_t> = []
        var isEnding = false
        /// Folder of files that nobody needs after the lab.
        var scratch: String?
    }

    private let state = Locked(State())
    /// Nobody else changes the machine while this one lives.
    private let lock: MachineLock
    /// Empty where nothing is to be changed.
    private let journalPath: String

    /// Restores what an earlier lab left behind, and says so.
    ///
    /// - Parameter changesMachine: false opens no journal; what an earlier lab left behind is told then, and stays.
    init(journalPath: String, changesMachine: Bool, lock: MachineLock) throws(LabFailure) {
        self.lock = lock
        self.journalPath = changesMachine ? journalPath : ""
        guard changesMachine else {
            let left = ChangeJournal.leftBehind(at: journalPath)
            if !left.isEmpty {
                say("warning: a lab that was ended left \(left.map(\.path).joined(separator: ", ")) changed; 'weir lab restore' puts that back")
            }
            return
        }
        let journal = try ChangeJournal(path: journalPath)
        let left = journal.restore()
        for outcome in left { say("left by a lab that was ended: \(outcome.sentence)") }
        if let failure = left.first(where: \.isFailure) { throw LabFailure(failure.sentence) }
        let holder = UncheckedJournal(journal: journal)
        state.withLock { $0.journal = holder.journal }
    }

    /// The journal is only ever used under the lock.
    private struct UncheckedJournal: @unchecked Sendable { let journal: ChangeJournal }

    /// Sets one file of the kernel; the watcher is there before the first change.
    func change(_ path: String, to value: String) throws(LabFailure) {
        let failure: LabFailure? = state.withLock { state in
            if state.isEnding { return LabFailure("the lab is being ended") }
            do throws(LabFailure) {
                guard let journal = state.journal else { throw LabFailure("nothing was to be changed by this lab") }
                try startWatcher(&state)
                try journal.change(path, to: value)
                return nil
            } catch {
                return error
            }
        }
        if let failure { throw failure }
    }

    private func startWatcher(_ state: inout State) throws(LabFailure) {
        guard state.watcher == nil else { return }
        state.watcher = try LabWatcher(journal: journalPath, scratch: state.scratch ?? "", lock: lock)
    }

    /// Puts all changes back; what became of each.
    @discardableResult
    func restore() -> [ChangeJournal.Outcome] {
        state.withLock { $0.journal?.restore() ?? [] }
    }

    /// Restores and lets the watcher go.
    func end() -> [ChangeJournal.Outcome] {
        waitWhileEnding()
        return finish()
    }

    private func finish() -> [ChangeJournal.Outcome] {
        state.withLock { state in
            let outcomes = state.journal?.restore() ?? []
            if let scratch = state.scratch { removeScratch(scratch) }
            state.watcher?.dismiss()
            state.watcher = nil
            state.scratch = nil
            return outcomes
        }
    }

    /// A folder to empty and remove at the end, however that comes.
    func scratch(_ path: String) throws(LabFailure) {
        let failure: LabFailure? = state.withLock { state in
            state.scratch = path
            do throws(LabFailure) {
                try startWatcher(&state)
                return nil
            } catch {
                return error
            }
        }
        if let failure { throw failure }
    }

    /// Processes that have to end with the lab.
    func adopt(_ process: pid_t) {
        state.withLock {
            if $0.isEnding { kill(process, SIGKILL) } else { $0.children.insert(process) }
        }
    }
    func release(_ process: pid_t) {
        waitWhileEnding()
        state.withLock { _ = $0.children.remove(process) }
    }

    /// A signal ends the program and what it started: whoever notices the latter waits for the former, so that the signal has
    /// the last word.
    private func waitWhileEnding() {
        while state.withLock({ $0.isEnding }) { pause() }
    }

    /// Ends the program in good order on SIGINT, SIGTERM and SIGHUP: from a thread that waits for them.
    func handleSignals() {
        var signals: [Int32] = [SIGINT, SIGTERM, SIGHUP]
        let descriptor = cprocess_signal_descriptor(&signals, UInt32(signals.count))
        guard descriptor >= 0 else { return }
        let context = SignalContext(owner: self, descriptor: descriptor)
        var thread = pthread_t()
        if pthread_create(&thread, nil, waitForSignal, Unmanaged.passRetained(context).toOpaque()) == 0 { pthread_detach(thread) }
    }

    fileprivate func onSignal(_ number: Int32) -> Never {
        let children = state.withLock { state in
            state.isEnding = true
            return state.children
        }
        // The machine first: nothing that a child does or does not do may keep it changed.
        let outcomes = restore()
        for outcome in outcomes { say(outcome.sentence) }
        // What still writes into the folder of the lab would leave files behind.
        endFamilies(children)
        _ = finish()
        say("ended by a signal" + (outcomes.contains(where: \.isFailure) ? "" : "; everything is as it was before"))
        _exit(128 + number)
    }
}

private final class SignalContext {
    let owner: LabGuard
    let descriptor: Int32
    init(owner: LabGuard, descriptor: Int32) {
        self.owner = owner
        self.descriptor = descriptor
    }
}

private func waitForSignal(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let context else { return nil }
    let signals = Unmanaged<SignalContext>.fromOpaque(context).takeRetainedValue()
    while true {
        var ready = pollfd(fd: signals.descriptor, events: Int16(POLLIN), revents: 0)
        if poll(&ready, 1, -1) < 0 && errno != EINTR { return nil }
        let number = cprocess_next_signal(signals.descriptor)
        if number > 0 { signals.owner.onSignal(number) }
    }
}

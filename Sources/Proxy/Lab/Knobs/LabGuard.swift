import CUring
import Glibc
import Synchronization

/// The hidden sub-command of the process that puts settings back when the lab was killed.
let labWatchCommand = "lab-watch"

/// Stands between the lab and the machine: whatever ends the lab, its changes are put back and what it started ends.
///
/// - An end by itself, and SIGINT, SIGTERM and SIGHUP: this process restores.
/// - SIGKILL and crashes: a second process, which holds the other end of a pipe, sees that end close and restores.
/// - Both killed: the next `weir lab` restores first, as does `weir lab restore`.
final class LabGuard: Sendable {
    private struct State {
        var journal: ChangeJournal?
        var watcher: pid_t = 0
        /// The lab's end of the pipe to the watcher.
        var pipe: Int32 = -1
        var children: Set<pid_t> = []
        var isEnding = false
        /// Folder of files that nobody needs after the lab.
        var scratch: String?
    }

    private let state = Mutex(State())
    let journalPath: String

    /// Restores what an earlier lab left behind, and says so.
    init(journalPath: String) throws(LabFailure) {
        self.journalPath = journalPath
        let journal = try ChangeJournal(path: journalPath)
        let left = journal.restore()
        for outcome in left { say("left by a lab that was ended: \(outcome.sentence)") }
        if let failure = left.first(where: \.isFailure) { throw LabFailure(failure.sentence) }
        let holder = UncheckedJournal(journal: journal)
        state.withLock { $0.journal = holder.journal }
    }

    /// The journal is only ever used under the lock.
    private struct UncheckedJournal: @unchecked Sendable { let journal: ChangeJournal }

    /// Sets one file of the kernel; the watcher is started before the first change.
    func change(_ path: String, to value: String) throws(LabFailure) {
        let journalPath = journalPath
        let failure: LabFailure? = state.withLock { state in
            if state.isEnding { return LabFailure("the lab is being ended") }
            do throws(LabFailure) {
                if state.watcher == 0 { (state.watcher, state.pipe) = try Self.startWatcher(journalPath, scratch: state.scratch) }
                try state.journal?.change(path, to: value)
                return nil
            } catch {
                return error
            }
        }
        if let failure { throw failure }
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
            if state.pipe >= 0 {
                _ = Glibc.write(state.pipe, "e", 1)
                close(state.pipe)
                waitpid(state.watcher, nil, 0)
                state.pipe = -1
                state.watcher = 0
            }
            if let scratch = state.scratch { Self.remove(scratch) }
            state.scratch = nil
            return outcomes
        }
    }

    /// A folder to empty and remove at the end.
    func scratch(_ path: String) { state.withLock { $0.scratch = path } }

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

    private static func startWatcher(_ journalPath: String, scratch: String?) throws(LabFailure) -> (pid_t, Int32) {
        var read: Int32 = -1
        var write: Int32 = -1
        guard cprocess_pipe(&read, &write) == 0 else { throw LabFailure("cannot make a pipe: \(errorText(errno))") }
        defer { close(read) }
        let process = spawnSelf(labWatchCommand, control: read, variables: [journalVariable: journalPath, scratchVariable: scratch ?? ""])
        guard process > 0 else {
            close(write)
            throw LabFailure("cannot start the process that restores settings: \(errorText(process)); nothing was changed")
        }
        return (process, write)
    }

    fileprivate static let journalVariable = "WEIR_LAB_JOURNAL"
    fileprivate static let scratchVariable = "WEIR_LAB_SCRATCH"

    /// Empties and removes a folder that the lab made.
    fileprivate static func remove(_ scratch: String) {
        guard scratch.hasPrefix("/tmp/weir-lab-") else { return }
        for name in directoryEntries(scratch) { unlink("\(scratch)/\(name)") }
        rmdir(scratch)
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
        for child in children { kill(child, SIGTERM) }
        // What still writes into the folder of the lab would leave files behind.
        for child in children { waitpid(child, nil, 0) }
        for outcome in finish() { say(outcome.sentence) }
        say("ended by a signal; everything is as it was before")
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

/// The watcher: waits for the end of the lab, and restores by its journal if the lab did not say good-bye.
///
/// It leads a process group of its own and ignores the signals of terminals and of people, because it has nothing else to do
/// than to outlive the lab for a moment.
public func runLabWatch() -> Int32 {
    for number in [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE] { cprocess_ignore_signal(number) }
    let environment = currentEnvironment()
    guard let path = environment[LabGuard.journalVariable] else { return 2 }
    var byte: UInt8 = 0
    while true {
        let count = read(3, &byte, 1)
        if count > 0 { return 0 }
        if count == 0 || errno != EINTR { break }
    }
    do throws(LabFailure) {
        // The lab is dead and its lock with it, unless another lab was quicker and has restored already.
        let journal = try ChangeJournal(path: path, patienceMilliseconds: 3_600_000)
        let outcomes = journal.restore()
        for outcome in outcomes { say("the lab was killed: \(outcome.sentence)") }
        LabGuard.remove(environment[LabGuard.scratchVariable] ?? "")
        return outcomes.contains(where: \.isFailure) ? 1 : 0
    } catch {
        say("\(error)")
        return 1
    }
}

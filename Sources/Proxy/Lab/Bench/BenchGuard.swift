import CUring
import Glibc

/// Ends a run in good order when SIGINT, SIGTERM or SIGHUP asks for it.
///
/// What the run has started is asked to end, again and again, so that whatever it waits for comes to an end; the run itself
/// notices `endedBy`, lets go of the measurement that was under way, and writes what it has. A second signal ends at once.
final class BenchGuard: Sendable {
    private struct State {
        var signal: Int32?
        var folder: String?
    }

    private let state = Locked(State())

    /// The signal that ends the run; nil while it goes on.
    var endedBy: Int32? { state.withLock { $0.signal } }

    /// The folder that has to go when there is no time for good order.
    func protect(_ folder: WorkFolder) { state.withLock { $0.folder = folder.path } }

    /// Waits for signals in a thread of its own. To be called before anything is started, in the thread that starts it.
    func handleSignals() {
        var signals: [Int32] = [SIGINT, SIGTERM, SIGHUP]
        let descriptor = cprocess_signal_descriptor(&signals, UInt32(signals.count))
        guard descriptor >= 0 else { return }
        let context = SignalContext(owner: self, descriptor: descriptor)
        var thread = pthread_t()
        if pthread_create(&thread, nil, waitForSignals, Unmanaged.passRetained(context).toOpaque()) == 0 { pthread_detach(thread) }
    }

    fileprivate func onSignal(_ number: Int32) {
        let isFirst = state.withLock { state in
            defer { state.signal = state.signal ?? number }
            return state.signal == nil
        }
        if isFirst { return say("ending; what was measured so far is written, a second signal ends at once") }
        ProcessFamily(of: getpid(), without: getpid()).end()
        if let folder = state.withLock({ $0.folder }) { WorkFolder.removeTree(folder) }
        _exit(128 + number)
    }

    fileprivate func endChildren() {
        if endedBy != nil { ProcessFamily(of: getpid(), without: getpid()).signal(SIGTERM) }
    }
}

private final class SignalContext {
    let owner: BenchGuard
    let descriptor: Int32
    init(owner: BenchGuard, descriptor: Int32) {
        self.owner = owner
        self.descriptor = descriptor
    }
}

private func waitForSignals(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let context else { return nil }
    let signals = Unmanaged<SignalContext>.fromOpaque(context).takeRetainedValue()
    while true {
        // Until the first signal there is nothing to look after.
        let patience: Int32 = signals.owner.endedBy == nil ? -1 : 200
        var ready = pollfd(fd: signals.descriptor, events: Int16(POLLIN), revents: 0)
        if poll(&ready, 1, patience) < 0 && errno != EINTR { return nil }
        let number = cprocess_next_signal(signals.descriptor)
        if number > 0 { signals.owner.onSignal(number) }
        signals.owner.endChildren()
    }
}

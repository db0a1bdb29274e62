import CUring
import Glibc

/// Starts a worker's thread and waits until its ring stands.
///
/// - Throws: a sentence that tells why the kernel refused.
func startWorker(_ start: WorkerStart) throws(WorkerStartFailure) -> WorkerHandle {
    let boot = WorkerBoot(start)
    var thread = pthread_t()
    let context = Unmanaged.passRetained(boot).toOpaque()
    let made = pthread_create(
        &thread, nil,
        { raw in
            Unmanaged<WorkerBoot>.fromOpaque(raw!).takeRetainedValue().run()
            return nil
        }, context)
    guard made == 0 else {
        Unmanaged<WorkerBoot>.fromOpaque(context).release()
        throw WorkerStartFailure(sentence: "no thread for worker \(start.index): \(errorText(made))")
    }
    if let failure = boot.waitUntilUp() {
        pthread_join(thread, nil)
        throw failure
    }
    return WorkerHandle(
        index: start.index, counters: boot.counters, events: boot.events, mailbox: boot.mailbox,
        backends: boot.backends, thread: thread)
}

/// What the starting thread and the worker's thread share until the worker stands.
private final class WorkerBoot: Sendable {
    let start: WorkerStart
    let counters = CounterBlock(count: WorkerCounter.allCases.count)
    let events = EventLog()
    let mailbox = Mailbox()
    let backends = BackendRegister()
    private let outcome = Locked<WorkerStartFailure?>(nil)
    private let upDescriptor: Int32

    init(_ start: WorkerStart) {
        self.start = start
        upDescriptor = clinux_eventfd()
    }

    deinit { close(upDescriptor) }

    /// Waits for the worker's word; nil = it is up.
    func waitUntilUp() -> WorkerStartFailure? {
        var count: UInt64 = 0
        while read(upDescriptor, &count, MemoryLayout<UInt64>.size) < 0 && errno == EINTR {}
        return outcome.withLock { $0 }
    }

    private func tell(_ failure: WorkerStartFailure?) {
        outcome.withLock { $0 = failure }
        var one: UInt64 = 1
        _ = write(upDescriptor, &one, MemoryLayout<UInt64>.size)
    }

    /// The worker's thread.
    func run() {
        clinux_name_thread("worker-\(start.index)")
        var all = sigset_t()
        sigfillset(&all)
        for deadly in [SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP] { sigdelset(&all, deadly) }
        pthread_sigmask(SIG_BLOCK, &all, nil)
        clinux_exact_timers()
        if let cpu = start.cpu { _ = clinux_pin_thread(Int32(cpu)) }
        do throws(RingFailure) {
            let ring = try KernelRing()
            var worker = Worker(
                ring: ring, start: start, counters: counters, mailbox: mailbox, events: events, register: backends)
            tell(nil)
            worker.run()
        } catch {
            tell(WorkerStartFailure(sentence: "\(error.call): \(errorText(error.errno))"))
        }
        mailbox.end()
    }
}

/// The name of the step that a crash note has.
func crashStepName(_ step: UInt8) -> String { Step(rawValue: step).map { "\($0)" } ?? "\(step)" }

import CUring

/// What a thread came to.
enum LoadOutcome: Sendable {
    case done(LoadTally)
    /// The kernel gave no ring.
    case noRing(RingFailure)
}

/// Runs one thread of the load generator, in the thread that calls it, to its end.
func runLoadThread(_ plan: LoadPlan, thread: Int, board: LoadBoard, tls: TLSContext?) -> LoadOutcome {
    clinux_exact_timers()
    do throws(RingFailure) {
        let worker = LoadWorker(ring: try KernelRing(), plan: plan, thread: thread, board: board, tls: tls)
        return .done(worker.run())
    } catch {
        return .noRing(error)
    }
}

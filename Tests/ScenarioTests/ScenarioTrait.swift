import Glibc
import TestSupport
import Testing

/// Runs each test of a suite on a thread of its own, where it may block, and few enough of them at a time.
///
/// Scenario tests wait for sockets. On the threads of Swift's own pool (one per core) that would let two tests run at once.
struct ScenarioTrait: SuiteTrait, TestTrait, TestScoping {
    var isRecursive: Bool { true }

    func provideScope(for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void) async throws {
        guard testCase != nil else { return try await function() }
        await Gate.shared.enter()
        let executor = ThreadExecutor()
        do {
            try await withTaskExecutorPreference(executor) { try await function() }
        } catch {
            executor.finish()
            await Gate.shared.leave()
            throw error
        }
        executor.finish()
        await Gate.shared.leave()
    }
}

extension Trait where Self == ScenarioTrait {
    /// The test blocks, so it gets a thread of its own.
    static var scenario: Self { Self() }
}

/// Lets a number of scenarios in and makes the others wait, first come first served.
private actor Gate {
    static let shared = Gate(width: environment("WEIR_SCENARIOS_AT_ONCE").flatMap(Int.init) ?? 8)

    private var free: Int
    private var waiting: [CheckedContinuation<Void, Never>] = []
    private var nextWaiting = 0

    init(width: Int) { free = width }

    func enter() async {
        if free > 0 {
            free -= 1
        } else {
            await withCheckedContinuation { waiting.append($0) }
        }
    }

    func leave() {
        if nextWaiting < waiting.count {
            waiting[nextWaiting].resume()
            nextWaiting += 1
        } else {
            free += 1
        }
    }
}

/// An executor of one thread.
private final class ThreadExecutor: TaskExecutor {
    private enum Work { case job(UnownedJob), end }
    private let queue = Monitor<[Work]>([])

    init() {
        let queue = queue
        let executor = Unmanaged.passRetained(self)
        startThread {
            while true {
                let work = queue.wait(until: Deadline(after: .seconds(3600))) { $0.isEmpty ? nil : $0.removeFirst() }
                guard case .job(let job) = work else { break }
                job.runSynchronously(on: executor.takeUnretainedValue().asUnownedTaskExecutor())
            }
            executor.release()
        }
    }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        queue.with { $0.append(.job(job)) }
    }

    /// Lets the thread end once it has nothing left to do.
    func finish() { queue.with { $0.append(.end) } }
}

import CUring
import Glibc

/// What `weir load` was asked for, as it stands on the command line.
public struct LoadRequest: Sendable {
    public var urls: [String] = []
    public var mix: String?
    public var rate: String?
    public var ramp: String?
    public var steps: String?
    public var poisson: String?
    public var closed = false
    public var duration: String?
    public var warmUp: String?
    public var requests: UInt64?
    public var connections = 10
    public var threads = 1
    public var pipeline = 1
    public var close = false
    public var method: String?
    public var headers: [String] = []
    public var body: String?
    public var bodySize: String?
    public var connect: String?
    public var insecure = false
    public var authorities: String?
    public var resumes = true
    public var serverName: String?
    public var readRate: String?
    public var writeRate: String?
    public var webSocket = false
    public var timeout = "10s"
    /// nil = the default, which only a timetable needs.
    public var queue: Int?
    public var cpus: String?
    public var seed: UInt64 = 1
    public var json: String?
    public var hdr: String?
    public var progress = false
    public var allowFailures: String?
    public var reportAnyway = false
    public var histogram = false
    public init() {}
}

/// `weir load`: sends requests and tells the figures; the exit code of the program.
public func load(_ request: LoadRequest) -> Int32 {
    do throws(CommandComplaint) {
        let allowed = try request.allowFailures.map { text throws(CommandComplaint) in try CommandValues.share(text, "--allow-failures") } ?? 0
        let arguments = try LoadArguments(request)
        return runLoad(request, arguments, allowedFailures: allowed)
    } catch {
        say(error.sentence)
        return commandLineWrong
    }
}

/// The figures tell of the generator.
private let isBottleneckCode: Int32 = 3

private func runLoad(_ request: LoadRequest, _ arguments: LoadArguments, allowedFailures: Double) -> Int32 {
    do throws(LaunchFailure) {
        let watched = [SIGTERM, SIGINT]
        let signals = cprocess_signal_descriptor(watched, UInt32(watched.count))
        guard signals >= 0 else { throw LaunchFailure("cannot watch signals: \(errorText(signals))") }
        cprocess_ignore_signal(SIGPIPE)
        if let refusal = RingRefusal(.gather()) { throw LaunchFailure("cannot send anything: \(refusal.sentence)") }
        let plan = try arguments.plan()
        try raiseOpenFiles(for: plan)
        raiseLockedMemory()
        let run = LoadRun(plan, signals: signals, showsProgress: request.progress || isatty(STDERR_FILENO) == 1)
        let tally = try run.run()
        let report = LoadReport(
            urls: arguments.urlTexts, settings: arguments.report(plan), tally: tally,
            verdict: LoadVerdict(tally, isOpenLoop: plan.timetable != nil),
            planned: arguments.planned(plan, tally, isInterrupted: run.isInterrupted),
            wantedRate: arguments.wantedRate(plan), isInterrupted: run.isInterrupted, isForced: request.reportAnyway,
            hasCounts: request.histogram)
        try tell(report, request)
        if report.isRefused { return isBottleneckCode }
        return tally.started == 0 || Double(tally.failed) > allowedFailures * Double(tally.started) ? 1 : 0
    } catch {
        say("\(error)")
        return 1
    }
}

private func tell(_ report: LoadReport, _ request: LoadRequest) throws(LaunchFailure) {
    if request.json != "-" { write(report.text, to: STDOUT_FILENO) }
    if let path = request.json {
        let text = report.json.printed() + "\n"
        if path == "-" { write(text, to: STDOUT_FILENO) } else { try writeFile(text, path) }
    }
    if let path = request.hdr {
        if report.isRefused { say("\(path) is not written: there are no figures to tell") } else { try writeFile(report.tally.latency.percentileText, path) }
    }
}

private func writeFile(_ text: String, _ path: String) throws(LaunchFailure) {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw LaunchFailure("cannot write \(path): \(errorText(errno))") }
    write(text, to: descriptor)
    close(descriptor)
}

/// Takes as many descriptors as may be had, and says no when they do not do.
private func raiseOpenFiles(for plan: LoadPlan) throws(LaunchFailure) {
    let files = try OpenFiles.decide(GlobalSettings())
    try files.apply()
    // A new connection for each request is opened while the close of an old one stands in the ring, which has room for so many.
    let closing = plan.closes ? min(plan.connections, 1_024 * plan.threads) : 0
    let needed = UInt64(plan.connections + closing + 16 * plan.threads + 32)
    guard files.applied.soft >= needed else {
        throw LaunchFailure(
            "\(plan.connections) connections\(plan.closes ? " with --close" : "") need \(needed) descriptors, and there are \(files.applied.soft); raise the limit (ulimit -n)")
    }
}

/// The threads of a run and the one that watches them.
private final class LoadRun {
    private let plan: LoadPlan
    private let signals: Int32
    private let showsProgress: Bool
    private let board: LoadBoard
    private(set) var isInterrupted = false
    private var lineIsOpen = false

    init(_ plan: LoadPlan, signals: Int32, showsProgress: Bool) {
        self.plan = plan
        self.signals = signals
        self.showsProgress = showsProgress
        board = LoadBoard(threads: plan.threads)
    }

    func run() throws(LaunchFailure) -> LoadTally {
        let collector = LoadCollector(threads: plan.threads)
        for thread in 0..<plan.threads {
            let tls = try plan.tls.map { material throws(LaunchFailure) in try loadTLS(material) }
            let made = startThread("load-\(thread)") { [plan, board] in
                let cpu = plan.cpus.isEmpty ? nil : plan.cpus[thread % plan.cpus.count]
                if let cpu, clinux_pin_thread(Int32(cpu)) < 0 { say("warning: CPU \(cpu) is not to be had for thread \(thread)") }
                collector.add(runLoadThread(plan, thread: thread, board: board, tls: tls))
            }
            guard made == 0 else { throw LaunchFailure("no thread to send with: \(errorText(made))") }
        }
        try start(collector)
        let startedAt = monotonicMilliseconds()
        var last = LoadProgress()
        var lastAt = startedAt
        while !collector.isDone {
            watch(milliseconds: 100, collector)
            let now = monotonicMilliseconds()
            if showsProgress, now - lastAt >= 1_000 {
                showLine(last, seconds: Double(now - startedAt) / 1e3, since: Double(now - lastAt) / 1e3, &last)
                lastAt = now
            }
        }
        if lineIsOpen { write("\n", to: STDERR_FILENO) }
        return try collector.sum()
    }

    /// Waits until all connections stand, then lets all threads begin at the same moment.
    private func start(_ collector: LoadCollector) throws(LaunchFailure) {
        while board.ready.load(ordering: .acquiring) < plan.threads && !collector.isDone {
            watch(milliseconds: 2, collector)
            if let failure = collector.failure { throw failure }
        }
        guard plan.closes || board.opened.load(ordering: .relaxed) > 0 || isInterrupted else {
            throw LaunchFailure("cannot open a connection to \(plan.address): \(loadFailureText(board.lastFailure.load(ordering: .relaxed)))")
        }
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        // Later than any thread needs to see it.
        board.startAt.store(UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec) + 20_000_000, ordering: .releasing)
    }

    /// Waits for signals and for the end of the threads.
    private func watch(milliseconds: Int32, _ collector: LoadCollector) {
        var files = [
            pollfd(fd: signals, events: Int16(POLLIN), revents: 0), pollfd(fd: collector.descriptor, events: Int16(POLLIN), revents: 0),
        ]
        guard poll(&files, 2, milliseconds) > 0, files[0].revents != 0, cprocess_next_signal(signals) > 0 else { return }
        if isInterrupted { _exit(130) }
        isInterrupted = true
        board.stop.store(true, ordering: .relaxed)
    }

    private func showLine(_ before: LoadProgress, seconds: Double, since: Double, _ last: inout LoadProgress) {
        let now = board.progress()
        let rate = Double(now.answered &- min(before.answered, now.answered)) / since
        last = now
        var text = "\(Int(seconds)) s  \(now.answered) answered  \(LoadReport.short(rate.rounded()))/s  \(now.underWay) under way"
        if now.queued > 0 { text += "  \(now.queued) waiting" }
        if now.errors > 0 { text += "  \(now.errors) errors" }
        text += "  worst \(LoadReport.time(now.worstNanoseconds))"
        if isatty(STDERR_FILENO) == 1 {
            write("\r\u{1B}[K" + text, to: STDERR_FILENO)
            lineIsOpen = true
        } else {
            write(text + "\n", to: STDERR_FILENO)
        }
    }
}

private func loadFailureText(_ number: Int32) -> String {
    number == EPROTO ? "TLS or WebSocket was refused" : errorText(number)
}

private func loadTLS(_ material: TLSBackendMaterial) throws(LaunchFailure) -> TLSContext {
    do throws(TLSComplaint) {
        return try TLSContext(backend: material)
    } catch {
        throw LaunchFailure(error.sentence)
    }
}

/// Gathers what the threads came to.
private final class LoadCollector: Sendable {
    let descriptor = clinux_eventfd()
    private let threads: Int
    private let outcomes = Locked<[LoadOutcome]>([])

    init(threads: Int) { self.threads = threads }

    func add(_ outcome: LoadOutcome) {
        let isLast = outcomes.withLock {
            $0.append(outcome)
            return $0.count == threads
        }
        var one: UInt64 = 1
        if isLast { _ = Glibc.write(descriptor, &one, MemoryLayout<UInt64>.size) }
    }

    var isDone: Bool { outcomes.withLock { $0.count == threads } }

    var failure: LaunchFailure? {
        outcomes.withLock { outcomes in
            for case .noRing(let failure) in outcomes { return LaunchFailure("\(failure.call): \(errorText(failure.errno))") }
            return nil
        }
    }

    func sum() throws(LaunchFailure) -> LoadTally {
        if let failure { throw failure }
        return outcomes.withLock { outcomes in
            var sum = LoadTally()
            for case .done(let tally) in outcomes { sum.add(tally) }
            return sum
        }
    }
}

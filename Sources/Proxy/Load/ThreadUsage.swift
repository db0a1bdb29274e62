import Glibc

/// What the thread that makes it uses of the machine, over the whole run and over the measured time.
struct ThreadUsage: BitwiseCopyable {
    private let queueAtStart: UInt64
    /// When the measured time began and ended; nil = not yet.
    private var from: Moment?
    private var to: Moment?

    private struct Moment: BitwiseCopyable {
        let time: UInt64
        let cpu = ThreadUsage.cpuNanoseconds()
        /// Time spent ready and without a CPU.
        let queue = ThreadUsage.queueNanoseconds()
    }

    init() { queueAtStart = Self.queueNanoseconds() }

    /// Takes note of the ends of the measured time; called each turn.
    @inline(__always)
    mutating func note(_ now: UInt64, _ schedule: borrowing LoadSchedule) {
        if to != nil || !schedule.hasBegun { return }
        if from == nil {
            if now >= schedule.measuredFrom { from = Moment(time: now) }
        } else if schedule.isExhausted {
            to = Moment(time: now)
        }
    }

    mutating func finish(_ now: UInt64, _ schedule: borrowing LoadSchedule, _ tally: inout LoadTally) {
        let end = Moment(time: now)
        tally.cpuNanoseconds = end.cpu
        tally.runQueueNanoseconds = end.queue &- queueAtStart
        // The clocks are too coarse to judge a very short run by.
        guard let from, let to = to ?? Optional(end), to.time > from.time &+ 50_000_000 else { return }
        let whole = Double(to.time &- from.time)
        tally.cpuShareMax = min(1, Double(to.cpu &- from.cpu) / whole)
        tally.busyShareMax = min(1, Double(to.cpu &- from.cpu &+ to.queue &- from.queue) / whole)
    }

    private static func cpuNanoseconds() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
    }

    /// The second number of schedstat: time spent ready and without a CPU. 0 where the kernel keeps none.
    private static func queueNanoseconds() -> UInt64 {
        let file = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return 0 }
        defer { close(file) }
        var text = InlineArray<128, UInt8>(repeating: 0)
        let count = withUnsafeMutableBytes(of: &text) { read(file, $0.baseAddress!, $0.count) }
        var field = 0
        var number: UInt64 = 0
        for index in 0..<max(0, min(count, 128)) {
            let digit = text[index] &- UInt8(ascii: "0")
            if digit <= 9 {
                if field == 1 { number = number &* 10 &+ UInt64(digit) }
            } else {
                field += 1
            }
        }
        return number
    }
}

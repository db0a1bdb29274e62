import Glibc

/// What the thread that makes it uses of the machine, over the whole run and over the measured time.
struct ThreadUsage: BitwiseCopyable {
    private var queueAtStart: UInt64
    /// CPU and clock when the measured time began and ended; 0 = not yet.
    private var cpuFrom: UInt64 = 0
    private var timeFrom: UInt64 = 0
    private var cpuTo: UInt64 = 0
    private var timeTo: UInt64 = 0

    init() { queueAtStart = Self.queueNanoseconds() }

    /// Takes note of the ends of the measured time; called each turn.
    @inline(__always)
    mutating func note(_ now: UInt64, _ schedule: borrowing LoadSchedule) {
        if timeTo > 0 || !schedule.hasBegun { return }
        if timeFrom == 0 {
            if now >= schedule.measuredFrom { (cpuFrom, timeFrom) = (Self.cpuNanoseconds(), now) }
        } else if schedule.isExhausted {
            (cpuTo, timeTo) = (Self.cpuNanoseconds(), now)
        }
    }

    mutating func finish(_ now: UInt64, _ schedule: borrowing LoadSchedule, _ tally: inout LoadTally) {
        let cpu = Self.cpuNanoseconds()
        if timeTo == 0 { (cpuTo, timeTo) = (cpu, now) }
        tally.cpuNanoseconds = cpu
        // The CPU's clock of a short run is too coarse to judge by.
        if timeFrom > 0, timeTo > timeFrom &+ 50_000_000 { tally.cpuShareMax = Double(cpuTo &- cpuFrom) / Double(timeTo &- timeFrom) }
        tally.runQueueNanoseconds = Self.queueNanoseconds() &- queueAtStart
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

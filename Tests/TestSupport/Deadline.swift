import Glibc

/// Why a scenario could not go on, in a sentence for the reader of the test report.
public struct ScenarioFailure: Error, CustomStringConvertible {
    public let description: String
    public init(_ description: String) { self.description = description }
}

/// How patient the scenarios are: every wait ends, and none ends early because the machine is slow.
public enum Patience {
    /// Stretches every deadline and every upper bound; sanitizer runs set `WEIR_TIME_FACTOR`.
    public static let factor: Double = environment("WEIR_TIME_FACTOR").flatMap(Double.init) ?? 1
    /// Whether this is a run under a sanitizer.
    public static var isStretched: Bool { factor != 1 }
    /// How long one step of a script (a read, an accept, a connect) may take.
    public static let step: Duration = .seconds(10) * factor
    /// How long silence is watched before it counts as silence.
    public static let silence: Duration = .milliseconds(150) * factor
}

/// A moment after which waiting ends with a failure.
public struct Deadline: Sendable {
    private let instant: ContinuousClock.Instant
    public init(after duration: Duration) { instant = .now + duration }
    public static var step: Deadline { Deadline(after: Patience.step) }

    public var isOver: Bool { .now >= instant }
    /// What `poll` takes: whole milliseconds, rounded up, never negative.
    var pollMilliseconds: Int32 {
        let left = ContinuousClock.now.duration(to: instant)
        guard left > .zero else { return 0 }
        return Int32(clamping: left.components.seconds * 1000 + left.components.attoseconds / 1_000_000_000_000_000 + 1)
    }
    var timespecLeft: timespec {
        let left = max(ContinuousClock.now.duration(to: instant), .zero)
        return timespec(tv_sec: Int(left.components.seconds), tv_nsec: Int(left.components.attoseconds / 1_000_000_000))
    }
}

/// Measures a block, for behaviours that are about time.
public func elapsed(_ body: () throws -> Void) rethrows -> Duration {
    let start = ContinuousClock.now
    try body()
    return start.duration(to: .now)
}

/// The same for a block with a result.
public func timed<Result>(_ body: () throws -> Result) rethrows -> (result: Result, time: Duration) {
    let start = ContinuousClock.now
    let result = try body()
    return (result, start.duration(to: .now))
}

/// Measures from where it is made. Made before the event that starts a proxy's timer, it never shows less than the timer took,
/// however late this process learns of that event.
public struct Stopwatch {
    private let start = ContinuousClock.now
    public init() {}
    public var time: Duration { start.duration(to: .now) }
}

/// The range in which a timer of `setting` may fire: never early, and late only as a busy machine explains. What is compared with
/// it is measured from before the event that starts the timer.
public func expectedSpan(of setting: Duration) -> ClosedRange<Duration> {
    setting * 0.8...(setting * 3 + .seconds(2)) * Patience.factor
}

/// Looks again and again until `condition` holds; for state that announces itself nowhere, such as counters and log files.
public func eventually(
    _ what: String, within limit: Duration = Patience.step, _ condition: () throws -> Bool
) throws {
    let deadline = Deadline(after: limit)
    while try !condition() {
        guard !deadline.isOver else { throw ScenarioFailure("in vain waited until \(what)") }
        _ = poll(nil, 0, 5)
    }
}

public func environment(_ name: String) -> String? {
    getenv(name).map { String(cString: $0) }
}

/// The meaning of `errno` for messages.
func systemError(_ call: String, _ code: Int32 = errno) -> ScenarioFailure {
    ScenarioFailure("\(call): \(String(cString: strerror(code)))")
}

/// Decides how long to wait before a server process that died is started again.
///
/// The first deaths are answered at once: a trap that one request caused must not cost the others anything. A process
/// that keeps dying gets growing pauses, so that it does not burn the machine or drown the log.
struct RestartPolicy {
    static let immediateMax = 5
    static let firstPauseMilliseconds = 1_000
    static let pauseMillisecondsMax = 30_000
    /// A process that served this long has lived: its death begins a new count.
    static let forgivenAfterMilliseconds = 60_000

    private(set) var deaths = 0

    /// The pause before the next start, in milliseconds; 0 = at once.
    mutating func pause(afterServing servedMilliseconds: Int) -> Int {
        if servedMilliseconds >= Self.forgivenAfterMilliseconds { deaths = 0 }
        deaths += 1
        guard deaths > Self.immediateMax else { return 0 }
        let doublings = min(deaths - Self.immediateMax - 1, 16)
        return min(Self.firstPauseMilliseconds << doublings, Self.pauseMillisecondsMax)
    }
}

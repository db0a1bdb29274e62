/// How long a wait goes on for more completions than one, and for how many beside those of what it submits.
///
/// A wait for one completion ends with the first, whatever its minimum, so that the two belong together.
struct Gathering: Equatable {
    var microseconds: UInt32
    var completions: UInt32

    /// Ends with the first completion.
    static let none = Gathering(microseconds: 0, completions: 1)
    /// While much is under way: sleeping and waking for each event costs more than half of what it brings.
    static let underLoad = Gathering(microseconds: 50, completions: 8)
    /// For those who take latency for fewer wakes; what that is worth in CPU time depends on the load.
    static let efficient = Gathering(microseconds: 100, completions: 32)

    /// Exchanges in flight from which on a worker gathers without being told to; with less, each wait ends at once.
    static let loadExchanges = 16
}

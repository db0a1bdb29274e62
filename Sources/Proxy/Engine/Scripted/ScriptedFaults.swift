/// What can go wrong on a scripted ring, each within what the kernel may do.
enum ScriptedFault: Int, CaseIterable, Sendable {
    case shortRead, shortWrite, lateCompletion
    /// A connection breaks although both sides want it.
    case reset
    case noBuffers, noDescriptors
    /// The wait ends early, with EINTR or ETIME.
    case interruption
    /// A multishot operation ends without a reason of its own.
    case endedMultishot
    /// Completions that stand in the queue are shown a few at a time.
    case piecemealCompletions
    case noPipe
    /// EAGAIN, EINTR or fewer bytes from a splice.
    case spliceRefusal
    case logWriteError
}

/// Pseudo-random numbers from a seed (SplitMix64); the same seed gives the same numbers everywhere.
struct ScriptedRandom: BitwiseCopyable {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed &>> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed &>> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed &>> 31)
    }

    /// A number from 0 to `bound` - 1; 0 for a bound of 0.
    mutating func below(_ bound: Int) -> Int { bound <= 1 ? 0 : Int(truncatingIfNeeded: next() % UInt64(bound)) }

    /// True that many times in a thousand.
    mutating func strikes(_ perMille: Int) -> Bool { perMille > 0 && below(1000) < perMille }
}

/// How often each fault strikes, in a thousand; every fault draws from a stream of its own, so that turning one off
/// leaves the others' decisions in place.
struct ScriptedFaults: ~Copyable {
    private let chances: UnsafeMutablePointer<Int>
    private let streams: UnsafeMutablePointer<ScriptedRandom>

    init(seed: UInt64) {
        let count = ScriptedFault.allCases.count
        chances = .allocate(capacity: count)
        chances.initialize(repeating: 0, count: count)
        streams = .allocate(capacity: count)
        for at in 0..<count {
            (streams + at).initialize(to: ScriptedRandom(seed: seed &+ UInt64(at + 1) &* 0xA076_1D64_78BD_642F))
        }
    }

    deinit {
        chances.deallocate()
        streams.deallocate()
    }

    subscript(fault: ScriptedFault) -> Int {
        get { chances[fault.rawValue] }
        nonmutating set { chances[fault.rawValue] = newValue }
    }

    func strikes(_ fault: ScriptedFault) -> Bool { streams[fault.rawValue].strikes(chances[fault.rawValue]) }
}

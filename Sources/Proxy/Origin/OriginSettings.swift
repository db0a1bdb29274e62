/// What an origin answers where the path says nothing, how fast, and how badly.
struct OriginSettings: Sendable {
    /// The root is a page that shows the request, and unknown paths are 404: the origin of the demo.
    var isDemo = false
    /// Bytes of a body.
    var sizes = Distribution.fixed(100)
    var isChunked = false
    var status: UInt16 = 200
    /// Every answer is the last of its connection.
    var closes = false
    /// Nanoseconds before every answer whose path asks for no delay of its own; nil = none.
    var delays: Distribution?
    var faults: [OriginFault] = []
    var stallNanoseconds: UInt64 = 1_000_000_000
    var seed: UInt64 = 1
    var tls: TLSContext?
    var ring = RingSettings()
    /// One receive at a time in place of those that stay armed.
    var receivesOnce = false
    var gathering = Gathering.none

    static let demo = OriginSettings(isDemo: true)
    /// Faults that a list may have.
    static let faultsMax = 8
}

/// Something that goes wrong with some answers.
struct OriginFault: Sendable, Equatable {
    enum Kind: Sendable, Equatable {
        /// A reset in place of an answer.
        case reset
        /// The connection ends in the middle of the body.
        case truncate
        /// A long wait before the answer.
        case stall
        /// Another status.
        case status(UInt16)
    }
    var kind: Kind
    /// 0 to 1.
    var probability: Double
}

/// The faults as the loop asks for them: one random number for each answer.
struct OriginFaults: BitwiseCopyable {
    private var kinds = InlineArray<8, UInt16>(repeating: 0)
    private var thresholds = InlineArray<8, UInt64>(repeating: 0)
    private var count = 0

    private static var reset: UInt16 { 1 }
    private static var truncate: UInt16 { 2 }
    private static var stall: UInt16 { 3 }

    init(_ faults: [OriginFault]) {
        var sum = 0.0
        for fault in faults.prefix(OriginSettings.faultsMax) {
            sum += max(0, fault.probability)
            kinds[count] =
                switch fault.kind {
                case .reset: Self.reset
                case .truncate: Self.truncate
                case .stall: Self.stall
                case .status(let status): status
                }
            // 2⁶³ rather than 2⁶⁴, which no 64 bits hold.
            thresholds[count] = UInt64(min(sum, 1) * 0x1p63)
            count += 1
        }
    }

    var isEmpty: Bool { count == 0 }

    /// What goes wrong with the next answer; nil = nothing.
    func draw(_ random: inout RandomSource) -> OriginFault.Kind? {
        if count == 0 { return nil }
        let number = random.next() >> 1
        for index in 0..<count where number < thresholds[index] {
            switch kinds[index] {
            case Self.reset: return .reset
            case Self.truncate: return .truncate
            case Self.stall: return .stall
            case let status: return .status(status)
            }
        }
        return nil
    }
}

import Glibc

/// Numbers drawn by a law: sizes, delays, the time between two requests.
///
/// Never negative, and never above `max`.
enum Distribution: Sendable, Equatable {
    case fixed(UInt64)
    /// Both ends belong to it.
    case uniform(UInt64, UInt64)
    case exponential(mean: Double)
    /// Half of the numbers are below the median; `sigma` is the spread of their logarithm.
    case logNormal(median: Double, sigma: Double)

    static let max = UInt64(1) << 40

    func sample(_ random: inout RandomSource) -> UInt64 {
        switch self {
        case .fixed(let value): return Swift.min(value, Self.max)
        case .uniform(let low, let high):
            guard high > low else { return Swift.min(low, Self.max) }
            let span = Swift.min(high, Self.max) - Swift.min(low, Self.max) + 1
            return Swift.min(low, Self.max) + random.next(below: span)
        case .exponential(let mean): return Self.whole(mean * random.nextExponential())
        case .logNormal(let median, let sigma): return Self.whole(median * exp(sigma * random.nextNormal()))
        }
    }

    private static func whole(_ value: Double) -> UInt64 {
        guard value > 0 else { return 0 }  // also when it is no number
        return value < Double(max) ? UInt64(value) : max
    }
}

extension RandomSource {
    /// Above 0 and at most 1.
    mutating func nextUnit() -> Double { (Double(next() >> 11) + 1) * 0x1p-53 }

    /// With mean 1.
    mutating func nextExponential() -> Double { -log(nextUnit()) }

    /// With mean 0 and variance 1, by the method of Box and Muller.
    mutating func nextNormal() -> Double { sqrt(-2 * log(nextUnit())) * cos(2 * Double.pi * nextUnit()) }
}

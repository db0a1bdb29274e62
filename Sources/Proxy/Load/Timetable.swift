import Glibc

/// When each request is to be sent, in nanoseconds from the start: fixed before the first one goes out.
///
/// The timetable is the same for any number of threads; thread `i` of `n` takes every `n`-th entry from the `i`-th on. Times
/// never go backwards.
struct Timetable: Sendable {
    enum Pace: Sendable, Equatable {
        /// Requests by second, evenly.
        case constant(Double)
        /// The rate grows or falls evenly from the first to the second.
        case ramp(from: Double, to: Double)
        /// Each rate for the same share of the time.
        case steps([Double])
        /// Independent arrivals, so many by second on average.
        case poisson(Double)
    }

    let pace: Pace
    let durationNanoseconds: UInt64
    /// How many entries it has; nil where only drawing them tells.
    let count: UInt64?
    private let seed: UInt64
    private let countMax: UInt64
    /// There are fewer entries than the time would hold; known only by drawing where `count` is nil.
    private let isCutShort: Bool

    static let rateMax = 1e9

    /// - Parameters:
    ///   - durationNanoseconds: no entry is at this time or later.
    ///   - requestsMax: no more entries than that; 0 = as many as the time holds.
    init(_ pace: Pace, durationNanoseconds: UInt64, requestsMax: UInt64 = 0, seed: UInt64) {
        self.pace = pace
        self.durationNanoseconds = durationNanoseconds
        self.seed = seed
        let most = requestsMax > 0 ? requestsMax : .max
        countMax = most
        let seconds = Double(durationNanoseconds) / 1e9
        let whole: Double? =
            switch pace {
            case .constant(let rate): Self.entries(rate * seconds)
            case .ramp(let from, let to): Self.entries((from + to) / 2 * seconds)
            case .steps(let rates): rates.reduce(0) { $0 + Self.entries($1 * seconds / Double(rates.count)) }
            case .poisson: nil
            }
        let held = whole.map { UInt64(min($0, 1e18)) }
        count = held.map { min($0, most) }
        isCutShort = held.map { $0 > most } ?? false
    }

    /// How many times `k` = 0, 1, … lie before the end where the curve of arrivals reaches `total`; what is not a whole number
    /// only because of rounding counts as one.
    private static func entries(_ total: Double) -> Double {
        let nearest = total.rounded()
        return abs(total - nearest) < 1e-6 * max(1, nearest) * 1e-3 ? nearest : total.rounded(.up)
    }

    /// The rate before the first entry: that of the warm-up.
    var initialRate: Double {
        switch pace {
        case .constant(let rate), .poisson(let rate): rate
        case .ramp(let from, let to): from > 0 ? from : to / 10
        case .steps(let rates): rates.first ?? 0
        }
    }

    /// Requests by second over the whole time.
    var meanRate: Double {
        switch pace {
        case .constant(let rate), .poisson(let rate): rate
        case .ramp(let from, let to): (from + to) / 2
        case .steps(let rates): rates.isEmpty ? 0 : rates.reduce(0, +) / Double(rates.count)
        }
    }

    func cursor(thread: Int, of threads: Int) -> Cursor {
        Cursor(self, thread: thread, of: threads, random: RandomSource(seed: mixed(seed)), countMax: min(count ?? .max, countMax))
    }

    /// Walks over the entries of one thread; costs a few floating-point operations each.
    struct Cursor {
        private let pace: Pace
        private let durationNanoseconds: Double
        private let threads: Int
        private let countMax: UInt64
        /// Once there are no more entries: whether their number was the reason, and not the time.
        private(set) var isEndedByCount: Bool
        private var random: RandomSource
        /// Number of the entry to come, over all threads.
        private var index: UInt64 = 0
        private var toSkip: Int
        /// Poisson: the time of the last entry.
        private var last = 0.0
        /// Steps: which one, and the number of its first entry.
        private var step = 0
        private var stepFirst: UInt64 = 0

        fileprivate init(_ table: Timetable, thread: Int, of threads: Int, random: RandomSource, countMax: UInt64) {
            pace = table.pace
            durationNanoseconds = Double(table.durationNanoseconds)
            self.threads = max(threads, 1)
            self.countMax = countMax
            isEndedByCount = table.count == nil || table.isCutShort
            self.random = random
            toSkip = thread
        }

        /// The time of the thread's next entry; nil at the end.
        mutating func next() -> UInt64? {
            while toSkip > 0 {
                guard draw() != nil else { return nil }
                toSkip &-= 1
            }
            toSkip = threads &- 1
            return draw().map { UInt64($0) }
        }

        private mutating func draw() -> Double? {
            guard index < countMax else { return nil }
            let number = index
            index &+= 1
            switch pace {
            case .constant(let rate): return Double(number) / rate * 1e9
            case .ramp(let from, let to):
                if number == 0 { return 0 }
                let slope = (to - from) / (durationNanoseconds / 1e9)
                let under = from * from + 2 * slope * Double(number)
                // Rounding may bring the last entry of a falling ramp below zero.
                let seconds = 2 * Double(number) / (from + sqrt(max(0, under)))
                return min(seconds * 1e9, durationNanoseconds)
            case .poisson(let rate):
                last += random.nextExponential() / rate * 1e9
                guard last < durationNanoseconds else {
                    index = countMax
                    isEndedByCount = false
                    return nil
                }
                return last
            case .steps(let rates):
                let stepNanoseconds = durationNanoseconds / Double(rates.count)
                while step < rates.count {
                    let entries = UInt64(Timetable.entries(rates[step] * stepNanoseconds / 1e9))
                    if number &- stepFirst < entries {
                        return Double(step) * stepNanoseconds + Double(number &- stepFirst) / rates[step] * 1e9
                    }
                    stepFirst &+= entries
                    step &+= 1
                }
                return nil
            }
        }
    }
}

import Histogram

/// Times in nanoseconds with three significant digits, up to an hour.
///
/// A value of fixed size (0.3 MB): recording neither grows nor allocates it.
struct LatencyHistogram: Sendable {
    static let nanosecondsMax: UInt64 = 3_600_000_000_000
    private var histogram = Histogram<UInt64>(
        lowestDiscernibleValue: 100, highestTrackableValue: nanosecondsMax, numberOfSignificantValueDigits: .three)

    /// Longer times count as an hour.
    @inline(__always)
    mutating func record(_ nanoseconds: UInt64) {
        histogram.record(min(nanoseconds, Self.nanosecondsMax))
    }

    /// `count` values at once.
    mutating func record(_ nanoseconds: UInt64, count: UInt64) {
        if count > 0 { histogram.record(min(nanoseconds, Self.nanosecondsMax), count: count) }
    }

    /// Values that were recorded, in rising order, each with how often; as exact as the histogram is.
    var counts: [(nanoseconds: UInt64, count: UInt64)] {
        histogram.recordedValues().map { ($0.value, $0.count) }
    }

    mutating func add(_ other: LatencyHistogram) {
        if other.count > 0 { histogram.add(other.histogram) }
    }

    var count: UInt64 { histogram.totalCount }
    var maxNanoseconds: UInt64 { count == 0 ? 0 : histogram.max }
    var meanNanoseconds: Double { count == 0 ? 0 : histogram.mean }

    /// The time that `percent` of the values do not exceed, and never more than the greatest of them; 0 without values.
    func nanoseconds(percentile percent: Double) -> UInt64 {
        count == 0 ? 0 : min(histogram.valueAtPercentile(percent), maxNanoseconds)
    }

    /// The distribution in the text format of HdrHistogram, in milliseconds, for its plotters.
    var percentileText: String {
        var text = ""
        histogram.outputPercentileDistribution(to: &text, outputValueUnitScalingRatio: 1e6)
        return text
    }
}

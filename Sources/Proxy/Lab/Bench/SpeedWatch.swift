/// Notices a machine that became another one: rounds taken at different speeds are not alike.
struct SpeedWatch {
    enum Verdict: Equatable {
        case asUsual
        /// By how much it differs, as a share.
        case differs(by: Double)
        /// It has differed so often in a row that this is the usual speed from now on.
        case isUsualNow(by: Double)
    }

    /// Speeds of the rounds that were kept, of the last baseline.
    private var usual: [Double] = []
    private var differing: [Double] = []

    static let baselineMin = 4
    static let toleranceShare = 0.15
    /// So many in a row are no disturbance any more. No more than a round has attempts, so that it is not lost.
    static let rowMax = BenchPlan.retriesMax + 1

    /// Judges a round that is fit in all other respects, and takes note of it.
    mutating func judge(_ speed: Double) -> Verdict {
        guard usual.count >= Self.baselineMin, let middle = Summaries.median(usual), middle > 0, abs(speed / middle - 1) > Self.toleranceShare else {
            usual.append(speed)
            differing = []
            return .asUsual
        }
        differing.append(speed)
        guard differing.count >= Self.rowMax else { return .differs(by: speed / middle - 1) }
        usual = differing
        differing = []
        return .isUsualNow(by: speed / middle - 1)
    }
}

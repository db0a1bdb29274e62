/// What one measurement brought: the figures of one variant in one round.
struct Measurement: Equatable, Sendable {
    var round: Int
    /// Place in the list of variants.
    var variant: Int
    /// Its turn among all measurements of the experiment.
    var turn: Int
    var figures: [Metric: Double]
    /// What `weir load` wrote, as it came.
    var loadResult: String
    /// Why its figures say nothing; nil for a good one.
    var complaint: String?
}

extension ExperimentSettings {
    /// The figure of a variant in each round; NaN where a round has none.
    func series(_ metric: Metric, variant: Int, in measurements: [Measurement]) -> [Double] {
        (0..<rounds).map { round in
            measurements.first { $0.round == round && $0.variant == variant && $0.complaint == nil }?.figures[metric] ?? .nan
        }
    }
}

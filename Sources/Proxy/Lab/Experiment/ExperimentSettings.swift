/// An experiment as its file says it: one question, what is varied, under which load, and what is looked at.
struct ExperimentSettings: Equatable, Sendable {
    /// Who is under test, and so whose processor time counts.
    enum Target: String, CaseIterable, Sendable {
        /// Weir between the load and an origin.
        case proxy
        /// The origin alone, asked directly: for variants of the engine that a proxy does not offer.
        case origin
    }

    /// The file's name without its ending.
    var name = ""
    var location = SourceLocation.none
    var question: String?
    /// What the documents say until now; the page shows it beside the verdict.
    var belief: String?
    /// The page that says so.
    var document: String?
    var target = Target.proxy
    var rounds = 8
    var metrics: [Metric] = [.processorTime, .medianLatency, .highLatency, .rate]
    var scenario = ScenarioSettings()
    var knobs: [KnobSettings] = []

    /// The figure that decides.
    var decidingMetric: Metric { metrics.first ?? .processorTime }

    static let roundsRange = 6...200
    static let variantsMax = 12
}

/// The load of an experiment.
struct ScenarioSettings: Equatable, Sendable {
    var path = "/"
    /// Bytes of each answer.
    var bodyBytes = 1_024
    var connections = 64
    /// Requests per second by timetable; 0 = each connection asks as soon as it is answered.
    var rate = 0
    var durationMilliseconds = 2_000
    var warmUpMilliseconds = 500
    /// How long the program rests after the load before its memory is looked at.
    var restMilliseconds = 0
    /// Requests per second of one connection during the rest, so that the program stays awake; 0 = a rest without any.
    var trickleRate = 0
    /// Connections that the proxy keeps to the origin; 0 = as many as there are clients.
    var backendConnections = 0
    /// The CPUs of the program under test, and those of everything else; empty until `placed(on:)` has chosen.
    var testedCPUs: [Int] = []
    var otherCPUs: [Int] = []
}

/// A knob with the values that it takes in turn; with one value it is the same in all variants.
struct KnobSettings: Equatable, Sendable {
    var knob: Knob
    var values: [String] = []
    /// What the values are called on the page, in their order.
    var labels: [String] = []
    var location = SourceLocation.none
    var valueLocations: [SourceLocation] = []

    func label(_ at: Int) -> String {
        if at < labels.count { return labels[at] }
        return at < values.count ? "\(shortName) \(values[at])" : ""
    }

    private var shortName: String { knob.name.hasPrefix("--") ? String(knob.name.dropFirst(2)) : knob.name }
}

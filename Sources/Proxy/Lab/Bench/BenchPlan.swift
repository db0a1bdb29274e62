/// What a run will do, before it does it.
struct BenchPlan {
    var scenarios: [BenchScenario]
    var subjects: [BenchSubject]
    var rounds: Int
    /// In place of the scenarios' own; nil leaves them.
    var seconds: Double?
    /// The Weir whose `load` and `origin` are used, the same for all subjects.
    var generator: String
    /// What that is, for results.
    var generatorTold = "this build"
    var layout: CPULayout
    /// Work files: configurations, logs, certificates.
    var folder: String

    /// Takes rounds although others use the machine; for trying things out.
    var acceptsNoise = false

    /// Rounds that are taken again at most when one says nothing.
    static let retriesMax = 2

    func seconds(of scenario: BenchScenario) -> Double { seconds ?? Double(scenario.durationMilliseconds) / 1_000 }

    func warmUpSeconds(of scenario: BenchScenario) -> Double {
        min(Double(scenario.warmUpMilliseconds) / 1_000, max(seconds(of: scenario) / 2, 0.3))
    }

    /// Pieces that the time of one measurement is cut into, taken in turn with those of the others.
    ///
    /// - Parameter seconds: of the time to cut; that of a measurement when missing.
    func slices(of scenario: BenchScenario, seconds: Double? = nil) -> Int {
        guard scenario.sliceMilliseconds > 0 else { return 1 }
        return max(1, Int(((seconds ?? self.seconds(of: scenario)) * 1_000 / Double(scenario.sliceMilliseconds)).rounded()))
    }

    /// Who is measured at the same time, group after group: all together in slices, or each by itself.
    func groups(_ subjects: [Int], for scenario: BenchScenario) -> [[Int]] {
        slices(of: scenario) > 1 && !subjects.isEmpty ? [subjects] : subjects.map { [$0] }
    }

    /// Which subject takes its turn when: forwards in one round and backwards in the next, so that what changes slowly with time
    /// weighs on all alike.
    func order(ofRound round: Int) -> [Int] {
        round % 2 == 0 ? Array(subjects.indices) : subjects.indices.reversed()
    }

    /// About how long it takes, in seconds.
    var estimate: Double {
        scenarios.reduce(0) { sum, scenario in
            let each = expectedSeconds(of: scenario)
            return sum + each * Double(rounds * measuredCount(scenario)) + Self.countSeconds * Double(measuredCount(scenario))
        }
    }

    /// What one measurement takes with all that belongs to it.
    func expectedSeconds(of scenario: BenchScenario) -> Double {
        seconds(of: scenario) + warmUpSeconds(of: scenario) + Self.startSeconds + Double(slices(of: scenario) - 1) * Self.sliceSeconds
    }

    func measuredCount(_ scenario: BenchScenario) -> Int { subjects.count { lack(of: $0, for: scenario) == nil } }

    /// Why a subject cannot take part in a scenario; nil when it can.
    func lack(of subject: BenchSubject, for scenario: BenchScenario) -> String? {
        let missing = scenario.needs.filter { subject.rival.lacks.contains($0) }
        return missing.isEmpty ? nil : "\(subject.name) lacks \(missing.joined(separator: ", "))"
    }

    /// Start, end and the looks at /proc of one measurement; the pass that counts system calls.
    static let startSeconds = 0.7
    static let countSeconds = 1.6
    /// Start and end of one more load.
    static let sliceSeconds = 0.06
}

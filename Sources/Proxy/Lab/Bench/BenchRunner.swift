import CUring
import Glibc

/// Measures all subjects of a plan in turn and says how far it is.
final class BenchRunner {
    let plan: BenchPlan
    let countsLack: String?
    let say: (String) -> Void
    var turn = 0
    private var done = 0.0
    private let begun = monotonicSeconds()
    var speeds = SpeedWatch()
    let isEnded: () -> Bool
    private(set) var warnings: [String] = []

    /// - Parameter isEnded: asked before and after each measurement; true ends the run with what it has.
    init(_ plan: BenchPlan, isEnded: @escaping () -> Bool = { false }, say: @escaping (String) -> Void) {
        self.plan = plan
        self.isEnded = isEnded
        self.say = say
        // Looking on must not disturb what is looked at.
        if let cpu = plan.layout.load.last { clinux_pin_thread(Int32(cpu)) }
        countsLack = SystemCallCount.lack(folder: plan.folder)
        if let countsLack { warn("system calls are not counted: \(countsLack)") }
        if plan.layout.subject.isEmpty { warn("one CPU for everything: proxy, origin and load take it from each other") }
        if plan.layout.sharesCore { warn("proxy, origin and load share a core: the speed of each is that of the others too") }
        if plan.layout.origin == plan.layout.load, !plan.layout.load.isEmpty {
            warn("two CPUs: origin and load share one, which limits rates before most proxies do")
        }
    }

    private func warn(_ sentence: String) {
        guard !warnings.contains(sentence) else { return }
        warnings.append(sentence)
        say("warning: \(sentence)")
    }

    /// One result for each subject, in their order; `keep` gets what there is after each scenario.
    func run(id: String, time: Int, keep: ([BenchResult]) throws(BenchFailure) -> Void) throws(BenchFailure) -> [BenchResult] {
        let machine = MachineFacts.gather().json
        var results = plan.subjects.map {
            BenchResult(run: id, time: time, subject: $0, machine: machine, generator: plan.generatorTold)
        }
        for (number, scenario) in plan.scenarios.enumerated() where !isEnded() {
            let measured = measure(scenario, number: number)
            for at in results.indices { results[at].scenarios.append(measured[at]) }
            try keep(results)
        }
        return results
    }

    private func measure(_ scenario: BenchScenario, number: Int) -> [BenchResult.Scenario] {
        var measured = plan.subjects.map { subject in
            BenchResult.Scenario(
                name: scenario.name, sentence: scenario.sentence ?? "", settings: scenario.json, atFixedRate: scenario.load.rate > 0,
                seconds: plan.seconds(of: scenario), lack: plan.lack(of: subject, for: scenario))
        }
        do throws(BenchFailure) {
            let origin = try BenchOrigin(plan, scenario)
            defer { origin.stop() }
            takeRounds(scenario, number, origin, into: &measured)
        } catch {
            for at in measured.indices where measured[at].lack == nil { fail(&measured[at], plan.subjects[at], error) }
        }
        for at in measured.indices where measured[at].lack == nil { remark(&measured[at]) }
        return measured
    }

    /// All rounds of a scenario; a subject that fails is left out of those that follow, and the others go on.
    private func takeRounds(_ scenario: BenchScenario, _ number: Int, _ origin: BenchOrigin, into measured: inout [BenchResult.Scenario]) {
        for round in 0..<plan.rounds {
            let taking = plan.order(ofRound: round).filter { measured[$0].lack == nil }
            for group in plan.groups(taking, for: scenario) where !isEnded() {
                let names = group.map { plan.subjects[$0].name }.joined(separator: " and ")
                say("scenario \(number + 1) of \(plan.scenarios.count) (\(scenario.name)), round \(round + 1) of \(plan.rounds), \(names); \(timeLeft())")
                takeRound(round, scenario, group, origin, into: &measured)
                done += plan.expectedSeconds(of: scenario) * Double(group.count)
            }
        }
    }

    func fail(_ measured: inout BenchResult.Scenario, _ subject: BenchSubject, _ failure: BenchFailure) {
        // What a signal ends has not failed.
        if isEnded() { return }
        measured.lack = "\(failure)"
        say("\(measured.name) cannot be measured with \(subject.name): \(failure)")
    }

    /// What the reader of a scenario should know.
    private func remark(_ measured: inout BenchResult.Scenario) {
        if isEnded(), measured.rounds.count < plan.rounds { measured.remarks.append("the run was ended after \(measured.rounds.count) of \(plan.rounds) rounds") }
        if let drift = Drift.check(measured.rounds.map(\.speed)), drift.isDrifting {
            measured.remarks.append("the machine changed its speed by \(FigureText.change(drift.relativeChange)) over the rounds")
        }
        let bound = measured.rounds.count(where: \.isGeneratorBound)
        if bound > 0 { measured.remarks.append("in \(bound) rounds the load generator was at its own limit: rates and latencies are its, not the proxy's") }
    }

    private func timeLeft() -> String {
        // By the plan until something is known, then by how the plan fared.
        let all = plan.estimate
        let spent = monotonicSeconds() - begun
        let left = done > 5 ? (all - done) * spent / done : all - done
        let seconds = Int(min(max(left, 0), 1e6))
        return seconds >= 90 ? "about \((seconds + 30) / 60) minutes left" : "about \(seconds) seconds left"
    }

    /// Why a round says nothing about the proxy; nil for a good one.
    static func refusal(of taken: BenchRound, _ scenario: BenchScenario, acceptsNoise: Bool) -> String? {
        let share = taken.failed / max(taken.requests + taken.failed, 1)
        if taken.requests == 0 { return "nothing was answered" }
        if share * 100 > Double(scenario.failuresPercentMax) { return "\(Int(taken.failed)) requests failed" }
        // By timetable a generator that cannot keep up delays what it measures; in a closed loop it only limits the rate.
        if taken.isGeneratorBound && scenario.load.rate > 0 { return "the load generator could not keep its timetable" }
        if acceptsNoise { return nil }
        if taken.foreignShare > 0.25 { return "others took \(FigureText.fixed(taken.foreignShare * 100, 0)) % of a CPU" }
        if taken.stolenShare > 0.10 { return "the hypervisor took \(FigureText.fixed(taken.stolenShare * 100, 0)) % of a CPU" }
        return nil
    }
}

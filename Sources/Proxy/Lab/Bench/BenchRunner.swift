import CUring
import Glibc

/// Measures all subjects of a plan in turn and says how far it is.
final class BenchRunner {
    private let plan: BenchPlan
    private let countsLack: String?
    private let say: (String) -> Void
    private var turn = 0
    private var done = 0.0
    private let begun = monotonicSeconds()
    private var speeds = SpeedWatch()
    private let isEnded: () -> Bool
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
            for at in measured.indices where measured[at].lack == nil { fail(&measured[at], error) }
        }
        for at in measured.indices where measured[at].lack == nil { remark(&measured[at]) }
        return measured
    }

    /// All rounds of a scenario; a subject that fails is left out of those that follow, and the others go on.
    private func takeRounds(_ scenario: BenchScenario, _ number: Int, _ origin: BenchOrigin, into measured: inout [BenchResult.Scenario]) {
        for round in 0..<plan.rounds {
            for at in plan.order(ofRound: round) where measured[at].lack == nil && !isEnded() {
                let subject = plan.subjects[at]
                say(
                    "scenario \(number + 1) of \(plan.scenarios.count) (\(scenario.name)), round \(round + 1) of \(plan.rounds), "
                        + "\(subject.name); \(timeLeft())")
                do throws(BenchFailure) {
                    try measureOnce(scenario, subject, origin, round, into: &measured[at])
                } catch {
                    fail(&measured[at], error)
                }
                done += plan.seconds(of: scenario) + plan.warmUpSeconds(of: scenario) + BenchPlan.startSeconds
            }
        }
    }

    private func fail(_ measured: inout BenchResult.Scenario, _ failure: BenchFailure) {
        // What a signal ends has not failed.
        if isEnded() { return }
        measured.lack = "\(failure)"
        say("\(measured.name) cannot be measured: \(failure)")
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

    /// Takes a round, again when it says nothing.
    private func measureOnce(
        _ scenario: BenchScenario, _ subject: BenchSubject, _ origin: BenchOrigin, _ round: Int, into measured: inout BenchResult.Scenario
    ) throws(BenchFailure) {
        for attempt in 0...BenchPlan.retriesMax {
            var taken = BenchRound(round: round, turn: turn)
            turn += 1
            taken.speed = computingSpeed(cpu: plan.layout.subject.first)
            let turnRun = try BenchTurn(plan, scenario, subject, origin)
            defer { turnRun.stop() }
            try turnRun.measure(into: &taken, countsSystemCalls: round == 0 && countsLack == nil)
            // Of a load that was ended early.
            if isEnded() { return }
            guard let refusal = Self.refusal(of: taken, scenario, acceptsNoise: plan.acceptsNoise) ?? speedRefusal(of: taken, &measured) else {
                measured.rounds.append(taken)
                return
            }
            measured.remarks.append("round \(round + 1) was refused: \(refusal)")
            say("refused: \(refusal)" + (attempt < BenchPlan.retriesMax ? "; again" : "; the round is left out"))
        }
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

    private func speedRefusal(of taken: BenchRound, _ measured: inout BenchResult.Scenario) -> String? {
        if plan.acceptsNoise { return nil }
        switch speeds.judge(taken.speed) {
        case .asUsual: return nil
        case .differs(let share): return "the speed of the CPU is \(FigureText.change(share)) from what it was"
        case .isUsualNow(let share):
            let sentence = "the speed of the CPU stays \(FigureText.change(share)) from what it was, and is the usual one from round \(taken.round + 1) on"
            measured.remarks.append(sentence)
            say(sentence)
            return nil
        }
    }
}

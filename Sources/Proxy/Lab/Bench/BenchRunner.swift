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
    /// Speeds of the CPU so far, to notice a machine that became another one.
    private var speeds: [Double] = []
    private(set) var warnings: [String] = []

    init(_ plan: BenchPlan, say: @escaping (String) -> Void) {
        self.plan = plan
        self.say = say
        // Looking on must not disturb what is looked at.
        if let cpu = plan.layout.load.last { clinux_pin_thread(Int32(cpu)) }
        countsLack = SystemCallCount.lack(folder: plan.folder)
        if let countsLack { warn("system calls are not counted: \(countsLack)") }
        if plan.layout.subject.isEmpty { warn("one CPU for everything: proxy, origin and load take it from each other") }
        if plan.layout.origin == plan.layout.load, !plan.layout.load.isEmpty {
            warn("two CPUs: origin and load share one, which limits rates before most proxies do")
        }
    }

    private func warn(_ sentence: String) {
        guard !warnings.contains(sentence) else { return }
        warnings.append(sentence)
        say("warning: \(sentence)")
    }

    /// One result for each subject, in their order.
    func run(id: String, time: Int) throws(BenchFailure) -> [BenchResult] {
        let machine = MachineFacts.gather().json
        var results = plan.subjects.map {
            BenchResult(run: id, time: time, subject: $0, machine: machine, generator: plan.generator)
        }
        for (number, scenario) in plan.scenarios.enumerated() {
            let measured = try measure(scenario, number: number)
            for at in results.indices { results[at].scenarios.append(measured[at]) }
        }
        return results
    }

    private func measure(_ scenario: BenchScenario, number: Int) throws(BenchFailure) -> [BenchResult.Scenario] {
        var measured = plan.subjects.map { subject in
            BenchResult.Scenario(
                name: scenario.name, sentence: scenario.sentence ?? "", settings: scenario.json, atFixedRate: scenario.load.rate > 0,
                lack: plan.lack(of: subject, for: scenario))
        }
        let origin = try BenchOrigin(plan, scenario)
        defer { origin.stop() }
        for round in 0..<plan.rounds {
            for at in plan.order(ofRound: round) where measured[at].lack == nil {
                let subject = plan.subjects[at]
                say(
                    "scenario \(number + 1) of \(plan.scenarios.count) (\(scenario.name)), round \(round + 1) of \(plan.rounds), "
                        + "\(subject.name); \(timeLeft())")
                try measureOnce(scenario, subject, origin, round, into: &measured[at])
                done += plan.seconds(of: scenario) + plan.warmUpSeconds(of: scenario) + BenchPlan.startSeconds
            }
        }
        for at in measured.indices where measured[at].lack == nil {
            if let drift = Drift.check(measured[at].rounds.map(\.speed)), drift.isDrifting {
                measured[at].remarks.append("the machine changed its speed by \(FigureText.change(drift.relativeChange)) over the rounds")
            }
            let bound = measured[at].rounds.count(where: \.isGeneratorBound)
            if bound > 0 { measured[at].remarks.append("in \(bound) rounds the load generator was at its own limit: rates and latencies are its, not the proxy's") }
        }
        return measured
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
            guard let refusal = refusal(of: taken, scenario) else {
                speeds.append(taken.speed)
                measured.rounds.append(taken)
                return
            }
            measured.remarks.append("round \(round + 1) was refused: \(refusal)")
            say("refused: \(refusal)" + (attempt < BenchPlan.retriesMax ? "; again" : "; the round is left out"))
        }
    }

    /// Why a round says nothing about the proxy; nil for a good one.
    private func refusal(of taken: BenchRound, _ scenario: BenchScenario) -> String? {
        let share = taken.failed / max(taken.requests + taken.failed, 1)
        if taken.requests == 0 { return "nothing was answered" }
        if share * 100 > Double(scenario.failuresPercentMax) { return "\(Int(taken.failed)) requests failed" }
        // By timetable a generator that cannot keep up delays what it measures; in a closed loop it only limits the rate.
        if taken.isGeneratorBound && scenario.load.rate > 0 { return "the load generator could not keep its timetable" }
        if taken.foreignShare > 0.25 { return "others took \(FigureText.fixed(taken.foreignShare * 100, 0)) % of a CPU" }
        if taken.stolenShare > 0.10 { return "the hypervisor took \(FigureText.fixed(taken.stolenShare * 100, 0)) % of a CPU" }
        if speeds.count >= 4, let usual = Summaries.median(speeds), abs(taken.speed / usual - 1) > 0.15 {
            return "the speed of the CPU is \(FigureText.change(taken.speed / usual - 1)) from what it was"
        }
        return nil
    }
}

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
            let taking = plan.order(ofRound: round).filter { measured[$0].lack == nil }
            for group in plan.groups(taking, for: scenario) where !isEnded() {
                let names = group.map { plan.subjects[$0].name }.joined(separator: " and ")
                say("scenario \(number + 1) of \(plan.scenarios.count) (\(scenario.name)), round \(round + 1) of \(plan.rounds), \(names); \(timeLeft())")
                measureOnce(scenario, group, origin, round, into: &measured)
                done += plan.expectedSeconds(of: scenario) * Double(group.count)
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

    /// Takes a round of those who are measured at the same time, again when it says nothing: one of them alone has nothing to be held against.
    private func measureOnce(
        _ scenario: BenchScenario, _ group: [Int], _ origin: BenchOrigin, _ round: Int, into measured: inout [BenchResult.Scenario]
    ) {
        for attempt in 0...BenchPlan.retriesMax {
            let taken = takeTurns(scenario, group.filter { measured[$0].lack == nil }, origin, round, into: &measured)
            // Of a load that was ended early.
            if isEnded() { return }
            var isRefused = false
            for (at, one) in taken where measured[at].lack == nil {
                guard let refusal = Self.refusal(of: one, scenario, acceptsNoise: plan.acceptsNoise) ?? speedRefusal(of: one, &measured[at]) else { continue }
                isRefused = true
                measured[at].remarks.append("round \(round + 1) was refused: \(refusal)")
                say("refused: \(refusal)" + (attempt < BenchPlan.retriesMax ? "; again" : "; the round is left out"))
            }
            if isRefused { continue }
            for (at, one) in taken where measured[at].lack == nil { measured[at].rounds.append(one) }
            return
        }
    }

    /// All of a group run from the first to the last slice, and have the load in turn, forwards and backwards.
    private func takeTurns(
        _ scenario: BenchScenario, _ group: [Int], _ origin: BenchOrigin, _ round: Int, into measured: inout [BenchResult.Scenario]
    ) -> [(subject: Int, round: BenchRound)] {
        var running: [(at: Int, turn: BenchTurn, taken: BenchRound)] = []
        defer { for one in running { one.turn.stop() } }
        for at in group where !isEnded() {
            var taken = BenchRound(round: round, turn: turn)
            turn += 1
            taken.speed = computingSpeed(cpu: plan.layout.subject.first)
            do throws(BenchFailure) {
                let started = try BenchTurn(plan, scenario, subject: at, origin)
                running.append((at, started, taken))
                try started.warmUp()
            } catch {
                fail(&measured[at], error)
            }
        }
        let look = MachineLook.now()
        let slices = plan.slices(of: scenario)
        for slice in 0..<slices {
            for one in slice % 2 == 0 ? running : running.reversed() where measured[one.at].lack == nil && !isEnded() {
                do throws(BenchFailure) { try one.turn.measure(slice: slice, of: slices) } catch { fail(&measured[one.at], error) }
            }
        }
        if isEnded() { return [] }
        let share = OthersShare(from: look, to: .now(), interruptsApart: OthersShare.kernelKeepsInterruptsApart)
        for index in running.indices where measured[running[index].at].lack == nil {
            running[index].taken.foreignShare = share.foreign
            running[index].taken.stolenShare = share.stolen
            do throws(BenchFailure) {
                try running[index].turn.finish(into: &running[index].taken, countsSystemCalls: round == 0 && countsLack == nil)
            } catch {
                fail(&measured[running[index].at], error)
            }
        }
        return running.map { ($0.at, $0.taken) }
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

/// One round of those who are measured at the same time.
extension BenchRunner {
    /// Takes a round, again when it says nothing: all of the group, since one of them alone has nothing to be held against.
    func takeRound(
        _ round: Int, _ scenario: BenchScenario, _ group: [Int], _ origin: BenchOrigin, into measured: inout [BenchResult.Scenario]
    ) {
        var attempt = 0
        while attempt <= BenchPlan.retriesMax {
            let isLast = attempt == BenchPlan.retriesMax
            let going = group.filter { measured[$0].lack == nil }
            guard !going.isEmpty else { return }
            let (taken, isDisturbed) = takeTurns(round, scenario, going, origin, into: &measured)
            // Of a load that was ended early.
            if isEnded() { return }
            // Whoever failed with the load under way had the processor meanwhile, and takes no part any more.
            if isDisturbed { continue }
            attempt += 1
            var refusals = taken.map { Self.refusal(of: $0.round, scenario, acceptsNoise: plan.acceptsNoise) }
            let isFit = refusals.map { $0 == nil }
            let fit = zip(taken, isFit).filter(\.1).map(\.0)
            if isLast || fit.count == taken.count, let refusal = speedRefusal(of: fit, into: &measured) {
                refusals = zip(refusals, isFit).map { $1 ? refusal : $0 }
            }
            if refusals.contains(where: { $0 != nil }) { tell(refusals, of: taken, isLast: isLast, into: &measured) }
            guard isLast || refusals.allSatisfy({ $0 == nil }) else { continue }
            for (one, refusal) in zip(taken, refusals) where refusal == nil { measured[one.subject].rounds.append(one.round) }
            return
        }
    }

    /// All refusals of a round, on the terminal and in the results; what all have in common once.
    private func tell(_ refusals: [String?], of taken: [Turn], isLast: Bool, into measured: inout [BenchResult.Scenario]) {
        let outcome = isLast ? "the round is left out" : "again"
        let isCommon = taken.count > 1 && Set(refusals).count == 1
        for (one, refusal) in zip(taken, refusals) {
            guard let refusal else { continue }
            measured[one.subject].remarks.append("round \(one.round.round + 1) was refused: \(refusal)")
            let name = plan.subjects[one.subject].name
            if !isCommon { say("\(name) refused: \(refusal); \(outcome)") }
            for other in taken where other.subject != one.subject && !isLast && !isCommon {
                measured[other.subject].remarks.append("round \(one.round.round + 1) was taken again with \(name), which was refused: \(refusal)")
            }
        }
        if isCommon, let refusal = refusals.first ?? nil { say("refused: \(refusal); \(outcome)") }
    }

    struct Turn {
        var subject: Int
        var round: BenchRound
    }

    /// All of a group run from the first to the last slice, and have the load in turn, forwards and backwards.
    ///
    /// - Returns: what those measured who lived through it, nothing when the run was ended; and whether one failed with the load under
    ///   way, which disturbs the others.
    private func takeTurns(
        _ round: Int, _ scenario: BenchScenario, _ group: [Int], _ origin: BenchOrigin, into measured: inout [BenchResult.Scenario]
    ) -> (taken: [Turn], isDisturbed: Bool) {
        var running: [(at: Int, turn: BenchTurn, taken: BenchRound)] = []
        defer { for one in running { one.turn.stop() } }
        var isDisturbed = false
        // Who fails ends at once: it would take the processor from the others.
        func each(backwards: Bool = false, _ body: (Int) throws(BenchFailure) -> Void) {
            for index in backwards ? running.indices.reversed() : Array(running.indices)
            where measured[running[index].at].lack == nil && !isDisturbed && !isEnded() {
                do throws(BenchFailure) {
                    try body(index)
                } catch {
                    running[index].turn.stop()
                    isDisturbed = running.count > 1
                    fail(&measured[running[index].at], plan.subjects[running[index].at], error)
                }
            }
        }
        for at in group where !isEnded() {
            var taken = BenchRound(round: round, turn: turn)
            turn += 1
            taken.speed = computingSpeed(cpu: plan.layout.subject.first)
            do throws(BenchFailure) {
                running.append((at, try BenchTurn(plan, scenario, subject: at, origin), taken))
            } catch {
                fail(&measured[at], plan.subjects[at], error)
            }
        }
        // In turns too, so that nobody rests for long before it counts: a Weir without work gives memory back after three seconds.
        let pieces = group.count > 1 ? plan.slices(of: scenario, seconds: plan.warmUpSeconds(of: scenario)) : 1
        for _ in 0..<pieces { each { index throws(BenchFailure) in try running[index].turn.warmUp(piece: pieces) } }
        let slices = plan.slices(of: scenario)
        let look = MachineLook.now()
        for slice in 0..<slices {
            each(backwards: slice % 2 == 1) { index throws(BenchFailure) in try running[index].turn.measure(slice: slice, of: slices) }
        }
        let share = OthersShare(from: look, to: .now(), interruptsApart: OthersShare.kernelKeepsInterruptsApart)
        each { index throws(BenchFailure) in
            running[index].taken.foreignShare = share.foreign
            running[index].taken.stolenShare = share.stolen
            try running[index].turn.finish(into: &running[index].taken, countsSystemCalls: round == 0 && countsLack == nil)
        }
        if isEnded() || isDisturbed { return ([], isDisturbed) }
        let taken = running.filter { measured[$0.at].lack == nil }.map { Turn(subject: $0.at, round: $0.taken) }
        return (taken, false)
    }

    /// Of the group's middle speed, asked once for a round that is fit in all other respects.
    private func speedRefusal(of taken: [Turn], into measured: inout [BenchResult.Scenario]) -> String? {
        if plan.acceptsNoise { return nil }
        guard let speed = Summaries.median(taken.map(\.round.speed)), let round = taken.first?.round.round else { return nil }
        switch speeds.judge(speed) {
        case .asUsual: return nil
        case .differs(let share): return "the speed of the CPU is \(FigureText.change(share)) from what it was"
        case .isUsualNow(let share):
            let sentence = "the speed of the CPU stays \(FigureText.change(share)) from what it was, and is the usual one from round \(round + 1) on"
            for one in taken { measured[one.subject].remarks.append(sentence) }
            say(sentence)
            return nil
        }
    }
}

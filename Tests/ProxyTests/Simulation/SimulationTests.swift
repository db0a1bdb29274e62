import Glibc
import Testing

@testable import Proxy

/// The real worker on a scripted ring, under seeded faults.
@Suite(.serialized) struct SimulationTests {
    /// Seeds that found something once.
    static let pinned: [UInt64] = [1, 9, 15, 17, 27, 33, 36, 51, 53, 56, 58, 66, 357, 595, 1141, 2754, 3675, 5355]

    /// The first seed and how many to run: `WEIR_SEED`, `WEIR_SEEDS`; otherwise as many as fit into `secondsMax`.
    static let first = environment("WEIR_SEED") ?? 1
    static let count = environment("WEIR_SEEDS") ?? 3_000
    static let secondsMax = environment("WEIR_SEEDS") == nil ? 50 : Int.max / 2000

    static func environment(_ name: String) -> Int? { getenv(name).flatMap { Int(String(cString: $0)) } }

    @Test(arguments: pinned) func aSeedThatFoundSomethingOnceFindsNothing(seed: UInt64) {
        var totals: [String: Int] = [:]
        check(seed, &totals)
    }

    @Test func exchangesUnderSeededFaultsEndWholeOrDetectablyAndLeaveNothing() {
        let end = monotonicMilliseconds() + Self.secondsMax * 1_000
        var ran = 0
        var failures = 0
        var totals: [String: Int] = [:]
        while ran < Self.count, monotonicMilliseconds() < end, failures < 12 {
            if !check(UInt64(Self.first + ran), &totals) { failures += 1 }
            ran += 1
        }
        let covered = totals.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
        print("simulation: seeds \(Self.first)..<\(Self.first + ran); \(covered.joined(separator: ", "))")
    }

    @Test func aChangeOfPlansAtAnyMomentLosesAndMixesNothing() {
        let end = monotonicMilliseconds() + Self.secondsMax * 500
        var ran = 0
        var failures = 0
        var totals: [String: Int] = [:]
        while ran < Self.count, monotonicMilliseconds() < end, failures < 12 {
            if !check(UInt64(Self.first + ran), &totals, changingPlans: true) { failures += 1 }
            ran += 1
        }
        print("simulation: plans changed in seeds \(Self.first)..<\(Self.first + ran): \(totals["plans"] ?? 0) plans, \(totals["requests"] ?? 0) requests")
    }

    /// Runs one seed; adds what it counted to `totals`.
    @discardableResult
    private func check(_ seed: UInt64, _ totals: inout [String: Int], changingPlans: Bool = false) -> Bool {
        SeedNote.seed = seed
        SeedNote.install()
        // A worker that goes round for ever is found as well.
        alarm(120)
        defer { alarm(0) }
        let simulation = ScriptedRun(seed: seed, changingPlans: changingPlans, tracing: getenv("WEIR_TRACE") != nil)
        let complaints = simulation.run()
        totals.merge(simulation.totals) { $0 + $1 }
        if complaints.isEmpty { return true }
        print("seed \(seed): \(complaints.joined(separator: "\n    "))")
        let needed = shrink(seed, changingPlans)
        Issue.record(
            """
            seed \(seed)\(simulation.isGentle ? ", gentle" : "")\(changingPlans ? ", plans change" : ""), faults needed: \(needed); run it alone with WEIR_SEED=\(seed) WEIR_SEEDS=1
            \(complaints.prefix(8).joined(separator: "\n"))
            """)
        return false
    }

    /// Turns faults off one by one as long as the run still fails; returns those that it needs.
    private func shrink(_ seed: UInt64, _ changingPlans: Bool) -> [ScriptedFault] {
        var disabled: Set<ScriptedFault> = []
        for fault in ScriptedFault.allCases {
            let tried = disabled.union([fault])
            if !ScriptedRun(seed: seed, without: tried, changingPlans: changingPlans).run().isEmpty { disabled = tried }
        }
        return ScriptedFault.allCases.filter { !disabled.contains($0) }
    }
}

/// Says which seed ran when the process dies of a trap, or is ended because it hangs.
enum SeedNote {
    nonisolated(unsafe) static var seed: UInt64 = 0
    nonisolated(unsafe) private static var isInstalled = false
    nonisolated(unsafe) private static var previous: [Int32: sigaction] = [:]

    static func install() {
        guard !isInstalled else { return }
        isInstalled = true
        for number in [SIGILL, SIGTRAP, SIGSEGV, SIGBUS, SIGALRM] {
            var action = sigaction()
            var old = sigaction()
            action.__sigaction_handler.sa_handler = { number in
                let text = "\nthe simulation trapped or hung in seed \(SeedNote.seed)\n"
                _ = text.withCString { write(2, $0, strlen($0)) }
                if var old = SeedNote.previous[number] { sigaction(number, &old, nil) }
                if number == SIGALRM { abort() }
            }
            action.sa_flags = Int32(SA_ONSTACK)
            sigaction(number, &action, &old)
            previous[number] = old
        }
    }
}

import Glibc
import Testing

@testable import Proxy

@Suite("The machine under a benchmark")
struct BenchMachineTests {
    private func look(_ seconds: Double, busy: Double, interrupts: Double = 0, stolen: Double = 0, ours: Double) -> MachineLook {
        var machine = MachineWatch(stat: "")
        machine.busySeconds = busy
        machine.interruptSeconds = interrupts
        machine.stolenSeconds = stolen
        return MachineLook(seconds: seconds, machine: machine, oursSeconds: ours)
    }

    @Test("what proxy, origin and load use is not foreign, and all the rest is")
    func foreign() {
        let before = look(100, busy: 50, stolen: 1, ours: 7)
        // Two seconds in which two CPUs were busy for 3.5 s: 3 s by us, half a second by others.
        let after = look(102, busy: 53.5, stolen: 1.4, ours: 10)
        let share = OthersShare(from: before, to: after, interruptsApart: false)
        #expect(abs(share.foreign - 0.25) < 1e-9 && abs(share.stolen - 0.2) < 1e-9)
        #expect(OthersShare(from: before, to: look(102, busy: 52, stolen: 1, ours: 10), interruptsApart: false) == OthersShare(from: before, to: before, interruptsApart: false))
    }

    @Test("where the kernel keeps interrupts apart, they are nobody's")
    func interrupts() {
        let before = look(0, busy: 0, ours: 0)
        let after = look(1, busy: 1.5, interrupts: 0.4, ours: 1)
        #expect(abs(OthersShare(from: before, to: after, interruptsApart: false).foreign - 0.5) < 1e-9)
        #expect(abs(OthersShare(from: before, to: after, interruptsApart: true).foreign - 0.1) < 1e-9)
    }

    @Test("the machine's counters are read in seconds")
    func machine() {
        let watch = MachineWatch(stat: "cpu  100 0 50 900 7 0 50 30 0 0\ncpu0 1 2 3 4\n")
        #expect(watch.busySeconds == 2 && watch.interruptSeconds == 0.5 && watch.stolenSeconds == 0.3)
        #expect(MachineWatch(stat: "nonsense").busySeconds == 0)
    }

    @Test("CPUs are kept apart where there are some")
    func layout() {
        #expect(CPULayout(cpus: [4, 5, 6]).subject == [4] && CPULayout(cpus: [4, 5, 6]).origin == [5] && CPULayout(cpus: [4, 5, 6]).load == [6])
        #expect(CPULayout(cpus: [0, 1]).load == CPULayout(cpus: [0, 1]).origin)
        #expect(CPULayout(cpus: [0]).subject.isEmpty && CPULayout(cpus: []).load.isEmpty)
    }

    @Test("the proxy shares its core with nobody while there is another, and origin and load share one only then")
    func cores() {
        let neighbours = CPULayout(cpus: Array(0..<8), siblings: [[0, 1], [2, 3], [4, 5], [6, 7]])
        #expect(neighbours.subject == [0] && neighbours.origin == [2] && neighbours.load == [4])
        let halves = CPULayout(cpus: Array(0..<4), siblings: [[0, 2], [1, 3]])
        #expect(halves.subject == [0] && halves.origin == [1] && halves.load == [3] && !halves.sharesCore)
        let three = CPULayout(cpus: [0, 1, 2], siblings: [[0, 1], [2, 3]])
        #expect(three.origin == [2] && three.load == [2])
        let one = CPULayout(cpus: [0, 1], siblings: [[0, 1]])
        #expect(one.sharesCore && one.subject == [0] && one.origin == [1])
    }

    @Test("lists of CPUs are read as the kernel writes them", arguments: [("0-3\n", [0, 1, 2, 3]), ("0,4", [0, 4]), ("1-2,8", [1, 2, 8]), ("", []), ("x", [])])
    func lists(_ text: String, _ cpus: [Int]) { #expect(CPULayout.list(text) == cpus) }
}

@Suite("Rounds that say nothing")
struct BenchRefusalTests {
    private func round(requests: Double = 1_000, failed: Double = 0, bound: Bool = false, foreign: Double = 0, stolen: Double = 0) -> BenchRound {
        BenchRound(round: 0, turn: 0, foreignShare: foreign, stolenShare: stolen, isGeneratorBound: bound, requests: requests, failed: failed)
    }

    private func refusal(_ taken: BenchRound, rate: Int = 0, failures: Int = 0, acceptsNoise: Bool = false) -> String? {
        var scenario = BenchScenario()
        scenario.load.rate = rate
        scenario.failuresPercentMax = failures
        return BenchRunner.refusal(of: taken, scenario, acceptsNoise: acceptsNoise)
    }

    @Test("failed requests refuse a round, unless the scenario allows for them")
    func failures() {
        #expect(refusal(round()) == nil)
        #expect(refusal(round(requests: 0)) == "nothing was answered")
        #expect(refusal(round(failed: 1)) == "1 requests failed")
        #expect(refusal(round(requests: 95, failed: 5), failures: 5) == nil)
        #expect(refusal(round(requests: 94, failed: 6), failures: 5) == "6 requests failed")
    }

    @Test("a generator at its limit refuses a round by timetable, and only limits a closed loop")
    func generator() {
        #expect(refusal(round(bound: true), rate: 100) == "the load generator could not keep its timetable")
        #expect(refusal(round(bound: true)) == nil)
    }

    @Test("others on the machine refuse a round, unless noise is accepted")
    func noise() {
        #expect(refusal(round(foreign: 0.26)) == "others took 26 % of a CPU")
        #expect(refusal(round(foreign: 0.25)) == nil)
        #expect(refusal(round(stolen: 0.11)) == "the hypervisor took 11 % of a CPU")
        #expect(refusal(round(foreign: 0.9, stolen: 0.9), acceptsNoise: true) == nil)
    }

    @Test("a CPU of another speed refuses a round; three in a row make that speed the usual one")
    func speed() {
        var watch = SpeedWatch()
        for _ in 0..<4 { #expect(watch.judge(100) == .asUsual) }
        #expect(watch.judge(110) == .asUsual)
        #expect(watch.judge(50) == .differs(by: -0.5))
        #expect(watch.judge(100) == .asUsual)
        // One in between begins the count anew.
        #expect(watch.judge(50) == .differs(by: -0.5))
        #expect(watch.judge(50) == .differs(by: -0.5))
        #expect(watch.judge(50) == .isUsualNow(by: -0.5))
        for _ in 0..<3 { #expect(watch.judge(51) == .asUsual) }
        #expect(watch.judge(100) == .differs(by: 100.0 / 50.5 - 1))
    }

    @Test("rates and latencies of a generator at its limit are shown and not judged")
    func judged() {
        for metric in [BenchMetric.requestRate, .bodyRate, .latency50, .latency9999] {
            #expect(metric.isJudged(atFixedRate: false))
            #expect(!metric.isJudged(atFixedRate: false, generatorBound: true))
        }
        #expect(BenchMetric.cpuPerRequest.isJudged(atFixedRate: false, generatorBound: true))
        #expect(BenchMetric.latency99.isJudged(atFixedRate: true) && !BenchMetric.requestRate.isJudged(atFixedRate: true))
    }
}

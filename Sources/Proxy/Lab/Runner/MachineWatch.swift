import CUring
import Glibc

/// What the whole machine has done so far, to tell what of it was not ours.
struct MachineWatch: Equatable, Sendable {
    /// CPU time of everybody, in seconds.
    var busySeconds = 0.0
    /// Time that the hypervisor gave to others while we were ready.
    var stolenSeconds = 0.0

    /// CPU time of interrupts, which is part of it.
    var interruptSeconds = 0.0

    static func now() -> MachineWatch { MachineWatch(stat: textOfFile("/proc/stat") ?? "") }

    init(stat: String) {
        let numbers = stat.split(separator: "\n").first?.split(separator: " ").dropFirst().compactMap { Double($0) } ?? []
        guard numbers.count >= 8 else { return }
        let perSecond = Double(max(sysconf(Int32(_SC_CLK_TCK)), 1))
        // user, nice, system, idle, iowait, irq, softirq, steal
        interruptSeconds = (numbers[5] + numbers[6]) / perSecond
        busySeconds = (numbers[0] + numbers[1] + numbers[2]) / perSecond + interruptSeconds
        stolenSeconds = numbers[7] / perSecond
    }
}

/// How fast a CPU computes right now: millions of dependent multiplications a second, over some ten milliseconds.
///
/// It falls when a neighbour of a virtual machine works or the clock goes down, and rounds that were taken then are not like others.
func computingSpeed(cpu: Int?) -> Double {
    var cpus = [Int32](repeating: 0, count: 1_024)
    let count = clinux_affinity(&cpus, Int32(cpus.count))
    if let cpu { clinux_pin_thread(Int32(cpu)) }
    defer { if cpu != nil { clinux_allow_thread(&cpus, count) } }
    var best = 0.0
    // The best of several short ones: an interruption is not the machine's speed.
    for _ in 0..<5 {
        let rounds = 2_000_000
        var value: UInt64 = 1
        let begun = monotonicSeconds()
        for _ in 0..<rounds { value = value &* 0x2545_F491_4F6C_DD1D &+ 0x9E37_79B9_7F4A_7C15 }
        let seconds = monotonicSeconds() - begun
        // The value is asked for, or the loop would be left out.
        if seconds > 0, value != 0 { best = max(best, Double(rounds) / seconds / 1e6) }
    }
    return best
}

import Glibc

/// One look at the machine and at what this program and everything it started have used of it.
struct MachineLook {
    var seconds: Double
    var machine: MachineWatch
    /// CPU time of this process, its descendants, and those of its children that have ended.
    var oursSeconds: Double

    static func now() -> MachineLook {
        MachineLook(seconds: monotonicSeconds(), machine: .now(), oursSeconds: ProcessFigures(of: getpid(), memory: false).cpuSeconds)
    }
}

/// What others took of the machine between two looks, as shares of one CPU.
struct OthersShare: Equatable {
    var foreign: Double
    var stolen: Double

    /// Proxy, origin and load are descendants of this process, so that their time is in its own, once.
    ///
    /// - Parameter interruptsApart: whether the kernel leaves interrupts out of the time of the process that they interrupt.
    ///   Then nobody can tell whose they were, and on a loopback most are ours; they are left out on both sides.
    init(from before: MachineLook, to after: MachineLook, interruptsApart: Bool) {
        let passed = max(after.seconds - before.seconds, 0.001)
        var busy = after.machine.busySeconds - before.machine.busySeconds
        if interruptsApart { busy -= after.machine.interruptSeconds - before.machine.interruptSeconds }
        foreign = max(0, busy - (after.oursSeconds - before.oursSeconds)) / passed
        stolen = max(0, after.machine.stolenSeconds - before.machine.stolenSeconds) / passed
    }

    /// Whether this kernel was built to keep interrupts apart; false where it does not say.
    static let kernelKeepsInterruptsApart: Bool = {
        let release = textOfFile("/proc/sys/kernel/osrelease")?.trimmedOfSpace ?? ""
        return textOfFile("/boot/config-\(release)")?.split(separator: "\n").contains("CONFIG_IRQ_TIME_ACCOUNTING=y") ?? false
    }()
}

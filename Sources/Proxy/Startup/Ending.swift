import CUring
import Glibc

/// How a server process ended, for the operator.
struct Ending: Equatable {
    var process: Int32
    /// nil when a signal ended it.
    var exitCode: Int32?
    var signal: Int32?
    var wroteCore = false
    var crash: CrashReport?

    /// `the server process 4711 died of SIGILL (a trap) in worker 1 at step parse (Proxy/RequestParser.swift:120)`.
    var sentence: String {
        guard let signal else {
            return "the server process \(process) ended by itself with exit code \(exitCode ?? -1)"
        }
        // A crashed process that takes too long over its backtrace is killed: the first signal is the cause.
        var text = "the server process \(process) died of \(Self.name(crash?.signal ?? signal))"
        if let crash {
            text += crash.worker.map { " in worker \($0)" } ?? " in the control thread"
            if let step = crash.step { text += " at step \(crashStepName(step))" }
            if let file = crash.file { text += " (begun at \(file):\(crash.line))" }
        }
        if wroteCore { text += "; a core was written" }
        return text
    }

    private static func name(_ signal: Int32) -> String {
        switch signal {
        case SIGILL: "SIGILL (a trap)"
        case SIGTRAP: "SIGTRAP (a trap)"
        case SIGSEGV: "SIGSEGV (a bad pointer)"
        case SIGBUS: "SIGBUS (a bad pointer, or a file that shrank)"
        case SIGABRT: "SIGABRT"
        case SIGFPE: "SIGFPE"
        case SIGKILL: "SIGKILL (somebody, or the kernel for want of memory)"
        case SIGTERM: "SIGTERM"
        default: "signal \(signal)"
        }
    }
}

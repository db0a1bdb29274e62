import CUring
import Glibc

extension LogPlan {
    /// Opens all logs, in the order of the plan, one for each worker where the path asks for it; a log that is off gets
    /// /dev/null, so that the places stay.
    ///
    /// Every descriptor is its own and close-on-exec. On failure none stays open. That the system's logger is away holds up
    /// nobody when it is the operator's log that goes there: it is looked for again at every sentence.
    func open(workers: Int) throws(LaunchFailure) -> [Int32] {
        var descriptors: [Int32] = []
        for (place, log) in logs.enumerated() {
            let copies = log.isPerWorker ? (0..<workers).map(log.ofWorker) : [log]
            for copy in copies {
                switch openLog(copy.enabled ? copy : .nowhere) {
                case .success(let descriptor): descriptors.append(descriptor)
                case .failure(let failure):
                    if place == Self.operatorLog, case .syslog = log.output, let socket = unconnectedSyslog() {
                        say("warning: \(failure); sentences for the operator are lost until it is there")
                        descriptors.append(socket)
                        continue
                    }
                    for opened in descriptors { close(opened) }
                    throw LaunchFailure("\(failure)")
                }
            }
        }
        return descriptors
    }

    /// A socket for lines to a logger that is not there yet.
    private func unconnectedSyslog() -> Int32? {
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        return descriptor >= 0 ? descriptor : nil
    }
}

extension LogSettings {
    fileprivate static let nowhere = LogSettings(output: .file("/dev/null"))
}

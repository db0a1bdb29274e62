import Glibc

extension LogPlan {
    /// Opens all logs; a log that is off gets /dev/null, so that the places stay.
    ///
    /// Every descriptor is its own and close-on-exec. On failure none stays open.
    func open() throws(LaunchFailure) -> [Int32] {
        var descriptors: [Int32] = []
        for log in logs {
            var nowhere = log
            nowhere.output = .file("/dev/null")
            switch openLog(log.enabled ? log : nowhere) {
            case .success(let descriptor): descriptors.append(descriptor)
            case .failure(let failure):
                for opened in descriptors { close(opened) }
                throw LaunchFailure("\(failure)")
            }
        }
        return descriptors
    }
}

extension ChangeJournal {
    /// What became of one setting.
    enum Outcome: Equatable {
        case restored(path: String, to: String)
        /// It has its first value already.
        case unchanged(path: String)
        /// The kernel has no such setting any more: its module or its device went.
        case gone(path: String)
        /// Somebody else set it after the lab did; it is left as they want it.
        case changedByOthers(path: String, now: String, before: String)
        case failed(path: String, before: String, reason: String)

        var sentence: String {
            switch self {
            case .restored(let path, let value): "\(path) is '\(value)' again"
            case .unchanged(let path): "\(path) is as it was"
            case .gone(let path): "\(path) is no more, and what it was is forgotten"
            case .changedByOthers(let path, let now, let before):
                "\(path) was set to '\(now)' by somebody else meanwhile and stays so; it was '\(before)' before"
            case .failed(let path, let before, let reason): "cannot set \(path) back to '\(before)': \(reason)"
            }
        }

        var isFailure: Bool {
            if case .failed = self { return true }
            return false
        }
    }
}

/// Decides when memory that a load left behind is given back: once, when nothing has happened for a while after it.
struct IdleTrim {
    static let idleMilliseconds = 3_000

    private var activity: UInt64 = 0
    private var changedAt: Int?

    /// Takes a number that grows with every request, at a time; true when now is the moment to trim.
    mutating func observe(activity now: UInt64, at milliseconds: Int) -> Bool {
        if now != activity {
            activity = now
            changedAt = milliseconds
            return false
        }
        guard let changedAt, milliseconds - changedAt >= Self.idleMilliseconds else { return false }
        self.changedAt = nil
        return true
    }
}

import Glibc

/// What became of the last attempt to take a new configuration; the supervisor keeps it, `weir stat` shows it.
struct ReloadRecord: Equatable, Sendable {
    enum Outcome: String, CaseIterable, Sendable {
        /// Nobody has asked yet.
        case none
        case taken
        /// The file has errors.
        case invalid
        /// The file is good, but the machine or the server process would not have it.
        case refused
    }

    var outcome = Outcome.none
    /// When it ended, in milliseconds since 1970.
    var unixMilliseconds = 0
    /// Why it was not taken; the first of several reasons.
    var reason = ""
    var takenCount = 0
    var failedCount = 0

    mutating func note(_ outcome: Outcome, reason: String = "", at nanoseconds: UInt64 = wallClockNanoseconds()) {
        self.outcome = outcome
        self.reason = reason
        unixMilliseconds = Int(nanoseconds / 1_000_000)
        if outcome == .taken { takenCount += 1 } else { failedCount += 1 }
    }

    func encode(into writer: inout HandoverWriter) {
        writer.put(Outcome.allCases.firstIndex(of: outcome) ?? 0)
        writer.put(unixMilliseconds)
        writer.put(reason)
        writer.put(takenCount)
        writer.put(failedCount)
    }

    init?(from reader: inout HandoverReader) {
        guard let outcome = reader.number(), Outcome.allCases.indices.contains(outcome), let time = reader.number(),
            let reason = reader.text(), let takenCount = reader.number(), let failedCount = reader.number()
        else { return nil }
        self.outcome = Outcome.allCases[outcome]
        unixMilliseconds = time
        self.reason = reason
        self.takenCount = takenCount
        self.failedCount = failedCount
    }

    init() {}

    var encoded: [UInt8] {
        var writer = HandoverWriter()
        encode(into: &writer)
        return writer.bytes
    }

    init?(encoded bytes: some Collection<UInt8>) {
        var reader = HandoverReader(Array(bytes))
        guard let record = ReloadRecord(from: &reader), reader.isAtEnd else { return nil }
        self = record
    }
}

/// How a request failed: it got no answer, or none that is one.
enum LoadError: UInt8, CaseIterable {
    /// No connection was to be had for it.
    case connect
    /// The handshake of TLS failed.
    case tls
    case timeout
    /// The connection ended before the answer did, or before it began.
    case reset
    case badAnswer
    /// The answer ended before the length that it had announced.
    case wrongLength
    /// It was never sent: too many others waited for a connection.
    case dropped

    /// As the report names it.
    var word: String {
        switch self {
        case .connect: "connect"
        case .tls: "tls"
        case .timeout: "timeout"
        case .reset: "reset"
        case .badAnswer: "bad_answer"
        case .wrongLength: "wrong_length"
        case .dropped: "dropped"
        }
    }
}

/// What one thread has counted, and at the end all of them.
struct LoadTally: Sendable {
    /// Entries of the timetable, without the warm-up; all of them when the run was not interrupted.
    var planned: UInt64 = 0
    /// Whose time came, without the warm-up.
    var started: UInt64 = 0
    var answered: UInt64 = 0
    /// Answers that came within the measured time, also to requests of the warm-up; those after its end are none of them.
    var answeredInTime: UInt64 = 0
    /// By the first digit of the status, from 1 to 5.
    var responses = InlineArray<6, UInt64>(repeating: 0)
    var errors = InlineArray<7, UInt64>(repeating: 0)
    var bytesSent: UInt64 = 0
    var bytesReceived: UInt64 = 0
    var bodyBytes: UInt64 = 0
    var connectionsOpened: UInt64 = 0
    var connectionsFailed: UInt64 = 0
    var handshakes: UInt64 = 0
    var resumed: UInt64 = 0
    /// From the moment that the timetable wanted.
    var latency = LatencyHistogram()
    /// From the moment of sending.
    var service = LatencyHistogram()
    /// How much of a latency is this program's: see `LoadPending.lag`.
    var lag = LatencyHistogram()
    /// From the first measured moment to the last answer or the end of the measured time, whichever came later.
    var measuredNanoseconds: UInt64 = 0
    /// The time in which `answeredInTime` came.
    var rateNanoseconds: UInt64 = 0
    var cpuNanoseconds: UInt64 = 0
    /// Of the busiest thread over the measured time, 1 = a whole CPU.
    var cpuShareMax = 0.0
    /// The same with the time in which it was ready and had none.
    var busyShareMax = 0.0
    /// How long threads were ready and had no CPU.
    var runQueueNanoseconds: UInt64 = 0

    subscript(error: LoadError) -> UInt64 {
        get { errors[Int(error.rawValue)] }
        set { errors[Int(error.rawValue)] = newValue }
    }

    var errorsTotal: UInt64 {
        var sum: UInt64 = 0
        for error in LoadError.allCases { sum += self[error] }
        return sum
    }

    /// Requests without a good answer.
    var failed: UInt64 { errorsTotal + responses[4] + responses[5] }

    mutating func add(_ other: LoadTally) {
        planned += other.planned
        started += other.started
        answered += other.answered
        answeredInTime += other.answeredInTime
        for index in 0..<6 { responses[index] += other.responses[index] }
        for index in 0..<7 { errors[index] += other.errors[index] }
        bytesSent += other.bytesSent
        bytesReceived += other.bytesReceived
        bodyBytes += other.bodyBytes
        connectionsOpened += other.connectionsOpened
        connectionsFailed += other.connectionsFailed
        handshakes += other.handshakes
        resumed += other.resumed
        latency.add(other.latency)
        service.add(other.service)
        lag.add(other.lag)
        measuredNanoseconds = max(measuredNanoseconds, other.measuredNanoseconds)
        rateNanoseconds = max(rateNanoseconds, other.rateNanoseconds)
        cpuNanoseconds += other.cpuNanoseconds
        cpuShareMax = max(cpuShareMax, other.cpuShareMax)
        busyShareMax = max(busyShareMax, other.busyShareMax)
        runQueueNanoseconds += other.runQueueNanoseconds
    }
}

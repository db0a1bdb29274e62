/// All that the threads of a run go by.
struct LoadPlan: Sendable {
    var address = SocketAddress()
    var book: RequestBook
    /// nil = closed loop: the next request goes when an answer has come.
    var timetable: Timetable?
    var warmUpNanoseconds: UInt64 = 0
    /// Closed loop: how long.
    var durationNanoseconds: UInt64 = 10_000_000_000
    /// Closed loop: how many requests after the warm-up; nil = as many as the time allows.
    var requestsMax: UInt64?
    var connections = 10
    var threads = 1
    /// Requests that may be under way on one connection.
    var pipeline = 1
    /// One request on each connection.
    var closes = false
    var timeoutNanoseconds: UInt64 = 10_000_000_000
    /// Requests that may wait for a free connection, over all threads.
    var queueMax = 100_000
    /// Bytes by second and connection; 0 = as fast as it goes.
    var readRate = 0
    var writeRate = 0
    var isWebSocket = false
    /// nil = plain.
    var tls: TLSBackendMaterial?
    /// For TLS; empty = none is asked for or checked.
    var serverName: [UInt8] = []
    var resumes = true
    var cpus: [Int] = []
    var seed: UInt64 = 1

    /// A time that does not end anything: a number of requests does.
    static let unlimitedNanoseconds: UInt64 = 1_000_000_000_000_000
    static let connectionsMax = 65_536
    static let pipelineMax = 1_024
    static let threadsMax = 256

    /// How many of `total` fall to a thread.
    func share(of total: Int, thread: Int) -> Int { total / threads + (thread < total % threads ? 1 : 0) }
}

/// One `downstream` section: a backend, its standing pool and its timers.
struct BackendSettings: Sendable {
    var location = SourceLocation.none
    var name = ""
    var enabled = true
    var address = BackendAddress.name("")
    var port: UInt16 = 0
    /// Connections kept per worker, opened on demand.
    var connections = 8
    /// Most connections per worker; as `connections` in RProxy files.
    var connectionsMax = 8
    var idleMilliseconds = 60_000
    var requestsPerConnectionMax = 0  // 0 = unlimited
    var connectMilliseconds = 3_000
    var readMilliseconds = 60_000
    var writeMilliseconds = 30_000
    /// First pause before a reconnect; doubles with jitter up to `retryMillisecondsMax`.
    var retryMilliseconds = 50
    var retryMillisecondsMax = 5_000
    var watermark = Watermark()
    /// Bytes of an answer's head, and how many fields it may have.
    var headBytesMax = 32 * 1024
    var fieldsMax = 100
    var pipeline = 1
    /// Mean time to first byte up to which connections are shared.
    var pipelineLatencyMilliseconds = 2
    var weight = 1
    var pending: PendingSettings?  // nil = the server's
    var tcp = SocketSettings(notSentLowBytes: 0)
    /// Connections begin with a PROXY head and serve one client each.
    var proxyHead = SentProxyHead.off

    /// nil = plain HTTP.
    var tls: BackendTLSSettings?

    enum SentProxyHead: String, Sendable, CaseIterable { case off, v1, v2 }
}

/// Where a backend is: a literal, a unix path or a name to resolve.
enum BackendAddress: Sendable, Equatable {
    case ipv4(String)
    case ipv6(String)
    case unix(String)
    case name(String)
}

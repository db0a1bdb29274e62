/// One `server` section: a listener, its limits and timers, and the backends behind it.
struct ServerSettings: Sendable {
    /// Where it stands in the file, for messages.
    var location = SourceLocation.none
    var addresses: [ListenAddress] = []
    /// How many workers listen for it; nil = all.
    var threads: Int?
    var backlog = 1024
    var timers = ClientTimers()
    var limits = RequestLimits()
    /// Queue of exchanges that wait for a backend connection, per worker.
    var pending = PendingSettings()
    var watermark = Watermark()
    var connectionsMax = 0  // client connections per worker; 0 = what the descriptor limit allows
    var splice = SpliceSettings()
    var via: String?  // pseudonym for Via; nil = no Via
    var forwarded = ForwardingSettings()
    /// Whose fields about their own clients count.
    var trustedPeers: [AddressBlock] = []
    var allowTrace = false
    /// Answered by us before host and rule are known; nil = none.
    var healthPath: String?
    var logsHealth = true
    var balancing = BalancingSettings()
    var tcp = SocketSettings()
    var accessLog = LogSettings()
    var errorLog = LogSettings()
    var backends: [BackendSettings] = []
    var proxyProtocol = ProxyProtocolSettings()
    /// nil = plain HTTP.
    var tls: TLSSettings?
    /// What its virtual hosts and rules inherit, beside `forwarded` and the logs above.
    var scope = ScopeSettings()
    /// Empty = every request goes to all backends.
    var virtualHosts: [VirtualHostSettings] = []
}

/// An address to listen on, as written; names are not allowed here.
enum ListenAddress: Sendable, Equatable {
    case ipv4(String, port: UInt16)
    case ipv6(String, port: UInt16)
    case unix(String)
}

/// Timers toward clients, in milliseconds; 0 = off (the header timer cannot be off).
struct ClientTimers: Sendable, Equatable {
    var headMilliseconds = 10_000
    var bodyGapMilliseconds = 30_000
    var keepAliveIdleMilliseconds = 60_000
    var writeProgressMilliseconds = 30_000
    /// Least bytes per second of a body in either direction, once `rateGraceMilliseconds` have passed.
    var rateMinBytesPerSecond = 512
    var rateGraceMilliseconds = 10_000
    /// Idle time of a tunnel, both directions.
    var tunnelIdleMilliseconds = 3_600_000
}

/// What a client may send; 0 = unlimited where noted.
struct RequestLimits: Sendable, Equatable {
    var requestLineBytesMax = 8 * 1024
    var headBytesMax = 32 * 1024  // at most 60,000
    var fieldsMax = 100  // at most 256
    var bodyBytesMax: UInt64 = 0  // 0 = unlimited
    /// Requests on one client connection; 0 = unlimited.
    var requestsPerConnectionMax = 0
    /// How much of a refused request is read and thrown away, so that the client can read the answer.
    var drainBytesMax = 256 * 1024
}

struct PendingSettings: Sendable, Equatable {
    var timeoutMilliseconds = 10_000  // 0 = wait for ever
    var countMax = 1_024  // 0 = unlimited
}

struct Watermark: Sendable, Equatable {
    var highBytes = 256 * 1024
    var lowBytes = 64 * 1024
}

struct SpliceSettings: Sendable, Equatable {
    var enabled = true
    var bodyBytesMin: UInt64 = 64 * 1024
    var remainingBytesMin: UInt64 = 32 * 1024
}

struct ForwardingSettings: Sendable, Hashable {
    enum ForwardedFor: Sendable { case off, rproxy, append, replace }
    /// Of RFC 7239.
    enum Forwarded: Sendable { case off, append, replace }
    var forwardedFor = ForwardedFor.off
    var forwarded = Forwarded.off
    var proto = false
    var host = false
    var port = false
    var requestID = false
    var requestIDName = "X-Request-Id"
    /// Clients get it too.
    var requestIDEcho = false
    var certificate = Certificate()

    /// What is told about the certificate that a client has shown, and about the connection it came over.
    struct Certificate: Sendable, Hashable {
        /// A field with the content of one extension.
        struct Extension: Sendable, Hashable {
            var name: String
            /// Its object identifier in numbers, as 1.2.840.113549.
            var oid: String
        }
        // X-SSL-Subject and so on.
        var subject = false
        var issuer = false
        var notBefore = false
        var notAfter = false
        var serial = false
        var sha1 = false
        var cipher = false
        /// X-SSL-Certificate: PEM, percent-encoded.
        var pem = false
        /// Client-Cert (RFC 9440).
        var clientCert = false
        var extensions: [Extension] = []
    }
}

struct SocketSettings: Sendable, Equatable {
    var noDelay = true
    var keepAlive = true
    var userTimeoutMilliseconds = 30_000
    var notSentLowBytes = 128 * 1024  // 0 = leave the system's
    var congestionControl: String?
    /// Steer accepted connections to the worker of the CPU that received them.
    var steerByCPU = false
}

struct BalancingSettings: Sendable, Hashable {
    enum Method: String, Sendable, CaseIterable { case rtt, roundrobin, mostIdle = "most-idle", random, none, twoChoices = "p2c", hash }
    enum HashKey: Sendable, Hashable { case source, uri, header(String), cookie(String) }
    var method = Method.rtt
    var hashKey = HashKey.source
    /// Bounded load of the hash: no backend above this percentage of the mean.
    var hashLoadPercentMax = 125
    /// Name of the cookie that pins a client to its backend; nil = no stickiness.
    var stickyCookie: String?
}

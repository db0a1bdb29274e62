/// One `word = value` of a configuration file.
public struct Setting: Sendable {
    let line: String
    public init(_ word: String, _ value: String) { line = "\(word) = \(value)" }

    static func duration(_ word: String, _ milliseconds: Int) -> Setting { Setting(word, "\"\(milliseconds)ms\"") }
    static func number(_ word: String, _ value: Int) -> Setting { Setting(word, String(value)) }
    static func size(_ word: String, _ bytes: Int) -> Setting { Setting(word, String(bytes)) }
    static func flag(_ word: String, _ value: Bool) -> Setting { Setting(word, value ? "true" : "false") }
    static func text(_ word: String, _ value: String) -> Setting { Setting(word, "\"\(value)\"") }
}

/// Every configuration word that the scenarios use, in one place: a renamed word is one edit here.
extension Setting {
    // Whole process.
    public static func workers(_ count: Int) -> Setting { number("workers", count) }
    public static func adminSocket(_ path: String) -> Setting { text("admin-socket", path) }
    public static func drainDeadline(_ milliseconds: Int) -> Setting { duration("drain-timeout", milliseconds) }
    public static func openFilesMax(_ count: Int) -> Setting { number("max-nofile", count) }
    public static func resolvers(_ addresses: [String]) -> Setting { Setting("resolvers", "{ \(addresses.map { "\"\($0)\"" }.joined(separator: ", ")) }") }
    public static func stickySecret(_ text: String) -> Setting { Setting.text("sticky-secret", text) }
    public static func debugTrap(atRequest number: Int) -> Setting { Setting.number("debug-trap-at-request", number) }

    // Listener.
    public static func address(_ literal: String) -> Setting { text("addr", literal) }
    public static func port(_ number: Int) -> Setting { Setting.number("port", number) }
    public static func threads(_ count: Int) -> Setting { number("threads", count) }
    public static func backlog(_ count: Int) -> Setting { number("backlog", count) }
    public static func connectionsMaxOfClients(_ count: Int) -> Setting { number("max-clients", count) }
    public static func highWatermark(_ bytes: Int) -> Setting { size("high-watermark", bytes) }

    // Timers toward clients.
    public static func headerTimeout(_ milliseconds: Int) -> Setting { duration("header-timeout", milliseconds) }
    public static func bodyTimeout(_ milliseconds: Int) -> Setting { duration("body-timeout", milliseconds) }
    public static func keepAliveTimeout(_ milliseconds: Int) -> Setting { duration("idle-timeout", milliseconds) }
    /// The client's side in a `server`, the backend's in a `downstream`.
    public static func writeTimeout(_ milliseconds: Int) -> Setting { duration("write-timeout", milliseconds) }
    public static func rateMin(_ bytesPerSecond: Int) -> Setting { size("min-rate", bytesPerSecond) }
    public static func rateGrace(_ milliseconds: Int) -> Setting { duration("min-rate-grace", milliseconds) }
    public static func userTimeout(_ milliseconds: Int) -> Setting { duration("tcp-user-timeout", milliseconds) }
    public static func tunnelTimeout(_ milliseconds: Int) -> Setting { duration("tunnel-timeout", milliseconds) }

    // What a client may send.
    public static func requestLineMax(_ bytes: Int) -> Setting { size("request-line-max", bytes) }
    public static func headMax(_ bytes: Int) -> Setting { size("request-head-max", bytes) }
    public static func fieldsMax(_ count: Int) -> Setting { number("request-fields-max", count) }
    public static func bodyMax(_ bytes: Int) -> Setting { size("request-body-max", bytes) }
    public static func requestsPerConnectionMax(_ count: Int) -> Setting { number("requests-per-connection", count) }
    public static func refusedDrainMax(_ bytes: Int) -> Setting { size("refused-drain-max", bytes) }
    public static func via(_ pseudonym: String) -> Setting { text("via", pseudonym) }
    public static func allowTrace(_ value: Bool) -> Setting { flag("trace", value) }

    // Waiting for a backend connection.
    public static func pendingTimeout(_ milliseconds: Int) -> Setting { duration("pending-timeout", milliseconds) }
    public static func pendingMax(_ count: Int) -> Setting { number("max-pending", count) }

    // Choice of a backend.
    public static func balancing(_ method: String) -> Setting { text("lb-method", method) }
    public static func hashKey(_ key: String) -> Setting { text("hash-key", key) }
    public static func stickyCookie(_ name: String) -> Setting { text("sticky-cookie", name) }

    // Large bodies.
    public static func splice(_ value: Bool) -> Setting { flag("splice", value) }
    public static func spliceMin(_ bytes: Int) -> Setting { size("splice-min-body", bytes) }
    public static func spliceRemainingMin(_ bytes: Int) -> Setting { size("splice-min-remaining", bytes) }

    // Backend.
    public static func enabled(_ value: Bool) -> Setting { flag("enabled", value) }
    public static func connections(_ count: Int) -> Setting { number("connections", count) }
    public static func connectionsMax(_ count: Int) -> Setting { number("connections-max", count) }
    public static func connectTimeout(_ milliseconds: Int) -> Setting { duration("connect-timeout", milliseconds) }
    public static func readTimeout(_ milliseconds: Int) -> Setting { duration("read-timeout", milliseconds) }
    public static func idleTimeout(_ milliseconds: Int) -> Setting { duration("idle-timeout", milliseconds) }
    public static func responseHeadMax(_ bytes: Int) -> Setting { size("response-head-max", bytes) }
    public static func responseFieldsMax(_ count: Int) -> Setting { number("response-fields-max", count) }
    public static func retry(_ milliseconds: Int) -> Setting { duration("retry", milliseconds) }
    public static func retryMax(_ milliseconds: Int) -> Setting { duration("retry-max", milliseconds) }
    public static func pipeline(_ depth: Int) -> Setting { number("pipeline", depth) }
    public static func pipelineLatency(_ milliseconds: Int) -> Setting { duration("pipeline-latency", milliseconds) }
    public static func weight(_ value: Int) -> Setting { number("weight", value) }
}

/// Why an exchange did not go as it should, in the words of the log.
enum FailureReason: UInt8 {
    case none
    // The client's side.
    case badRequest, clientGone, clientHeadTimeout, clientBodyTimeout, clientWriteTimeout, clientTooSlow
    case bodyTooLarge, methodRefused, pathRefused, targetTooLong, accessDenied, requestLimit, connectionLimit, proxyRefused
    case plainHTTP, handshakeTimeout, tlsBroken, misdirected
    // The configuration's.
    case noVirtualHost, noRule, patternLimit
    // Ours.
    case pendingTimeout, pendingFull, outOfMemory, stopping, noBackend, maintenance
    // Where a backend sent the request on.
    case redirectInvalid, redirectRefused, redirectLoop, bodyNotKept, nameUnknown
    // The backend's side.
    case connectFailed, connectTimeout, backendTLS, backendReadTimeout, backendWriteTimeout, backendClosed, backendReset
    case badAnswer, answerTooShort

    /// Whether the backend is to blame.
    var isBackends: Bool { rawValue >= FailureReason.connectFailed.rawValue }

    /// One word for the log.
    var word: StaticString {
        switch self {
        case .none: "-"
        case .badRequest: "bad-request"
        case .clientGone: "client-gone"
        case .clientHeadTimeout: "client-head-timeout"
        case .clientBodyTimeout: "client-body-timeout"
        case .clientWriteTimeout: "client-write-timeout"
        case .clientTooSlow: "client-too-slow"
        case .bodyTooLarge: "body-too-large"
        case .methodRefused: "method-refused"
        case .accessDenied: "access-denied"
        case .requestLimit: "request-limit"
        case .connectionLimit: "connection-limit"
        case .proxyRefused: "proxy-head"
        case .plainHTTP: "plain-http"
        case .handshakeTimeout: "handshake-timeout"
        case .tlsBroken: "tls-broken"
        case .misdirected: "misdirected"
        case .backendTLS: "backend-tls"
        case .pathRefused: "path-refused"
        case .targetTooLong: "target-too-long"
        case .noVirtualHost: "no-virtual-host"
        case .noRule: "no-rule"
        case .patternLimit: "pattern-limit"
        case .pendingTimeout: "pending-timeout"
        case .pendingFull: "pending-full"
        case .outOfMemory: "out-of-memory"
        case .stopping: "stopping"
        case .noBackend: "no-backend"
        case .maintenance: "maintenance"
        case .redirectInvalid: "redirect-invalid"
        case .redirectRefused: "redirect-refused"
        case .redirectLoop: "redirect-loop"
        case .bodyNotKept: "body-not-kept"
        case .nameUnknown: "name-unknown"
        case .connectFailed: "connect-failed"
        case .connectTimeout: "connect-timeout"
        case .backendReadTimeout: "backend-read-timeout"
        case .backendWriteTimeout: "backend-write-timeout"
        case .backendClosed: "backend-closed"
        case .backendReset: "backend-reset"
        case .badAnswer: "bad-answer"
        case .answerTooShort: "answer-too-short"
        }
    }
}

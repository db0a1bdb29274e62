/// The four shapes of a request target (RFC 9112 §3.2).
enum TargetForm: UInt8, Sendable {
    /// `/path?query`
    case origin
    /// `http://host/path?query`
    case absolute
    /// `host:port`, for CONNECT.
    case authority
    /// `*`, for OPTIONS.
    case asterisk
}

/// A request head as numbers and ranges over the bytes it was read from; owns nothing.
struct RequestHead: Equatable, Sendable {
    var method = Method.other
    var form = TargetForm.origin
    /// 0 or 1, of HTTP/1.x.
    var versionMinor: UInt8 = 1
    /// The connection may serve another request after this one (RFC 9112 §9.3).
    var keepAlive = false
    /// The client waits for 100 before it sends the body (RFC 9110 §10.1.1); never without a body or in HTTP/1.0.
    var expectsContinue = false
    /// `Connection: upgrade` with a non-empty `Upgrade`, in HTTP/1.1 (RFC 9110 §7.8).
    var wantsUpgrade = false
    /// `TE: trailers` (RFC 9110 §10.1.4).
    var acceptsTrailers = false
    var hasQuery = false
    /// An absolute target began with `https:`.
    var isSecureTarget = false
    var framing = BodyFraming.none
    var methodStart = 0
    var methodLength = 0
    var targetStart = 0
    var targetLength = 0
    /// The path of the target; empty for `*`, for CONNECT and for `http://host`, where `/` is meant (`*` with OPTIONS,
    /// RFC 9112 §3.2.4).
    var pathStart = 0
    var pathLength = 0
    /// What follows the question mark.
    var queryStart = 0
    var queryLength = 0
    /// The effective authority: of an absolute or CONNECT target, else the value of `Host`; empty when there is none.
    var hostStart = 0
    var hostLength = 0
    /// The host of the authority without its port.
    var hostNameLength = 0
    /// The port of the authority, -1 when none was said.
    var port = -1
    /// Index of the `Host` field, -1 when there is none.
    var hostField = -1
    /// Index of the `Upgrade` field, -1 when there is none.
    var upgradeField = -1
    /// Bytes of the head, with empty lines before it and the blank line after it.
    var headLength = 0
    /// Where the first field line begins; the last ends at `headLength - 2`.
    var fieldsStart = 0
    var fieldCount = 0
}

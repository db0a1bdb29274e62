/// A response head as numbers and ranges over the bytes it was read from; owns nothing.
struct ResponseHead: Equatable, Sendable {
    /// 100 to 599.
    var status: UInt16 = 0
    /// 0 or 1, of HTTP/1.x.
    var versionMinor: UInt8 = 1
    /// The backend keeps the connection open after this response, and its end can be told (RFC 9112 §9.3).
    var keepAlive = false
    /// 1xx: another response to the same request follows. Not 101, after which HTTP has ended.
    var isInterim = false
    /// 101, or 2xx to CONNECT: the bytes that follow are no HTTP.
    var isSwitch = false
    var framing = BodyFraming.none
    var reasonStart = 0
    var reasonLength = 0
    /// Index of `Content-Length`, -1 when there is none; it may describe a body that is not sent (HEAD, 304).
    var contentLengthIndex = -1
    /// The value of that field.
    var contentLength: UInt64 = 0
    /// Index of the `Upgrade` field, -1 when there is none.
    var upgradeField = -1
    /// Bytes of the head with its blank line.
    var headLength = 0
    /// Where the first field line begins; the last ends at `headLength - 2`.
    var fieldsStart = 0
    var fieldCount = 0
}

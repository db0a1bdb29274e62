extension HeaderName {
    /// Finds the name that `length` bytes from `start` spell in any case; `other` when the table has none.
    ///
    /// The bytes must be free of control bytes, as a scanned field name is: case is folded by setting one bit, which
    /// would also turn a CR into a hyphen. The range must lie within `bytes`. Costs one switch over the length and one
    /// over the last eight bytes, without a table in memory.
    @inline(__always)
    init(_ bytes: Span<UInt8>, start: Int, length: Int) {
        if length > 8 {
            guard length <= 32 else {
                self = .other
                return
            }
            self = HeaderName.findLong(
                length: length, first: foldedWord(bytes, at: start),
                second: length > 16 ? foldedWord(bytes, at: start &+ 8) : 0,
                third: length > 24 ? foldedWord(bytes, at: start &+ 16) : 0,
                last: foldedWord(bytes, at: start &+ length &- 8))
        } else {
            self = HeaderName.findShort(length: length, word: foldedShortWord(bytes, at: start, length: length))
        }
    }

    /// One of the fields that a parser acts upon itself; they come first in the table.
    @inline(__always)
    var isNoted: Bool { rawValue &- 1 < HeaderName.http2Settings.rawValue }

    /// Meant for the next hop alone, so never forwarded (RFC 9110 §7.6.1).
    ///
    /// Beyond the section's list: `Proxy-Authorization`, `Proxy-Authenticate` and `Proxy-Authentication-Info` speak to
    /// the nearest proxy (§11.7), which we are; `HTTP2-Settings` belongs to an upgrade that we do not pass on
    /// (RFC 9113 §3.1). `Trailer` is forwarded, as the section allows.
    var isHopByHop: Bool {
        switch self {
        case .connection, .te, .transferEncoding, .upgrade, .keepAlive, .proxyConnection, .proxyAuthenticate,
            .proxyAuthorization, .proxyAuthenticationInfo, .http2Settings:
            true
        default:
            false
        }
    }
}

/// Tells whether a field may arrive after a chunked body and be passed on (RFC 9110 §6.5.1).
///
/// Framing, routing, authentication, request modifiers, response control and what describes the content must be known
/// before the content, so such fields are dropped from a trailer section; unknown names pass.
func isAllowedInTrailer(_ name: HeaderName) -> Bool {
    switch name {
    case .other, .etag, .xRequestId, .serverTiming, .traceparent, .tracestate, .warning, .link:
        true
    default:
        false
    }
}

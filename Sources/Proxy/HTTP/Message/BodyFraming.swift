/// The rule that ends a body (RFC 9112 §6.3).
enum BodyFraming: Equatable, Sendable {
    /// No body, whatever the fields say.
    case none
    /// Exactly so many bytes, below 2^63; zero when `Content-Length: 0` was said.
    case length(UInt64)
    /// Chunks up to the one of size zero, and a trailer section.
    case chunked
    /// All bytes until the backend closes: responses only.
    case untilClose

    /// Whether bytes follow the head.
    var hasBody: Bool {
        switch self {
        case .none, .length(0): false
        case .length, .chunked, .untilClose: true
        }
    }
}

/// Reads a `Content-Length` value: one to 19 digits and nothing else, below 2^63.
///
/// Signs, spaces, lists (`5, 5`) and longer numbers are nil, for peers read them in different ways.
func parseContentLength(_ bytes: Span<UInt8>, start: Int, length: Int) -> UInt64? {
    guard length >= 1 && length <= 19 else { return nil }
    var value: UInt64 = 0
    var index = start
    while index < start &+ length {
        let digit = bytes[index] &- UInt8(ascii: "0")
        guard digit <= 9 else { return nil }
        value = value &* 10 &+ UInt64(digit)  // 19 digits stay below 2^64
        index &+= 1
    }
    return value <= UInt64(Int64.max) ? value : nil
}

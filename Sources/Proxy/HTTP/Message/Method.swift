/// A request method that the proxy knows by name; any other token is `other` and lives as bytes only.
///
/// Methods are case-sensitive (RFC 9110 §9.1): `get` is `other`.
enum Method: UInt8, CaseIterable, Sendable {
    case other = 0
    case get
    case head
    case post
    case put
    case delete
    case options
    case patch
    case trace
    case connect
    case purge
    case propfind
    case report

    /// Asks for nothing but information (RFC 9110 §9.2.1).
    var isSafe: Bool {
        switch self {
        case .get, .head, .options, .trace, .propfind, .report: true
        case .other, .post, .put, .delete, .patch, .connect, .purge: false
        }
    }

    /// Has the same effect when sent twice, so that it may be tried again (RFC 9110 §9.2.2).
    var isIdempotent: Bool {
        switch self {
        case .get, .head, .options, .trace, .propfind, .report, .put, .delete, .purge: true
        case .other, .post, .patch, .connect: false
        }
    }

    /// The method as it is sent; empty for `other`.
    var text: StaticString {
        switch self {
        case .other: ""
        case .get: "GET"
        case .head: "HEAD"
        case .post: "POST"
        case .put: "PUT"
        case .delete: "DELETE"
        case .options: "OPTIONS"
        case .patch: "PATCH"
        case .trace: "TRACE"
        case .connect: "CONNECT"
        case .purge: "PURGE"
        case .propfind: "PROPFIND"
        case .report: "REPORT"
        }
    }

    /// Finds the method whose bytes, at most eight, stand in one little-endian word.
    init(length: Int, word: UInt64) {
        switch (length, word) {
        case (3, 0x54_4547): self = .get
        case (4, 0x4441_4548): self = .head
        case (4, 0x5453_4f50): self = .post
        case (3, 0x54_5550): self = .put
        case (6, 0x4554_454c_4544): self = .delete
        case (7, 0x53_4e4f_4954_504f): self = .options
        case (5, 0x48_4354_4150): self = .patch
        case (5, 0x45_4341_5254): self = .trace
        case (7, 0x54_4345_4e4e_4f43): self = .connect
        case (5, 0x45_4752_5550): self = .purge
        case (8, 0x444e_4946_504f_5250): self = .propfind
        case (6, 0x5452_4f50_4552): self = .report
        default: self = .other
        }
    }
}

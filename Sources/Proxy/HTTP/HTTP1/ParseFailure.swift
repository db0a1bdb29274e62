/// Why a message was refused: the whole list of what this proxy will not read, each with its answer and its section.
///
/// `status` is what a client is told; the same failure in a backend's answer becomes 502. After any of them the
/// connection is closed, since nobody knows where the next message would begin.
enum ParseFailure: UInt8, CaseIterable, Error, Sendable {
    // Start line of a request.
    /// More empty lines before the request line than anyone sends by accident (RFC 9112 §2.2).
    case tooManyEmptyLines
    /// The first byte can begin no method, as with a TLS handshake, or the method is no token (RFC 9112 §3.1).
    case methodInvalid
    /// A method longer than any that exists (RFC 9112 §3: 501 for methods not implemented).
    case methodTooLong
    /// The request line is longer than its limit (RFC 9112 §3: 414).
    case requestLineTooLong
    /// A byte in the target that is no printable ASCII, a fragment, or no target at all (RFC 9112 §3.2).
    case targetInvalid
    /// A form of target that this method may not have (RFC 9112 §3.2).
    case targetFormInvalid
    /// An absolute target whose scheme is neither `http` nor `https` (RFC 9110 §4.2).
    case targetSchemeInvalid
    /// Authority of an absolute or CONNECT target with user information, an odd byte or a bad port (RFC 9110 §4.2.4).
    case targetAuthorityInvalid
    /// What stands where `HTTP/1.1` should (RFC 9112 §2.3).
    case versionInvalid
    /// Well formed, but neither 1.0 nor 1.1 (RFC 9110 §15.6.6).
    case versionUnsupported

    // Start line of a response.
    /// No three digits from 100 to 599 (RFC 9112 §4, RFC 9110 §15).
    case statusInvalid
    /// A control byte in the reason phrase (RFC 9112 §4).
    case reasonInvalid
    /// The status line is longer than its limit.
    case statusLineTooLong
    /// 101 without `Upgrade`, or with framing of its own (RFC 9110 §15.2.2, §7.8).
    case switchInvalid

    // Lines and fields.
    /// LF without CR before it: peers disagree whether it ends a line (RFC 9112 §2.2).
    case bareLineFeed
    /// CR without LF after it (RFC 9112 §2.2).
    case bareCarriageReturn
    /// A field line that begins with white space: obsolete folding (RFC 9112 §5.2, §2.2).
    case foldedLine
    /// A field line without a name (RFC 9112 §5).
    case fieldNameEmpty
    /// A byte in a field name that is no token byte, or a line without a colon (RFC 9110 §5.1).
    case fieldNameInvalid
    /// White space between field name and colon (RFC 9112 §5.1).
    case spaceBeforeColon
    /// NUL or another control byte in a field value (RFC 9110 §5.5).
    case fieldValueInvalid
    /// The head is longer than its limit (RFC 6585 §5).
    case headTooLarge
    /// More field lines than the limit (RFC 6585 §5).
    case tooManyFields
    /// A `Connection` field that names more options than can be meant seriously (RFC 9110 §7.6.1).
    case tooManyConnectionOptions

    // Host.
    /// HTTP/1.1 without `Host` (RFC 9112 §3.2).
    case hostMissing
    /// `Host` twice (RFC 9112 §3.2).
    case hostRepeated
    /// `Host` is no host and port, or empty where a host is needed (RFC 9112 §3.2).
    case hostInvalid
    /// `Host` and the authority in the target name different places (RFC 9112 §3.2.2 lets the target win; we refuse).
    case hostDisagrees

    // Framing.
    /// `Content-Length` is not 1 to 19 digits below 2^63 (RFC 9112 §6.3, rule 5).
    case contentLengthInvalid
    /// `Content-Length` twice, even when both agree (RFC 9112 §6.3, rule 5 allows this refusal).
    case contentLengthRepeated
    /// `Content-Length` beside `Transfer-Encoding` (RFC 9112 §6.1: the classic smuggling pair).
    case framingConflict
    /// `Transfer-Encoding` other than exactly `chunked`, once (RFC 9112 §6.1: 501).
    case transferCodingUnsupported
    /// `Transfer-Encoding` where the message may not have one: HTTP/1.0, 1xx, 204 (RFC 9112 §6.1).
    case transferCodingMisplaced
    /// An expectation other than `100-continue` (RFC 9110 §10.1.1).
    case expectationUnsupported
    /// Content on CONNECT or TRACE (RFC 9110 §9.3.6, §9.3.8).
    case contentNotAllowed

    // Chunked bodies.
    /// A chunk size that is no hexadecimal number (RFC 9112 §7.1).
    case chunkSizeInvalid
    /// A chunk size of 2^63 or more (RFC 9112 §7.1: beware of overflow).
    case chunkSizeOverflow
    /// A control byte in a chunk extension (RFC 9112 §7.1.1).
    case chunkExtensionInvalid
    /// A size line, or extensions in relation to the data, longer than the limit (RFC 9112 §7.1.1).
    case chunkExtensionTooLong
    /// Chunk data that is not followed by CRLF (RFC 9112 §7.1).
    case chunkEndInvalid
    /// The trailer section is longer than its limit (RFC 9112 §7.1.2).
    case trailersTooLarge

    /// The status that tells a client about it.
    var status: UInt16 {
        switch self {
        case .requestLineTooLong: 414
        case .expectationUnsupported: 417
        case .headTooLarge, .tooManyFields, .trailersTooLarge: 431
        case .methodTooLong, .transferCodingUnsupported: 501
        case .versionUnsupported: 505
        case .statusInvalid, .reasonInvalid, .statusLineTooLong, .switchInvalid: 502
        case .tooManyEmptyLines, .methodInvalid, .targetInvalid, .targetFormInvalid, .targetSchemeInvalid,
            .targetAuthorityInvalid, .versionInvalid, .bareLineFeed, .bareCarriageReturn, .foldedLine, .fieldNameEmpty,
            .fieldNameInvalid, .spaceBeforeColon, .fieldValueInvalid, .tooManyConnectionOptions, .hostMissing,
            .hostRepeated, .hostInvalid, .hostDisagrees, .contentLengthInvalid, .contentLengthRepeated,
            .framingConflict, .transferCodingMisplaced, .contentNotAllowed, .chunkSizeInvalid, .chunkSizeOverflow,
            .chunkExtensionInvalid, .chunkExtensionTooLong, .chunkEndInvalid:
            400
        }
    }

    /// The word that stands in logs and counters.
    var word: StaticString {
        switch self {
        case .tooManyEmptyLines: "too-many-empty-lines"
        case .methodInvalid: "method-invalid"
        case .methodTooLong: "method-too-long"
        case .requestLineTooLong: "request-line-too-long"
        case .targetInvalid: "target-invalid"
        case .targetFormInvalid: "target-form-invalid"
        case .targetSchemeInvalid: "target-scheme-invalid"
        case .targetAuthorityInvalid: "target-authority-invalid"
        case .versionInvalid: "version-invalid"
        case .versionUnsupported: "version-unsupported"
        case .statusInvalid: "status-invalid"
        case .reasonInvalid: "reason-invalid"
        case .statusLineTooLong: "status-line-too-long"
        case .switchInvalid: "switch-invalid"
        case .bareLineFeed: "bare-line-feed"
        case .bareCarriageReturn: "bare-carriage-return"
        case .foldedLine: "folded-line"
        case .fieldNameEmpty: "field-name-empty"
        case .fieldNameInvalid: "field-name-invalid"
        case .spaceBeforeColon: "space-before-colon"
        case .fieldValueInvalid: "field-value-invalid"
        case .headTooLarge: "head-too-large"
        case .tooManyFields: "too-many-fields"
        case .tooManyConnectionOptions: "too-many-connection-options"
        case .hostMissing: "host-missing"
        case .hostRepeated: "host-repeated"
        case .hostInvalid: "host-invalid"
        case .hostDisagrees: "host-disagrees"
        case .contentLengthInvalid: "content-length-invalid"
        case .contentLengthRepeated: "content-length-repeated"
        case .framingConflict: "framing-conflict"
        case .transferCodingUnsupported: "transfer-coding-unsupported"
        case .transferCodingMisplaced: "transfer-coding-misplaced"
        case .expectationUnsupported: "expectation-unsupported"
        case .contentNotAllowed: "content-not-allowed"
        case .chunkSizeInvalid: "chunk-size-invalid"
        case .chunkSizeOverflow: "chunk-size-overflow"
        case .chunkExtensionInvalid: "chunk-extension-invalid"
        case .chunkExtensionTooLong: "chunk-extension-too-long"
        case .chunkEndInvalid: "chunk-end-invalid"
        case .trailersTooLarge: "trailers-too-large"
        }
    }
}

/// What a look at the bytes of a head came to.
enum HeadParse: Equatable, Sendable {
    /// The head is whole and right; the bytes after `headLength` belong to the body or to the next message.
    case complete
    /// So far nothing is wrong, and more bytes are needed.
    case incomplete
    case failed(ParseFailure)
}

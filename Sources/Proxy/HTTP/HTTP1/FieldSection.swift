/// What the field lines of one head say about connection, framing and routing, gathered in one pass.
struct FieldFacts {
    /// Index of the field, -1 when it is not there.
    var hostField = -1
    var contentLengthField = -1
    var transferEncodingField = -1
    var upgradeField = -1
    var contentLength: UInt64 = 0
    /// Options of `Connection`.
    var closes = false
    var keepsAlive = false
    var upgrades = false
    /// `Connection` names something that may be another field.
    var nominates = false
    var connectionOptions = 0
    var acceptsTrailers = false
    var expectsContinue = false
    var expectsOther = false

    /// Takes note of a field that `isNoted`, and gives it its flags; nil when all is well.
    mutating func note(_ bytes: Span<UInt8>, _ field: inout FieldRange, index: Int) -> ParseFailure? {
        let start = Int(field.valueStart)
        let length = Int(field.valueLength)
        switch field.name {
        case .host:
            if hostField >= 0 { return .hostRepeated }
            hostField = index
        case .contentLength:
            if contentLengthField >= 0 { return .contentLengthRepeated }
            if transferEncodingField >= 0 { return .framingConflict }
            guard let value = parseContentLength(bytes, start: start, length: length) else {
                return .contentLengthInvalid
            }
            contentLengthField = index
            contentLength = value
        case .transferEncoding:
            field.flags = .hopByHop
            if transferEncodingField >= 0 { return .transferCodingUnsupported }
            if contentLengthField >= 0 { return .framingConflict }
            guard equalsFolded(bytes, start: start, length: length, "chunked") else {
                return .transferCodingUnsupported
            }
            transferEncodingField = index
        case .connection:
            field.flags = .hopByHop
            return noteConnection(bytes, start: start, end: start &+ length)
        case .te:
            field.flags = .hopByHop
            if listContains(bytes, start: start, end: start &+ length, "trailers") { acceptsTrailers = true }
        case .upgrade:
            field.flags = .hopByHop
            if length > 0 { upgradeField = index }
        case .expect:
            if equalsFolded(bytes, start: start, length: length, "100-continue") {
                expectsContinue = true
            } else {
                expectsOther = true
            }
        case .keepAlive, .proxyConnection, .proxyAuthenticate, .proxyAuthorization, .proxyAuthenticationInfo,
            .http2Settings:
            field.flags = .hopByHop
        default:
            break
        }
        return nil
    }

    private mutating func noteConnection(_ bytes: Span<UInt8>, start: Int, end: Int) -> ParseFailure? {
        var list = ListElements(next: start, end: end)
        while list.advance(bytes) {
            connectionOptions &+= 1
            if connectionOptions > connectionOptionsMax { return .tooManyConnectionOptions }
            if equalsFolded(bytes, start: list.start, length: list.length, "close") {
                closes = true
            } else if equalsFolded(bytes, start: list.start, length: list.length, "keep-alive") {
                keepsAlive = true
            } else if equalsFolded(bytes, start: list.start, length: list.length, "upgrade") {
                upgrades = true
            } else {
                nominates = true
            }
        }
        return nil
    }
}

/// More options than this in one head's `Connection` fields are refused, since each is compared with every field.
let connectionOptionsMax = 32

/// Walks over the elements of a comma-separated value (RFC 9110 §5.6.1); empty elements are elements too.
struct ListElements {
    /// Where the next element begins; past `end` when there is none.
    var next: Int
    var end: Int
    /// The element at hand, without the white space around it.
    var start = 0
    var length = 0

    init(next: Int, end: Int) {
        self.next = next
        self.end = end
    }

    mutating func advance(_ bytes: Span<UInt8>) -> Bool {
        if next > end { return false }
        start = next
        var stop = firstByte(UInt8(ascii: ","), bytes, from: next, to: end)
        next = stop &+ 1
        while start < stop && isBlank(bytes[start]) { start &+= 1 }
        while stop > start && isBlank(bytes[stop &- 1]) { stop &-= 1 }
        length = stop &- start
        return true
    }
}

@inline(__always)
func isBlank(_ byte: UInt8) -> Bool { byte == ASCII.space || byte == ASCII.tab }

/// Tells whether a comma-separated value has an element that is `word`, parameters after `;` aside.
func listContains(_ bytes: Span<UInt8>, start: Int, end: Int, _ word: StaticString) -> Bool {
    var list = ListElements(next: start, end: end)
    while list.advance(bytes) {
        var stop = firstByte(UInt8(ascii: ";"), bytes, from: list.start, to: list.start &+ list.length)
        while stop > list.start && isBlank(bytes[stop &- 1]) { stop &-= 1 }
        if equalsFolded(bytes, start: list.start, length: stop &- list.start, word) { return true }
    }
    return false
}

/// Marks the fields that `Connection` names as not to be forwarded (RFC 9110 §7.6.1).
///
/// Only names outside the table are taken at their word. A known end-to-end field that is named there (`Host`,
/// `Content-Length`, `Authorization`, `X-Forwarded-For` …) stays: a client that could name it away would strip what
/// frames and routes the message or what a proxy before us vouched for, and an honest sender never names such a field.
func markNominated(_ bytes: Span<UInt8>, fields: inout MutableSpan<FieldRange>, count: Int) {
    var index = 0
    while index < count {
        let field = fields[index]
        index &+= 1
        if field.name != .connection { continue }
        var list = ListElements(next: Int(field.valueStart), end: Int(field.valueStart) &+ Int(field.valueLength))
        while list.advance(bytes) {
            if list.length == 0 { continue }
            var candidate = 0
            while candidate < count {
                let other = fields[candidate]
                if other.name == .other && Int(other.nameLength) == list.length
                    && equalsFolded(bytes, start: list.start, otherStart: Int(other.nameStart), length: list.length)
                {
                    fields[candidate].flags.insert(.hopByHop)
                }
                candidate &+= 1
            }
        }
    }
}

/// What reading field lines came to.
enum FieldSectionParse {
    /// The blank line has come; `next` is the index after it.
    case complete(next: Int, count: Int)
    case outOfBytes
    case failed(ParseFailure)
}

/// Reads field lines from `start` up to and with the blank line, looking at no byte from `end` on.
///
/// Strict by RFC 9112 §5 and more: every line ends in CRLF, a name is a token, the colon follows it at once, a value
/// holds no control byte but the tab. Judges strictly from left to right, so that a message cut anywhere fails in the
/// same way as the whole, or not yet. `end` must not be above 65,535.
@inline(__always)
func parseFieldSection(
    _ bytes: Span<UInt8>, from start: Int, to end: Int, fields: inout MutableSpan<FieldRange>, fieldsMax: Int,
    facts: inout FieldFacts
) -> FieldSectionParse {
    let countMax = fieldsMax < fields.count ? fieldsMax : fields.count
    var position = start
    var count = 0
    while position < end {
        if bytes[position] == ASCII.carriageReturn {
            if position &+ 1 >= end { return .outOfBytes }
            if bytes[position &+ 1] != ASCII.lineFeed { return .failed(.bareCarriageReturn) }
            return .complete(next: position &+ 2, count: count)
        }
        if count >= countMax { return .failed(.tooManyFields) }
        switch parseFieldLine(bytes, from: position, to: end) {
        case .complete(var field, let next):
            if field.name.isNoted, let failure = facts.note(bytes, &field, index: count) { return .failed(failure) }
            fields[count] = field
            count &+= 1
            position = next
        case .outOfBytes: return .outOfBytes
        case .failed(let failure): return .failed(failure)
        }
    }
    return .outOfBytes
}

/// What reading one field line came to; `next` is the index after its CRLF.
enum FieldLineParse {
    case complete(FieldRange, next: Int)
    case outOfBytes
    case failed(ParseFailure)
}

/// Reads one field line at `start`, looking at no byte from `end` on, which must not be above 65,535.
@inline(__always)
func parseFieldLine(_ bytes: Span<UInt8>, from start: Int, to end: Int) -> FieldLineParse {
    let nameEnd = firstOutside(TokenBytes.self, bytes, from: start, to: end)
    if nameEnd == end { return .outOfBytes }
    if bytes[nameEnd] != ASCII.colon || nameEnd == start {
        return .failed(nameFailure(bytes[nameEnd], isFirst: nameEnd == start))
    }
    var valueStart = nameEnd &+ 1
    while valueStart < end && isBlank(bytes[valueStart]) { valueStart &+= 1 }
    let lineEnd = firstOutside(ValueBytes.self, bytes, from: valueStart, to: end)
    if lineEnd == end { return .outOfBytes }
    if bytes[lineEnd] != ASCII.carriageReturn {
        return .failed(bytes[lineEnd] == ASCII.lineFeed ? .bareLineFeed : .fieldValueInvalid)
    }
    if lineEnd &+ 1 >= end { return .outOfBytes }
    if bytes[lineEnd &+ 1] != ASCII.lineFeed { return .failed(.bareCarriageReturn) }
    var valueEnd = lineEnd
    while valueEnd > valueStart && isBlank(bytes[valueEnd &- 1]) { valueEnd &-= 1 }
    // All indices lie below `end`, hence within 16 bits.
    let field = FieldRange(
        nameStart: UInt16(truncatingIfNeeded: start), nameLength: UInt16(truncatingIfNeeded: nameEnd &- start),
        valueStart: UInt16(truncatingIfNeeded: valueStart),
        valueLength: UInt16(truncatingIfNeeded: valueEnd &- valueStart),
        name: HeaderName(bytes, start: start, length: nameEnd &- start))
    return .complete(field, next: lineEnd &+ 2)
}

/// Names what is wrong with a line whose name ends in `byte` rather than in a colon, or is empty.
private func nameFailure(_ byte: UInt8, isFirst: Bool) -> ParseFailure {
    switch byte {
    case ASCII.space, ASCII.tab: isFirst ? .foldedLine : .spaceBeforeColon
    case ASCII.colon: .fieldNameEmpty
    case ASCII.lineFeed: .bareLineFeed
    default: .fieldNameInvalid
    }
}

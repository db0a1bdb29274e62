/// Walks over a `Set-Cookie` value (RFC 6265 §5.2): first the pair of name and value, then its attributes.
///
/// Ranges are without the white space around them. What stands between the semicolons is not judged.
struct SetCookieParts {
    enum Kind { case pair, path, domain, other }
    /// Where the next part begins; past `end` when there is none.
    private var next: Int
    private let end: Int
    private var isFirst = true
    /// The part at hand, up to its semicolon.
    private(set) var start = 0
    private(set) var length = 0
    private(set) var kind = Kind.other
    /// What stands behind the equals sign of the part.
    private(set) var valueStart = 0
    private(set) var valueLength = 0

    init(start: Int, end: Int) {
        next = start
        self.end = end
    }

    mutating func advance(_ bytes: Span<UInt8>) -> Bool {
        if next > end { return false }
        start = next
        var stop = firstByte(UInt8(ascii: ";"), bytes, from: next, to: end)
        next = stop &+ 1
        while start < stop && isBlank(bytes[start]) { start &+= 1 }
        while stop > start && isBlank(bytes[stop &- 1]) { stop &-= 1 }
        length = stop &- start
        let equals = firstByte(UInt8(ascii: "="), bytes, from: start, to: stop)
        var nameEnd = equals
        while nameEnd > start && isBlank(bytes[nameEnd &- 1]) { nameEnd &-= 1 }
        valueStart = equals < stop ? equals &+ 1 : stop
        while valueStart < stop && isBlank(bytes[valueStart]) { valueStart &+= 1 }
        valueLength = stop &- valueStart
        if isFirst {
            kind = .pair
        } else if equalsFolded(bytes, start: start, length: nameEnd &- start, "path") {
            kind = .path
        } else if equalsFolded(bytes, start: start, length: nameEnd &- start, "domain") {
            kind = .domain
        } else {
            kind = .other
        }
        isFirst = false
        return true
    }
}

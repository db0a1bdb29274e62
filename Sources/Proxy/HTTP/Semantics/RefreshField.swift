/// Where the URL stands in the value of a `Refresh` field, `5; url=/next`, as browsers read it; nil when there is none.
///
/// The field is no standard of HTTP; HTML's "shared declarative refresh steps" describe what is understood. The range
/// is without the quotes around the URL.
func refreshURL(_ bytes: Span<UInt8>, start: Int, end: Int) -> Range<Int>? {
    var index = start
    while index < end && (isBlank(bytes[index]) || isDigit(bytes[index]) || bytes[index] == UInt8(ascii: ".")) { index &+= 1 }
    guard index < end, bytes[index] == UInt8(ascii: ";") || bytes[index] == UInt8(ascii: ",") else { return nil }
    index &+= 1
    while index < end && isBlank(bytes[index]) { index &+= 1 }
    // The word `url` may be missing.
    if end &- index >= 3 && equalsFolded(bytes, start: index, length: 3, "url") {
        var next = index &+ 3
        while next < end && isBlank(bytes[next]) { next &+= 1 }
        if next < end && bytes[next] == UInt8(ascii: "=") {
            index = next &+ 1
            while index < end && isBlank(bytes[index]) { index &+= 1 }
        }
    }
    guard index < end else { return nil }
    let quote = bytes[index]
    if quote == UInt8(ascii: "'") || quote == UInt8(ascii: "\"") {
        let last = firstByte(quote, bytes, from: index &+ 1, to: end)
        return (index &+ 1)..<last
    }
    var last = end
    while last > index && isBlank(bytes[last &- 1]) { last &-= 1 }
    return index..<last
}

@inline(__always)
private func isDigit(_ byte: UInt8) -> Bool { byte &- UInt8(ascii: "0") <= 9 }

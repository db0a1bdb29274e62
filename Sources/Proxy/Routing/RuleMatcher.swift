/// What a rule looks for, brought into the form in which paths are compared.
///
/// Paths are compared in their normal form, so exact paths and globs are brought into it as well: `/a%7Eb` is `/a~b`.
enum RuleMatcher: Equatable {
    case exact([UInt8])
    /// `prefix*`
    case prefix([UInt8])
    /// Any other pattern with `*`, and what it begins with.
    case glob([UInt8], prefix: [UInt8])
    /// A regular expression, and what its subjects begin with.
    case pattern(String, prefix: [UInt8])
    case all

    init(_ matcher: RuleSettings.Matcher) {
        switch matcher {
        case .all: self = .all
        case .exact(let path): self = .exact(withoutDotSegments(pathBytes(path)))
        case .pattern(let text): self = .pattern(text, prefix: literalPrefix(ofPattern: text))
        case .glob(let text):
            let bytes = pathBytes(text)
            guard let star = bytes.firstIndex(of: UInt8(ascii: "*")) else {
                self = .exact(withoutDotSegments(bytes))
                return
            }
            let rest = bytes[star...]
            if rest.allSatisfy({ $0 == UInt8(ascii: "*") }) {
                self = star == 0 ? .all : .prefix(Array(bytes[..<star]))
            } else {
                self = .glob(bytes, prefix: Array(bytes[..<star]))
            }
        }
    }
}

/// A path or a pattern of paths as it was written, with escapes as the normal form has them: those of unreserved bytes
/// resolved, others with capital digits, and bytes that no path holds escaped.
private func pathBytes(_ text: String) -> [UInt8] {
    let bytes = Array(text.utf8)
    var result: [UInt8] = []
    var index = 0
    while index < bytes.count {
        let byte = bytes[index]
        index += 1
        if byte == UInt8(ascii: "%"), index + 1 < bytes.count, let high = hexadecimalValue(bytes[index]),
            let low = hexadecimalValue(bytes[index + 1])
        {
            index += 2
            let value = high << 4 | low
            if UnreservedBytes.contains(value) { result.append(value) } else { appendEscaped(value, to: &result) }
        } else if isPathByte(byte) {
            result.append(byte)
        } else {
            appendEscaped(byte, to: &result)
        }
    }
    return result
}

/// As it is where it has no normal form, and then no path is equal to it.
private func withoutDotSegments(_ path: [UInt8]) -> [UInt8] {
    var room = [UInt8](repeating: 0, count: 3 * path.count + 1)
    var span = room.mutableSpan
    guard case .complete(let length) = normalizePath(path.span, start: 0, length: path.count, into: &span) else { return path }
    return Array(room[..<length])
}

private func appendEscaped(_ byte: UInt8, to bytes: inout [UInt8]) {
    bytes += [UInt8(ascii: "%"), hexadecimalDigit(byte >> 4), hexadecimalDigit(byte & 15)]
}

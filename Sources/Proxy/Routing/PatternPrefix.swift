/// The bytes that every subject in which a pattern is found begins with; empty when there are none, or none can be told.
///
/// Knows a cautious part of the language: `^`, letters as they stand, escaped marks, and groups of these without
/// alternatives. What it does not know ends the prefix, or rules it out where it might hide an alternative.
func literalPrefix(ofPattern text: String) -> [UInt8] {
    let bytes = Array(text.utf8)
    guard bytes.first == UInt8(ascii: "^"), !isQuantifier(bytes[...], at: 1), !hidesAlternatives(bytes) else { return [] }
    var reader = PrefixReader(bytes: bytes[1...])
    _ = reader.read()
    return reader.prefix
}

private struct PrefixReader {
    let bytes: ArraySlice<UInt8>
    var prefix: [UInt8] = []

    /// Whether all of it is literal, so that more may follow.
    mutating func read() -> Bool {
        var index = bytes.startIndex
        while index < bytes.endIndex {
            var byte = bytes[index]
            var next = index + 1
            switch byte {
            case UInt8(ascii: "("):
                guard let group = PlainGroup(bytes, at: index) else { return false }
                if isQuantifier(bytes, at: group.end) { return false }
                var inner = PrefixReader(bytes: bytes[group.content])
                let isWhole = inner.read()
                prefix += inner.prefix
                if !isWhole || isPlus(at: group.end) { return false }
                index = group.end
                continue
            case UInt8(ascii: "\\"):
                guard next < bytes.endIndex, isMark(bytes[next]) else { return false }
                byte = bytes[next]
                next += 1
            case _ where isSpecial(byte): return false
            default: break
            }
            if isQuantifier(bytes, at: next) { return false }
            prefix.append(byte)
            if isPlus(at: next) { return false }
            index = next
        }
        return true
    }

    private func isPlus(at index: Int) -> Bool { index < bytes.endIndex && bytes[index] == UInt8(ascii: "+") }
}

/// `(…)` or `(?:…)` without alternatives in it.
private struct PlainGroup {
    let content: Range<Int>
    /// After its closing parenthesis.
    let end: Int

    init?(_ bytes: ArraySlice<UInt8>, at open: Int) {
        var start = open + 1
        if start < bytes.endIndex, bytes[start] == UInt8(ascii: "?") {
            guard start + 1 < bytes.endIndex, bytes[start + 1] == UInt8(ascii: ":") else { return nil }
            start += 2
        }
        guard start < bytes.endIndex, bytes[start] != UInt8(ascii: "*") else { return nil }
        var walk = PatternWalk(bytes, from: start)
        while let mark = walk.next() {
            if mark == UInt8(ascii: "|") { return nil }
            if walk.depth < 0 {
                content = start..<walk.index - 1
                end = walk.index
                return
            }
        }
        return nil
    }
}

/// Goes over the parentheses and bars of a pattern, past escapes and classes.
private struct PatternWalk {
    private let bytes: ArraySlice<UInt8>
    /// After what was seen last.
    private(set) var index: Int
    private(set) var depth = 0

    init(_ bytes: ArraySlice<UInt8>, from index: Int) {
        self.bytes = bytes
        self.index = index
    }

    mutating func next() -> UInt8? {
        while index < bytes.endIndex {
            let byte = bytes[index]
            index += 1
            switch byte {
            case UInt8(ascii: "\\"): index += 1
            case UInt8(ascii: "["): skipClass()
            case UInt8(ascii: "("): depth += 1; return byte
            case UInt8(ascii: ")"): depth -= 1; return byte
            case UInt8(ascii: "|"): return byte
            default: break
            }
        }
        return nil
    }

    private mutating func skipClass() {
        if index < bytes.endIndex, bytes[index] == UInt8(ascii: "^") { index += 1 }
        if index < bytes.endIndex, bytes[index] == UInt8(ascii: "]") { index += 1 }
        while index < bytes.endIndex, bytes[index] != UInt8(ascii: "]") {
            if bytes[index] == UInt8(ascii: "\\") {
                index += 2
            } else if let end = endOfNamedClass() {
                index = end
            } else {
                index += 1
            }
        }
        index += 1
    }

    /// After `[:alpha:]` or `[:^alpha:]`, which has a bracket of its own; nil where a bracket is but a bracket.
    private func endOfNamedClass() -> Int? {
        guard bytes[index...].starts(with: "[:".utf8) else { return nil }
        var end = index + 2
        while end < bytes.endIndex, bytes[end] | 0x20 >= UInt8(ascii: "a") && bytes[end] | 0x20 <= UInt8(ascii: "z") || bytes[end] == UInt8(ascii: "^") {
            end += 1
        }
        return bytes[end...].starts(with: ":]".utf8) ? end + 2 : nil
    }
}

/// There is a bar outside all groups, or there may be one: quoting, comments and options change what a mark means.
private func hidesAlternatives(_ bytes: [UInt8]) -> Bool {
    var mayHide = false
    for (byte, following) in zip(bytes, bytes.dropFirst()) {
        switch (byte, following) {
        case (UInt8(ascii: "\\"), UInt8(ascii: "Q")), (UInt8(ascii: "\\"), UInt8(ascii: "E")), (UInt8(ascii: "\\"), UInt8(ascii: "c")): return true
        case (UInt8(ascii: "("), UInt8(ascii: "*")): mayHide = true
        default: break
        }
    }
    for index in bytes.indices.dropLast(2) where bytes[index] == UInt8(ascii: "(") && bytes[index + 1] == UInt8(ascii: "?") {
        if bytes[index + 2] != UInt8(ascii: ":") { mayHide = true }
    }
    var walk = PatternWalk(bytes[...], from: 0)
    while let mark = walk.next() {
        if mark == UInt8(ascii: "|"), mayHide || walk.depth <= 0 { return true }
    }
    return walk.depth != 0
}

/// `*`, `?` or `{`: what stands before it may be absent.
private func isQuantifier(_ bytes: ArraySlice<UInt8>, at index: Int) -> Bool {
    index < bytes.endIndex && "*?{".utf8.contains(bytes[index])
}

private func isSpecial(_ byte: UInt8) -> Bool { "^$.[|)*+?{\\".utf8.contains(byte) }

/// A mark means itself behind a backslash; letters and digits do not.
private func isMark(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x21...0x2f, 0x3a...0x40, 0x5b...0x60, 0x7b...0x7e: true
    default: false
    }
}

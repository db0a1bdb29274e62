/// A word of Swift code with its place: comments and the text of strings are left out, code inside `\( )` is kept.
struct SwiftWord: Sendable {
    let text: String
    let line: Int
    /// How many braces are open around it.
    let depth: Int
    /// It follows a dot, so it names a member.
    let isMember: Bool
}

/// What a file of Swift declares and mentions, as far as words tell; no parser, but enough to see who knows whom.
struct SwiftWords: Sendable {
    let file: TidyFile
    let words: [SwiftWord]
    /// Comments, one element each, with the line on which they begin.
    let comments: [(line: Int, text: String)]

    static let sources = SourceTree.sources.map(SwiftWords.init)

    init(_ file: TidyFile) {
        self.file = file
        var reader = SwiftReader(file.text)
        reader.readCode(until: nil)
        words = reader.words
        comments = reader.comments
    }

    private static let typeWords: Set = ["struct", "class", "enum", "protocol", "actor", "typealias"]
    private static let valueWords: Set = ["func", "var", "let", "case", "struct", "class", "enum", "protocol", "actor", "typealias", "init"]

    /// Types declared outside any other declaration.
    var types: [String] { names(after: Self.typeWords, depthMax: 0) }

    /// Everything that other files could use: top-level declarations and members one level below.
    var declared: [String] { names(after: Self.valueWords, depthMax: 1) }

    /// Types that the file extends.
    var extended: [String] { names(after: ["extension"], depthMax: 0) }

    private func names(after keywords: Set<String>, depthMax: Int) -> [String] {
        zip(words, words.dropFirst()).compactMap { word, name in
            guard keywords.contains(word.text), word.depth <= depthMax, !word.isMember else { return nil }
            return word.text == "init" ? "init" : name.text
        }
    }
}

/// Walks over Swift source once and sorts it into words and comments.
private struct SwiftReader {
    private let bytes: [UInt8]
    private var at = 0
    private var line = 1
    private var depth = 0
    var words: [SwiftWord] = []
    var comments: [(line: Int, text: String)] = []

    init(_ text: String) { bytes = Array(text.utf8) }

    private func peek(_ distance: Int = 0) -> UInt8 { at + distance < bytes.count ? bytes[at + distance] : 0 }

    private func starts(_ text: StaticString) -> Bool {
        let count = text.utf8CodeUnitCount
        guard at + count <= bytes.count else { return false }
        return (0..<count).allSatisfy { bytes[at + $0] == text.utf8Start[$0] }
    }

    /// Reads code up to the closing parenthesis of an interpolation, or to the end.
    mutating func readCode(until end: UInt8?) {
        var open = 0
        while at < bytes.count {
            let byte = bytes[at]
            if let end, byte == end, open == 0 { return }
            switch byte {
            case UInt8(ascii: "("): open += 1
            case UInt8(ascii: ")"): open -= 1
            case UInt8(ascii: "{"): depth += 1
            case UInt8(ascii: "}"): depth -= 1
            case UInt8(ascii: "\n"): line += 1
            default: break
            }
            if starts("//") {
                readLineComment()
            } else if starts("/*") {
                readBlockComment()
            } else if isString {
                readString()
            } else if isWordByte(byte) {
                readWord()
            } else {
                at += 1
            }
        }
    }

    private var isString: Bool {
        var distance = 0
        while peek(distance) == UInt8(ascii: "#") { distance += 1 }
        return peek(distance) == UInt8(ascii: "\"")
    }

    private func isWordByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "_"), 0x80...:
            true
        default: false
        }
    }

    private mutating func readWord() {
        let start = at
        while at < bytes.count, isWordByte(bytes[at]) { at += 1 }
        let isMember = start > 0 && bytes[start - 1] == UInt8(ascii: ".")
        let text = String(decoding: bytes[start..<at], as: UTF8.self)
        words.append(SwiftWord(text: text, line: line, depth: depth, isMember: isMember))
    }

    private mutating func readLineComment() {
        let start = at
        while at < bytes.count, bytes[at] != UInt8(ascii: "\n") { at += 1 }
        comments.append((line, String(decoding: bytes[start..<at], as: UTF8.self)))
    }

    private mutating func readBlockComment() {
        let (start, first) = (at, line)
        at += 2
        while at < bytes.count, !starts("*/") {
            if bytes[at] == UInt8(ascii: "\n") { line += 1 }
            at += 1
        }
        at = min(at + 2, bytes.count)
        comments.append((first, String(decoding: bytes[start..<at], as: UTF8.self)))
    }

    private mutating func readString() {
        var hashes = 0
        while peek() == UInt8(ascii: "#") {
            hashes += 1
            at += 1
        }
        let quotes = starts("\"\"\"") ? 3 : 1
        at += quotes
        while at < bytes.count {
            if bytes[at] == UInt8(ascii: "\n") { line += 1 }
            if bytes[at] == UInt8(ascii: "\\"), (0..<hashes).allSatisfy({ peek(1 + $0) == UInt8(ascii: "#") }) {
                at += 1 + hashes
                if peek() == UInt8(ascii: "(") {
                    at += 1
                    readCode(until: UInt8(ascii: ")"))
                }
                if peek() == UInt8(ascii: "\n") { line += 1 }
                at += 1
                continue
            }
            let closes =
                (0..<quotes).allSatisfy { peek($0) == UInt8(ascii: "\"") }
                && (0..<hashes).allSatisfy { peek(quotes + $0) == UInt8(ascii: "#") }
            if closes {
                at += quotes + hashes
                return
            }
            at += 1
        }
    }
}

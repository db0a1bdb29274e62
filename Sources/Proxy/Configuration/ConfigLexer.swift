/// One token of the configuration language.
struct ConfigToken {
    enum Kind: Equatable { case word, openBrace, closeBrace, equals, plusEquals, comma, parenthesis, end }
    var kind: Kind
    var text = ""
    var quoted = false
    var location: SourceLocation

    /// As it is named in an error.
    var name: String {
        switch kind {
        case .word: quoted ? "\"\(text)\"" : "'\(text)'"
        case .openBrace: "'{'"
        case .closeBrace: "'}'"
        case .equals: "'='"
        case .plusEquals: "'+='"
        case .comma: "','"
        case .parenthesis: "'\(text)'"
        case .end: "the end of the file"
        }
    }
}

/// Cuts the bytes of one file into tokens, by the rules of libconfuse, whose files it must read unchanged.
///
/// Kept oddities: `//` is a comment only where a token may start (`http://x` is one word); `#` ends a bare word;
/// a single `*` or `+` outside quotes is dropped, as there, but not silently: it is reported as a warning. Differences:
/// a comment may stand between any two tokens, an unset `${VAR}` without a default is reported, NUL bytes and text that is not UTF-8 are refused.
struct ConfigLexer {
    private let bytes: [UInt8]
    private let environment: [String: String]
    private var index = 0
    private var place: SourceLocation
    private(set) var tokens: [ConfigToken] = []

    /// Appends a token of kind `end` last, whatever was found before.
    static func tokens(
        of bytes: [UInt8], file: String, environment: [String: String], diagnostics: inout DiagnosticList
    ) -> [ConfigToken] {
        var lexer = ConfigLexer(bytes: bytes, file: file, environment: environment)
        lexer.run(&diagnostics)
        return lexer.tokens
    }

    private init(bytes: [UInt8], file: String, environment: [String: String]) {
        self.bytes = bytes
        self.environment = environment
        place = SourceLocation(file: file, line: 1, column: 1)
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { index = 3 }  // a byte order mark, which some editors write
    }

    private func peek(_ offset: Int = 0) -> UInt8? {
        index + offset < bytes.count ? bytes[index + offset] : nil
    }

    private mutating func advance(_ count: Int = 1) {
        for _ in 0..<count where index < bytes.count {
            let byte = bytes[index]
            index += 1
            if byte == UInt8(ascii: "\n") {
                place.line += 1
                place.column = 1
            } else if byte & 0xC0 != 0x80 {  // columns count characters: continuation bytes do not move
                place.column += 1
            }
        }
    }

    private mutating func run(_ diagnostics: inout DiagnosticList) {
        while let byte = peek() {
            switch byte {
            case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r"), UInt8(ascii: "\n"):
                advance()
            case UInt8(ascii: "#"):
                skipLine()
            case UInt8(ascii: "/") where peek(1) == UInt8(ascii: "/"):
                skipLine()
            case UInt8(ascii: "/") where peek(1) == UInt8(ascii: "*"):
                skipBlockComment(&diagnostics)
            case UInt8(ascii: "{"): punctuation(.openBrace)
            case UInt8(ascii: "}"): punctuation(.closeBrace)
            case UInt8(ascii: "="): punctuation(.equals)
            case UInt8(ascii: ","): punctuation(.comma)
            case UInt8(ascii: "("), UInt8(ascii: ")"):
                punctuation(.parenthesis, text: byte == UInt8(ascii: "(") ? "(" : ")")
            case UInt8(ascii: "+") where peek(1) == UInt8(ascii: "="):
                tokens.append(ConfigToken(kind: .plusEquals, location: place))
                advance(2)
            case UInt8(ascii: "*"), UInt8(ascii: "+"):
                let character = byte == UInt8(ascii: "*") ? "*" : "+"
                diagnostics.warning(place, "'\(character)' outside quotes is dropped; put the whole word in quotes to keep it")
                advance()
            case UInt8(ascii: "\""):
                doubleQuoted(&diagnostics)
            case UInt8(ascii: "'"):
                singleQuoted(&diagnostics)
            case UInt8(ascii: "$") where peek(1) == UInt8(ascii: "{") && closingBrace() != nil:
                let start = place
                let text = substitution(&diagnostics)
                append(text, quoted: true, at: start, &diagnostics)
            case 0:
                diagnostics.error(place, "a NUL byte; this is not a text file")
                advance()
            default:
                bareWord(&diagnostics)
            }
        }
        tokens.append(ConfigToken(kind: .end, location: place))
    }

    private mutating func punctuation(_ kind: ConfigToken.Kind, text: String = "") {
        tokens.append(ConfigToken(kind: kind, text: text, location: place))
        advance()
    }

    private mutating func skipLine() {
        while let byte = peek(), byte != UInt8(ascii: "\n") { advance() }
    }

    private mutating func skipBlockComment(_ diagnostics: inout DiagnosticList) {
        let start = place
        advance(2)
        while peek() != nil {
            if peek() == UInt8(ascii: "*"), peek(1) == UInt8(ascii: "/") { return advance(2) }
            advance()
        }
        diagnostics.warning(start, "this comment is never closed; everything after it is ignored")
    }

    private mutating func bareWord(_ diagnostics: inout DiagnosticList) {
        let start = place
        let first = index
        while let byte = peek(), !endsBareWord(byte) { advance() }
        append(Array(bytes[first..<index]), quoted: false, at: start, &diagnostics)
    }

    private func endsBareWord(_ byte: UInt8) -> Bool {
        switch byte {
        case 0, UInt8(ascii: " "), UInt8(ascii: "#"), UInt8(ascii: "\""), UInt8(ascii: "'"), UInt8(ascii: "\t"),
            UInt8(ascii: "\r"), UInt8(ascii: "\n"), UInt8(ascii: "="), UInt8(ascii: "{"), UInt8(ascii: "}"),
            UInt8(ascii: "("), UInt8(ascii: ")"), UInt8(ascii: "+"), UInt8(ascii: ","), UInt8(ascii: "*"):
            true
        default:
            false
        }
    }

    /// `'…'`: only `\\` and `\'` are escapes, a backslash at a line end joins the lines, nothing is substituted.
    private mutating func singleQuoted(_ diagnostics: inout DiagnosticList) {
        let start = place
        var text: [UInt8] = []
        advance()
        while let byte = peek() {
            if byte == UInt8(ascii: "'") {
                advance()
                return append(text, quoted: true, at: start, &diagnostics)
            }
            if byte == UInt8(ascii: "\\"), let next = peek(1) {
                switch next {
                case UInt8(ascii: "\n"): break
                case UInt8(ascii: "\\"), UInt8(ascii: "'"): text.append(next)
                default: text += [byte, next]
                }
                advance(2)
            } else {
                text.append(byte)
                advance()
            }
        }
        unterminated(start, text, &diagnostics)
    }

    private mutating func doubleQuoted(_ diagnostics: inout DiagnosticList) {
        let start = place
        var text: [UInt8] = []
        advance()
        while let byte = peek() {
            switch byte {
            case UInt8(ascii: "\""):
                advance()
                return append(text, quoted: true, at: start, &diagnostics)
            case UInt8(ascii: "\\"):
                escape(into: &text, &diagnostics)
            case UInt8(ascii: "$") where peek(1) == UInt8(ascii: "{") && closingBrace() != nil:
                text += substitution(&diagnostics)
            default:
                text.append(byte)
                advance()
            }
        }
        unterminated(start, text, &diagnostics)
    }

    private mutating func unterminated(_ start: SourceLocation, _ text: [UInt8], _ diagnostics: inout DiagnosticList) {
        diagnostics.error(start, "this string is never closed")
        append(text, quoted: true, at: start, &diagnostics)
    }

    /// A backslash within double quotes: C escapes, `\xHH`, up to three octal digits, a joined line; any other `\c` is `c`.
    private mutating func escape(into text: inout [UInt8], _ diagnostics: inout DiagnosticList) {
        let start = place
        advance()
        guard let byte = peek() else { return }
        switch byte {
        case UInt8(ascii: "\n"): break
        case UInt8(ascii: "n"): text.append(0x0A)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "r"): text.append(0x0D)
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "f"): text.append(0x0C)
        case UInt8(ascii: "a"): text.append(0x07)
        case UInt8(ascii: "e"): text.append(0x1B)
        case UInt8(ascii: "v"): text.append(0x0B)
        case UInt8(ascii: "x") where peek(1).flatMap(hexDigit) != nil:
            advance()
            var value = 0
            for _ in 0..<2 {
                guard let digit = peek().flatMap(hexDigit) else { break }
                value = value * 16 + digit
                advance()
            }
            return text.append(UInt8(value))
        case UInt8(ascii: "0")...UInt8(ascii: "9"):
            return octalEscape(from: start, into: &text, &diagnostics)
        default: text.append(byte)
        }
        advance()
    }

    /// The whole run of digits counts: `\128` and `\1234` are errors, as in libconfuse, not `\12` and a rest.
    private mutating func octalEscape(from start: SourceLocation, into text: inout [UInt8], _ diagnostics: inout DiagnosticList) {
        var digits: [UInt8] = []
        while let byte = peek(), byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") {
            digits.append(byte)
            advance()
        }
        let octal = digits.count <= 3 && digits.allSatisfy { $0 < UInt8(ascii: "8") }
        let value = octal ? digits.reduce(0) { $0 * 8 + Int($1 - UInt8(ascii: "0")) } : 256
        if value > 255 {
            diagnostics.error(start, "'\\\(String(decoding: digits, as: UTF8.self))' is no octal escape; these go from \\1 to \\377")
        } else {
            text.append(UInt8(value))
        }
    }

    private func hexDigit(_ byte: UInt8) -> Int? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): Int(byte - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f"): Int(byte - UInt8(ascii: "a")) + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): Int(byte - UInt8(ascii: "A")) + 10
        default: nil
        }
    }

    /// Where the `}` of the `${` at the cursor stands; looks no further than a kilobyte.
    private func closingBrace() -> Int? {
        bytes[index..<min(index + 1024, bytes.count)].firstIndex(of: UInt8(ascii: "}"))
    }

    /// Consumes `${NAME}` or `${NAME:-default}` and gives its value.
    private mutating func substitution(_ diagnostics: inout DiagnosticList) -> [UInt8] {
        let start = place
        guard let end = closingBrace() else { return [] }
        let inner = bytes[(index + 2)..<end]
        advance(end + 1 - index)
        var name = inner
        var fallback: ArraySlice<UInt8>?
        if let colon = inner.firstIndex(of: UInt8(ascii: ":")), colon + 1 < inner.endIndex, inner[colon + 1] == UInt8(ascii: "-") {
            name = inner[..<colon]
            fallback = inner[(colon + 2)...]
        }
        let variable = String(decoding: name, as: UTF8.self)
        if let value = environment[variable] { return Array(value.utf8) }
        if let fallback { return Array(fallback) }
        diagnostics.warning(start, "the environment has no variable '\(variable)'; it is taken as empty")
        return []
    }

    private mutating func append(
        _ text: [UInt8], quoted: Bool, at start: SourceLocation, _ diagnostics: inout DiagnosticList
    ) {
        if text.contains(0) { diagnostics.error(start, "this string contains a NUL byte") }
        guard let decoded = String(validating: text, as: UTF8.self) else {
            diagnostics.error(start, "this text is not UTF-8")
            tokens.append(ConfigToken(kind: .word, text: String(decoding: text, as: UTF8.self), quoted: quoted, location: start))
            return
        }
        tokens.append(ConfigToken(kind: .word, text: decoded, quoted: quoted, location: start))
    }
}

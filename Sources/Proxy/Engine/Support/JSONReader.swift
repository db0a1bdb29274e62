/// Why a text is no JSON.
struct JSONFailure: Error, Equatable, CustomStringConvertible {
    var description: String
}

extension JSONText {
    /// Reads one JSON value (RFC 8259) from its text in UTF-8; refuses what nests deeper than 64 levels.
    init(parsing bytes: [UInt8]) throws(JSONFailure) {
        var reader = JSONReader(bytes: bytes)
        self = try reader.value(depth: 0)
        reader.skipSpace()
        guard reader.isAtEnd else { throw reader.failure("more after the value") }
    }

    /// The field of that name; nil for none and for what is no object.
    subscript(name: String) -> JSONText? {
        guard case .object(let fields) = self else { return nil }
        return fields.first { $0.0 == name }?.1
    }

    /// The number; nil for anything else, `null` too.
    var real: Double? {
        switch self {
        case .number(let value): Double(value)
        case .decimal(let value): value
        case .text, .truth, .null, .list, .object: nil
        }
    }
    /// The number if it was written without a fraction and fits.
    var whole: Int? {
        if case .number(let value) = self { return value }
        return nil
    }
    var string: String? {
        if case .text(let text) = self { return text }
        return nil
    }
    var isTrue: Bool {
        if case .truth(true) = self { return true }
        return false
    }
    /// The values of a list; none of what is no list.
    var elements: [JSONText] {
        if case .list(let values) = self { return values }
        return []
    }
    /// Names and values of an object in the order of the text.
    var members: [(String, JSONText)] {
        if case .object(let fields) = self { return fields }
        return []
    }
}

private struct JSONReader {
    static let depthMax = 64
    private let bytes: [UInt8]
    private var index = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    var isAtEnd: Bool { index == bytes.count }

    func failure(_ what: String) -> JSONFailure { JSONFailure(description: "no JSON at byte \(index): \(what)") }

    mutating func skipSpace() {
        while index < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[index]) { index += 1 }
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard index < bytes.count, bytes[index] == byte else { return false }
        index += 1
        return true
    }

    private mutating func expect(_ word: String) throws(JSONFailure) {
        guard bytes[index...].starts(with: word.utf8) else { throw failure("not `\(word)`") }
        index += word.utf8.count
    }

    mutating func value(depth: Int) throws(JSONFailure) -> JSONText {
        guard depth < Self.depthMax else { throw failure("nested too deeply") }
        skipSpace()
        guard index < bytes.count else { throw failure("a value is missing") }
        switch bytes[index] {
        case UInt8(ascii: "{"): return try object(depth: depth)
        case UInt8(ascii: "["): return try list(depth: depth)
        case UInt8(ascii: "\""): return .text(try text())
        case UInt8(ascii: "t"):
            try expect("true")
            return .truth(true)
        case UInt8(ascii: "f"):
            try expect("false")
            return .truth(false)
        case UInt8(ascii: "n"):
            try expect("null")
            return .null
        default: return try number()
        }
    }

    private mutating func object(depth: Int) throws(JSONFailure) -> JSONText {
        index += 1
        var fields: [(String, JSONText)] = []
        skipSpace()
        if take(UInt8(ascii: "}")) { return .object(fields) }
        while true {
            skipSpace()
            guard index < bytes.count, bytes[index] == UInt8(ascii: "\"") else { throw failure("a field without name") }
            let name = try text()
            skipSpace()
            guard take(UInt8(ascii: ":")) else { throw failure("no colon") }
            fields.append((name, try value(depth: depth + 1)))
            skipSpace()
            if take(UInt8(ascii: "}")) { return .object(fields) }
            guard take(UInt8(ascii: ",")) else { throw failure("no comma") }
        }
    }

    private mutating func list(depth: Int) throws(JSONFailure) -> JSONText {
        index += 1
        var values: [JSONText] = []
        skipSpace()
        if take(UInt8(ascii: "]")) { return .list(values) }
        while true {
            values.append(try value(depth: depth + 1))
            skipSpace()
            if take(UInt8(ascii: "]")) { return .list(values) }
            guard take(UInt8(ascii: ",")) else { throw failure("no comma") }
        }
    }

    private mutating func text() throws(JSONFailure) -> String {
        index += 1
        var content: [UInt8] = []
        while index < bytes.count {
            let byte = bytes[index]
            index += 1
            switch byte {
            case UInt8(ascii: "\""):
                guard let text = String(validating: content, as: UTF8.self) else { throw failure("not UTF-8") }
                return text
            case UInt8(ascii: "\\"): content += try escape()
            case ..<0x20: throw failure("a control byte in a text")
            default: content.append(byte)
            }
        }
        throw failure("a text without end")
    }

    private mutating func escape() throws(JSONFailure) -> [UInt8] {
        guard index < bytes.count else { throw failure("an escape without end") }
        let byte = bytes[index]
        index += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return [byte]
        case UInt8(ascii: "b"): return [8]
        case UInt8(ascii: "f"): return [12]
        case UInt8(ascii: "n"): return [10]
        case UInt8(ascii: "r"): return [13]
        case UInt8(ascii: "t"): return [9]
        case UInt8(ascii: "u"):
            var code = try hexadecimal()
            if (0xD800..<0xDC00).contains(code), bytes[index...].starts(with: "\\u".utf8) {
                index += 2
                let low = try hexadecimal()
                code = (0xDC00..<0xE000).contains(low) ? 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00) : 0xFFFD
            }
            // Half a pair alone is no character.
            return Array(String(Character(UnicodeScalar(code) ?? "\u{FFFD}")).utf8)
        default: throw failure("an unknown escape")
        }
    }

    private mutating func hexadecimal() throws(JSONFailure) -> UInt32 {
        guard bytes.count - index >= 4, let code = UInt32(String(decoding: bytes[index..<index + 4], as: UTF8.self), radix: 16) else {
            throw failure("a bad \\u escape")
        }
        index += 4
        return code
    }

    private mutating func number() throws(JSONFailure) -> JSONText {
        let start = index
        while index < bytes.count, "+-.eE0123456789".utf8.contains(bytes[index]) { index += 1 }
        let text = String(decoding: bytes[start..<index], as: UTF8.self)
        let digits = text.hasPrefix("-") ? text.dropFirst() : text[...]
        let hasLeadingZero = digits.hasPrefix("0") && digits.dropFirst().first?.isNumber == true
        guard digits.first?.isNumber == true, !hasLeadingZero, let value = Double(text), value.isFinite else { throw failure("no number") }
        if let whole = Int(text) { return .number(whole) }
        return .decimal(value)
    }
}

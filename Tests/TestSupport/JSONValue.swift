/// A strict reader of JSON (RFC 8259), for counters and for log lines that claim to be JSON.
public indirect enum JSONValue: Sendable, Equatable {
    case null, bool(Bool), number(Double), string(String), array([JSONValue]), object([String: JSONValue])

    public init(_ text: Bytes) throws {
        var parser = JSONParser(bytes: text)
        self = try parser.value()
        parser.skipSpace()
        guard parser.isAtEnd else { throw ScenarioFailure("JSON: more after the value: \(text.readable)") }
    }

    public subscript(key: String) -> JSONValue? {
        if case .object(let members) = self { return members[key] }
        return nil
    }
    public var number: Double? {
        if case .number(let value) = self { return value }
        return nil
    }
    public var string: String? {
        if case .string(let value) = self { return value }
        return nil
    }
    public var elements: [JSONValue] {
        if case .array(let values) = self { return values }
        return []
    }
}

private struct JSONParser {
    let bytes: Bytes
    var index = 0

    init(bytes: Bytes) { self.bytes = bytes }
    var isAtEnd: Bool { index == bytes.count }

    func failure(_ what: String) -> ScenarioFailure { ScenarioFailure("JSON: \(what) at byte \(index) of \(bytes.readable)") }

    mutating func skipSpace() {
        while index < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[index]) { index += 1 }
    }

    mutating func take(_ byte: Character) -> Bool {
        guard index < bytes.count, bytes[index] == byte.asciiValue! else { return false }
        index += 1
        return true
    }

    mutating func expect(_ word: String) throws {
        guard bytes[index...].starts(with: word.utf8) else { throw failure("not `\(word)`") }
        index += word.utf8.count
    }

    mutating func value() throws -> JSONValue {
        skipSpace()
        guard index < bytes.count else { throw failure("nothing") }
        switch bytes[index] {
        case UInt8(ascii: "{"): return try object()
        case UInt8(ascii: "["): return try array()
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"):
            try expect("true")
            return .bool(true)
        case UInt8(ascii: "f"):
            try expect("false")
            return .bool(false)
        case UInt8(ascii: "n"):
            try expect("null")
            return .null
        default: return .number(try number())
        }
    }

    private mutating func object() throws -> JSONValue {
        index += 1
        var members: [String: JSONValue] = [:]
        skipSpace()
        if take("}") { return .object(members) }
        while true {
            skipSpace()
            guard index < bytes.count, bytes[index] == UInt8(ascii: "\"") else { throw failure("a member without name") }
            let name = try string()
            skipSpace()
            guard take(":") else { throw failure("no colon") }
            guard members.updateValue(try value(), forKey: name) == nil else { throw failure("`\(name)` twice") }
            skipSpace()
            if take("}") { return .object(members) }
            guard take(",") else { throw failure("no comma") }
        }
    }

    private mutating func array() throws -> JSONValue {
        index += 1
        var values: [JSONValue] = []
        skipSpace()
        if take("]") { return .array(values) }
        while true {
            values.append(try value())
            skipSpace()
            if take("]") { return .array(values) }
            guard take(",") else { throw failure("no comma") }
        }
    }

    private mutating func string() throws -> String {
        index += 1
        var content: Bytes = []
        while index < bytes.count {
            let byte = bytes[index]
            index += 1
            switch byte {
            case UInt8(ascii: "\""):
                guard let text = String(validating: content, as: UTF8.self) else { throw failure("not UTF-8") }
                return text
            case UInt8(ascii: "\\"): content += try escape()
            case ..<0x20: throw failure("a control byte in a string")
            default: content.append(byte)
            }
        }
        throw failure("an open string")
    }

    private mutating func escape() throws -> Bytes {
        guard index < bytes.count else { throw failure("an open escape") }
        defer { index += 1 }
        switch bytes[index] {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return [bytes[index]]
        case UInt8(ascii: "b"): return [8]
        case UInt8(ascii: "f"): return [12]
        case UInt8(ascii: "n"): return [10]
        case UInt8(ascii: "r"): return [13]
        case UInt8(ascii: "t"): return [9]
        case UInt8(ascii: "u"):
            guard index + 4 < bytes.count, let code = UInt32(Bytes(bytes[(index + 1)...(index + 4)]).text, radix: 16) else {
                throw failure("a bad \\u escape")
            }
            index += 4
            // Surrogate halves are of no use in these tests and become the replacement character.
            return Bytes(String(Character(UnicodeScalar(code) ?? "\u{FFFD}")))
        default: throw failure("an unknown escape")
        }
    }

    private mutating func number() throws -> Double {
        let start = index
        while index < bytes.count, "+-.eE0123456789".utf8.contains(bytes[index]) { index += 1 }
        let text = Bytes(bytes[start..<index]).text
        let digits = text.hasPrefix("-") ? text.dropFirst() : text[...]
        guard let first = digits.utf8.first, (0x30...0x39).contains(first), let value = Double(text),
            !(digits.hasPrefix("0") && digits.utf8.dropFirst().first.map { (0x30...0x39).contains($0) } == true)
        else { throw failure("not a number: \(text)") }
        return value
    }
}

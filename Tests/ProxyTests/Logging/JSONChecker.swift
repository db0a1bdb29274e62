/// A strict reader of one JSON text (RFC 8259) in UTF-8: nothing that the RFC does not allow gets through.
enum JSONValue: Equatable {
    case null
    case flag(Bool)
    /// As written.
    case number(String)
    case text(String)
    case array([JSONValue])
    case object([String: JSONValue])

    subscript(key: String) -> JSONValue? {
        guard case .object(let members) = self else { return nil }
        return members[key]
    }
}

struct JSONFailure: Error { var place: Int, problem: String }

func parseJSON(_ bytes: [UInt8]) throws -> JSONValue {
    guard String(validating: bytes, as: UTF8.self) != nil else { throw JSONFailure(place: 0, problem: "not UTF-8") }
    var reader = JSONReader(bytes: bytes)
    let value = try reader.value()
    guard reader.place == bytes.count else { throw reader.failure("something behind the value") }
    return value
}

private struct JSONReader {
    let bytes: [UInt8]
    var place = 0

    func failure(_ problem: String) -> JSONFailure { JSONFailure(place: place, problem: problem) }
    var next: UInt8? { place < bytes.count ? bytes[place] : nil }

    mutating func expect(_ text: String) throws {
        guard bytes[place...].starts(with: text.utf8) else { throw failure("no '\(text)'") }
        place += text.utf8.count
    }

    mutating func value() throws -> JSONValue {
        switch next {
        case UInt8(ascii: "{"): return try object()
        case UInt8(ascii: "["): return try array()
        case UInt8(ascii: "\""): return .text(try string())
        case UInt8(ascii: "t"): try expect("true"); return .flag(true)
        case UInt8(ascii: "f"): try expect("false"); return .flag(false)
        case UInt8(ascii: "n"): try expect("null"); return .null
        default: return .number(try number())
        }
    }

    mutating func object() throws -> JSONValue {
        var members: [String: JSONValue] = [:]
        try expect("{")
        if next == UInt8(ascii: "}") { try expect("}"); return .object([:]) }
        while true {
            let key = try string()
            try expect(":")
            guard members.updateValue(try value(), forKey: key) == nil else { throw failure("'\(key)' twice") }
            if next == UInt8(ascii: "}") { break }
            try expect(",")
        }
        try expect("}")
        return .object(members)
    }

    mutating func array() throws -> JSONValue {
        var items: [JSONValue] = []
        try expect("[")
        if next == UInt8(ascii: "]") { try expect("]"); return .array([]) }
        while true {
            items.append(try value())
            if next == UInt8(ascii: "]") { break }
            try expect(",")
        }
        try expect("]")
        return .array(items)
    }

    mutating func number() throws -> String {
        let start = place
        func isDigit(_ byte: UInt8?) -> Bool { byte.map { $0 >= 48 && $0 <= 57 } ?? false }
        if next == UInt8(ascii: "-") { place += 1 }
        guard isDigit(next) else { throw failure("no value") }
        if next == 48 { place += 1 } else { while isDigit(next) { place += 1 } }
        if next == UInt8(ascii: ".") {
            place += 1
            guard isDigit(next) else { throw failure("no digit behind the point") }
            while isDigit(next) { place += 1 }
        }
        return String(decoding: bytes[start..<place], as: UTF8.self)
    }

    mutating func string() throws -> String {
        try expect("\"")
        var units: [UInt8] = []
        while let byte = next {
            place += 1
            switch byte {
            case UInt8(ascii: "\""): return String(decoding: units, as: UTF8.self)
            case UInt8(ascii: "\\"): units += try escape()
            case 0..<0x20: throw failure("a control character in a string")
            default: units.append(byte)
            }
        }
        throw failure("a string without end")
    }

    mutating func escape() throws -> [UInt8] {
        guard let letter = next else { throw failure("an escape without end") }
        place += 1
        switch letter {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return [letter]
        case UInt8(ascii: "n"): return [10]
        case UInt8(ascii: "r"): return [13]
        case UInt8(ascii: "t"): return [9]
        case UInt8(ascii: "b"): return [8]
        case UInt8(ascii: "f"): return [12]
        case UInt8(ascii: "u"):
            guard place + 4 <= bytes.count,
                let code = UInt32(String(decoding: bytes[place..<(place + 4)], as: UTF8.self), radix: 16),
                let scalar = Unicode.Scalar(code)
            else { throw failure("a bad \\u escape") }
            place += 4
            return Array(String(Character(scalar)).utf8)
        default: throw failure("an unknown escape")
        }
    }
}

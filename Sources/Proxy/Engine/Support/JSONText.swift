/// A JSON value to print, or one that was read; reports are small and cold, so that a tree is simplest.
enum JSONText: Equatable, Sendable {
    case number(Int)
    case decimal(Double)
    case text(String)
    case truth(Bool)
    case null
    case list([JSONText])
    /// Fields keep their order.
    case object([(String, JSONText)])

    static func == (left: JSONText, right: JSONText) -> Bool { left.printed() == right.printed() }

    static func number(_ value: UInt64) -> JSONText { .number(Int(clamping: value)) }

    static func optional(_ value: Int?) -> JSONText { value.map(JSONText.number) ?? .null }

    /// The value on several lines with two spaces for each level; short lists stay on one line.
    func printed(indent: Int = 0) -> String {
        let inner = String(repeating: " ", count: indent + 2)
        let outer = String(repeating: " ", count: indent)
        switch self {
        case .number(let value): return "\(value)"
        case .decimal(let value): return value.isFinite ? "\(value)" : "null"
        case .text(let text): return Self.quoted(text)
        case .truth(let value): return value ? "true" : "false"
        case .null: return "null"
        case .list(let values) where values.allSatisfy(\.isScalar):
            return "[" + values.map { $0.printed() }.joined(separator: ", ") + "]"
        case .list(let values):
            return "[\n" + values.map { inner + $0.printed(indent: indent + 2) }.joined(separator: ",\n") + "\n\(outer)]"
        case .object(let fields) where fields.isEmpty: return "{}"
        case .object(let fields):
            let lines = fields.map { "\(inner)\(Self.quoted($0.0)): \($0.1.printed(indent: indent + 2))" }
            return "{\n" + lines.joined(separator: ",\n") + "\n\(outer)}"
        }
    }

    /// The value on one line, for files that have one value on each.
    func printedOnOneLine() -> String {
        switch self {
        case .list(let values): "[" + values.map { $0.printedOnOneLine() }.joined(separator: ", ") + "]"
        case .object(let fields): "{" + fields.map { "\(Self.quoted($0.0)): \($0.1.printedOnOneLine())" }.joined(separator: ", ") + "}"
        case .number, .decimal, .text, .truth, .null: printed()
        }
    }

    private var isScalar: Bool {
        switch self {
        case .number, .decimal, .text, .truth, .null: true
        case .list, .object: false
        }
    }

    private static func quoted(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case "\n": quoted += "\\n"
            case "\t": quoted += "\\t"
            case _ where scalar.value < 0x20:
                let digits = String(scalar.value, radix: 16)
                quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}

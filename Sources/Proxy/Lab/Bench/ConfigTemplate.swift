/// A configuration with places to fill in: `{{name}}`, and parts that stand only under a condition or many times.
///
///     {{#tls}} … {{/tls}}      stands when `tls` is true, a text that is not empty, or a number above 0
///     {{^tls}} … {{/tls}}      stands when it does not
///     {{*rules}} … {{/rules}}  stands `rules` times; `{{number}}` counts from 0 within
struct ConfigTemplate {
    enum Value: Equatable, Sendable {
        case text(String), number(Int), flag(Bool)

        var text: String {
            switch self {
            case .text(let text): text
            case .number(let number): "\(number)"
            case .flag(let flag): flag ? "true" : "false"
            }
        }
        var stands: Bool {
            switch self {
            case .text(let text): !text.isEmpty
            case .number(let number): number > 0
            case .flag(let flag): flag
            }
        }
    }

    private let name: String
    private let pieces: [Piece]

    private indirect enum Piece {
        case text(Substring)
        case place(String, line: Int)
        case part(kind: Character, name: String, line: Int, [Piece])
    }

    static let repeatedMax = 100_000

    /// - Parameter name: the file's, for what is said of mistakes in it.
    init(_ text: String, name: String) throws(BenchFailure) {
        self.name = name
        var rest = text[...]
        var line = 1
        pieces = try Self.read(&rest, until: nil, name: name, line: &line)
    }

    func filled(_ values: [String: Value]) throws(BenchFailure) -> String {
        var text = ""
        try fill(pieces, values, into: &text)
        return text
    }

    private static func read(_ rest: inout Substring, until end: String?, name: String, line: inout Int) throws(BenchFailure) -> [Piece] {
        var pieces: [Piece] = []
        while let open = rest.firstRange(of: "{{") {
            let before = rest[..<open.lowerBound]
            line += before.count { $0 == "\n" }
            pieces.append(.text(before))
            rest = rest[open.upperBound...]
            guard let close = rest.firstRange(of: "}}") else { throw BenchFailure("\(name):\(line): '{{' without '}}'") }
            let word = String(rest[..<close.lowerBound])
            rest = rest[close.upperBound...]
            switch word.first {
            case "#", "^", "*":
                let inner = String(word.dropFirst())
                let began = line
                pieces.append(.part(kind: word.first!, name: inner, line: began, try read(&rest, until: inner, name: name, line: &line)))
            case "/":
                guard String(word.dropFirst()) == end else { throw BenchFailure("\(name):\(line): {{\(word)}} closes what is not open") }
                return pieces
            default: pieces.append(.place(word, line: line))
            }
        }
        guard end == nil else { throw BenchFailure("\(name): {{/\(end!)}} is missing") }
        pieces.append(.text(rest))
        return pieces
    }

    private func fill(_ pieces: [Piece], _ values: [String: Value], into text: inout String) throws(BenchFailure) {
        func value(_ name: String, _ line: Int) throws(BenchFailure) -> Value {
            if let value = values[name] { return value }
            let hint = nearest(to: name, among: values.keys).map { "; did you mean '\($0)'?" } ?? ""
            throw BenchFailure("\(self.name):\(line): nothing is called '\(name)'\(hint)")
        }
        for piece in pieces {
            switch piece {
            case .text(let part): text += part
            case .place(let name, let line): text += try value(name, line).text
            case .part("#", let name, let line, let inner):
                if try value(name, line).stands { try fill(inner, values, into: &text) }
            case .part("^", let name, let line, let inner):
                if try !value(name, line).stands { try fill(inner, values, into: &text) }
            case .part(_, let name, let line, let inner):
                guard case .number(let count) = try value(name, line), count <= Self.repeatedMax else {
                    throw BenchFailure("\(self.name):\(line): '\(name)' is no number up to \(Self.repeatedMax)")
                }
                var values = values
                for number in 0..<max(count, 0) {
                    values["number"] = .number(number)
                    try fill(inner, values, into: &text)
                }
            }
        }
    }
}

/// Why the bytes of a file could not be had.
struct ReadFailure: Error {
    var reason: String
}

/// Turns a file, and the files it includes, into a tree of assignments and sections; knows nothing of what words mean.
///
/// Reports every error it can find in one pass: after one it goes on at the next line that begins a statement. Not copied
/// from libconfuse is the silence about missing closing braces: they are accepted at the end of a file, with a warning.
struct ConfigParser {
    static let includeDepthMax = 10
    static let fileCountMax = 256
    static let sectionDepthMax = 32
    static let fileBytesMax = 16 * 1024 * 1024

    private let environment: [String: String]
    private let read: (String) throws(ReadFailure) -> [UInt8]
    private(set) var diagnostics = DiagnosticList()
    /// Every file opened, in order.
    private(set) var files: [String] = []
    /// The files that are being read now, outermost first: who includes whom.
    private var openFiles: [String] = []
    private var tokens: [ConfigToken] = []
    private var cursor = 0

    init(environment: [String: String], read: @escaping (String) throws(ReadFailure) -> [UInt8]) {
        self.environment = environment
        self.read = read
    }

    /// Reads a file and everything it includes.
    mutating func parse(path: String) -> [ConfigItem] {
        parse(path: path, asked: SourceLocation(file: path, line: 0, column: 0), sectionDepth: 0)
    }

    private mutating func parse(path: String, asked: SourceLocation, sectionDepth: Int) -> [ConfigItem] {
        let bytes: [UInt8]
        do throws(ReadFailure) {
            bytes = try read(path)
        } catch {
            diagnostics.error(asked, "cannot read '\(path)': \(error.reason)")
            return []
        }
        guard bytes.count <= Self.fileBytesMax else {
            diagnostics.error(asked, "'\(path)' is larger than \(Self.fileBytesMax / 1024 / 1024) MiB")
            return []
        }
        let suspended = (tokens, cursor)
        files.append(path)
        openFiles.append(path)
        tokens = ConfigLexer.tokens(of: bytes, file: path, environment: environment, diagnostics: &diagnostics)
        cursor = 0
        let items = statements(within: [], depth: sectionDepth)
        openFiles.removeLast()
        (tokens, cursor) = suspended
        return items
    }

    private var token: ConfigToken { tokens[cursor] }

    private func token(ahead count: Int) -> ConfigToken { tokens[min(cursor + count, tokens.count - 1)] }

    private mutating func advance() {
        if cursor < tokens.count - 1 { cursor += 1 }
    }

    /// Statements up to the brace that closes the innermost of `sections`, or to the end of the file.
    private mutating func statements(within sections: [ConfigWord], depth: Int) -> [ConfigItem] {
        var items: [ConfigItem] = []
        while true {
            switch token.kind {
            case .end:
                if let innermost = sections.last {
                    diagnostics.warning(
                        token.location,
                        "the closing brace of '\(innermost.text)' (line \(innermost.location.line)) is missing at the end of the file")
                }
                return items
            case .closeBrace:
                if !sections.isEmpty {
                    advance()
                    return items
                }
                diagnostics.error(token.location, "a closing brace without an open section")
                advance()
            case .word:
                statement(within: sections, depth: depth, into: &items)
            case .openBrace:
                diagnostics.error(token.location, "an opening brace without the name of a section before it")
                skipToMatchingBrace()
            case .equals, .plusEquals, .comma, .parenthesis:
                diagnostics.error(token.location, "unexpected \(token.name); expected the name of a setting or a section")
                recover()
            }
        }
    }

    private func word(_ token: ConfigToken) -> ConfigWord {
        ConfigWord(text: token.text, location: token.location, quoted: token.quoted)
    }

    private mutating func statement(within sections: [ConfigWord], depth: Int, into items: inout [ConfigItem]) {
        let name = word(token)
        let next = token(ahead: 1)
        switch next.kind {
        case .equals, .plusEquals:
            advance()
            advance()
            if let (values, braced) = value(of: name) {
                items.append(.assignment(ConfigAssignment(name: name, values: values, braced: braced, appends: next.kind == .plusEquals)))
            } else {
                recover()
            }
        case .openBrace:
            section(name, title: nil, sections, depth, into: &items)
        case .word where name.text.lowercased() == "include" && token(ahead: 2).kind != .openBrace:
            advance()
            include(word(token), depth: depth, into: &items)
            advance()
        case .word where token(ahead: 2).kind == .openBrace:
            advance()
            section(name, title: word(next), sections, depth, into: &items)
        case .word, .closeBrace, .comma, .parenthesis, .end:
            if name.text.hasSuffix(";") && name.text.count == 1 {
                diagnostics.error(name.location, "';' does not end a statement here; leave it out")
            } else {
                diagnostics.error(name.location, "'\(name.text)' stands alone; expected '=' and a value, or '{'")
            }
            advance()
            recover()
        }
    }

    private mutating func section(
        _ name: ConfigWord, title: ConfigWord?, _ sections: [ConfigWord], _ depth: Int, into items: inout [ConfigItem]
    ) {
        advance()
        guard depth < Self.sectionDepthMax else {
            diagnostics.error(name.location, "sections are nested more than \(Self.sectionDepthMax) deep")
            return skipToMatchingBrace()
        }
        advance()
        var section = ConfigSection(name: name, title: title)
        section.items = statements(within: sections + [name], depth: depth + 1)
        items.append(.section(section))
    }

    private mutating func skipToMatchingBrace() {
        var depth = 0
        while token.kind != .end {
            if token.kind == .openBrace { depth += 1 }
            if token.kind == .closeBrace { depth -= 1 }
            advance()
            if depth == 0 { return }
        }
    }

    /// What follows `=`; nil after an error was reported.
    private mutating func value(of name: ConfigWord) -> (values: [ConfigWord], braced: Bool)? {
        switch token.kind {
        case .word:
            let followedByEquals = [.equals, .plusEquals].contains(token(ahead: 1).kind)
            if followedByEquals && beginsLine(ahead: 0) {  // `port =` and then the next line's setting
                diagnostics.error(name.location, "'\(name.text)' has no value")
                return nil
            }
            let single = word(token)
            advance()
            return ([single], false)
        case .openBrace:
            return list(of: name).map { ($0, true) }
        case .closeBrace, .equals, .plusEquals, .comma, .parenthesis, .end:
            diagnostics.error(token.location, "expected a value for '\(name.text)', found \(token.name)")
            return nil
        }
    }

    private mutating func list(of name: ConfigWord) -> [ConfigWord]? {
        let open = token.location
        var values: [ConfigWord] = []
        advance()
        while true {
            switch token.kind {
            case .closeBrace:
                advance()
                return values
            case .word:
                values.append(word(token))
                advance()
                if token.kind == .comma {
                    advance()
                } else if token.kind == .word {
                    diagnostics.error(token.location, "expected ',' or '}' in the list of '\(name.text)', found \(token.name)")
                    skipList()
                    return nil
                }
            case .end:
                diagnostics.error(open, "the list of '\(name.text)' is never closed")
                return nil
            case .openBrace, .equals, .plusEquals, .comma, .parenthesis:
                diagnostics.error(token.location, "unexpected \(token.name) in the list of '\(name.text)'")
                skipList()
                return nil
            }
        }
    }

    private mutating func skipList() {
        while token.kind != .closeBrace && token.kind != .end { advance() }
        if token.kind == .closeBrace { advance() }
    }

    /// Whether the token `ahead` of the cursor is the first of its line.
    private func beginsLine(ahead: Int) -> Bool {
        let position = min(cursor + ahead, tokens.count - 1)
        return position == 0 || tokens[position - 1].location.line < tokens[position].location.line
    }

    /// Goes on where a statement probably begins: at a brace, or at a word that opens a line or has '=' or '{' after it.
    private mutating func recover() {
        while true {
            switch token.kind {
            case .end, .closeBrace:
                return
            case .word:
                let next = token(ahead: 1).kind
                if beginsLine(ahead: 0) || next == .equals || next == .plusEquals || next == .openBrace { return }
                advance()
            case .openBrace:
                skipToMatchingBrace()
            case .equals, .plusEquals, .comma, .parenthesis:
                advance()
            }
        }
    }

    private mutating func include(_ target: ConfigWord, depth: Int, into items: inout [ConfigItem]) {
        let path = Self.resolved(target.text, besides: target.location.file)
        if target.text.isEmpty {
            diagnostics.error(target.location, "'include' names no file")
        } else if openFiles.contains(where: { Self.normalized($0) == path }) {
            let chain = (openFiles + [path]).map { "'\($0)'" }.joined(separator: " includes ")
            diagnostics.error(target.location, "a file cannot include itself: \(chain)")
        } else if openFiles.count > Self.includeDepthMax {
            diagnostics.error(target.location, "files include each other more than \(Self.includeDepthMax) deep")
        } else if files.count >= Self.fileCountMax {
            diagnostics.error(target.location, "more than \(Self.fileCountMax) files are included")
        } else {
            items += parse(path: path, asked: target.location, sectionDepth: depth)
        }
    }

    /// A relative path is meant from the folder of the file that names it.
    static func resolved(_ path: String, besides file: String) -> String {
        if path.hasPrefix("/") { return normalized(path) }
        guard let slash = file.lastIndex(of: "/") else { return normalized(path) }
        return normalized(file[...slash] + path)
    }

    /// Without `.` and needless `..`, so that two spellings of one file are seen as one.
    private static func normalized(_ path: String) -> String {
        var parts: [Substring] = []
        for part in path.split(separator: "/") where part != "." {
            if part == "..", let last = parts.last, last != ".." {
                parts.removeLast()
            } else if part != ".." || !path.hasPrefix("/") {
                parts.append(part)
            }
        }
        return (path.hasPrefix("/") ? "/" : "") + parts.joined(separator: "/")
    }
}

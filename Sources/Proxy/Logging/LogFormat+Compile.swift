/// Why a format cannot be compiled, and where.
struct LogFormatFailure: Error, Equatable, CustomStringConvertible {
    /// Bytes of the format before the bad place.
    var offset: Int
    /// What is wrong, as the end of "the format …".
    var problem: String
    /// The token that was probably meant.
    var suggestion: String?

    /// Where and what, without saying in what kind of text.
    var sentence: String {
        let hint = suggestion.map { "; did you mean {\($0)}?" } ?? ""
        return "column \(offset + 1): \(problem)\(hint)"
    }

    var description: String { "log format, \(sentence)" }
}

extension LogFormat {
    /// Compiles a format: text with `{TOKEN}`s in any case, or one of the words `json` and `combined`.
    ///
    /// A brace that no letter follows is text. When two logs of one listener are printed from the same record, the
    /// second is compiled `after` the first: its field names then begin with those of the first, so that capturing
    /// for the second serves both.
    /// In the styles of values those two words are words like any other.
    static func compile(
        _ text: String, after first: LogFormat? = nil, style: LogStyle = .text
    ) -> Result<LogFormat, LogFormatFailure> {
        var compiler = LogFormatCompiler(after: first, style: style)
        do {
            switch text.lowercased() {
            case "json" where style == .text: try compiler.compileJSON()
            case "combined" where style == .text: try compiler.compile(Array(combinedText.utf8))
            default: try compiler.compile(Array(text.utf8))
            }
            return .success(try compiler.finish())
        } catch {
            return .failure(error)
        }
    }

    /// All words that may stand between braces.
    static var tokens: [String] { LogField.allCases.map(\.token) + LogHeaderToken.allCases.map(\.rawValue) }
}

/// Collects the pieces of a format; lives only while one is compiled.
private struct LogFormatCompiler {
    private enum Draft {
        case literal([UInt8])
        case field(LogField)
        case requestField(Int)
        case responseField(Int)
    }

    private static let literalBytesMax = 2_048
    private static let valuesMax = 48

    private var style: LogStyle
    private var drafts: [Draft] = []
    private var requestNames: [[UInt8]] = []
    private var responseNames: [[UInt8]] = []

    init(after first: LogFormat?, style: LogStyle) {
        self.style = style
        guard let first else { return }
        requestNames = first.requestFieldNames.map(bytes)
        responseNames = first.responseFieldNames.map(bytes)
    }

    mutating func compileJSON() throws(LogFormatFailure) {
        style = .json
        var separator = "{"
        for member in LogFormat.jsonMembers {
            drafts.append(.literal(Array("\(separator)\"\(member.key)\":".utf8)))
            separator = ","
            try add(member.field, at: 0)
        }
    }

    mutating func compile(_ text: [UInt8]) throws(LogFormatFailure) {
        var literal: [UInt8] = []
        var index = 0
        while index < text.count {
            let byte = text[index]
            if byte == UInt8(ascii: "{"), index + 1 < text.count, isLetter(text[index + 1]) {
                if !literal.isEmpty { drafts.append(.literal(literal)) }
                literal = []
                index = try compileToken(text, at: index)
                continue
            }
            if (byte < 0x20 && byte != UInt8(ascii: "\t")) || byte == 0x7f {
                throw LogFormatFailure(offset: index, problem: "a control character would break the line in two")
            }
            literal.append(byte)
            index += 1
        }
        if !literal.isEmpty { drafts.append(.literal(literal)) }
    }

    /// Compiles the token whose brace stands at `start`; returns the place behind it.
    private mutating func compileToken(_ text: [UInt8], at start: Int) throws(LogFormatFailure) -> Int {
        var end = start + 1
        while end < text.count, isLetter(text[end]) || isDigit(text[end]) || text[end] == UInt8(ascii: "_") { end += 1 }
        let word = String(decoding: text[(start + 1)..<end], as: UTF8.self)
        guard end < text.count, text[end] == UInt8(ascii: "}") else {
            throw LogFormatFailure(offset: start, problem: "the token '{\(word)' has no closing brace")
        }
        let name = word.uppercased()
        if let field = LogField.allCases.first(where: { $0.token == name }) {
            try add(field, at: start)
            return end + 1
        }
        if let token = LogHeaderToken(rawValue: name) { return try compileHeader(token, text, from: end + 1) }
        throw LogFormatFailure(
            offset: start, problem: "unknown token {\(word)}", suggestion: nearestWord(to: name, among: LogFormat.tokens))
    }

    /// Compiles the `:'name'` behind a header token; returns the place behind it.
    private mutating func compileHeader(
        _ token: LogHeaderToken, _ text: [UInt8], from start: Int
    ) throws(LogFormatFailure) -> Int {
        let opening = Array(":'".utf8)
        guard text.count >= start + 2, Array(text[start..<(start + 2)]) == opening else {
            throw LogFormatFailure(offset: start, problem: "{\(token.rawValue)} wants a field name behind it, as :'X-Name'")
        }
        guard let end = text[(start + 2)...].firstIndex(of: UInt8(ascii: "'")) else {
            throw LogFormatFailure(offset: start + 1, problem: "the field name has no closing quote")
        }
        let name = Array(text[(start + 2)..<end])
        guard !name.isEmpty, name.count <= 128, name.allSatisfy(isNameByte) else {
            throw LogFormatFailure(
                offset: start + 2, problem: "'\(String(decoding: name, as: UTF8.self))' is not a field name")
        }
        try capture(name, for: token, at: start)
        return end + 1
    }

    private mutating func add(_ field: LogField, at offset: Int) throws(LogFormatFailure) {
        switch field {
        case .userAgent: try capture(Array("user-agent".utf8), for: .request, at: offset)
        case .referer: try capture(Array("referer".utf8), for: .request, at: offset)
        default: drafts.append(.field(field))
        }
    }

    private mutating func capture(_ name: [UInt8], for token: LogHeaderToken, at offset: Int) throws(LogFormatFailure) {
        let lower = name.map { $0 >= 65 && $0 <= 90 ? $0 + 32 : $0 }
        switch token {
        case .request: drafts.append(.requestField(try place(of: lower, in: &requestNames, at: offset)))
        case .response: drafts.append(.responseField(try place(of: lower, in: &responseNames, at: offset)))
        }
    }

    private func place(of name: [UInt8], in names: inout [[UInt8]], at offset: Int) throws(LogFormatFailure) -> Int {
        if let place = names.firstIndex(of: name) { return place }
        guard names.count < LogRecord.capturedMax else {
            throw LogFormatFailure(
                offset: offset, problem: "more than \(LogRecord.capturedMax) different header fields of one side")
        }
        names.append(name)
        return names.count - 1
    }

    /// Lays everything out in one block of memory.
    consuming func finish() throws(LogFormatFailure) -> LogFormat {
        var values = drafts.count
        var literalBytes = 0
        for case .literal(let literal) in drafts {
            values -= 1
            literalBytes += literal.count
        }
        guard literalBytes <= Self.literalBytesMax, values <= Self.valuesMax else {
            throw LogFormatFailure(
                offset: 0, problem: "more than \(Self.valuesMax) values or \(Self.literalBytesMax) bytes of text")
        }
        let textBytes = (requestNames + responseNames).reduce(literalBytes) { $0 + $1.count }
        let pieceStride = MemoryLayout<LogFormat.Piece>.stride
        let sliceStride = MemoryLayout<ByteSlice>.stride
        let piecesBytes = drafts.count * pieceStride
        let namesBytes = (requestNames.count + responseNames.count) * sliceStride
        let memory = UnsafeMutableRawPointer.allocate(byteCount: max(1, piecesBytes + namesBytes + textBytes), alignment: 16)
        let pieces = memory.bindMemory(to: LogFormat.Piece.self, capacity: drafts.count)
        let names = (memory + piecesBytes).bindMemory(to: ByteSlice.self, capacity: requestNames.count + responseNames.count)
        var free = memory + piecesBytes + namesBytes

        func keep(_ bytes: [UInt8]) -> ByteSlice {
            defer { free += bytes.count }
            bytes.withUnsafeBytes { if let base = $0.baseAddress { free.copyMemory(from: base, byteCount: $0.count) } }
            return ByteSlice(start: UnsafeRawPointer(free), count: bytes.count)
        }
        for (index, draft) in drafts.enumerated() {
            let piece: LogFormat.Piece
            switch draft {
            case .literal(let literal): piece = .literal(keep(literal))
            case .field(let field): piece = .field(field)
            case .requestField(let place): piece = .requestField(place)
            case .responseField(let place): piece = .responseField(place)
            }
            (pieces + index).initialize(to: piece)
        }
        for (index, name) in (requestNames + responseNames).enumerated() { (names + index).initialize(to: keep(name)) }
        return LogFormat(
            style: style,
            pieces: UnsafeBufferPointer(start: pieces, count: drafts.count),
            requestFieldNames: UnsafeBufferPointer(start: names, count: requestNames.count),
            responseFieldNames: UnsafeBufferPointer(start: names + requestNames.count, count: responseNames.count),
            // One value more: the end of the line, and what an error adds.
            reservedBytes: (values + 1) * LogLine.fixedBytesMax + literalBytes,
            memory: memory)
    }
}

private func isLetter(_ byte: UInt8) -> Bool { (byte | 0x20) >= 97 && (byte | 0x20) <= 122 }
private func isDigit(_ byte: UInt8) -> Bool { byte >= 48 && byte <= 57 }

/// Whether a byte may stand in a field name (RFC 9110 §5.6.2).
private func isNameByte(_ byte: UInt8) -> Bool {
    isLetter(byte) || isDigit(byte) || "!#$%&'*+-.^_`|~".utf8.contains(byte)
}

private func bytes(_ slice: ByteSlice) -> [UInt8] {
    Array(UnsafeRawBufferPointer(start: slice.start, count: slice.count))
}

/// The candidate that is fewest edits away, when that is few enough to be a slip of the finger.
private func nearestWord(to word: String, among candidates: [String]) -> String? {
    let scored = candidates.map { (candidate: $0, distance: editDistance(Array(word.utf8), Array($0.utf8))) }
    guard let best = scored.min(by: { $0.distance < $1.distance }) else { return nil }
    return best.distance < word.utf8.count && best.distance <= max(2, word.utf8.count / 3) ? best.candidate : nil
}

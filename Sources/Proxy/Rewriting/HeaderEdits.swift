/// Fields that are added to a head and names that are taken out of it: compiled once from a `request-headers` or
/// `response-headers` section and `strip-headers`.
struct HeaderEdits: BitwiseCopyable, @unchecked Sendable {
    /// One field to write.
    struct Line: BitwiseCopyable {
        /// `Name: ` or, where the value is the same for all requests, the whole line with its CRLF.
        let text: LastingBytes
        let value: ValueFormat?
        /// Says how long an answer may be kept, which is meant for what backends send: our own errors are over soon.
        let isAboutCaching: Bool
    }
    /// Every name of `remove` and `set`; those that the edits add are written after.
    let removed: FieldNameSet
    let lines: UnsafeBufferPointer<Line>
    /// Room that the lines need beside the text of peers.
    let fixedBytes: Int
    /// Some value is made of tokens, so that a record has to be filled.
    let needsRecord: Bool

    static let none = HeaderEdits(
        removed: .empty, lines: UnsafeBufferPointer(start: nil, count: 0), fixedBytes: 0, needsRecord: false)

    private init(removed: FieldNameSet, lines: UnsafeBufferPointer<Line>, fixedBytes: Int, needsRecord: Bool) {
        self.removed = removed
        self.lines = lines
        self.fixedBytes = fixedBytes
        self.needsRecord = needsRecord
    }

    /// Compiles edits that were checked; what `ValueFormat` refuses all the same is left out.
    init(_ settings: HeaderEditSettings, strip: [String] = [], in arena: PlanArena) {
        var lines: [Line] = []
        var fixed = 0
        var needsRecord = false
        for field in settings.set + settings.add {
            let isAboutCaching = ["cache-control", "expires"].contains(foldedFieldName(field.name))
            guard Self.hasTokens(field.value) else {
                let text = arena.bytes("\(field.name): \(field.value)\r\n")
                lines.append(Line(text: text, value: nil, isAboutCaching: isAboutCaching))
                fixed += text.count
                continue
            }
            guard case .success(let value) = ValueFormat.compile(field.value, style: .value) else { continue }
            arena.atEnd { value.release() }
            let text = arena.bytes("\(field.name): ")
            lines.append(Line(text: text, value: value, isAboutCaching: isAboutCaching))
            fixed += text.count + value.fixedBytes + 2
            needsRecord = true
        }
        self.init(
            removed: FieldNameSet(settings.remove + strip + settings.set.map(\.name), in: arena), lines: arena.array(lines),
            fixedBytes: fixed, needsRecord: needsRecord)
    }

    var isEmpty: Bool { lines.isEmpty }

    /// Whether a value has something between braces that is no text.
    static func hasTokens(_ value: String) -> Bool {
        let bytes = Array(value.utf8)
        return zip(bytes, bytes.dropFirst()).contains { $0 == UInt8(ascii: "{") && ($1 | 0x20) &- UInt8(ascii: "a") < 26 }
    }
}

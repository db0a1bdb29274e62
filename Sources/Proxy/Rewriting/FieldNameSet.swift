import Glibc

/// A set of field names, compiled for asking about every field of a head.
///
/// Names count as equal in any case, and `_` counts as `-`: CGI and its descendants give both the same variable
/// (RFC 3875 §4.1.18), so that a backend would take `X_Forwarded_For` for the field it trusts. Names of the table are
/// bits; others are compared only when their first letter is one that the set has.
struct FieldNameSet: BitwiseCopyable, @unchecked Sendable {
    /// One name that the table does not tell, or the begin of many.
    struct Entry: BitwiseCopyable {
        /// Folded: small letters, hyphens.
        let bytes: LastingBytes
        let isPrefix: Bool
    }
    private let known: (low: UInt64, high: UInt64)
    /// The low five bits of the entries' first letters.
    private let firstLetters: UInt32
    private let entries: UnsafeBufferPointer<Entry>

    static let empty = FieldNameSet(known: (0, 0), firstLetters: 0, entries: UnsafeBufferPointer(start: nil, count: 0))

    private init(known: (low: UInt64, high: UInt64), firstLetters: UInt32, entries: UnsafeBufferPointer<Entry>) {
        self.known = known
        self.firstLetters = firstLetters
        self.entries = entries
    }

    /// - Parameter names: a `*` at the end of a name stands for anything.
    init(_ names: [String], in arena: PlanArena) {
        var known: (low: UInt64, high: UInt64) = (0, 0)
        var letters: UInt32 = 0
        var entries: [Entry] = []
        var told: Set<String> = []
        for name in names {
            let isPrefix = name.hasSuffix("*")
            let folded = foldedFieldName(isPrefix ? String(name.dropLast()) : name)
            guard !folded.isEmpty, told.insert(isPrefix ? folded + "*" : folded).inserted else { continue }
            for (candidate, text) in foldedTable where isPrefix ? text.hasPrefix(folded) : text == folded {
                if candidate.rawValue < 64 {
                    known.low |= 1 << UInt64(candidate.rawValue)
                } else {
                    known.high |= 1 << UInt64(candidate.rawValue - 64)
                }
            }
            entries.append(Entry(bytes: arena.bytes(folded), isPrefix: isPrefix))
            letters |= 1 << UInt32(folded.utf8.first! & 31)
        }
        self.init(known: known, firstLetters: letters, entries: arena.array(entries))
    }

    @inline(__always)
    func contains(_ field: FieldRange, _ bytes: Span<UInt8>) -> Bool {
        let number = UInt64(field.name.rawValue)
        if number != 0 { return (number < 64 ? known.low >> number : known.high >> (number &- 64)) & 1 != 0 }
        guard field.nameLength > 0, firstLetters >> UInt32(bytes[Int(field.nameStart)] & 31) & 1 != 0 else { return false }
        return isAmongEntries(field, bytes)
    }

    private func isAmongEntries(_ field: FieldRange, _ bytes: Span<UInt8>) -> Bool {
        let length = Int(field.nameLength)
        var index = 0
        while index < entries.count {
            let entry = entries[index]
            index &+= 1
            guard entry.isPrefix ? entry.bytes.count <= length : entry.bytes.count == length else { continue }
            var offset = 0
            while offset < entry.bytes.count, foldedNameByte(bytes[Int(field.nameStart) &+ offset]) == entry.bytes.bytes[offset] {
                offset &+= 1
            }
            if offset == entry.bytes.count { return true }
        }
        return false
    }

    /// For names in settings.
    func contains(_ name: String) -> Bool {
        let bytes = Array(name.utf8)
        let field = FieldRange(
            nameStart: 0, nameLength: UInt16(clamping: bytes.count), name: HeaderName(bytes.span, start: 0, length: bytes.count))
        return contains(field, bytes.span)
    }
}

/// The names of the table as they are compared; for compiling.
private let foldedTable = HeaderName.allCases.filter { $0 != .other }.map { (name: $0, text: "\($0.text)".lowercased()) }

/// A name as it is compared: small letters, `_` as `-`.
func foldedFieldName(_ name: String) -> String { String(decoding: name.utf8.map(foldedNameByte), as: UTF8.self) }

@inline(__always)
private func foldedNameByte(_ byte: UInt8) -> UInt8 { byte == UInt8(ascii: "_") ? UInt8(ascii: "-") : lowercased(byte) }

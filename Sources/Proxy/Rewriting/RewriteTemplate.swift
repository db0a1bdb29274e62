/// Text with references to the groups of a pattern: `$0` to `$9`, `$$` for the sign itself.
struct RewriteTemplate: BitwiseCopyable, @unchecked Sendable {
    enum Piece: BitwiseCopyable {
        case literal(LastingBytes)
        case group(Int)
    }
    let pieces: UnsafeBufferPointer<Piece>

    /// A text taken apart; an error says at which byte.
    static func parse(_ text: String) -> Result<[Part], Complaint> {
        var parts: [Part] = []
        var literal: [UInt8] = []
        let bytes = Array(text.utf8)
        var index = 0
        while index < bytes.count {
            let byte = bytes[index]
            guard byte == UInt8(ascii: "$") else {
                literal.append(byte)
                index += 1
                continue
            }
            guard index + 1 < bytes.count else {
                return .failure(Complaint(offset: index, sentence: "ends in '$'; write '$$' for the sign itself"))
            }
            let next = bytes[index + 1]
            if next == UInt8(ascii: "$") {
                literal.append(next)
            } else if next >= UInt8(ascii: "0") && next <= UInt8(ascii: "9") {
                if !literal.isEmpty { parts.append(.literal(literal)) }
                literal = []
                parts.append(.group(Int(next - UInt8(ascii: "0"))))
            } else {
                return .failure(Complaint(offset: index, sentence: "has a '$' before no digit; write '$$' for the sign itself"))
            }
            index += 2
        }
        if !literal.isEmpty { parts.append(.literal(literal)) }
        return .success(parts)
    }

    enum Part: Equatable {
        case literal([UInt8])
        case group(Int)
    }

    /// What is wrong with a text, as the rest of a sentence.
    struct Complaint: Error, Equatable {
        var offset: Int
        var sentence: String
    }

    /// A text that `parse` accepts; anything else is taken as it stands.
    init(_ text: String, in arena: PlanArena) {
        let parts: [Part]
        switch Self.parse(text) {
        case .success(let parsed): parts = parsed
        case .failure: parts = [.literal(Array(text.utf8))]
        }
        pieces = arena.array(
            parts.map { part in
                switch part {
                case .literal(let bytes): .literal(arena.bytes(String(decoding: bytes, as: UTF8.self)))
                case .group(let number): .group(number)
                }
            })
    }

    /// Writes the text with its groups; one that took no part is empty.
    ///
    /// - Parameter isQuery: groups go to a query, where what would end or split a parameter is escaped: they come from a
    ///   path, in which `&` and `=` are letters.
    func append(_ subject: Span<UInt8>, _ groups: MatchGroups, isQuery: Bool, to writer: inout HeadWriter) {
        var index = 0
        while index < pieces.count {
            switch pieces[index] {
            case .literal(let bytes): writer.append(bytes.bytes.span)
            case .group(let number):
                guard let range = groups[number], range.upperBound <= subject.count else { break }
                if isQuery {
                    appendParameter(subject.extracting(range), to: &writer)
                } else {
                    writer.append(subject.extracting(range))
                }
            }
            index &+= 1
        }
    }

    private func appendParameter(_ bytes: Span<UInt8>, to writer: inout HeadWriter) {
        var index = 0
        while index < bytes.count {
            let byte = bytes[index]
            index &+= 1
            switch byte {
            case UInt8(ascii: "&"): writer.append("%26")
            case UInt8(ascii: "="): writer.append("%3D")
            case UInt8(ascii: "+"): writer.append("%2B")
            case UInt8(ascii: ";"): writer.append("%3B")
            default: writer.append(byte)
            }
        }
    }
}

extension HeadWriter {
    /// What has been written from `start` on, an earlier `count`.
    func written(from start: Int) -> UnsafeBufferPointer<UInt8> {
        UnsafeBufferPointer(start: (base + start).assumingMemoryBound(to: UInt8.self), count: count &- start)
    }
}

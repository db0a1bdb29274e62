/// How the target of a request becomes the one that its backend sees: compiled once, without effects.
struct URIRewrite: BitwiseCopyable, @unchecked Sendable {
    enum PathChange: BitwiseCopyable {
        case keep
        /// RProxy 1: the text, then what stands behind the last group.
        case afterLastGroup(Pattern, LastingBytes)
        /// The text with references takes the place of the whole path.
        case replace(Pattern, RewriteTemplate)
        /// The first, where it begins a path at the end of a segment, is replaced; neither ends in a slash.
        case prefix(LastingBytes, with: LastingBytes)
    }
    enum QueryChange: BitwiseCopyable {
        case keep, drop
        case replace(RewriteTemplate)
        case append(RewriteTemplate)
    }
    let path: PathChange
    let query: QueryChange

    enum Outcome: Equatable {
        case written
        /// The path came out with dot segments: two readers would go to two places.
        case dotSegments
    }

    /// Writes path and query of the new target; the writer says whether they fitted.
    ///
    /// - Parameters:
    ///   - path: normal form of the request's path (`normalizePath`), to which all groups refer.
    ///   - query: what follows the question mark; nil = there is none.
    ///   - groups: of the pattern, where there is one; `isFound` is false when it did not match: the path stays.
    func write(path: Span<UInt8>, query: ByteSlice, groups: MatchGroups, into writer: inout HeadWriter) -> Outcome {
        let start = writer.count
        writePath(path, groups, into: &writer)
        if hasDotSegment(writer.written(from: start).span, start: 0, end: writer.count &- start) { return .dotSegments }
        switch self.query {
        case .keep:
            if let bytes = query.buffer {
                writer.append("?")
                writer.append(bytes.span)
            }
        case .drop: break
        case .replace(let template):
            writer.append("?")
            template.append(path, groups, isQuery: true, to: &writer)
        case .append(let template):
            writer.append("?")
            if let bytes = query.buffer, bytes.count > 0 {
                writer.append(bytes.span)
                writer.append("&")
            }
            template.append(path, groups, isQuery: true, to: &writer)
        }
        return .written
    }

    private func writePath(_ path: Span<UInt8>, _ groups: MatchGroups, into writer: inout HeadWriter) {
        switch self.path {
        case .afterLastGroup(_, let text) where groups.isFound:
            writer.append(text.bytes.span)
            writer.append(path.extracting(min(groups.lastEnd, path.count)..<path.count))
        case .replace(_, let template) where groups.isFound:
            template.append(path, groups, isQuery: false, to: &writer)
        case .prefix(let from, let to) where isUnder(path, start: 0, length: path.count, from.bytes.span):
            writer.append(to.bytes.span)
            writer.append(path.extracting(from.count..<path.count))
            if to.count == 0 && path.count == from.count { writer.append("/") }
        default: writer.append(path)
        }
    }

    /// The pattern whose groups are referred to.
    var pattern: Pattern? {
        switch path {
        case .afterLastGroup(let pattern, _), .replace(let pattern, _): pattern
        case .keep, .prefix: nil
        }
    }
}

/// Where the groups of a match stand in its subject.
struct MatchGroups: BitwiseCopyable {
    /// Groups that can be referred to, with the whole as number 0.
    static let countMax = 10
    var isFound = false
    /// Where the last group ends that took part; where the match ends when none did.
    var lastEnd = 0
    private var starts = InlineArray<10, Int32>(repeating: -1)
    private var ends = InlineArray<10, Int32>(repeating: -1)

    static let none = MatchGroups()

    subscript(_ number: Int) -> Range<Int>? {
        get { number < Self.countMax && starts[number] >= 0 ? Int(starts[number])..<Int(ends[number]) : nil }
        set {
            starts[number] = newValue.map { Int32(truncatingIfNeeded: $0.lowerBound) } ?? -1
            ends[number] = newValue.map { Int32(truncatingIfNeeded: $0.upperBound) } ?? -1
        }
    }

    /// Searches a path for the pattern; nil when the search gave up.
    @inline(__always)
    static func of(_ pattern: Pattern, in subject: UnsafeRawBufferPointer, _ scratch: borrowing PatternScratch) -> MatchGroups? {
        var groups = MatchGroups()
        switch pattern.search(subject, scratch) {
        case .gaveUp: return nil
        case .notFound: return groups
        case .found: groups.isFound = true
        }
        let count = Int(pattern.groupCount)
        var number = 0
        while number < countMax && number <= count {
            groups[number] = pattern.group(number, scratch)
            number &+= 1
        }
        var last = count
        while last > 0, pattern.group(last, scratch) == nil { last &-= 1 }
        groups.lastEnd = pattern.group(last, scratch)?.upperBound ?? 0
        return groups
    }
}

extension ByteSlice {
    /// The bytes for writers of heads; nil when there is no such value.
    @inline(__always)
    var buffer: UnsafeBufferPointer<UInt8>? {
        guard let start else { return nil }
        return UnsafeBufferPointer(start: start.assumingMemoryBound(to: UInt8.self), count: count)
    }
}

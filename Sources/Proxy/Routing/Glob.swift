import CUring
import Glibc

/// A pattern in which `*` stands for any bytes, also for none and for slashes; nothing else has a meaning of its own.
///
/// Matching takes time linear in pattern and text together, whatever they are: each piece between stars is looked for
/// once, from where the one before it ended.
struct Glob: BitwiseCopyable, @unchecked Sendable {
    /// Lives as long as whoever made the glob says.
    let pattern: UnsafeRawBufferPointer

    func matches(_ text: UnsafeRawBufferPointer) -> Bool {
        guard let patternStart = pattern.baseAddress, let firstStar = star(from: 0) else { return isEqual(text) }
        let textStart = text.baseAddress ?? patternStart  // of an empty text nothing is read
        // What stands before the first star begins the text.
        if firstStar > text.count || firstStar > 0 && memcmp(patternStart, textStart, firstStar) != 0 { return false }
        var place = firstStar
        var piece = firstStar &+ 1
        while let next = star(from: piece) {
            let length = next &- piece
            if length > 0 {
                guard let found = clinux_find(textStart + place, text.count &- place, patternStart + piece, length) else { return false }
                place = (textStart + place).distance(to: found) &+ place &+ length
            }
            piece = next &+ 1
        }
        // And what stands after the last one ends it.
        let length = pattern.count &- piece
        if length > text.count &- place { return false }
        return length == 0 || memcmp(patternStart + piece, textStart + (text.count &- length), length) == 0
    }

    @inline(__always)
    private func star(from index: Int) -> Int? {
        guard let start = pattern.baseAddress, index < pattern.count,
            let found = memchr(start + index, Int32(UInt8(ascii: "*")), pattern.count &- index)
        else { return nil }
        return start.distance(to: UnsafeRawPointer(found))
    }

    private func isEqual(_ text: UnsafeRawBufferPointer) -> Bool {
        guard text.count == pattern.count else { return false }
        guard let patternStart = pattern.baseAddress, let textStart = text.baseAddress else { return true }
        return memcmp(patternStart, textStart, text.count) == 0
    }
}

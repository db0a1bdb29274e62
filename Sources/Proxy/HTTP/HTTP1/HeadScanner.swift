/// The bytes that steer a message, by name.
enum ASCII {
    static let tab = UInt8(ascii: "\t")
    static let lineFeed = UInt8(ascii: "\n")
    static let carriageReturn = UInt8(ascii: "\r")
    static let space = UInt8(ascii: " ")
    static let colon = UInt8(ascii: ":")
}

typealias Bytes16 = SIMD16<UInt8>

/// Loads the 16 bytes from `index`; the span itself checks that they lie within it.
///
/// In this file operators stand between two vectors only: with a number on one side they are not inlined by
/// Swift 6.3 and cost fifty times as much.
@inline(__always)
func load16(_ bytes: Span<UInt8>, at index: Int) -> Bytes16 {
    bytes.bytes.unsafeLoadUnaligned(fromByteOffset: index, as: Bytes16.self)
}

/// Loads the eight bytes from `index` as one little-endian word; the span itself checks that they lie within it.
@inline(__always)
func load8(_ bytes: Span<UInt8>, at index: Int) -> UInt64 {
    UInt64(littleEndian: bytes.bytes.unsafeLoadUnaligned(fromByteOffset: index, as: UInt64.self))
}

/// The bit that tells a lower-case letter from its upper-case twin, in each byte of a word.
private let caseBits: UInt64 = 0x2020_2020_2020_2020

/// The eight bytes from `index` with letters made small; other printable bytes of names stay apart.
@inline(__always)
func foldedWord(_ bytes: Span<UInt8>, at index: Int) -> UInt64 { load8(bytes, at: index) | caseBits }

/// Up to eight bytes from `index` as one word, the missing ones zero.
@inline(__always)
func shortWord(_ bytes: Span<UInt8>, at index: Int, length: Int) -> UInt64 {
    if length == 0 { return 0 }
    if bytes.count &- index >= 8 { return load8(bytes, at: index) & (UInt64.max >> (64 &- 8 &* UInt64(length))) }
    var word: UInt64 = 0
    var offset = 0
    while offset < length {
        word |= UInt64(bytes[index &+ offset]) << (8 &* UInt64(offset))
        offset &+= 1
    }
    return word
}

/// Up to eight bytes from `index` with letters made small, the missing ones zero.
@inline(__always)
func foldedShortWord(_ bytes: Span<UInt8>, at index: Int, length: Int) -> UInt64 {
    if length == 0 { return 0 }
    let word = shortWord(bytes, at: index, length: length)
    return (word | caseBits) & (UInt64.max >> (64 &- 8 &* UInt64(length)))
}

/// Lanes that are set or not, one for each byte of a block.
typealias Lanes = SIMDMask<SIMD16<Int8>>

/// The first lane that is set, 16 when none is.
@inline(__always)
func firstLane(_ lanes: Lanes) -> Int {
    let words = unsafeBitCast(lanes, to: SIMD2<UInt64>.self)
    if words[0] != 0 { return words[0].trailingZeroBitCount >> 3 }
    return 8 &+ (words[1].trailingZeroBitCount >> 3)
}

/// The first lane that is set from lane `skipped` on, which is below 16; 16 when none is.
@inline(__always)
func firstLane(_ lanes: Lanes, skipping skipped: Int) -> Int {
    let words = unsafeBitCast(lanes, to: SIMD2<UInt64>.self)
    if skipped < 8 {
        let low = words[0] & (UInt64.max &<< UInt64(8 &* skipped))
        if low != 0 { return low.trailingZeroBitCount >> 3 }
        return 8 &+ (words[1].trailingZeroBitCount >> 3)
    }
    let high = words[1] & (UInt64.max &<< UInt64(8 &* (skipped &- 8)))
    return 8 &+ (high.trailingZeroBitCount >> 3)
}

/// A set of bytes that is tested sixteen at a time.
protocol ByteSet {
    /// The block test may name bytes that belong to the set after all, so they are looked at again one by one.
    static var isCoarse: Bool { get }
    static func outside(_ block: Bytes16) -> Lanes
    static func contains(_ byte: UInt8) -> Bool
}

/// Finds the first byte in `start..<end` that is not in the set; `end` when all are. `end` is within `bytes`.
@inline(__always)
func firstOutside<Set: ByteSet>(_: Set.Type, _ bytes: Span<UInt8>, from start: Int, to end: Int) -> Int {
    var index = start
    while end &- index >= 16 {
        let lane = firstLane(Set.outside(load16(bytes, at: index)))
        // Going on by a constant, not by `lane`, lets the next block be loaded before this one is judged.
        if lane == 16 {
            index &+= 16
            continue
        }
        index &+= lane
        if !Set.isCoarse || !Set.contains(bytes[index]) { return index }
        index &+= 1
    }
    // Less than a block is left: look at the last sixteen bytes and pass over those seen before.
    if !Set.isCoarse && index < end && end >= 16 {
        return end &- 16 &+ firstLane(Set.outside(load16(bytes, at: end &- 16)), skipping: index &- end &+ 16)
    }
    while index < end && Set.contains(bytes[index]) { index &+= 1 }
    return index
}

/// What may stand in a field value: all but control bytes, and the tab (RFC 9110 §5.5).
enum ValueBytes: ByteSet {
    static var isCoarse: Bool { false }

    @inline(__always)
    static func outside(_ block: Bytes16) -> Lanes {
        let low = block .< Bytes16(repeating: 0x20) .& (block .!= Bytes16(repeating: ASCII.tab))
        return low .| (block .== Bytes16(repeating: 0x7f))
    }

    @inline(__always)
    static func contains(_ byte: UInt8) -> Bool { byte >= 0x20 && byte != 0x7f || byte == ASCII.tab }
}

/// What may stand in a request target: printable ASCII but the `#` (RFC 9112 §3.2).
enum TargetBytes: ByteSet {
    static var isCoarse: Bool { false }

    @inline(__always)
    static func outside(_ block: Bytes16) -> Lanes {
        let unprintable = (block &- Bytes16(repeating: 0x21)) .> Bytes16(repeating: 0x7e - 0x21)
        return unprintable .| (block .== Bytes16(repeating: UInt8(ascii: "#")))
    }

    @inline(__always)
    static func contains(_ byte: UInt8) -> Bool { byte &- 0x21 <= 0x7e - 0x21 && byte != UInt8(ascii: "#") }
}

/// Lanes that hold letters, digits or hyphens.
@inline(__always)
private func isAlphanumericOrHyphen(_ block: Bytes16) -> Lanes {
    let letters = ((block | Bytes16(repeating: 0x20)) &- Bytes16(repeating: 0x61)) .< Bytes16(repeating: 26)
    let digits = (block &- Bytes16(repeating: 0x30)) .< Bytes16(repeating: 10)
    return letters .| digits .| (block .== Bytes16(repeating: 0x2d))
}

/// Letters, digits and fifteen marks (RFC 9110 §5.6.2); of the marks nearly all field names have the hyphen only.
enum TokenBytes: ByteSet {
    static var isCoarse: Bool { true }

    @inline(__always)
    static func outside(_ block: Bytes16) -> Lanes { .!isAlphanumericOrHyphen(block) }

    @inline(__always)
    static func contains(_ byte: UInt8) -> Bool {
        let low: UInt64 = 0x03ff_6cfa_0000_0000  // ! # $ % & ' * + - . 0-9
        let high: UInt64 = 0x57ff_ffff_c7ff_fffe  // A-Z ^ _ ` a-z | ~
        if byte >= 0x80 { return false }
        return (byte < 0x40 ? low : high) >> UInt64(byte & 0x3f) & 1 == 1
    }
}

/// Letters, digits, `-`, `.`, `_` and `~`: never escaped in a path (RFC 3986 §2.3), and all that a host name may hold.
enum UnreservedBytes: ByteSet {
    static var isCoarse: Bool { false }

    @inline(__always)
    static func outside(_ block: Bytes16) -> Lanes {
        let marks = (block .== Bytes16(repeating: 0x2e)) .| (block .== Bytes16(repeating: 0x5f))
        return .!(isAlphanumericOrHyphen(block) .| marks .| (block .== Bytes16(repeating: 0x7e)))
    }

    @inline(__always)
    static func contains(_ byte: UInt8) -> Bool {
        let low: UInt64 = 0x03ff_6000_0000_0000  // - . 0-9
        let high: UInt64 = 0x47ff_fffe_87ff_fffe  // A-Z _ a-z ~
        if byte >= 0x80 { return false }
        return (byte < 0x40 ? low : high) >> UInt64(byte & 0x3f) & 1 == 1
    }
}

/// Finds `wanted` in `start..<end`; `end` when it is not there. `end` is within `bytes`.
@inline(__always)
func firstByte(_ wanted: UInt8, _ bytes: Span<UInt8>, from start: Int, to end: Int) -> Int {
    var index = start
    while end &- index >= 16 {
        let lane = firstLane(load16(bytes, at: index) .== Bytes16(repeating: wanted))
        if lane < 16 { return index &+ lane }
        index &+= 16
    }
    if index < end && end >= 16 {
        let lanes = load16(bytes, at: end &- 16) .== Bytes16(repeating: wanted)
        return end &- 16 &+ firstLane(lanes, skipping: index &- end &+ 16)
    }
    while index < end && bytes[index] != wanted { index &+= 1 }
    return index
}

/// Compares a range of the message with a literal of small letters, in any case.
@inline(__always)
func equalsFolded(_ bytes: Span<UInt8>, start: Int, length: Int, _ literal: StaticString) -> Bool {
    guard length == literal.utf8CodeUnitCount else { return false }
    var offset = 0
    while offset < length {
        // The literal's bytes are addressed by an offset below its count.
        if lowercased(bytes[start &+ offset]) != literal.utf8Start[offset] { return false }
        offset &+= 1
    }
    return true
}

/// Compares two ranges of one message in any case.
func equalsFolded(_ bytes: Span<UInt8>, start: Int, otherStart: Int, length: Int) -> Bool {
    var offset = 0
    while offset < length {
        if lowercased(bytes[start &+ offset]) != lowercased(bytes[otherStart &+ offset]) { return false }
        offset &+= 1
    }
    return true
}

/// The small letter of a capital one; every other byte as it is.
@inline(__always)
func lowercased(_ byte: UInt8) -> UInt8 { byte &- 0x41 < 26 ? byte | 0x20 : byte }

/// Finds the end of a head by looking at new bytes only, so that a head that drips in costs linear time.
///
/// - Returns: the index after the blank line, or nil; then `resumeAt` says where the next look begins. Empty lines
///   before the start line do not end a head. The lines are not judged: that is the parser's work.
func findHeadEnd(_ bytes: Span<UInt8>, resumeAt: inout Int) -> Int? {
    var index = resumeAt < 4 ? 4 : resumeAt
    while index < bytes.count {
        index = firstByte(ASCII.lineFeed, bytes, from: index, to: bytes.count)
        if index == bytes.count { break }
        if bytes[index &- 1] == ASCII.carriageReturn && bytes[index &- 2] == ASCII.lineFeed
            && bytes[index &- 3] == ASCII.carriageReturn && bytes[index &- 4] != ASCII.lineFeed
        {
            resumeAt = index &+ 1
            return index &+ 1
        }
        index &+= 1
    }
    resumeAt = index
    return nil
}

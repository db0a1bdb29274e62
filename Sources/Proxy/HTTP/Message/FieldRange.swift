/// What becomes of one field line on its way to the other side.
struct FieldFlags: OptionSet, Sendable {
    var rawValue: UInt8
    /// Must not be forwarded: meant for the next hop, or named by `Connection` (RFC 9110 §7.6.1).
    static let hopByHop = FieldFlags(rawValue: 1)
    /// Taken out by a later step, or by a rule of the message (`Content-Length` on 204): not serialized.
    static let dropped = FieldFlags(rawValue: 2)
    /// Either of them.
    static let notForwarded = FieldFlags(rawValue: 3)
}

/// One field line as ranges over the head's bytes: ten bytes, owning nothing.
///
/// The name ends at the colon; the value is without the white space around it and may be empty.
struct FieldRange: Equatable, Sendable {
    var nameStart: UInt16 = 0
    var nameLength: UInt16 = 0
    var valueStart: UInt16 = 0
    var valueLength: UInt16 = 0
    var name = HeaderName.other
    var flags: FieldFlags = []

    var nameRange: Range<Int> { Int(nameStart)..<(Int(nameStart) &+ Int(nameLength)) }
    var valueRange: Range<Int> { Int(valueStart)..<(Int(valueStart) &+ Int(valueLength)) }
}

/// How large a head may be; what is larger is refused as soon as it can be told.
struct HeadLimits: Equatable, Sendable {
    /// Bytes of the start line without its CRLF.
    var lineBytesMax = 8_192
    /// Bytes of the whole head with its blank line; above 65,535 counts as that, for ranges are 16 bits wide.
    var headBytesMax = 32_768
    /// Field lines; the caller's table of ranges limits them too.
    var fieldsMax = 100

    /// The limits as the parsers use them: never negative, the head within the width of the ranges.
    @inline(__always)
    var lineBytesMaxInUse: Int { lineBytesMax < 0 ? 0 : lineBytesMax }
    @inline(__always)
    var headBytesMaxInUse: Int { headBytesMax < 0 ? 0 : headBytesMax < 65_535 ? headBytesMax : 65_535 }
}

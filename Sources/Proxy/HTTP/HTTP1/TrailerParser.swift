/// What reading a trailer section came to.
enum TrailerParse: Equatable, Sendable {
    /// So many field lines were read.
    case complete(count: Int)
    case failed(ParseFailure)
}

/// Reads the trailer section that a `ChunkedDecoder` gave out: whole field lines, no blank line after them.
///
/// Fields that may not stand in a trailer section are marked as dropped, so that `appendKeptFields` passes on the
/// others (RFC 9110 §6.5.1). At most 65,535 bytes; the caller keeps them at least until the fields are written.
func parseTrailers(
    _ bytes: Span<UInt8>, fields: inout MutableSpan<FieldRange>, fieldsMax: Int
) -> TrailerParse {
    if bytes.count > 65_535 { return .failed(.trailersTooLarge) }
    var position = 0
    var count = 0
    while position < bytes.count {
        switch parseFieldLine(bytes, from: position, to: bytes.count) {
        case .complete(var field, let next):
            if count >= fieldsMax || count >= fields.count { return .failed(.tooManyFields) }
            if !isAllowedInTrailer(field.name) { field.flags.insert(.dropped) }
            fields[count] = field
            count &+= 1
            position = next
        // The decoder gives out whole lines; a piece of one is a line without an end.
        case .outOfBytes: return .failed(.bareCarriageReturn)
        case .failed(let failure): return .failed(failure)
        }
    }
    return .complete(count: count)
}

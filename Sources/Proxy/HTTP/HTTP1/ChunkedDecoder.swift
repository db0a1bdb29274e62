/// What the next bytes of a chunked body are.
enum ChunkEvent: Equatable, Sendable {
    /// Body bytes; go on at `start + length`.
    case data(start: Int, length: Int)
    /// Everything given was consumed; go on with the bytes that come next.
    case needMore
    /// A raw piece of the trailer section, its CRLFs included and the blank line excluded; go on at `start + length`.
    case trailerBytes(start: Int, length: Int)
    /// The body is over; `next` is the index of the first byte that belongs to the next message.
    case end(next: Int)
    case failed(ParseFailure)
}

/// Takes the chunked transfer coding off a body, resumable at every byte (RFC 9112 §7.1).
///
/// Strict where smuggling begins: sizes are hexadecimal digits below 2^63 and nothing else, every line ends in CRLF,
/// data ends in CRLF. Extensions are skipped unread but within limits. A value of a few words: copying it is taking a
/// note of the place. Once it has failed it goes on failing; once ended it goes on ending.
struct ChunkedDecoder: Sendable {
    private enum State: UInt8 {
        case sizeStart
        case size
        case sizeBlank
        case extensions
        case sizeLineFeed
        case data
        case dataReturn
        case dataLineFeed
        case trailerLineStart
        case trailerLine
        case trailerLineFeed
        case endLineFeed
        case ended
        case failed
    }

    /// Bytes of one size line, extensions included.
    static let sizeLineBytesMax = 256
    /// Bytes by which all size lines of a body may outweigh its data, so that tiny chunks under large extensions
    /// cannot keep us busy for nothing.
    static let excessBytesMax = 16_384

    /// Bytes of the current chunk that have not been given out; `isInsideChunk` tells whether the number is whole.
    private(set) var remainingInChunk: UInt64 = 0
    private var state = State.sizeStart
    private var failure = ParseFailure.chunkSizeInvalid
    private var lineBytes = 0
    private var excessBytes = 0
    private var trailerBytes = 0
    private let trailerBytesMax: Int

    /// - Parameter trailerBytesMax: bytes of the whole trailer section, which the caller may have to keep.
    init(trailerBytesMax: Int = 8_192) { self.trailerBytesMax = trailerBytesMax }

    /// The last chunk and the trailer section have been read.
    var isEnded: Bool { state == .ended }

    /// The next byte is data of the current chunk, so that `remainingInChunk` bytes may be moved by other means.
    var isInsideChunk: Bool { state == .data }

    /// Reports that `count` bytes of the current chunk went another way, by splice for one; only inside a chunk, and at
    /// most `remainingInChunk`.
    mutating func skip(_ count: UInt64) {
        if count == 0 { return }
        precondition(state == .data && count <= remainingInChunk, "bytes skipped that the chunk does not have")
        remainingInChunk &-= count
        if remainingInChunk == 0 { state = .dataReturn }
    }

    /// Reads from index `from` of `bytes` up to the next event.
    mutating func next(_ bytes: Span<UInt8>, from: Int) -> ChunkEvent {
        var index = from
        let count = bytes.count
        while index < count {
            let byte = bytes[index]
            switch state {
            case .sizeStart, .size:
                if let digit = hexadecimalValue(byte) {
                    if remainingInChunk >> 59 != 0 { return fail(.chunkSizeOverflow) }
                    remainingInChunk = remainingInChunk << 4 | UInt64(digit)
                    state = .size
                } else if state == .sizeStart {
                    return fail(.chunkSizeInvalid)
                } else if byte == ASCII.carriageReturn {
                    state = .sizeLineFeed
                } else if byte == UInt8(ascii: ";") {
                    state = .extensions
                } else if isBlank(byte) {
                    state = .sizeBlank
                } else {
                    return fail(byte == ASCII.lineFeed ? .bareLineFeed : .chunkSizeInvalid)
                }
                if let failure = countSizeByte() { return fail(failure) }
                index &+= 1
            case .sizeBlank:
                if byte == UInt8(ascii: ";") {
                    state = .extensions
                } else if !isBlank(byte) {
                    return fail(byte == ASCII.lineFeed ? .bareLineFeed : .chunkSizeInvalid)
                }
                if let failure = countSizeByte() { return fail(failure) }
                index &+= 1
            case .extensions:
                if byte == ASCII.carriageReturn {
                    state = .sizeLineFeed
                } else if !ValueBytes.contains(byte) {
                    return fail(byte == ASCII.lineFeed ? .bareLineFeed : .chunkExtensionInvalid)
                }
                if let failure = countSizeByte() { return fail(failure) }
                index &+= 1
            case .sizeLineFeed:
                if byte != ASCII.lineFeed { return fail(.bareCarriageReturn) }
                if let failure = settleExcess() { return fail(failure) }
                state = remainingInChunk == 0 ? .trailerLineStart : .data
                index &+= 1
            case .data:
                let available = count &- index
                let length = UInt64(available) < remainingInChunk ? available : Int(remainingInChunk)
                remainingInChunk &-= UInt64(length)
                if remainingInChunk == 0 { state = .dataReturn }
                return .data(start: index, length: length)
            case .dataReturn:
                if byte != ASCII.carriageReturn { return fail(.chunkEndInvalid) }
                state = .dataLineFeed
                index &+= 1
            case .dataLineFeed:
                if byte != ASCII.lineFeed { return fail(.chunkEndInvalid) }
                state = .sizeStart
                lineBytes = 0
                index &+= 1
            case .trailerLineStart, .trailerLine, .trailerLineFeed:
                if state == .trailerLineStart && byte == ASCII.carriageReturn {
                    state = .endLineFeed
                    index &+= 1
                } else {
                    return nextTrailerPiece(bytes, from: index)
                }
            case .endLineFeed:
                if byte != ASCII.lineFeed { return fail(.bareCarriageReturn) }
                state = .ended
                return .end(next: index &+ 1)
            case .ended: return .end(next: index)
            case .failed: return .failed(failure)
            }
        }
        if state == .ended { return .end(next: index) }
        return state == .failed ? .failed(failure) : .needMore
    }

    /// Gives out trailer lines up to the blank line, the limit or the end of the bytes, checking line ends only.
    private mutating func nextTrailerPiece(_ bytes: Span<UInt8>, from start: Int) -> ChunkEvent {
        let room = trailerBytesMax &- trailerBytes
        if room <= 0 { return fail(.trailersTooLarge) }
        let end = bytes.count &- start < room ? bytes.count : start &+ room
        var index = start
        scan: while index < end {
            switch state {
            case .trailerLineStart:
                if bytes[index] == ASCII.carriageReturn { break scan }
                state = .trailerLine
            case .trailerLine:
                index = firstOutside(ValueBytes.self, bytes, from: index, to: end)
                if index == end { break scan }
                switch bytes[index] {
                case ASCII.carriageReturn: state = .trailerLineFeed
                case ASCII.lineFeed: return fail(.bareLineFeed)
                default: return fail(.fieldValueInvalid)
                }
                index &+= 1
            default:
                if bytes[index] != ASCII.lineFeed { return fail(.bareCarriageReturn) }
                state = .trailerLineStart
                index &+= 1
            }
        }
        trailerBytes &+= index &- start
        return .trailerBytes(start: start, length: index &- start)
    }

    @inline(__always)
    private mutating func countSizeByte() -> ParseFailure? {
        lineBytes &+= 1
        return lineBytes > ChunkedDecoder.sizeLineBytesMax ? .chunkExtensionTooLong : nil
    }

    /// Sets the length of a size line off against the data that it announces: sixteen bytes and twice the data are free.
    private mutating func settleExcess() -> ParseFailure? {
        let free = remainingInChunk > 1_024 ? 2_064 : 16 &+ 2 &* Int(remainingInChunk)
        excessBytes = max(0, excessBytes &+ lineBytes &- free)
        return excessBytes > ChunkedDecoder.excessBytesMax ? .chunkExtensionTooLong : nil
    }

    private mutating func fail(_ reason: ParseFailure) -> ChunkEvent {
        state = .failed
        failure = reason
        return .failed(reason)
    }
}

/// The value of a hexadecimal digit in either case; nil for any other byte.
@inline(__always)
func hexadecimalValue(_ byte: UInt8) -> UInt8? {
    let digit = byte &- UInt8(ascii: "0")
    if digit <= 9 { return digit }
    let letter = (byte | 0x20) &- UInt8(ascii: "a")
    return letter < 6 ? letter &+ 10 : nil
}

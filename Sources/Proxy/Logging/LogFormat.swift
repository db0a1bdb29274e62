/// A format that was compiled once and is printed for every exchange.
///
/// Trivially copyable, so that workers use it without reference counts: its memory is taken by `compile` and lives
/// until `release`, which whoever owns the serving plan calls when no worker prints with it any more.
struct LogFormat: BitwiseCopyable, @unchecked Sendable {
    /// One part of a line: the operator's own text, or a value.
    enum Piece: BitwiseCopyable {
        case literal(ByteSlice)
        case field(LogField)
        case requestField(Int)
        case responseField(Int)
    }

    let style: LogStyle
    let pieces: UnsafeBufferPointer<Piece>
    /// Lower-case names of the request fields that a record must bring, in the order of its captured fields.
    let requestFieldNames: UnsafeBufferPointer<ByteSlice>
    /// Lower-case names of the answer's fields that a record must bring, as the backend sent them.
    let responseFieldNames: UnsafeBufferPointer<ByteSlice>
    /// Room in a line that is not for text from peers: literals, and what every value may need besides.
    let reservedBytes: Int
    let memory: UnsafeMutableRawPointer

    /// Prints one exchange as one line.
    /// - Returns: false when the buffer is full; the line is counted as dropped.
    @discardableResult
    func append(_ record: borrowing LogRecord, to buffer: inout LogBuffer) -> Bool {
        guard let start = buffer.beginLine() else { return false }
        var line = LogLine(at: start, spare: buffer.lineBytesMax - reservedBytes, style: style)
        write(record, &line, &buffer.clock)
        if style == .json { line.byte(UInt8(ascii: "}")) }
        buffer.endLine(at: line.cursor)
        return true
    }

    /// Prints one exchange and what went wrong with it: the line, a comma, a space and the message.
    ///
    /// - Parameter detail: bytes that explain the message, whoever they come from; they are escaped.
    @discardableResult
    func appendError(
        _ record: borrowing LogRecord, message: StaticString, detail: ByteSlice = .none, to buffer: inout LogBuffer
    ) -> Bool {
        guard let start = buffer.beginLine() else { return false }
        var line = LogLine(at: start, spare: buffer.lineBytesMax - reservedBytes, style: style)
        write(record, &line, &buffer.clock)
        switch style {
        case .text:
            line.literal(ByteSlice(", "))
            line.text(ByteSlice(message))
            if detail.count > 0 {
                line.literal(ByteSlice(": "))
                line.text(detail)
            }
        case .value, .target: break
        case .json:
            line.literal(ByteSlice(#","error":"#))
            line.text(ByteSlice(message))
            line.literal(ByteSlice(#","detail":"#))
            line.text(detail)
            line.byte(UInt8(ascii: "}"))
        }
        buffer.endLine(at: line.cursor)
        return true
    }

    /// Prints the pieces one after the other.
    func write(_ record: borrowing LogRecord, _ line: inout LogLine, _ clock: inout LogClock) {
        for index in 0..<pieces.count {
            switch pieces[index] {
            case .literal(let bytes): line.literal(bytes)
            case .field(let field): line.field(field, of: record, &clock)
            case .requestField(let place): line.text(record.capturedRequestFields[place])
            case .responseField(let place): line.text(record.capturedResponseFields[place])
            }
        }
    }

    /// Gives the memory back; the format and its copies must not be used after.
    func release() { memory.deallocate() }
}

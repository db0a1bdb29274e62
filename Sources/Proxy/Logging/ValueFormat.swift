/// A value of a field, or a target, made of text and the tokens of the logs: compiled once, printed for an exchange.
///
/// Trivial like `LogFormat`, whose tokens and memory it uses. What is not known yet when a value is printed (the status,
/// say, while a request is being changed) is an empty text. Nothing of a peer is shortened: a value that does not fit is
/// no value.
struct ValueFormat: BitwiseCopyable, Sendable {
    private let format: LogFormat

    /// - Parameter style: `.value` for fields, `.target` for what becomes part of a URI.
    static func compile(_ text: String, style: LogStyle) -> Result<ValueFormat, LogFormatFailure> {
        LogFormat.compile(text, style: style).map(ValueFormat.init(format:))
    }

    /// Room that a value needs beside the text of peers.
    var fixedBytes: Int { format.reservedBytes }

    /// Lower-case names of the request fields that a record must bring for this value, in the order of its captured fields.
    var requestFieldNames: UnsafeBufferPointer<ByteSlice> { format.requestFieldNames }

    /// The same of the answer's fields.
    var responseFieldNames: UnsafeBufferPointer<ByteSlice> { format.responseFieldNames }

    /// Whether it prints the query, alone or within the target.
    var namesQuery: Bool {
        format.pieces.contains { piece in
            switch piece {
            case .field(.query), .field(.target), .field(.requestLine): true
            case .field, .literal, .requestField, .responseField: false
            }
        }
    }

    /// Prints the value; nil when it needs more than `room` bytes.
    /// - Returns: how many bytes were written from `place` on.
    func write(
        _ record: borrowing LogRecord, to place: UnsafeMutableRawPointer, room: Int, clock: inout LogClock
    ) -> Int? {
        guard room >= format.reservedBytes else { return nil }
        let start = place.assumingMemoryBound(to: UInt8.self)
        var line = LogLine(at: start, spare: room &- format.reservedBytes, style: format.style)
        format.write(record, &line, &clock)
        return line.isCut ? nil : line.cursor - start
    }

    /// Gives the memory back; the format and its copies must not be used after.
    func release() { format.release() }
}

import Glibc

@testable import Proxy

/// An exchange in which everything is known.
///
/// The address is kept for the life of the test process, because a record only borrows it.
func sampleRecord(client literal: String = "192.0.2.7", port: UInt16 = 40_001) -> LogRecord {
    let client = UnsafeMutablePointer<SocketAddress>.allocate(capacity: 1)
    client.initialize(to: SocketAddress(literal: literal, port: port)!)
    var record = LogRecord()
    record.client = UnsafePointer(client)
    record.backendName = ByteSlice("web")
    record.backendAddress = ByteSlice("10.0.0.1:3000")
    record.backendLocalPort = 51_000
    record.ruleName = ByteSlice("images")
    record.workerIndex = 3
    record.requestID = 0xabc
    record.endNanoseconds = 1_756_292_759_123_456_789
    record.startNanoseconds = record.endNanoseconds - 12_345_678
    record.totalNanoseconds = 12_345_678
    record.pendingNanoseconds = 1_500_000
    record.firstByteNanoseconds = 7_000_999
    record.connectNanoseconds = 250_000
    record.method = ByteSlice("GET")
    record.target = ByteSlice("/a/b?x=1&y=2")
    record.path = ByteSlice("/a/b")
    record.query = ByteSlice("x=1&y=2")
    record.host = ByteSlice("example.org")
    record.protocolName = ByteSlice("HTTP/1.1")
    record.status = 502
    record.backendStatus = 200
    record.reason = "backend-short-body"
    record.clientBytesReceived = 101
    record.clientBytesSent = 202
    record.bodyBytesSent = 303
    record.bodyBytesReceived = 404
    record.backendBytesReceived = 505
    record.backendBytesSent = 606
    record.splicedBytes = 707
    record.usedBackend = true
    record.reusedBackendConnection = true
    record.pipelined = true
    record.requestNumber = 9
    record.retries = 1
    record.batchSize = 17
    return record
}

/// Compiles a format and prints one record with it; the line without its break.
func printed(_ format: String, _ record: borrowing LogRecord) throws -> String {
    let format = try LogFormat.compile(format).get()
    defer { format.release() }
    var buffer = LogBuffer(framing: .stream, style: format.style)
    format.append(record, to: &buffer)
    return String(drainText(&buffer).dropLast())
}

/// Everything that waits in a buffer, written whole.
func drain(_ buffer: inout LogBuffer) -> [UInt8] {
    var all: [UInt8] = []
    while let (start, count) = buffer.takeForWrite() {
        all += UnsafeRawBufferPointer(start: start, count: count)
        buffer.onWritten(Int32(count))
    }
    return all
}

func drainText(_ buffer: inout LogBuffer) -> String { String(decoding: drain(&buffer), as: UTF8.self) }

/// Puts one line of the given text into a buffer; false when it was dropped.
@discardableResult
func appendLine(_ text: String, to buffer: inout LogBuffer) -> Bool {
    guard let start = buffer.beginLine() else { return false }
    let bytes = Array(text.utf8)
    start.update(from: bytes, count: bytes.count)
    buffer.endLine(at: start + bytes.count)
    return true
}

/// Lends bytes that live as long as the call.
func withSlice<Answer>(_ bytes: [UInt8], _ body: (ByteSlice) throws -> Answer) rethrows -> Answer {
    try bytes.withUnsafeBytes { try body(ByteSlice(start: $0.baseAddress ?? UnsafeRawPointer(bitPattern: 1), count: $0.count)) }
}

/// What `strftime` makes of a time, to compare with.
func strftimeText(_ format: String, _ seconds: Int) -> String {
    var time = time_t(seconds)
    var parts = tm()
    localtime_r(&time, &parts)
    var text = [CChar](repeating: 0, count: 128)
    let count = strftime(&text, text.count, format, &parts)
    return String(decoding: text[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
}

/// Reads until the end, or with `once` a single datagram.
func readAll(_ descriptor: Int32, once: Bool = false) -> String {
    var all: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 65_536)
    while true {
        let count = read(descriptor, &piece, piece.count)
        if count <= 0 { break }
        all += piece[..<count]
        if once { break }
    }
    return String(decoding: all, as: UTF8.self)
}

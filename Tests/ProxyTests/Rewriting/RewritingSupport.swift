@testable import Proxy

/// What a writer with enough room wrote, as text.
func headText(capacity: Int = 70_000, _ write: (inout HeadWriter) -> Void) -> String {
    let base = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 16)
    defer { base.deallocate() }
    var writer = HeadWriter(base: base, capacity: capacity)
    write(&writer)
    return String(decoding: UnsafeRawBufferPointer(start: base, count: writer.count), as: UTF8.self)
}

/// Lends the bytes of a text.
func withBytes<Result>(_ text: String?, _ body: (ByteSlice) throws -> Result) rethrows -> Result {
    guard let text else { return try body(.none) }
    return try Array(text.utf8).withUnsafeBytes { try body(ByteSlice(start: $0.baseAddress ?? UnsafeRawPointer(StaticString("").utf8Start), count: $0.count)) }
}

extension HeadWriter {
    var text: String { String(decoding: written(from: 0), as: UTF8.self) }
}

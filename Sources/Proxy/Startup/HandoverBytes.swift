/// Writes the few kinds of values that supervisor and server exchange, each behind its length.
struct HandoverWriter {
    private(set) var bytes: [UInt8] = []

    mutating func put(_ value: Int) {
        withUnsafeBytes(of: Int64(value).littleEndian) { bytes.append(contentsOf: $0) }
    }

    mutating func put(_ text: String) { put(Array(text.utf8)) }

    mutating func put(_ block: [UInt8]) {
        put(block.count)
        bytes += block
    }

    mutating func put(_ secret: SecretBytes) {
        put(secret.count)
        secret.withBytes { bytes.append(contentsOf: $0) }
    }

    /// Makes room at once: an array that grows leaves copies of what is in it behind.
    mutating func reserve(_ byteCount: Int) { bytes.reserveCapacity(bytes.count + byteCount) }

    mutating func put(_ texts: [String]) {
        put(texts.count)
        for text in texts { put(text) }
    }
}

/// Reads what `HandoverWriter` wrote; nil where bytes are missing or a length cannot be.
struct HandoverReader {
    private let bytes: [UInt8]
    private var position = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    mutating func number() -> Int? {
        guard bytes.count - position >= 8 else { return nil }
        var value: UInt64 = 0
        for offset in 0..<8 { value |= UInt64(bytes[position + offset]) << UInt64(8 * offset) }
        position += 8
        return Int(Int64(bitPattern: value))
    }

    /// A count of things that take at least one byte each.
    mutating func count() -> Int? {
        guard let count = number(), count >= 0, count <= bytes.count - position else { return nil }
        return count
    }

    mutating func text() -> String? { block().map { String(decoding: $0, as: UTF8.self) } }

    mutating func block() -> [UInt8]? {
        guard let length = count() else { return nil }
        defer { position += length }
        return Array(bytes[position..<position + length])
    }

    mutating func secret() -> SecretBytes? {
        guard let length = count() else { return nil }
        defer { position += length }
        return bytes.withUnsafeBytes { all in
            SecretBytes(capacity: length) { room in
                room.copyMemory(from: UnsafeRawBufferPointer(rebasing: all[position..<position + length]))
                return length
            }
        }
    }

    mutating func texts() -> [String]? {
        guard let count = count() else { return nil }
        var texts: [String] = []
        for _ in 0..<count {
            guard let text = text() else { return nil }
            texts.append(text)
        }
        return texts
    }

    var isAtEnd: Bool { position == bytes.count }
}

import Glibc

@testable import Proxy

/// Reads one message after the other as a peer does, and compares every byte of a body with what it must be.
///
/// Knows as much of HTTP as the scripted peers need; it shares no code with the proxy.
struct MessageReader {
    enum Framing { case none, length(Int), chunked, untilClose }
    enum Step {
        case needMore
        /// A head is whole.
        case head(String)
        case bodyEnd
        /// Bytes that are not what they must be.
        case wrong(String)
    }
    private enum State { case head, counted(Int), sizeLine, chunk(Int), chunkEnd, trailer, untilClose }

    private(set) var buffer: [UInt8] = []
    private var at = 0
    private var state = State.head
    /// Bytes of the body seen so far.
    private(set) var bodyCount = 0
    /// What the body is compared with; nil = it is not compared.
    private var expected: (id: Int, answer: Bool)?

    var isInHead: Bool { if case .head = state { true } else { false } }
    var isUntilClose: Bool { if case .untilClose = state { true } else { false } }
    var unread: Int { buffer.count - at }

    mutating func append(_ bytes: UnsafeRawBufferPointer) {
        if at == buffer.count {
            buffer.removeAll(keepingCapacity: true)
            at = 0
        }
        buffer.append(contentsOf: bytes)
    }

    mutating func beginBody(_ framing: Framing, expecting: (id: Int, answer: Bool)?) {
        bodyCount = 0
        expected = expecting
        switch framing {
        case .none: state = .counted(0)
        case .length(let count): state = .counted(count)
        case .chunked: state = .sizeLine
        case .untilClose: state = .untilClose
        }
    }

    mutating func next() -> Step {
        while true {
            switch state {
            case .head:
                guard let end = find("\r\n\r\n") else { return .needMore }
                let text = String(decoding: buffer[at..<(end + 4)], as: UTF8.self)
                at = end + 4
                return .head(text)
            case .counted(let left):
                if left == 0 {
                    state = .head
                    return .bodyEnd
                }
                let piece = min(left, unread)
                if piece == 0 { return .needMore }
                if let wrong = take(piece) { return .wrong(wrong) }
                state = .counted(left - piece)
            case .untilClose:
                if unread == 0 { return .needMore }
                if let wrong = take(unread) { return .wrong(wrong) }
            case .sizeLine:
                guard let end = find("\r\n") else { return .needMore }
                guard let size = Int(String(decoding: buffer[at..<end], as: UTF8.self), radix: 16) else {
                    return .wrong("no size of a chunk: \(String(decoding: buffer[at..<end].prefix(40), as: UTF8.self))")
                }
                at = end + 2
                state = size == 0 ? .trailer : .chunk(size)
            case .chunk(let left):
                let piece = min(left, unread)
                if piece == 0 { return .needMore }
                if let wrong = take(piece) { return .wrong(wrong) }
                state = left == piece ? .chunkEnd : .chunk(left - piece)
            case .chunkEnd:
                if unread < 2 { return .needMore }
                if buffer[at] != 13 || buffer[at + 1] != 10 { return .wrong("no line end behind a chunk") }
                at += 2
                state = .sizeLine
            case .trailer:
                guard let end = find("\r\n") else { return .needMore }
                let isLast = end == at
                at = end + 2
                if isLast {
                    state = .head
                    return .bodyEnd
                }
            }
        }
    }

    private mutating func take(_ count: Int) -> String? {
        defer {
            at += count
            bodyCount += count
        }
        guard let expected else { return nil }
        let matches = buffer.withUnsafeBytes {
            Pattern.matches($0.baseAddress! + at, count, id: expected.id, answer: expected.answer, at: bodyCount)
        }
        return matches ? nil : "bytes \(bodyCount)..<\(bodyCount + count) of the body are not those of \(expected.id)"
    }

    private func find(_ text: StaticString) -> Int? {
        buffer.withUnsafeBytes { bytes -> Int? in
            let length = text.utf8CodeUnitCount
            var from = at
            while from + length <= bytes.count {
                guard let found = memchr(bytes.baseAddress! + from, Int32(text.utf8Start[0]), bytes.count - length + 1 - from)
                else { return nil }
                from = UnsafeRawPointer(found) - bytes.baseAddress!
                if memcmp(bytes.baseAddress! + from, text.utf8Start, length) == 0 { return from }
                from += 1
            }
            return nil
        }
    }
}

/// Value of a field in the text of a head; nil when it is missing.
func field(_ name: String, of head: String) -> String? {
    let bytes = Array(head.utf8)
    let wanted = Array(("\n" + name + ":").lowercased().utf8)
    return bytes.withUnsafeBytes { raw -> String? in
        var at = 0
        while at + wanted.count <= raw.count {
            if raw[at] == 10 {
                var same = 1
                while same < wanted.count, raw[at + same] | 0x20 == wanted[same] | 0x20 { same += 1 }
                if same == wanted.count {
                    var start = at + same
                    while start < raw.count, raw[start] == 32 { start += 1 }
                    var end = start
                    while end < raw.count, raw[end] != 13 { end += 1 }
                    return String(decoding: raw[start..<end], as: UTF8.self)
                }
            }
            at += 1
        }
        return nil
    }
}

/// One answer of the proxy itself, before it is written.
struct OwnAnswer: BitwiseCopyable {
    let status: UInt16
    /// nil = one line of text that says the status.
    var body: BodyPlan?
    /// Where a redirect leads to; borrowed until the answer is written.
    var location = ByteSlice.none
    /// What Retry-After says, with the statuses that have one.
    var retrySeconds: UInt32 = 1
    /// The client connection ends with it.
    var closes = false
    /// Answers HEAD: the fields tell of a body that is not sent (RFC 9110 §9.3.2).
    var isForHead = false
    /// The client speaks HTTP/1.0 and must be told when its connection stays.
    var isForOldClient = false
    /// Not written, because the operator takes them out of answers or has words of their own for them.
    var dropped: Fields = []

    /// Fields of our own that frame nothing, so that an operator may take them out.
    struct Fields: OptionSet, BitwiseCopyable {
        let rawValue: UInt8
        static let server = Fields(rawValue: 1)
        static let date = Fields(rawValue: 2)
        static let location = Fields(rawValue: 4)
        static let contentType = Fields(rawValue: 8)
        static let retryAfter = Fields(rawValue: 16)
        static let allow = Fields(rawValue: 32)
    }

    init(status: UInt16, retrySeconds: UInt32 = 1) {
        self.status = status
        self.retrySeconds = retrySeconds
    }

    /// 204 and 304 end with their head (RFC 9112 §6.3).
    private var hasBody: Bool { status != 204 && status != 304 }

    /// Bytes of the body as Content-Length tells them.
    var bodyLength: Int {
        if !hasBody { return 0 }
        if let body { return body.bytes.count }
        return 4 &+ StatusCode(status).reason.utf8CodeUnitCount &+ 1
    }

    /// What head and line take at most without Location and Content-Type.
    static var plainHeadBytesMax: Int { 512 }

    /// Enough for `writeHead` and `writeLine`.
    var headRoom: Int { Self.plainHeadBytesMax &+ location.count &+ (body?.contentType).byteCount }

    /// Writes the head without its blank line.
    ///
    /// - Parameter date: the 29 bytes of now.
    func writeHead(to writer: inout HeadWriter, date: UnsafeRawPointer) {
        writer.appendStatusLine(status)
        if !dropped.contains(.server) { writer.append("Server: weir\r\n") }
        if !dropped.contains(.date) {
            writer.append("Date: ")
            writer.append(UnsafeBufferPointer(start: date.assumingMemoryBound(to: UInt8.self), count: 29).span)
            writer.append("\r\n")
        }
        if let start = location.start, !dropped.contains(.location) {
            writer.append("Location: ")
            writer.append(UnsafeBufferPointer(start: start.assumingMemoryBound(to: UInt8.self), count: location.count).span)
            writer.append("\r\n")
        }
        if hasBody {
            if !dropped.contains(.contentType) { writeContentType(to: &writer) }
            writer.append("Content-Length: ")
            writer.append(decimal: UInt64(bodyLength))
            writer.append("\r\n")
        }
        if status == 503 || status == 429, !dropped.contains(.retryAfter) {
            writer.append("Retry-After: ")
            writer.append(decimal: UInt64(retrySeconds))
            writer.append("\r\n")
        }
        if status == 405 && !dropped.contains(.allow) { writer.append("Allow: GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH\r\n") }
        if closes {
            writer.append("Connection: close\r\n")
        } else if isForOldClient {
            writer.append("Connection: keep-alive\r\n")
        }
    }

    private func writeContentType(to writer: inout HeadWriter) {
        guard let body else {
            writer.append("Content-Type: text/plain\r\n")
            return
        }
        guard let type = body.contentType else { return }
        writer.append("Content-Type: ")
        writer.append(type.bytes.span)
        writer.append("\r\n")
    }

    /// Writes the one line that is the body where there is no other.
    func writeLine(to writer: inout HeadWriter) {
        guard hasBody else { return }
        writer.append(decimal: UInt64(status))
        writer.append(" ")
        writer.append(StatusCode(status).reason)
        writer.append("\n")
    }
}

extension OwnAnswer.Fields {
    /// Those whose names are in a set.
    init(among names: FieldNameSet) {
        let table: [(String, Self)] = [
            ("Server", .server), ("Date", .date), ("Location", .location), ("Content-Type", .contentType), ("Retry-After", .retryAfter),
            ("Allow", .allow),
        ]
        self = []
        for (name, field) in table where names.contains(name) { insert(field) }
    }
}

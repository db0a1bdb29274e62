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

    /// Enough for `writeHead` and `writeLine`.
    var headRoom: Int { 512 &+ location.count &+ (body?.contentType).byteCount }

    /// Writes the head with its blank line.
    ///
    /// - Parameter date: the 29 bytes of now.
    func writeHead(to writer: inout HeadWriter, date: UnsafeRawPointer) {
        writer.appendStatusLine(status)
        writer.append("Server: weir\r\nDate: ")
        writer.append(UnsafeBufferPointer(start: date.assumingMemoryBound(to: UInt8.self), count: 29).span)
        if let start = location.start {
            writer.append("\r\nLocation: ")
            writer.append(UnsafeBufferPointer(start: start.assumingMemoryBound(to: UInt8.self), count: location.count).span)
        }
        if hasBody {
            if let body {
                if let type = body.contentType {
                    writer.append("\r\nContent-Type: ")
                    writer.append(type.bytes.span)
                }
            } else {
                writer.append("\r\nContent-Type: text/plain")
            }
            writer.append("\r\nContent-Length: ")
            writer.append(decimal: UInt64(bodyLength))
        }
        if status == 503 || status == 429 {
            writer.append("\r\nRetry-After: ")
            writer.append(decimal: UInt64(retrySeconds))
        }
        if status == 405 { writer.append("\r\nAllow: GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH") }
        if closes {
            writer.append("\r\nConnection: close")
        } else if isForOldClient {
            writer.append("\r\nConnection: keep-alive")
        }
        writer.append("\r\n\r\n")
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

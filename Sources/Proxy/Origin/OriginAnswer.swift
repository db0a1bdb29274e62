import Glibc

/// What the origin has to offer, by path; each answer knows its length, its bytes and how it ends.
extension Origin {
    /// Bytes that a body may be asked to have.
    static var bodyBytesMax: UInt64 { 1 &<< 40 }
    static var delayMillisecondsMax: UInt64 { 600_000 }
    static var dripCountMax: UInt64 { 10_000 }

    /// Decides upon the answer to the request at hand, and begins with its body or with the answer.
    mutating func begin(_ connection: UnsafeMutablePointer<OriginConnection>) {
        connection.pointee.plan = .nothing
        connection.pointee.sink = .discarded
        connection.pointee.flags.remove([.headOnly, .breaksOff, .endsShort, .isOld])
        if request.versionMinor == 0 { connection.pointee.flags.insert(.isOld) }
        if request.method == .head { connection.pointee.flags.insert(.headOnly) }
        if !request.keepAlive { connection.pointee.flags.insert(.endsAfterAnswer) }
        connection.pointee.position = Int(queryNumber() % UInt64(OriginPattern.period))
        connection.pointee.remaining = 0
        connection.pointee.requestIsChunked = request.framing == .chunked
        connection.pointee.delayNanoseconds = settings.delays?.sample(&random) ?? 0
        if settings.closes { connection.pointee.flags.insert(.endsAfterAnswer) }

        if request.expectsContinue { _ = append(connection, "HTTP/1.1 100 Continue\r\n\r\n") }
        if faults.isEmpty { choose(connection) } else { chooseWithFaults(connection) }
        guard connection.pointee.state == .head else { return }  // an upgrade
        if request.framing.hasBody {
            beginBody(connection, request.framing)
        } else {
            connection.pointee.requestBodyBytes = 0
            onRequestWhole(connection)
        }
    }

    private mutating func choose(_ connection: UnsafeMutablePointer<OriginConnection>) {
        var rest = OriginPath(bytes(request.pathStart, request.pathLength))
        switch rest.take() {
        case "" where rest.isAtEnd && settings.isDemo: answerPage(connection)
        case "hello" where rest.isAtEnd: answer(connection, 200, "Hello from the origin.\n")
        case "bytes": sized(connection, rest.takeNumber(), .pattern)
        case "chunked": sized(connection, rest.takeNumber(), .chunks)
        case "until-close": untilClose(connection, rest.takeNumber())
        case "broken":
            connection.pointee.flags.insert(.breaksOff)
            sized(connection, rest.takeNumber(), .pattern)
        case "slow", "delay":
            guard let milliseconds = rest.takeNumber(), milliseconds <= Self.delayMillisecondsMax else {
                return answerShort(connection, 404)
            }
            connection.pointee.delayNanoseconds = milliseconds &* 1_000_000
            answer(connection, 200, "Sorry to have kept you waiting.\n")
        case "drip":
            let count = rest.isAtEnd ? 50 : rest.takeNumber()
            guard let count, count > 0, count <= Self.dripCountMax else { return answerShort(connection, 404) }
            sized(connection, count, .drip)
        case "status":
            guard let status = rest.takeNumber(), status >= 200, status <= 599 else {
                return answerShort(connection, 404)
            }
            answerShort(connection, UInt16(status))
        case "echo" where rest.isAtEnd: answerEcho(connection)
        case "upload" where rest.isAtEnd:
            connection.pointee.sink = .compared
            connection.pointee.plan = .report
        case "ws" where rest.isAtEnd: answerWebSocket(connection)
        case "tunnel" where rest.isAtEnd: answerTunnel(connection)
        default:
            if settings.isDemo { answerShort(connection, 404) } else { answerAsSet(connection) }
        }
    }

    /// The answer that the options describe.
    private mutating func answerAsSet(_ connection: UnsafeMutablePointer<OriginConnection>) {
        let length = settings.sizes.sample(&random)
        guard !settings.isChunked, length <= Self.inlineBytesMax || connection.pointee.flags.contains(.headOnly) else {
            return sized(connection, length, settings.isChunked ? .chunks : .pattern, status: settings.status)
        }
        // Head and body in one piece: one send.
        hold(connection, settings.status, "text/plain", .length(length))
        guard length > 0, !connection.pointee.flags.contains(.headOnly), connection.pointee.state != .closing else { return }
        if !connection.pointee.held.append(pattern.bytes(at: connection.pointee.position), Int(length), from: &blocks) {
            close(connection)
        }
    }

    /// Bodies up to this length are copied behind their head.
    private static var inlineBytesMax: UInt64 { 8_192 }

    private mutating func chooseWithFaults(_ connection: UnsafeMutablePointer<OriginConnection>) {
        let fault = faults.draw(&random)
        switch fault {
        case .status(let status): answerShort(connection, status)
        // In place of an answer: nothing of one is chosen, of which an echo would send its part at once.
        case .reset: connection.pointee.plan = .reset
        case .stall:
            choose(connection)
            connection.pointee.delayNanoseconds &+= settings.stallNanoseconds
        case .truncate:
            choose(connection)
            truncate(connection)
        case nil: choose(connection)
        }
    }

    /// Makes half of an answer of what was chosen: its head says more than will come.
    private mutating func truncate(_ connection: UnsafeMutablePointer<OriginConnection>) {
        connection.pointee.flags.insert(.endsAfterAnswer)
        switch connection.pointee.plan {
        case .pattern: connection.pointee.remaining /= 2
        case .chunks:
            connection.pointee.remaining /= 2
            connection.pointee.flags.insert(.endsShort)
        case .nothing where connection.pointee.sink != .echoed:
            let count = connection.pointee.held.count
            guard count > 1 else { return }
            var rest = connection.pointee.held.split(at: count &- 1, from: &blocks)
            rest.clear(into: &blocks)
        case .nothing, .drip, .report, .reset: break
        }
    }

    /// The request has come whole: the answer may begin.
    mutating func onRequestWhole(_ connection: UnsafeMutablePointer<OriginConnection>) {
        connection.pointee.state = .answering
        let delay = connection.pointee.delayNanoseconds
        if delay > 0 {
            connection.pointee.delayNanoseconds = 0
            delayed.set(connection.pointee.timer.slot, deadline: clock.now &+ delay)
            connection.pointee.flags.insert(.waits)
            setTimer(connection, delay &+ Self.progressNanoseconds)
            return
        }
        let hasNoBody = connection.pointee.flags.contains(.headOnly)
        switch connection.pointee.plan {
        case .nothing:
            if connection.pointee.sink == .echoed && connection.pointee.requestIsChunked && !hasNoBody {
                guard append(connection, "0\r\n\r\n") else { return close(connection) }
            }
            releaseHeldAnswer(connection)
            endAnswer(connection)
        case .reset: reset(connection)
        case .report:
            connection.pointee.plan = .nothing
            report(connection)
            releaseHeldAnswer(connection)
            endAnswer(connection)
        case .pattern, .chunks, .drip:
            releaseHeldAnswer(connection)
            if hasNoBody || connection.pointee.remaining == 0 {
                if connection.pointee.plan == .chunks && !hasNoBody && !append(connection, "0\r\n\r\n") {
                    return close(connection)
                }
                connection.pointee.plan = .nothing
                endAnswer(connection)
            } else if connection.pointee.plan == .drip {
                drip(connection)
            }
        }
    }

    /// Lets the answer go that waited for the end of its request.
    mutating func releaseHeldAnswer(_ connection: UnsafeMutablePointer<OriginConnection>) {
        var block = connection.pointee.held.head
        connection.pointee.held = ByteQueue()
        while let present = block {
            block = present.pointee.next
            connection.pointee.output.append(present)
        }
    }

    /// The last byte of the answer is in the queue, or out.
    mutating func endAnswer(_ connection: UnsafeMutablePointer<OriginConnection>) {
        if connection.pointee.flags.contains(.endsAfterAnswer) {
            connection.pointee.state = .lingering
            connection.pointee.flags.insert(.closeAfterSend)
        } else {
            connection.pointee.state = .head
        }
    }

    // MARK: - Answers

    private mutating func sized(
        _ connection: UnsafeMutablePointer<OriginConnection>, _ length: UInt64?, _ plan: OriginConnection.Plan, status: UInt16 = 200
    ) {
        guard let length, length <= Self.bodyBytesMax else { return answerShort(connection, 404) }
        connection.pointee.plan = plan
        connection.pointee.remaining = connection.pointee.flags.contains(.breaksOff) ? (length &+ 1) / 2 : length
        let isChunked = plan == .chunks && !connection.pointee.flags.contains(.isOld)
        if plan == .chunks && !isChunked { return untilClose(connection, length) }
        hold(connection, status, "text/plain", isChunked ? .chunked : .length(length))
    }

    private mutating func untilClose(_ connection: UnsafeMutablePointer<OriginConnection>, _ length: UInt64?) {
        guard let length, length <= Self.bodyBytesMax else { return answerShort(connection, 404) }
        connection.pointee.plan = .pattern
        connection.pointee.remaining = length
        connection.pointee.flags.insert(.endsAfterAnswer)
        hold(connection, 200, "text/plain", .untilClose)
    }

    private mutating func answerEcho(_ connection: UnsafeMutablePointer<OriginConnection>) {
        connection.pointee.sink = .echoed
        switch request.framing {
        case .none, .untilClose: hold(connection, 200, "application/octet-stream", .length(0))
        case .length, .chunked: hold(connection, 200, "application/octet-stream", request.framing)
        }
        // The echo may begin before the request has ended: that is what it is for.
        if connection.pointee.flags.contains(.headOnly) { connection.pointee.sink = .discarded }
        releaseHeldAnswer(connection)
    }

    private mutating func report(_ connection: UnsafeMutablePointer<OriginConnection>) {
        var text = ByteQueue()
        guard let place = text.reserve(128, from: &blocks) else { return close(connection) }
        var writer = HeadWriter(base: place, capacity: 128)
        writer.append(decimal: connection.pointee.requestBodyBytes)
        if let difference = connection.pointee.firstDifference {
            writer.append(" bytes, the first that differs is number ")
            writer.append(decimal: difference)
            writer.append("\n")
        } else {
            writer.append(" bytes, all as expected\n")
        }
        text.commit(writer.count)
        hold(connection, 200, "text/plain", .length(UInt64(writer.count)))
        attach(connection, &text)
    }

    private mutating func answer(
        _ connection: UnsafeMutablePointer<OriginConnection>, _ status: UInt16, _ text: StaticString
    ) {
        hold(connection, status, "text/plain", .length(UInt64(text.utf8CodeUnitCount)))
        guard !connection.pointee.flags.contains(.headOnly) else { return }
        if !connection.pointee.held.append(text.utf8Start, text.utf8CodeUnitCount, from: &blocks) { close(connection) }
    }

    /// A status and its usual words.
    mutating func answerShort(_ connection: UnsafeMutablePointer<OriginConnection>, _ status: UInt16) {
        connection.pointee.flags.remove(.breaksOff)
        if status == 204 || status == 304 {
            hold(connection, status, "text/plain", .none)
            return
        }
        let reason = StatusCode(status).reason
        hold(connection, status, "text/plain", .length(UInt64(reason.utf8CodeUnitCount &+ 1)))
        guard !connection.pointee.flags.contains(.headOnly) else { return }
        guard let place = connection.pointee.held.reserve(64, from: &blocks) else { return close(connection) }
        var writer = HeadWriter(base: place, capacity: 64)
        writer.append(reason)
        writer.append("\n")
        connection.pointee.held.commit(writer.count)
    }

    /// Writes the head of an answer, to be released when the request is whole.
    mutating func hold(
        _ connection: UnsafeMutablePointer<OriginConnection>, _ status: UInt16, _ type: StaticString,
        _ framing: BodyFraming
    ) {
        guard let place = connection.pointee.held.reserve(512, from: &blocks) else { return close(connection) }
        var writer = HeadWriter(base: place, capacity: 512)
        writer.appendStatusLine(status)
        writer.append("Server: weir-demo\r\nDate: ")
        HTTPDate(unixSeconds: Int64(clock.wall / 1_000_000_000)).write(into: &writer)
        switch framing {
        case .none: break
        case .untilClose: writer.append("\r\nContent-Type: ")
        case .chunked: writer.append("\r\nTransfer-Encoding: chunked\r\nContent-Type: ")
        case .length(let length):
            writer.append("\r\nContent-Length: ")
            writer.append(decimal: length)
            writer.append("\r\nContent-Type: ")
        }
        if framing != .none { writer.append(type) }
        if connection.pointee.flags.contains(.endsAfterAnswer) {
            writer.append("\r\nConnection: close")
        } else if connection.pointee.flags.contains(.isOld) {
            writer.append("\r\nConnection: keep-alive")
        }
        writer.append("\r\n\r\n")
        connection.pointee.held.commit(writer.count)
    }

    /// Puts a body that stands in blocks of its own behind the head that is held.
    mutating func attach(_ connection: UnsafeMutablePointer<OriginConnection>, _ body: inout ByteQueue) {
        if connection.pointee.flags.contains(.headOnly) {
            body.clear(into: &blocks)
            return
        }
        var block = body.head
        while let present = block {
            block = present.pointee.next
            connection.pointee.held.append(present)
        }
        body = ByteQueue()
    }

    // MARK: - The request's bytes

    func bytes(_ start: Int, _ length: Int) -> UnsafeBufferPointer<UInt8> {
        UnsafeBufferPointer(start: requestBytes.assumingMemoryBound(to: UInt8.self) + start, count: length)
    }

    /// The number in a query `tag=…`, 0 where there is none.
    private func queryNumber() -> UInt64 {
        let query = bytes(request.queryStart, request.queryLength)
        guard query.count > 4, equalsFolded(query.span, start: 0, length: 4, "tag=") else { return 0 }
        var rest = OriginPath(UnsafeBufferPointer(rebasing: query[3...]))
        return rest.takeNumber() ?? 0
    }
}

/// A path taken apart from left to right; `==` against literals is all that routing needs.
struct OriginPath {
    private let bytes: UnsafeBufferPointer<UInt8>
    private var at = 0

    init(_ bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

    var isAtEnd: Bool { at >= bytes.count }

    /// The next segment, without the mark before it.
    mutating func take() -> OriginSegment {
        at = min(at &+ 1, bytes.count)
        let start = at
        while at < bytes.count && bytes[at] != UInt8(ascii: "/") { at &+= 1 }
        return OriginSegment(bytes: UnsafeBufferPointer(rebasing: bytes[start..<at]))
    }

    /// The last segment as a decimal number; nil when it is none, or not the last.
    mutating func takeNumber() -> UInt64? {
        let segment = take().bytes
        guard isAtEnd else { return nil }
        return parseContentLength(segment.span, start: 0, length: segment.count)
    }
}

/// One segment of a path.
struct OriginSegment {
    let bytes: UnsafeBufferPointer<UInt8>

    static func ~= (pattern: StaticString, segment: OriginSegment) -> Bool {
        guard segment.bytes.count == pattern.utf8CodeUnitCount else { return false }
        guard let start = segment.bytes.baseAddress else { return true }
        return memcmp(start, pattern.utf8Start, segment.bytes.count) == 0
    }
}

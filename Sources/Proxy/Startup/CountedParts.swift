#if WEIR_COUNTS
import Glibc

/// The parts of an exchange whose instructions are counted one by one, each over and over on the same input.
///
/// Under callgrind, instructions are collected in the functions called `countedPart`; each part has one of them.
public func countParts(repetitions: Int) {
    countRequestParser(repetitions)
    countResponseParser(repetitions)
    countHeaderTable(repetitions)
    countSerializer(repetitions)
    countTimerWheel(repetitions)
    countLogFormat(repetitions)
    for method in BalancingSettings.Method.allCases { countBalancer(method, repetitions) }
}

/// What a browser sends.
private let request: StaticString =
    "GET /assets/app/main.7f3a91.js?v=20&lang=en HTTP/1.1\r\nHost: www.example.org\r\nConnection: keep-alive\r\nCache-Control: max-age=0\r\nsec-ch-ua-mobile: ?0\r\nUpgrade-Insecure-Requests: 1\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36\r\nAccept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\nSec-Fetch-Site: none\r\nSec-Fetch-Mode: navigate\r\nAccept-Encoding: gzip, deflate, br\r\nAccept-Language: en-GB,en;q=0.9\r\nCookie: session=0123456789abcdef; theme=dark\r\nReferer: https://www.example.org/\r\n\r\n"
private let response: StaticString =
    "HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Mon, 24 Nov 2025 10:00:00 GMT\r\nContent-Type: application/javascript\r\nContent-Length: 14213\r\nLast-Modified: Mon, 17 Nov 2025 09:00:00 GMT\r\nConnection: keep-alive\r\nVary: Accept-Encoding\r\nETag: \"5f3a91-3785\"\r\nCache-Control: public, max-age=31536000\r\nAccept-Ranges: bytes\r\n\r\n"

private func span<R>(_ text: StaticString, _ body: (Span<UInt8>) -> R) -> R {
    body(UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount).span)
}

private func withFields(_ body: (inout MutableSpan<FieldRange>) -> Void) {
    var table = [FieldRange](repeating: FieldRange(), count: 128)
    var fields = table.mutableSpan
    body(&fields)
}

private func countRequestParser(_ repetitions: Int) {
    withFields { fields in span(request) { countedPart(requestParser: $0, &fields, repetitions) } }
}

@inline(never)
private func countedPart(requestParser bytes: Span<UInt8>, _ fields: inout MutableSpan<FieldRange>, _ repetitions: Int) {
    var head = RequestHead()
    for _ in 0..<repetitions {
        let parse = parseRequestHead(bytes, fields: &fields, limits: HeadLimits(), head: &head)
        precondition(parse == .complete && head.fieldCount == 13)
    }
}

private func countResponseParser(_ repetitions: Int) {
    withFields { fields in span(response) { countedPart(responseParser: $0, &fields, repetitions) } }
}

@inline(never)
private func countedPart(responseParser bytes: Span<UInt8>, _ fields: inout MutableSpan<FieldRange>, _ repetitions: Int) {
    var head = ResponseHead()
    for _ in 0..<repetitions {
        let parse = parseResponseHead(bytes, fields: &fields, limits: HeadLimits(), requestMethod: .get, head: &head)
        precondition(parse == .complete && head.status == 200)
    }
}

/// Names as they come, known and unknown, one after the other.
private let names: StaticString = "content-length|x-request-id|host|If-Modified-Since|Accept-Encoding|etag|cookie|X-Forwarded-For|"

private func countHeaderTable(_ repetitions: Int) { span(names) { countedPart(headerTable: $0, repetitions) } }

@inline(never)
private func countedPart(headerTable bytes: Span<UInt8>, _ repetitions: Int) {
    var known = 0
    for _ in 0..<repetitions {
        var start = 0
        for at in 0..<bytes.count where bytes[at] == UInt8(ascii: "|") {
            if HeaderName(bytes, start: start, length: at &- start) != .other { known &+= 1 }
            start = at &+ 1
        }
    }
    precondition(known >= repetitions)
}

private func countSerializer(_ repetitions: Int) {
    withFields { fields in
        var head = ResponseHead()
        span(response) { bytes in
            _ = parseResponseHead(bytes, fields: &fields, limits: HeadLimits(), requestMethod: .get, head: &head)
            withUnsafeTemporaryAllocation(byteCount: 4_096, alignment: 16) { room in
                countedPart(serializer: bytes, fields.span, head, room, repetitions)
            }
        }
    }
}

@inline(never)
private func countedPart(
    serializer bytes: Span<UInt8>, _ fields: Span<FieldRange>, _ head: ResponseHead, _ room: UnsafeMutableRawBufferPointer, _ repetitions: Int
) {
    for _ in 0..<repetitions {
        var writer = HeadWriter(base: room.baseAddress!, capacity: room.count)
        writer.appendStatusLine(200)
        writer.appendKeptFields(bytes: bytes, fields: fields, count: head.fieldCount, fieldsEnd: head.headLength &- 2)
        writer.append("Content-Length: ")
        writer.append(decimal: 14_213)
        writer.append("\r\nX-Request-ID: ")
        writer.append(hex16: 0x0123_4567_89AB_CDEF)
        writer.append("\r\n\r\n")
        precondition(writer.count > 200)
    }
}

private func countTimerWheel(_ repetitions: Int) {
    let timers = UnsafeMutablePointer<Timer>.allocate(capacity: 64)
    defer { timers.deallocate() }
    for at in 0..<64 { (timers + at).initialize(to: Timer(.client, slot: UInt32(at))) }
    var wheel = TimerWheel(now: 0)
    countedPart(timerWheel: &wheel, timers, repetitions)
}

/// Four deadlines move, as those of an exchange do, and time passes; some timers fire.
@inline(never)
private func countedPart(timerWheel wheel: inout TimerWheel, _ timers: UnsafeMutablePointer<Timer>, _ repetitions: Int) {
    var now: UInt64 = 0
    var fired = 0
    for round in 0..<repetitions {
        for step in 0..<4 { wheel.set(timers + (round &* 4 &+ step) & 63, now &+ UInt64(20 &+ step &* 70) &* 1_000_000) }
        wheel.disarm(timers + (round &* 7) & 63)
        now &+= 3_000_000
        while wheel.nextDue(now: now) != nil { fired &+= 1 }
        if wheel.nanosecondsToNext(now: now) == nil { fired &+= 1 }
    }
    precondition(repetitions < 100 || fired > 0)
}

private func countLogFormat(_ repetitions: Int) {
    guard case .success(let format) = LogFormat.compile("combined") else { return }
    defer { format.release() }
    var record = LogRecord()
    withUnsafeTemporaryAllocation(of: SocketAddress.self, capacity: 1) { address in
        address.initializeElement(at: 0, to: SocketAddress(literal: "192.0.2.7", port: 40_001)!)
        record.client = UnsafePointer(address.baseAddress!)
        record.endNanoseconds = 1_756_292_759_123_456_789
        record.startNanoseconds = record.endNanoseconds &- 12_345_678
        record.method = ByteSlice("GET")
        record.target = ByteSlice("/assets/app/main.7f3a91.js?v=20&lang=en")
        record.host = ByteSlice("www.example.org")
        record.protocolName = ByteSlice("HTTP/1.1")
        record.status = 200
        record.bodyBytesSent = 14_213
        for at in record.capturedRequestFields.indices { record.capturedRequestFields[at] = ByteSlice("Mozilla/5.0 (X11; Linux x86_64)") }
        var buffer = LogBuffer(framing: .stream, style: .text)
        countedPart(logFormat: format, record, &buffer, repetitions)
    }
}

@inline(never)
private func countedPart(logFormat format: LogFormat, _ record: borrowing LogRecord, _ buffer: inout LogBuffer, _ repetitions: Int) {
    var lines = 0
    for _ in 0..<repetitions {
        if format.append(record, to: &buffer) {
            lines &+= 1
        } else if let (_, count) = buffer.takeForWrite() {
            buffer.onWritten(Int32(count))
        }
    }
    if let (_, count) = buffer.takeForWrite() { buffer.onWritten(Int32(count)) }
    precondition(lines > repetitions / 2)
}

private func countBalancer(_ method: BalancingSettings.Method, _ repetitions: Int) {
    let count = 8
    let all = UnsafeMutablePointer<Candidate>.allocate(capacity: count)
    let members = UnsafeMutablePointer<GroupMember>.allocate(capacity: count)
    defer {
        all.deallocate()
        members.deallocate()
    }
    for at in 0..<count {
        (all + at).initialize(to: Candidate(identity: mixed(UInt64(at + 1)), weight: Int32(1 + at % 3)))
        all[at].isUsable = true
        all[at].idle = Int32(at)
        (members + at).initialize(to: GroupMember(candidate: Int32(at), backend: UInt32(at)))
    }
    let candidates = Candidates(all: all, members: members, count: count)
    var settings = BalancingSettings()
    settings.method = method
    var balancer = Balancer(settings: settings, workerIndex: 0, workerCount: 1, seed: 1)
    balancer.rebuild(candidates)
    // A function of its own for each, so that their counts come apart.
    switch method {
    case .rtt: countedPart(balancerRTT: &balancer, candidates, repetitions)
    case .roundrobin: countedPart(balancerRoundRobin: &balancer, candidates, repetitions)
    case .mostIdle: countedPart(balancerMostIdle: &balancer, candidates, repetitions)
    case .random: countedPart(balancerRandom: &balancer, candidates, repetitions)
    case .none: countedPart(balancerNone: &balancer, candidates, repetitions)
    case .twoChoices: countedPart(balancerTwoChoices: &balancer, candidates, repetitions)
    case .hash: countedPart(balancerHash: &balancer, candidates, repetitions)
    }
}

/// Chooses, and lets an earlier choice end each time.
///
/// - Parameter salt: differs between the callers, so that the linker's likes do not make one function of them.
@inline(__always)
private func choose(_ balancer: inout Balancer, _ candidates: Candidates, _ repetitions: Int, salt: UInt64) {
    var last = 0
    for round in 0..<repetitions {
        let chosen = balancer.choose(candidates, key: mixed(UInt64(round &+ 1) &+ salt), now: UInt64(round) &* 10_000)
        precondition(chosen >= 0)
        candidates[chosen].active &+= 1
        candidates[last].active = max(0, candidates[last].active &- 1)
        last = (last &+ 3) % candidates.count
    }
}

@inline(never) private func countedPart(balancerRTT balancer: inout Balancer, _ all: Candidates, _ count: Int) { choose(&balancer, all, count, salt: 1) }
@inline(never) private func countedPart(balancerRoundRobin balancer: inout Balancer, _ all: Candidates, _ count: Int) { choose(&balancer, all, count, salt: 2) }
@inline(never) private func countedPart(balancerMostIdle balancer: inout Balancer, _ all: Candidates, _ count: Int) { choose(&balancer, all, count, salt: 3) }
@inline(never) private func countedPart(balancerRandom balancer: inout Balancer, _ all: Candidates, _ count: Int) { choose(&balancer, all, count, salt: 4) }
@inline(never) private func countedPart(balancerNone balancer: inout Balancer, _ all: Candidates, _ count: Int) { choose(&balancer, all, count, salt: 5) }
@inline(never) private func countedPart(balancerTwoChoices balancer: inout Balancer, _ all: Candidates, _ count: Int) { choose(&balancer, all, count, salt: 6) }
@inline(never) private func countedPart(balancerHash balancer: inout Balancer, _ all: Candidates, _ count: Int) { choose(&balancer, all, count, salt: 7) }
#endif

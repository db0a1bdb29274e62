import Glibc
import Testing

@testable import Proxy

@Suite("Event log")
struct EventLogTests {
    @Test("events come out in the order they went in, whole")
    func order() throws {
        let events = EventLog(capacity: 4)
        defer { events.release() }
        #expect(events.next() == nil)
        for round in 0..<10 {
            events.emit(
                .warning, "backend is down", subject: ByteSlice("web1:3000"), error: -ECONNREFUSED, amount: UInt64(round),
                unit: "ms")
            events.emit(.notice, "backend is up")
            let first = try #require(events.next())
            #expect(first.level == .warning)
            #expect("\(first.message)" == "backend is down")
            #expect(first.subjectBytes == Array("web1:3000".utf8))
            #expect(first.error == ECONNREFUSED)
            #expect(first.amount == UInt64(round))
            let second = try #require(events.next())
            #expect("\(second.message)" == "backend is up")
            #expect(second.subjectBytes.isEmpty)
            #expect(events.next() == nil)
        }
    }

    @Test("a full ring keeps the oldest and counts the rest")
    func full() {
        let events = EventLog(capacity: 4)
        defer { events.release() }
        for number in 0..<7 { events.emit(.error, "full", amount: UInt64(number)) }
        #expect(events.dropped == 3)
        var amounts: [UInt64] = []
        while let event = events.next() { amounts.append(event.amount) }
        #expect(amounts == [0, 1, 2, 3])
        events.emit(.error, "full", amount: 9)
        #expect(events.next()?.amount == 9)
    }

    @Test("a level that is off leaves no trace, and can be switched on")
    func levels() {
        let events = EventLog(threshold: .warning)
        defer { events.release() }
        events.emit(.notice, "quiet")
        #expect(events.next() == nil)
        events.emit(.warning, "loud")
        #expect(events.next()?.level == .warning)
        events.setThreshold(.debug)
        events.emit(.debug, "detail")
        #expect(events.next()?.level == .debug)
    }

    @Test("a long subject is cut at 64 bytes")
    func longSubject() {
        let events = EventLog()
        defer { events.release() }
        let name = [UInt8](repeating: 7, count: 100)
        name.withUnsafeBytes { events.emit(.error, "long", subject: ByteSlice(start: $0.baseAddress, count: $0.count)) }
        #expect(events.next()?.subjectBytes == Array(name.prefix(64)))
    }

    @Test("two threads lose nothing that is not counted, and tear nothing")
    func twoThreads() {
        let events = EventLog(capacity: 64)
        defer { events.release() }
        let total: UInt64 = 20_000
        var thread = pthread_t()
        let argument = UnsafeMutablePointer<EventLog>.allocate(capacity: 1)
        argument.initialize(to: events)
        pthread_create(&thread, nil, emitMany, argument)
        var seen: UInt64 = 0
        var last: UInt64 = 0
        var isWhole = true
        while seen + events.dropped < total {
            guard let event = events.next() else {
                sched_yield()
                continue
            }
            seen += 1
            isWhole = isWhole && event.amount > last && event.subjectBytes == Array("thread".utf8)
            last = event.amount
        }
        pthread_join(thread, nil)
        argument.deallocate()
        #expect(isWhole)
        #expect(seen + events.dropped == total)
    }
}

private func emitMany(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    let events = argument!.assumingMemoryBound(to: EventLog.self).pointee
    for number in 1...20_000 { events.emit(.info, "count", subject: ByteSlice("thread"), amount: UInt64(number)) }
    return nil
}

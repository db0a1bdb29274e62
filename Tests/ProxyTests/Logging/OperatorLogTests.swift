import Glibc
import Logging
import Testing

@testable import Proxy

@Suite("Operator's log")
struct OperatorLogTests {
    private let noon: UInt64 = 1_756_292_759_000_000_000

    /// Runs a body with a sink that writes to a pipe, and gives what it wrote.
    private func written(_ form: OperatorLogSink.Form, _ body: (OperatorLogSink) -> Void) -> String {
        var ends: [Int32] = [0, 0]
        precondition(pipe(&ends) == 0)
        do {
            let sink = OperatorLogSink(descriptor: ends[1], form: form)
            body(sink)
        }
        defer { close(ends[0]) }
        return readAll(ends[0])
    }

    @Test("a line has the time, the process, RProxy's word for the level and the sentence")
    func plain() {
        let text = written(.plain) { $0.write(.warn, "low on descriptors", at: noon) }
        #expect(text == "\(strftimeText("%b %e %H:%M:%S", 1_756_292_759)) weir[\(getpid())]: warn: low on descriptors\n")
    }

    @Test("for the journal a line begins with its level", arguments: LogSettings.Level.allCases)
    func journal(level: LogSettings.Level) {
        #expect(written(.journal) { $0.write(level, "x") } == "<\(level.severity.rawValue)>\(level.rawValue): x\n")
    }

    @Test("levels below the setting are not written", arguments: LogSettings.Level.allCases)
    func threshold(level: LogSettings.Level) {
        var settings = LogSettings(enabled: true, output: .stderr, level: level, format: "")
        let words = LogSettings.Level.allCases.map(\.rawValue)
        let text = written(.journal) { sink in
            let logger = OperatorLog.logger(sink, settings)
            logger.debug("debug")
            logger.info("info")
            logger.notice("notice")
            logger.warning("warn")
            logger.error("error")
            logger.critical("crit")
        }
        let seen = text.split(separator: "\n").map { $0.drop { $0 != " " }.dropFirst() }
        let expected = words.dropFirst(2).prefix(max(1, words.firstIndex(of: level.rawValue)! - 1)).reversed()
        #expect(seen.map(String.init) == Array(expected))
        settings.enabled = false
        #expect(written(.journal) { OperatorLog.logger($0, settings).error("no") } == "")
    }

    @Test("metadata follows the sentence in order, and control characters cannot break the line")
    func metadata() {
        let settings = LogSettings(enabled: true, output: .stderr, level: .info, format: "")
        let text = written(.journal) { sink in
            var logger = OperatorLog.logger(sink, settings)
            logger[metadataKey: "worker"] = "2"
            logger.info("a\nb\u{1b}\u{9b}ü", metadata: ["backend": "web1"])
        }
        #expect(text == "<6>info: a\\x0ab\\x1b\\x9bü backend=web1 worker=2\n")
    }

    @Test("a sentence said over and over is held back and counted")
    func repetition() {
        let text = written(.journal) { sink in
            for _ in 0..<9 { sink.write(.error, "again", at: noon) }
            sink.write(.error, "other", at: noon)
            sink.write(.error, "again", at: noon + 11_000_000_000)
            for _ in 0..<6 { sink.write(.error, "again", at: noon + 12_000_000_000) }
            sink.writeHeldBack(at: noon + 13_000_000_000)
            sink.writeHeldBack(at: noon + 30_000_000_000)
            sink.writeHeldBack(at: noon + 60_000_000_000)
        }
        let again = "<3>error: again\n"
        #expect(
            text == String(repeating: again, count: 5) + "<3>error: other\n<3>error: again (and 4 times before)\n"
                + String(repeating: again, count: 4) + "<5>notice: 2 times more: again\n")
    }

    @Test("events of a worker become sentences, and lost ones are told once")
    func events() {
        let events = EventLog(capacity: 2)
        defer { events.release() }
        events.emit(.warning, "backend is down", subject: ByteSlice("web1:3000"), error: ECONNREFUSED)
        events.emit(.notice, "accepting pauses", error: EMFILE, amount: 100, unit: "ms")
        events.emit(.notice, "lost")
        var dropped: UInt64 = 0
        let text = written(.journal) { sink in
            sink.write(events, ofWorker: 3, droppedBefore: &dropped)
            sink.write(events, ofWorker: 3, droppedBefore: &dropped)
        }
        #expect(
            text == """
                <4>warn: worker 3: backend is down: web1:3000: Connection refused
                <5>notice: worker 3: accepting pauses: Too many open files (100 ms)
                <4>warn: worker 3: 1 events lost

                """)
        #expect(dropped == 1)
    }

    @Test("after a reopening lines go to the new descriptor")
    func reopening() {
        var second: [Int32] = [0, 0]
        precondition(pipe(&second) == 0)
        let first = written(.journal) { sink in
            sink.write(.info, "one")
            sink.reopen(second[1], form: .journal)
            sink.write(.info, "two")
        }
        #expect(first == "<6>info: one\n")
        #expect(readAll(second[0]) == "<6>info: two\n")
        close(second[0])
    }

    @Test("the journal is recognised by device and inode of its stream, a logger by its datagrams")
    func form() {
        var ends: [Int32] = [0, 0]
        precondition(pipe(&ends) == 0)
        var status = stat()
        fstat(ends[1], &status)
        let settings = LogSettings(enabled: true, output: .syslog(facility: "daemon"), level: .info, format: "")
        #expect(OperatorLogSink.form(of: ends[1], settings, journalStream: "\(status.st_dev):\(status.st_ino)") == .journal)
        #expect(OperatorLogSink.form(of: ends[1], settings, journalStream: "1:2") == .plain)
        #expect(OperatorLogSink.form(of: ends[1], settings, journalStream: nil) == .plain)
        var pair: [Int32] = [0, 0]
        precondition(socketpair(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0, &pair) == 0)
        #expect(OperatorLogSink.form(of: pair[0], settings, journalStream: nil) == .syslog(.daemon))
        let sink = OperatorLogSink(descriptor: pair[0], form: .syslog(.daemon))
        sink.write(.crit, "end", at: noon)
        let line = readAll(pair[1], once: true)
        #expect(line == "<26>\(strftimeText("%b %e %H:%M:%S", 1_756_292_759)) weir[\(getpid())]: crit: end")
        for descriptor in ends + [pair[1]] { close(descriptor) }
    }
}

@Suite("Repeat limiter")
struct RepeatLimiterTests {
    @Test("five in a window pass, then none until the next")
    func burst() {
        var limiter = RepeatLimiter()
        for _ in 0..<5 { #expect(limiter.admit("a", at: 100) == .print(heldBack: 0)) }
        for _ in 0..<3 { #expect(limiter.admit("a", at: 9_999_999_999) == .holdBack) }
        #expect(limiter.admit("b", at: 200) == .print(heldBack: 0))
        #expect(limiter.admit("a", at: 10_000_000_100) == .print(heldBack: 3))
        #expect(limiter.admit("a", at: 10_000_000_101) == .print(heldBack: 0))
    }

    @Test("however many different messages come, the memory stays bounded")
    func bounded() {
        var limiter = RepeatLimiter()
        for number in 0..<1_000 { #expect(limiter.admit("\(number)", at: UInt64(number)) == .print(heldBack: 0)) }
        for _ in 0..<6 { _ = limiter.admit("last", at: 1_000) }
        #expect(limiter.takeEnded(at: 20_000_000_000).map(\.message) == ["last"])
        #expect(limiter.takeEnded(at: 20_000_000_000).isEmpty)
    }
}

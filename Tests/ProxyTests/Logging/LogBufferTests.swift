import Glibc
import Testing

@testable import Proxy

@Suite("Log buffer")
struct LogBufferTests {
    @Test("nothing is written before it is due, and then all of it at once")
    func dueByAge() {
        var buffer = LogBuffer(framing: .stream, style: .text)
        #expect((buffer.takeForWrite() == nil) == true)
        #expect(buffer.wantsFlush(at: 1_000) == false)
        appendLine("one", to: &buffer)
        appendLine("two", to: &buffer)
        #expect(buffer.wantsFlush == false)
        #expect(buffer.wantsFlush(at: 2_000) == false)
        #expect(buffer.flushDeadline == 200_002_000)
        #expect(buffer.wantsFlush(at: 200_001_999) == false)
        #expect(buffer.wantsFlush(at: 200_002_000) == true)
        #expect(drainText(&buffer) == "one\ntwo\n")
        #expect(buffer.isEmpty == true)
        #expect(buffer.flushDeadline == nil)
        #expect(buffer.wantsFlush(at: 900_000_000) == false)
        #expect(buffer.writtenLines == 2)
    }

    @Test("64 KiB are due at once")
    func dueBySize() {
        var buffer = LogBuffer(framing: .stream, style: .text)
        let line = String(repeating: "x", count: 1_023)
        for _ in 0..<63 { appendLine(line, to: &buffer) }
        #expect(buffer.wantsFlush == false)
        appendLine(line, to: &buffer)
        #expect(buffer.wantsFlush == true)
        #expect(buffer.wantsFlush(at: 1) == true)
    }

    @Test("one write is in flight at a time, and lines go on arriving meanwhile")
    func oneInFlight() throws {
        var buffer = LogBuffer(framing: .stream, style: .text)
        appendLine("first", to: &buffer)
        let (start, count) = try take(&buffer)
        #expect(buffer.isWriting == true)
        #expect(buffer.isBetweenLines == false)
        #expect((buffer.takeForWrite() == nil) == true)
        appendLine("second", to: &buffer)
        #expect(buffer.wantsFlush(at: UInt64.max) == false)
        #expect(String(decoding: UnsafeRawBufferPointer(start: start, count: count), as: UTF8.self) == "first\n")
        buffer.onWritten(Int32(count))
        #expect(buffer.isBetweenLines == true)
        #expect(drainText(&buffer) == "second\n")
    }

    @Test("a write cut short at any byte is resumed at the next", arguments: 1...20)
    func shortWrites(step: Int32) {
        var buffer = LogBuffer(framing: .stream, style: .text)
        var all: [UInt8] = []
        var expected = ""
        for round in 0..<50 {
            let line = "line \(round) " + String(repeating: "=", count: round)
            appendLine(line, to: &buffer)
            expected += line + "\n"
            // Each round writes a little, so that lines arrive while others are half out.
            if let (start, count) = buffer.takeForWrite() {
                let written = min(Int(step), count)
                all += UnsafeRawBufferPointer(start: start, count: written)
                buffer.onWritten(Int32(written))
                if written < count { #expect(buffer.wantsFlush == true) }
            }
        }
        while let (start, count) = buffer.takeForWrite() {
            let written = min(Int(step), count)
            all += UnsafeRawBufferPointer(start: start, count: written)
            buffer.onWritten(Int32(written))
        }
        #expect(String(decoding: all, as: UTF8.self) == expected)
        #expect(buffer.writtenLines == 50)
        #expect(buffer.droppedLines == 0)
    }

    @Test("an interruption is repeated at once, a full pipe after the interval")
    func tryAgain() {
        var buffer = LogBuffer(framing: .stream, style: .text)
        appendLine("one", to: &buffer)
        _ = buffer.takeForWrite()
        buffer.onWritten(-EINTR)
        #expect(buffer.wantsFlush == true)
        _ = buffer.takeForWrite()
        buffer.onWritten(-EAGAIN)
        #expect(buffer.wantsFlush == false)
        #expect(buffer.wantsFlush(at: 1_000) == false)
        #expect(buffer.wantsFlush(at: 200_001_000) == true)
        #expect(drainText(&buffer) == "one\n")
        #expect(buffer.writeErrors == 0)
    }

    @Test("lines that find no room are counted, and the log says how many", arguments: [LogStyle.text, .json])
    func drops(style: LogStyle) throws {
        var buffer = LogBuffer(framing: .stream, style: style)
        appendLine("held", to: &buffer)
        let (_, count) = try take(&buffer)
        let line = String(repeating: "x", count: 999)
        var accepted: UInt64 = 0
        while appendLine(line, to: &buffer) { accepted += 1 }
        #expect(accepted > 64)
        for _ in 0..<6 { #expect(appendLine(line, to: &buffer) == false) }
        #expect(buffer.droppedLines == 7)
        buffer.onWritten(Int32(count))
        let (_, much) = try take(&buffer)
        appendLine("after", to: &buffer)
        buffer.onWritten(Int32(much))
        #expect(drainText(&buffer) == (style == .json ? "{\"dropped_lines\":7}\nafter\n" : "weir: 7 lines dropped\nafter\n"))
        #expect(buffer.writtenLines == accepted + 2)
        appendLine("more", to: &buffer)
        #expect(drainText(&buffer) == "more\n")
    }

    @Test("after an error what was leaving is dropped, counted and told, and the next line is whole", arguments: 0...9)
    func errorAfter(written: Int32) throws {
        var buffer = LogBuffer(framing: .stream, style: .text)
        appendLine("abc", to: &buffer)
        appendLine("defgh", to: &buffer)
        var file: [UInt8] = []
        let (start, _) = try take(&buffer)
        if written > 0 {
            file += UnsafeRawBufferPointer(start: start, count: Int(written))
            buffer.onWritten(written)
            _ = try take(&buffer)
        }
        appendLine("waiting", to: &buffer)
        buffer.onWritten(-ENOSPC)
        let whole: UInt64 = written >= 4 ? 1 : 0
        #expect(buffer.droppedLines == 2 - whole)
        #expect(buffer.writtenLines == whole)
        #expect(buffer.writeErrors == 1)
        #expect(buffer.lastError == ENOSPC)
        appendLine("next", to: &buffer)
        file += drain(&buffer)
        let lines = String(decoding: file, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
        let torn = written == 0 || written == 4 ? [] : ["abcdefgh".prefix(Int(written)).description]
        let expected: [String] =
            switch written {
            case 0: []
            case 1...3: torn
            case 4: ["abc"]
            default: ["abc", String("defgh".prefix(Int(written) - 4))]
            }
        #expect(lines.map(String.init) == expected + ["waiting", "weir: \(2 - whole) lines dropped", "next", ""])
    }

    @Test("a notice that is lost with its line is told again")
    func lostNotice() throws {
        var buffer = LogBuffer(framing: .stream, style: .text)
        appendLine("one", to: &buffer)
        _ = buffer.takeForWrite()
        buffer.onWritten(-EIO)
        appendLine("two", to: &buffer)
        _ = buffer.takeForWrite()
        buffer.onWritten(-EIO)
        #expect(buffer.droppedLines == 2)
        appendLine("three", to: &buffer)
        #expect(drainText(&buffer) == "weir: 2 lines dropped\nthree\n")
        #expect(buffer.writtenLines == 1)
    }

    @Test("a torn line is not mended in a file that was opened anew")
    func newDescriptor() throws {
        var buffer = LogBuffer(framing: .stream, style: .text)
        appendLine("one", to: &buffer)
        _ = buffer.takeForWrite()
        buffer.onWritten(1)
        #expect(buffer.isBetweenLines == false)
        _ = buffer.takeForWrite()
        buffer.onWritten(-EIO)
        #expect(buffer.isBetweenLines == true)
        buffer.onDescriptorChanged()
        appendLine("two", to: &buffer)
        #expect(drainText(&buffer) == "weir: 1 lines dropped\ntwo\n")
    }

    @Test("a pipe gets whole lines in pieces of at most 4,096 bytes")
    func pipe() throws {
        var buffer = LogBuffer(framing: .pipe, style: .text)
        var expected = ""
        for index in 0..<40 {
            let line = "\(index) " + String(repeating: "p", count: index * 30)
            appendLine(line, to: &buffer)
            expected += line + "\n"
        }
        appendLine(String(repeating: "L", count: 6_000), to: &buffer)
        appendLine("end", to: &buffer)
        expected += String(repeating: "L", count: 6_000) + "\nend\n"
        var all: [UInt8] = []
        while let (start, count) = buffer.takeForWrite() {
            let piece = [UInt8](UnsafeRawBufferPointer(start: start, count: count))
            #expect(piece.last == 10)
            #expect(count <= 4_096 || piece.count { $0 == 10 } == 1)
            all += piece
            buffer.onWritten(Int32(count))
        }
        #expect(String(decoding: all, as: UTF8.self) == expected)
        #expect(buffer.writtenLines == 42)
    }

    @Test("a datagram is one line with its header and without its break; a refused one asks for a new connection")
    func datagrams() throws {
        let header = SyslogHeader(.local3, .informational, process: 4_711)
        var buffer = LogBuffer(framing: .syslog(header), style: .text)
        for line in ["one", "two", "three", "four"] { appendLine(line, to: &buffer) }
        func next(_ buffer: inout LogBuffer) throws -> String {
            let (start, count) = try take(&buffer)
            return String(decoding: UnsafeRawBufferPointer(start: start, count: count), as: UTF8.self)
        }
        let first = try next(&buffer)
        #expect(first.hasPrefix("<158>") && first.hasSuffix(" weir[4711]: one"))
        #expect(first.utf8.count == "<158>Aug 27 13:05:59 weir[4711]: one".utf8.count)
        buffer.onWritten(Int32(first.utf8.count))
        #expect(try next(&buffer).hasSuffix("two") == true)
        buffer.onWritten(-EMSGSIZE)
        #expect(buffer.droppedLines == 1)
        #expect(buffer.needsReconnect == false)
        #expect(try next(&buffer).hasSuffix("three") == true)
        buffer.onWritten(-ECONNREFUSED)
        #expect(buffer.droppedLines == 3)
        #expect(buffer.needsReconnect == true)
        #expect(buffer.writtenLines == 1)
        #expect(buffer.isEmpty == true)
    }

    @Test("random lines, writes and errors keep every line whole or counted", arguments: [11, 12, 13, 14, 15, 16] as [UInt64])
    func randomRun(seed: UInt64) {
        var random = SplitMix(seed: seed)
        var buffer = LogBuffer(framing: seed % 2 == 0 ? .stream : .pipe, style: .text)
        var file: [UInt8] = []
        var offered: UInt64 = 0
        for _ in 0..<400 {
            for _ in 0..<Int.random(in: 0...12, using: &random) {
                let filler = String(repeating: "r", count: Int.random(in: 0...9_000, using: &random))
                appendLine("<\(offered) \(filler)>", to: &buffer)
                offered += 1
            }
            guard Int.random(in: 0..<3, using: &random) > 0, let (start, count) = buffer.takeForWrite() else { continue }
            switch Int.random(in: 0..<20, using: &random) {
            case 0: buffer.onWritten([-EIO, -EAGAIN, -EINTR, 0].randomElement(using: &random)!)
            case 1...5:
                let written = Int.random(in: 1...count, using: &random)
                file += UnsafeRawBufferPointer(start: start, count: written)
                buffer.onWritten(Int32(written))
            default:
                file += UnsafeRawBufferPointer(start: start, count: count)
                buffer.onWritten(Int32(count))
            }
        }
        file += drain(&buffer)
        let lines = file.split(separator: 10)
        let whole = lines.filter { $0.first == UInt8(ascii: "<") && $0.last == UInt8(ascii: ">") }
        #expect(UInt64(whole.count) == buffer.writtenLines, "seed \(seed)")
        #expect(buffer.writtenLines + buffer.droppedLines == offered, "seed \(seed)")
        #expect(buffer.droppedLines > 0, "seed \(seed)")
        let notices = lines.filter { $0.starts(with: "weir: ".utf8) }
        let told = notices.compactMap { UInt64(String(decoding: $0.dropFirst(6).prefix { $0 != 32 }, as: UTF8.self)) }
        #expect(told.reduce(0, +) <= buffer.droppedLines, "seed \(seed)")
        // Order is kept.
        let numbers = whole.map { UInt64(String(decoding: $0.dropFirst().prefix { $0 != 32 }, as: UTF8.self))! }
        #expect(numbers == numbers.sorted())
    }
}

/// Begins a write that must be due.
private func take(_ buffer: inout LogBuffer) throws -> (UnsafeRawPointer, Int) {
    guard let write = buffer.takeForWrite() else { throw NothingToWrite() }
    return write
}

private struct NothingToWrite: Error {}

import Glibc
import Testing

@testable import Proxy

@Suite("Log outputs")
struct LogOutputTests {
    private func settings(_ output: LogSettings.Output) -> LogSettings {
        LogSettings(enabled: true, output: output, level: .info, format: "")
    }

    @Test("a file is created for its group to read and appended to, also after it was renamed and opened again")
    func file() throws {
        let directory = TemporaryDirectory()
        let path = directory.path + "/access.log"
        let old = umask(0)
        let first = try openLog(settings(.file(path))).get()
        umask(old)
        var status = stat()
        fstat(first, &status)
        #expect(status.st_mode & 0o7777 == 0o640)
        #expect(fcntl(first, F_GETFL) & (O_APPEND | O_NONBLOCK) == O_APPEND)
        #expect(fcntl(first, F_GETFD) & FD_CLOEXEC == FD_CLOEXEC)
        let again = try openLog(settings(.file(path))).get()
        write(first, "a\n", 2)
        write(again, "b\n", 2)
        write(first, "c\n", 2)
        rename(path, path + ".1")
        let fresh = try openLog(settings(.file(path))).get()
        write(fresh, "d\n", 2)
        #expect(readFile(path + ".1") == "a\nb\nc\n")
        #expect(readFile(path) == "d\n")
        for descriptor in [first, again, fresh] { close(descriptor) }
    }

    @Test("what cannot be opened is told in a sentence with its path")
    func failures() {
        let directory = TemporaryDirectory()
        #expect(failure(.file(directory.path)) == "cannot log to '\(directory.path)': Is a directory")
        #expect(failure(.file("/no/such/place")) == "cannot log to '/no/such/place': No such file or directory")
        #expect(failure(.syslog(facility: "printer")) == "cannot log to syslog: 'printer' is not a facility")
        mkfifo(directory.path + "/fifo", 0o600)
        #expect(failure(.file(directory.path + "/fifo")) == "cannot log to '\(directory.path)/fifo': No such device or address")
    }

    private func failure(_ output: LogSettings.Output) -> String? {
        switch openLog(settings(output)) {
        case .success(let descriptor):
            close(descriptor)
            return nil
        case .failure(let failure): return failure.description
        }
    }

    @Test("standard output is written through a descriptor of its own", arguments: [LogSettings.Output.stdout, .file("/dev/stdout")])
    func standardOutput(output: LogSettings.Output) throws {
        let descriptor = try openLog(settings(output)).get()
        #expect(descriptor > 2)
        var (ours, theirs) = (stat(), stat())
        fstat(descriptor, &ours)
        fstat(1, &theirs)
        #expect(ours.st_ino == theirs.st_ino)
        close(descriptor)
    }

    @Test("the framing follows what the descriptor is")
    func framing() throws {
        var ends: [Int32] = [0, 0]
        precondition(pipe(&ends) == 0)
        if case .pipe = LogFraming.of(descriptor: ends[1]) {} else { #expect(Bool(false), "a pipe") }
        var pair: [Int32] = [0, 0]
        precondition(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &pair) == 0)
        if case .pipe = LogFraming.of(descriptor: pair[0]) {} else { #expect(Bool(false), "a stream socket") }
        let null = open("/dev/null", O_WRONLY)
        if case .stream = LogFraming.of(descriptor: null) {} else { #expect(Bool(false), "a device") }
        for descriptor in ends + pair + [null] { close(descriptor) }
    }

    @Test("facilities are RProxy's words in any case, its misspelling of lpr among them")
    func facilities() {
        let words = "kern user mail daemon auth syslog lpr news uucp cron authpriv ftp".split(separator: " ")
        for (index, word) in words.enumerated() { #expect(SyslogFacility(word: String(word))?.rawValue == UInt8(index)) }
        for index in 0...7 { #expect(SyslogFacility(word: "LOCAL\(index)")?.rawValue == UInt8(16 + index)) }
        #expect(SyslogFacility(word: "lptr") == .lpr)
        #expect(SyslogFacility(word: "local8") == nil)
    }

    @Test("lines of requests are hidden by emerg alone, and by no log at all")
    func requestLevel() {
        for level in LogSettings.Level.allCases {
            #expect(LogSettings(enabled: true, output: .stdout, level: level, format: "").includesRequests == (level != .emerg))
            #expect(!LogSettings(enabled: false, output: .stdout, level: level, format: "").includesRequests)
        }
        #expect(settings(.stdout).includes(.error))
        #expect(!settings(.stdout).includes(.debug))
    }

    @Test("a logger that is restarted is found again, and what it missed is counted")
    func syslogRestart() throws {
        let directory = TemporaryDirectory()
        let path = directory.path + "/log"
        #expect(throws: LogOpenFailure.self) { try openSyslog(path: path).get() }
        let first = try listenDatagrams(path)
        let descriptor = try openSyslog(path: path).get()
        guard case .syslog(let header) = LogFraming.of(descriptor: descriptor, facility: .mail, severity: .error), header.severity == .error else { throw NotADatagram() }
        var buffer = LogBuffer(framing: LogFraming.of(descriptor: descriptor, facility: .mail), style: .text)
        appendLine("one", to: &buffer)
        appendLine("two", to: &buffer)
        #expect(buffer.sendLines(to: descriptor) == 2)
        #expect(readAll(first, once: true).hasSuffix("]: one"))
        #expect(readAll(first, once: true).hasPrefix("<22>"))
        close(first)
        unlink(path)
        appendLine("lost", to: &buffer)
        #expect(buffer.sendLines(to: descriptor) == 0)
        #expect(buffer.needsReconnect == true)
        #expect(connectSyslog(descriptor, path: path) != 0)
        let second = try listenDatagrams(path)
        #expect(connectSyslog(descriptor, path: path) == 0)
        buffer.onDescriptorChanged()
        appendLine("three", to: &buffer)
        #expect(buffer.sendLines(to: descriptor) == 2)
        #expect(readAll(second, once: true).hasSuffix("weir: 1 lines dropped"))
        #expect(readAll(second, once: true).hasSuffix("three"))
        for open in [second, descriptor] { close(open) }
    }

    @Test("at the end everything is written, to a file and through a slow pipe")
    func finish() throws {
        let directory = TemporaryDirectory()
        let file = try openLog(settings(.file(directory.path + "/x"))).get()
        var buffer = LogBuffer(framing: .stream, style: .text)
        appendLine("one", to: &buffer)
        buffer.finish(to: file)
        #expect(readFile(directory.path + "/x") == "one\n")
        #expect(buffer.writtenLines == 1)
        buffer.finish(to: file)
        close(file)
    }

    @Test("at the end a reader that stopped reading is not waited for past the deadline")
    func finishStuck() {
        var ends: [Int32] = [0, 0]
        precondition(pipe(&ends) == 0)
        var buffer = LogBuffer(framing: .pipe, style: .text)
        let line = String(repeating: "x", count: 999)
        var offered: UInt64 = 0
        while appendLine(line, to: &buffer) { offered += 1 }
        buffer.finish(to: ends[1], timeoutMilliseconds: 20)
        #expect(buffer.writtenLines + buffer.droppedLines == offered + 1)
        #expect(buffer.writtenLines > 0)
        #expect(buffer.isEmpty == true)
        for descriptor in ends { close(descriptor) }
    }
}

private struct NotADatagram: Error {}

/// A directory that is gone with its value.
private final class TemporaryDirectory {
    let path: String
    init() {
        var template = Array("/tmp/weir-log-XXXXXX".utf8CString)
        path = String(cString: mkdtemp(&template))
    }
    deinit {
        for name in ["access.log", "access.log.1", "fifo", "log", "x"] { unlink(path + "/" + name) }
        rmdir(path)
    }
}

private func readFile(_ path: String) -> String {
    let descriptor = open(path, O_RDONLY)
    defer { close(descriptor) }
    return readAll(descriptor)
}

private func listenDatagrams(_ path: String) throws -> Int32 {
    let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
    let address = try #require(SocketAddress(unixPath: path))
    let result = withUnsafeBytes(of: address.storage) {
        bind(descriptor, $0.baseAddress!.assumingMemoryBound(to: sockaddr.self), address.length)
    }
    try #require(result == 0)
    return descriptor
}

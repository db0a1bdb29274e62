import Glibc
import Synchronization
import TestSupport
import Testing

/// The real binary with its output in hand: what the tests of signals, ports and exit codes watch.
final class RunningWeir {
    /// Enough for a busy machine; a test that waits this long has failed.
    static let patienceMilliseconds = Int(60_000 * Patience.factor)

    let process: pid_t
    private let output: Int32
    private let errors: Int32
    private(set) var standardOutput = ""
    private(set) var standardError = ""
    private var exitStatus: Int32?

    /// The program beside the tests: the package builds both.
    static func built(_ name: String) -> String {
        var path = [CChar](repeating: 0, count: 4_096)
        let length = readlink("/proc/self/exe", &path, path.count - 1)
        let whole = String(decoding: path[..<max(0, length)].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return whole.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/") + "/" + name
    }

    /// Starts `weir` with these words, behind `wrapper` (a command that runs another one).
    init(_ words: [String], wrapper: [String] = [], variables: [String] = []) throws {
        var outputs: [Int32] = [0, 0]
        var errorEnds: [Int32] = [0, 0]
        // Closed by every exec from the first moment on: tests that run beside this one start programs too.
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        try #require(socketpair(AF_UNIX, type, 0, &outputs) == 0 && socketpair(AF_UNIX, type, 0, &errorEnds) == 0)
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, outputs[1], 1)
        posix_spawn_file_actions_adddup2(&actions, errorEnds[1], 2)
        // A test run that is killed takes what it started along.
        let command = ["setpriv", "--pdeathsig", "KILL"] + wrapper + [Self.built("weir")] + words
        var child = pid_t()
        let kept: [String] = ["PATH", "HOME", "LD_LIBRARY_PATH", "ASAN_OPTIONS", "TSAN_OPTIONS", "SWIFT_BACKTRACE"]
        let inherited: [String] = kept.compactMap { (name: String) -> String? in
            getenv(name).map { "\(name)=\(String(cString: $0))" }
        }
        let result = Self.withCStrings(command) { arguments in
            Self.withCStrings(inherited + variables) { environment in
                posix_spawnp(&child, command[0], &actions, nil, arguments, environment)
            }
        }
        close(outputs[1])
        close(errorEnds[1])
        process = child
        output = outputs[0]
        errors = errorEnds[0]
        try #require(result == 0, "cannot start \(command)")
    }

    deinit {
        if exitStatus == nil {
            kill(process, SIGKILL)
            waitpid(process, nil, 0)
        }
        close(output)
        close(errors)
    }

    /// Starts a run and waits until it is ready; the port of its first listener.
    static func serving(_ words: [String], listeners: Int = 1) throws -> (weir: RunningWeir, port: UInt16) {
        let weir = try RunningWeir(words)
        let ports = try weir.readyPorts(listeners)
        return (weir, try #require(ports.first))
    }

    func readyPorts(_ count: Int = 1) throws -> [UInt16] {
        try wait("ready lines") { $0.readyLines.count >= count }
        return readyLines.compactMap { $0.split(separator: ":").last.flatMap { UInt16($0) } }
    }

    /// What follows `weir: listening on `.
    var readyLines: [String] {
        standardOutput.split(separator: "\n").filter { $0.hasPrefix("weir: listening on ") }.map { String($0.dropFirst(19)) }
    }

    /// Reads until `condition` holds.
    func wait(_ what: String, _ condition: (RunningWeir) -> Bool) throws {
        let deadline = Self.now() + Self.patienceMilliseconds
        while !condition(self) {
            try #require(Self.now() < deadline, "no \(what); said: \(standardOutput)\(standardError)")
            guard try readSome(until: deadline) else {
                try #require(condition(self), "ended without \(what); said: \(standardOutput)\(standardError)")
                return
            }
        }
    }

    func waitForError(_ text: String) throws {
        try wait("'\(text)'") { $0.standardError.contains(text) }
    }

    func signal(_ number: Int32) { kill(process, number) }

    /// Reads to the end of the output; the exit code, or the negative signal.
    func end() throws -> Int32 {
        let deadline = Self.now() + Self.patienceMilliseconds
        while try readSome(until: deadline) {}
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0 && errno == EINTR {}
        exitStatus = status
        return status & 0x7f == 0 ? (status >> 8) & 0xff : -(status & 0x7f)
    }

    /// Starts `weir`, waits for its end, and gives what it said.
    static func result(
        _ words: [String], wrapper: [String] = [], variables: [String] = []
    ) throws -> (code: Int32, output: String, errors: String) {
        let weir = try RunningWeir(words, wrapper: wrapper, variables: variables)
        let code = try weir.end()
        return (code, weir.standardOutput, weir.standardError)
    }

    /// The server process that the supervisor keeps; nil between two of them.
    var server: pid_t? {
        let path = "/proc/\(process)/task/\(process)/children"
        return Self.text(path).split(separator: " ").first.flatMap { pid_t($0) }
    }

    /// Reads what has come; false when both streams have ended.
    private func readSome(until deadline: Int) throws -> Bool {
        var ends = [pollfd(fd: output, events: Int16(POLLIN), revents: 0), pollfd(fd: errors, events: Int16(POLLIN), revents: 0)]
        if outputEnded { ends[0].fd = -1 }
        if errorsEnded { ends[1].fd = -1 }
        if outputEnded && errorsEnded { return false }
        try #require(poll(&ends, 2, Int32(max(0, deadline - Self.now()))) > 0, "hangs; said: \(standardOutput)\(standardError)")
        if ends[0].revents != 0 { outputEnded = !Self.append(output, &standardOutput) }
        if ends[1].revents != 0 { errorsEnded = !Self.append(errors, &standardError) }
        return true
    }
    private var outputEnded = false
    private var errorsEnded = false

    private static func append(_ descriptor: Int32, _ text: inout String) -> Bool {
        var bytes = [UInt8](repeating: 0, count: 65_536)
        let count = read(descriptor, &bytes, bytes.count)
        guard count > 0 else { return false }
        text += String(decoding: bytes[..<count], as: UTF8.self)
        return true
    }

    static func text(_ path: String) -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return "" }
        defer { close(descriptor) }
        var text = ""
        while append(descriptor, &text) {}
        return text
    }

    /// What the descriptors of a process are, as /proc names them.
    static func targets(of process: pid_t) -> [Int: String] {
        var found: [Int: String] = [:]
        for number in 0..<64 {
            var name = [UInt8](repeating: 0, count: 256)
            let length = name.withUnsafeMutableBytes {
                readlink("/proc/\(process)/fd/\(number)", $0.baseAddress!.assumingMemoryBound(to: CChar.self), $0.count)
            }
            if length > 0 { found[number] = String(decoding: name[..<length], as: UTF8.self) }
        }
        return found
    }

    static func now() -> Int {
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        return Int(now.tv_sec) * 1_000 + Int(now.tv_nsec) / 1_000_000
    }

    private static func withCStrings<R>(
        _ texts: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> R
    ) -> R {
        let pointers: [UnsafeMutablePointer<CChar>?] = texts.map { strdup($0) } + [nil]
        defer { for pointer in pointers { free(pointer) } }
        return body(pointers)
    }
}

/// Waits for something that no descriptor tells.
func eventually(_ what: String, _ condition: () -> Bool) throws {
    let deadline = RunningWeir.now() + RunningWeir.patienceMilliseconds
    while !condition() {
        try #require(RunningWeir.now() < deadline, "never: \(what)")
        poll(nil, 0, 1)
    }
}

/// A directory that goes with the test.
final class Folder {
    let path: String

    init() throws {
        var template = Array("/tmp/weir-test-XXXXXX".utf8CString)
        path = try #require(mkdtemp(&template).map { String(cString: $0) } as String?)
    }

    func write(_ name: String, _ text: String) throws -> String {
        let file = "\(path)/\(name)"
        let descriptor = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        let bytes = Array(text.utf8)
        try #require(Glibc.write(descriptor, bytes, bytes.count) == bytes.count)
        return file
    }

    deinit {
        if let entries = opendir(path) {
            while let entry = readdir(entries) {
                let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
                unlink("\(path)/\(name)")
            }
            closedir(entries)
        }
        rmdir(path)
    }
}

/// A client connection of a test; nil when the port refuses it.
final class TestConnection {
    let descriptor: Int32

    init?(port: UInt16) {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        if result < 0 { return nil }
        var patience = timeval(tv_sec: RunningWeir.patienceMilliseconds / 1_000, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
    }

    func send(_ text: String) {
        let bytes = Array(text.utf8)
        _ = Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
    }

    /// Everything until the peer closes.
    func receiveAll() -> String {
        var text = ""
        var bytes = [UInt8](repeating: 0, count: 4_096)
        while true {
            let count = recv(descriptor, &bytes, bytes.count, 0)
            if count <= 0 { return text }
            text += String(decoding: bytes[..<count], as: UTF8.self)
        }
    }

    deinit { close(descriptor) }

    /// The status line that one request gets; empty when the connection broke.
    static func status(port: UInt16, _ request: String = "GET / HTTP/1.1\r\nHost: weir.test\r\nConnection: close\r\n\r\n") -> String {
        guard let connection = TestConnection(port: port) else { return "" }
        connection.send(request)
        return String(connection.receiveAll().prefix { $0 != "\r\n" && $0 != "\r" })
    }

    /// Whether somebody answers on a port: a request that Weir refuses at once, whatever its backends do.
    static func isAnswered(port: UInt16) -> Bool { status(port: port, "GET / HTTP/1.1\r\n\r\n").hasPrefix("HTTP/1.1 ") }
}

/// A backend that answers every connection once.
final class OneAnswerBackend {
    let port: UInt16
    private let listener: Int32

    /// The port is 0 when there is none to be had.
    init() {
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        port = listenAnywhere(listener)
        var thread = pthread_t()
        let context = UnsafeMutableRawPointer(bitPattern: Int(listener))
        if pthread_create(&thread, nil, { answerOnce(Int32(Int(bitPattern: $0))) }, context) == 0 { pthread_detach(thread) }
    }

    deinit { shutdown(listener, Int32(SHUT_RDWR)) }
}

/// Makes a socket listen on a free port of 127.0.0.1; the port, or 0.
private func listenAnywhere(_ listener: Int32) -> UInt16 {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let listens = withUnsafeMutablePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
            bind(listener, generic, length) == 0 && listen(listener, 64) == 0 && getsockname(listener, generic, &length) == 0
        }
    }
    return listens ? UInt16(bigEndian: address.sin_port) : 0
}

/// Answers each connection with 200; ends when the listener is shut down.
private func answerOnce(_ listener: Int32) -> UnsafeMutableRawPointer? {
    while true {
        let client = accept(listener, nil, nil)
        if client < 0 { break }
        var bytes = [UInt8](repeating: 0, count: 4_096)
        if recv(client, &bytes, bytes.count, 0) > 0 {
            let answer = Array("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".utf8)
            _ = Glibc.send(client, answer, answer.count, Int32(MSG_NOSIGNAL))
        }
        close(client)
    }
    close(listener)
    return nil
}

import Glibc

/// A program started by a test, whose output is kept and whose end can be waited for; it dies with this value.
public final class ChildProcess: Sendable {
    public enum Ending: Sendable, Equatable { case exit(Int32), signal(Int32) }

    public let pid: pid_t
    private let state: Monitor<State>

    private struct State {
        var standardOutput: Bytes = []
        var standardError: Bytes = []
        var openStreams = 2
        var ending: Ending?
    }

    /// Starts `arguments[0]`, found on the path if it has no slash. The child inherits nothing but what is named here, and is
    /// killed when the thread that started it ends, so that an aborted test run leaves nothing behind.
    public init(_ arguments: [String], environment extra: [String: String] = [:], openFilesMax: Int? = nil, user: Int? = nil) throws {
        var command = ["setpriv", "--pdeathsig", "KILL"]
        if let user { command += ["--reuid", String(user), "--regid", String(user), "--clear-groups"] }
        if let openFilesMax { command = ["prlimit", "--nofile=\(openFilesMax):\(openFilesMax)"] + command }
        command += arguments

        var output: [Int32] = [0, 0]
        var errors: [Int32] = [0, 0]
        guard pipe(&output) == 0, pipe(&errors) == 0 else { throw systemError("pipe") }
        for fd in [output[0], errors[0]] { _ = fcntl(fd, F_SETFD, FD_CLOEXEC) }

        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, output[1], 1)
        posix_spawn_file_actions_adddup2(&actions, errors[1], 2)
        Self.closeFrom(&actions, 3)

        var variables: [String] = extra.map { "\($0.key)=\($0.value)" }
        var cursor = environ
        while let entry = cursor.pointee {
            let text = String(cString: entry)
            if !extra.keys.contains(where: { text.hasPrefix($0 + "=") }) { variables.append(text) }
            cursor += 1
        }
        var arguments: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) } + [nil]
        var environmentEntries: [UnsafeMutablePointer<CChar>?] = variables.map { strdup($0) } + [nil]
        defer { (arguments + environmentEntries).forEach { free($0) } }

        var pid = pid_t()
        let result = posix_spawnp(&pid, command[0], &actions, nil, &arguments, &environmentEntries)
        Glibc.close(output[1])
        Glibc.close(errors[1])
        guard result == 0 else {
            Glibc.close(output[0])
            Glibc.close(errors[0])
            throw systemError("start \(command[0])", result)
        }
        self.pid = pid
        let state = Monitor(State())
        self.state = state
        Self.collect(output[0], into: state, \.standardOutput)
        Self.collect(errors[0], into: state, \.standardError)
        startThread { [pid] in
            var status: Int32 = 0
            while waitpid(pid, &status, 0) < 0, errno == EINTR {}
            let signal = status & 0x7F
            state.with { $0.ending = signal == 0 ? .exit((status >> 8) & 0xFF) : .signal(signal) }
        }
    }

    deinit { kill() }

    /// `posix_spawn_file_actions_addclosefrom_np`, which the importer does not see: sockets of parallel tests must not leak
    /// into children, where they would stay open after the test closed them.
    private static func closeFrom(_ actions: inout posix_spawn_file_actions_t, _ first: Int32) {
        typealias Function = @convention(c) (UnsafeMutablePointer<posix_spawn_file_actions_t>, Int32) -> Int32
        let symbol = dlsym(UnsafeMutableRawPointer(bitPattern: 0), "posix_spawn_file_actions_addclosefrom_np")!
        _ = unsafeBitCast(symbol, to: Function.self)(&actions, first)
    }

    private static func collect(_ fd: Int32, into state: Monitor<State>, _ stream: WritableKeyPath<State, Bytes> & Sendable) {
        startThread {
            while true {
                let piece = Bytes(unsafeUninitializedCapacity: 64 * 1024) { buffer, initialized in
                    var count = -1
                    repeat { count = Glibc.read(fd, buffer.baseAddress!, buffer.count) } while count < 0 && errno == EINTR
                    initialized = max(count, 0)
                }
                if piece.isEmpty { break }
                state.with { $0[keyPath: stream] += piece }
            }
            Glibc.close(fd)
            state.with { $0.openStreams -= 1 }
        }
    }

    public var standardOutput: Bytes { state.with(\.standardOutput) }
    public var standardError: Bytes { state.with(\.standardError) }
    public var ending: Ending? { state.with(\.ending) }

    public func signal(_ number: Int32) {
        state.with { state in
            // Under the lock of the ending: the number cannot have been given to another process yet.
            if state.ending == nil { _ = Glibc.kill(pid, number) }
        }
    }
    public func kill() { signal(SIGKILL) }

    /// Waits for the end and for all output.
    public func waitForEnd(within limit: Duration = Patience.step) throws -> Ending {
        let ending = state.wait(until: Deadline(after: limit)) { state in state.openStreams == 0 ? state.ending : nil }
        guard let ending else { throw ScenarioFailure("process \(pid) did not end in time; it said: \(standardError.readable)") }
        return ending
    }

    /// Waits until `find` sees what it looks for in the standard output (or nil when the process ends or time is over before).
    public func waitForOutput<Result>(within limit: Duration = Patience.step, _ find: (Bytes) -> Result?) -> Result? {
        state.wait(until: Deadline(after: limit)) { state -> Result?? in
            if let result = find(state.standardOutput) { return .some(result) }
            return state.ending != nil && state.openStreams == 0 ? .some(nil) : nil
        } ?? nil
    }

    /// The same for the standard error.
    public func waitForErrorOutput(within limit: Duration = Patience.step, containing text: String) throws {
        let found: Bool? = state.wait(until: Deadline(after: limit)) { state in
            if state.standardError.contains(text: text) { return true }
            return state.ending != nil && state.openStreams == 0 ? false : nil
        }
        guard found == true else { throw ScenarioFailure("`\(text)` did not appear in: \(standardError.readable)") }
    }

    /// Runs a program to its end.
    public static func run(
        _ arguments: [String], environment: [String: String] = [:], within limit: Duration = Patience.step * 3
    ) throws -> (ending: Ending, output: Bytes, errors: Bytes) {
        let process = try ChildProcess(arguments, environment: environment)
        let ending = try process.waitForEnd(within: limit)
        return (ending, process.standardOutput, process.standardError)
    }
}

import CUring
import Glibc

/// Serves as the process that the supervisor started: descriptor 3 is the way to it. The exit code of the program.
public func runServerProcess() -> Int32 {
    let channel = ControlChannel(descriptor: 3)
    guard fcntl(channel.descriptor, F_GETFD) >= 0 else {
        say("'\(serverProcessCommand)' is for the supervisor to start; use 'weir run'")
        return 2
    }
    cprocess_close_on_exec(channel.descriptor)
    do throws(LaunchFailure) {
        guard let handover = try Handover.receive(from: channel) else { return 0 }
        let control = try ControlThread(handover, channel: channel)
        return control.run()
    } catch {
        channel.send(.failed(error.description))
        return 1
    }
}

/// What arrives from the supervisor before the first worker starts.
struct Handover {
    var assignment: ServerAssignment
    var listeners: [Int32]
    var logs: [Int32]
    var admin: Int32?
    var crashNotes: Int32

    /// Waits for assignment and descriptors; nil when the supervisor ended meanwhile.
    static func receive(from channel: ControlChannel) throws(LaunchFailure) -> Handover? {
        var assignment: ServerAssignment?
        var descriptors: [Int32] = []
        while true {
            switch channel.receive() {
            case .closed: return nil
            case .unreadable: throw LaunchFailure("the supervisor sent an unreadable message")
            case .message(.assignment, let files):
                guard let file = files.first, let decoded = decode(file, ServerAssignment.init(encoded:))
                else { throw LaunchFailure("the supervisor sent an unreadable assignment") }
                close(file)
                assignment = decoded
            case .message(.descriptors, let batch): descriptors += batch
            case .message(.drain, _), .message(.stopNow, _): return nil
            case .message(let other, _): throw LaunchFailure("the supervisor sent '\(other)' before the start")
            }
            guard let assignment, descriptors.count >= assignment.descriptorCount else { continue }
            return Handover(assignment, descriptors)
        }
    }

    private init(_ assignment: ServerAssignment, _ descriptors: [Int32]) {
        self.assignment = assignment
        var rest = descriptors[...]
        listeners = Array(rest.prefix(assignment.listeners.count))
        rest = rest.dropFirst(listeners.count)
        logs = Array(rest.prefix(assignment.logCount))
        rest = rest.dropFirst(logs.count)
        admin = assignment.hasAdminListener ? rest.popFirst() : nil
        crashNotes = rest.first ?? -1
    }
}

/// Reads what the supervisor has written to a file in memory; the bytes are wiped once they are understood.
func decode<Value>(_ file: Int32, _ understand: ([UInt8]) -> Value?) -> Value? {
    var found = stat()
    guard fstat(file, &found) == 0 else { return nil }
    var bytes = [UInt8](repeating: 0, count: Int(found.st_size))
    defer { bytes.wipe() }
    var count = 0
    while count < bytes.count {
        let more = bytes.withUnsafeMutableBytes { pread(file, $0.baseAddress! + count, $0.count - count, off_t(count)) }
        if more > 0 { count += more } else if more == 0 || errno != EINTR { return nil }
    }
    return understand(bytes)
}

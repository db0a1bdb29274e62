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
                guard let file = files.first, let bytes = readFromStart(file),
                    let decoded = ServerAssignment(encoded: bytes)
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

/// The whole of a file in memory that the supervisor has written.
func readFromStart(_ file: Int32) -> [UInt8]? {
    lseek(file, 0, SEEK_SET)
    return readToEnd(file)
}

import CUring
import Glibc

/// Everything a run needs before its first server process: opened with the rights of the supervisor.
struct PreparedRun {
    let settings: GlobalSettings
    let assignment: ServerAssignment
    let listeners: ListenerSet
    let logs: [Int32]
    let admin: AdminSocket?
    /// Where else the ready lines go.
    let readyDescriptor: Int32?

    /// Tells people and scripts that requests are answered from now on.
    func announceReady() {
        let lines = listeners.addresses.map { "weir: listening on \($0)\n" }.joined()
        write(lines, to: STDOUT_FILENO)
        if let readyDescriptor {
            write(lines, to: readyDescriptor)
            close(readyDescriptor)
        }
    }
}

/// The listening socket for `weir stat`, made with the rights of its owner alone.
struct AdminSocket {
    let path: String
    let descriptor: Int32

    static func open(_ path: String) throws(LaunchFailure) -> AdminSocket {
        AdminSocket(path: path, descriptor: try openUnixListener(path, mode: 0o600, backlog: 16))
    }

    func remove() {
        close(descriptor)
        unlink(path)
    }
}

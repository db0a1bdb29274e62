import CUring
import Glibc

/// Everything a server process is started with: opened with the rights of the supervisor, changed by reloads.
struct PreparedRun {
    var settings: GlobalSettings
    /// What the run began with; some of it cannot change before the next start.
    let initial: GlobalSettings
    var assignment: ServerAssignment
    var listeners: ListenerSet
    var logs: [Int32]
    let admin: AdminSocket?
    /// Where else the ready lines go.
    let readyDescriptor: Int32?
    let companion: Int32?
    let invitation: (@Sendable ([SocketAddress]) -> String)?

    /// Tells people and scripts that requests are answered from now on.
    func announceReady() {
        announce(listeners.addresses)
        if let readyDescriptor {
            write(Self.readyLines(listeners.addresses), to: readyDescriptor)
            close(readyDescriptor)
        }
        if let invitation { write(invitation(listeners.addresses), to: STDERR_FILENO) }
    }

    /// Tells where requests are answered, on standard output.
    func announce(_ addresses: [SocketAddress]) { write(Self.readyLines(addresses), to: STDOUT_FILENO) }

    private static func readyLines(_ addresses: [SocketAddress]) -> String {
        addresses.map { "weir: listening on \($0)\n" }.joined()
    }
}

/// The listening socket for `weir stat`, made with the rights of its owner alone.
struct AdminSocket {
    let path: String
    let descriptor: Int32

    /// Opens the socket that the settings name, or one of its own in the user's directory; nil when that cannot be made.
    static func open(_ settings: GlobalSettings) throws(LaunchFailure) -> AdminSocket? {
        if let path = settings.adminSocketPath {
            return AdminSocket(path: path, descriptor: try openUnixListener(path, mode: 0o600, backlog: 16))
        }
        let user = geteuid()
        let directory = AdminPath.directory(user: user, environment: currentEnvironment())
        guard AdminPath.prepare(directory, user: user) else {
            say("warning: no admin socket: \(directory) cannot be made, or is not this user's alone")
            return nil
        }
        _ = AdminPath.living(in: directory)  // removes what dead processes left
        let path = AdminPath.socket(process: getpid(), in: directory)
        do throws(LaunchFailure) {
            return AdminSocket(path: path, descriptor: try openUnixListener(path, mode: 0o600, backlog: 16))
        } catch {
            say("warning: no admin socket: \(error)")
            return nil
        }
    }

    func remove() {
        close(descriptor)
        unlink(path)
    }
}

/// Whom the server process becomes before it serves.
enum ServerRights {
    /// The ids that `user` and `group` name; nil when the server stays who it is.
    static func find(_ settings: GlobalSettings) throws(LaunchFailure) -> ServerAssignment.Rights? {
        guard settings.user != nil || settings.group != nil else { return nil }
        var user = geteuid()
        var group = getegid()
        if let name = settings.user, cprocess_user_ids(name, &user, &group) != 0 {
            throw LaunchFailure("user = \(name): this system has no such user")
        }
        if let name = settings.group, cprocess_group_id(name, &group) != 0 {
            throw LaunchFailure("group = \(name): this system has no such group")
        }
        if user == geteuid() && group == getegid() { return nil }
        guard geteuid() == 0 else { throw LaunchFailure("only root may become another user or group; start as root") }
        return ServerAssignment.Rights(user: Int(user), group: Int(group))
    }
}

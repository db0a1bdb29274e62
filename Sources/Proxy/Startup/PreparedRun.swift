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
    /// Who waits for this run.
    let outside: Outside
    let companion: Int32?

    /// Tells people, scripts and the service manager that requests are answered from now on.
    func announceReady() { outside.announceReady(listeners.addresses) }
}

/// Whoever outside this process waits for it to be ready, or looks for it later.
struct Outside {
    /// Where else the ready lines go.
    var readyDescriptor: Int32?
    var manager: ServiceManager?
    /// Set in the background: the command waits for its word.
    var daemon: Daemon?
    var pidFile: PidFile?
    /// What to tell people once requests are answered.
    var invitation: (@Sendable ([SocketAddress]) -> String)?

    func announceReady(_ addresses: [SocketAddress]) {
        if let pidFile, !pidFile.write() { say("warning: the number of this process is not in \(pidFile.path): \(errorText(errno))") }
        announce(addresses)
        if let readyDescriptor {
            write(Self.readyLines(addresses), to: readyDescriptor)
            close(readyDescriptor)
        }
        if let invitation { write(invitation(addresses), to: STDERR_FILENO) }
        manager?.tell(.ready(addresses))
        daemon?.succeed()
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

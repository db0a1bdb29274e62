import CUring
import Glibc

/// A listening socket that a service manager opened for this process, as sd_listen_fds(3) hands them over.
struct InheritedSocket: Equatable {
    var descriptor: Int32
    /// What the manager calls it.
    var name: String
    var address: SocketAddress

    /// Descriptors begin behind the standard streams.
    private static let firstDescriptor: Int32 = 3
    private static let countMax = 1_024

    /// Takes the sockets that LISTEN_FDS promises to this very process; they no longer pass on to programs that it starts.
    static func takeAll(environment: [String: String], process: Int32 = getpid(), first: Int32 = firstDescriptor) throws(LaunchFailure) -> [InheritedSocket] {
        guard environment["LISTEN_PID"].flatMap({ Int32($0) }) == process,
            let count = environment["LISTEN_FDS"].flatMap({ Int($0) }), count > 0
        else { return [] }
        guard count <= countMax else { throw LaunchFailure("LISTEN_FDS promises \(count) sockets, which is more than \(countMax)") }
        let names = (environment["LISTEN_FDNAMES"] ?? "").split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        var sockets: [InheritedSocket] = []
        for place in 0..<count {
            let descriptor = first + Int32(place)
            let name = place < names.count && !names[place].isEmpty ? names[place] : "unnamed"
            cprocess_close_on_exec(descriptor)
            guard isStreamListener(descriptor), let address = boundAddress(of: descriptor) else {
                throw LaunchFailure("descriptor \(descriptor) (\(name)) that the service manager handed over is no listening stream socket")
            }
            sockets.append(InheritedSocket(descriptor: descriptor, name: name, address: address))
        }
        return sockets
    }

    private static func isStreamListener(_ descriptor: Int32) -> Bool {
        option(descriptor, SO_TYPE) == Int32(SOCK_STREAM.rawValue) && option(descriptor, SO_ACCEPTCONN) == 1
    }

    private static func option(_ descriptor: Int32, _ name: Int32) -> Int32 {
        var value: Int32 = -1
        var length = socklen_t(MemoryLayout<Int32>.size)
        getsockopt(descriptor, SOL_SOCKET, name, &value, &length)
        return value
    }
}

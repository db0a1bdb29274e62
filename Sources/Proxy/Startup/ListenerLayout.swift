/// Which sockets a configuration needs, and which of the open ones can be them: pure, so that reloads can be tried on paper.
///
/// A socket of an address that stays is never closed, because connections that wait in its queue, or are about to, would be
/// lost: where fewer workers listen than before, those that remain share the sockets.
struct ListenerLayout {
    /// One address of one server.
    struct Address {
        var wanted: ListenAddress
        var server: Int
        /// Open sockets, with the server and the worker that they now belong to.
        var kept: [OpenListener] = []
        /// The worker of each socket that has to be opened.
        var missing: [Int] = []
    }

    private(set) var addresses: [Address] = []
    /// Sockets of addresses that no server has any more.
    private(set) var dropped: [OpenListener]

    init(_ settings: GlobalSettings, workers: Int, open: [OpenListener]) {
        dropped = open
        for (index, server) in settings.servers.enumerated() {
            let listening = ListenerSet.workers(of: server, index: index, workers: workers)
            for wanted in server.addresses {
                var address = Address(wanted: wanted, server: index)
                address.kept = take(wanted, server: index)
                if wanted.isUnix {
                    // Its worker hands connections to all, so that it may stay where it is.
                    if address.kept.isEmpty { address.missing = [index % workers] }
                    for place in address.kept.indices where address.kept[place].worker < 0 { address.kept[place].worker = index % workers }
                } else {
                    address.share(among: listening)
                }
                for place in address.kept.indices { address.kept[place].server = index }
                addresses.append(address)
            }
        }
    }

    /// The open sockets of an address; of several that are written alike (port 0), those of the same server first.
    private mutating func take(_ wanted: ListenAddress, server: Int) -> [OpenListener] {
        let address = wanted.socketAddress
        for place in dropped.indices where dropped[place].server < 0 && dropped[place].address == address { dropped[place].wanted = wanted }
        let alike = dropped.filter { $0.wanted == wanted }
        guard let group = (alike.first { $0.server == server } ?? alike.first)?.group else { return [] }
        defer { dropped.removeAll { $0.group == group } }
        return alike.filter { $0.group == group }
    }
}

extension ListenerLayout.Address {
    /// Gives every worker a socket, and the sockets that are left over to the workers in turn.
    fileprivate mutating func share(among workers: [Int]) {
        var without = workers
        var spare: [Int] = []
        for place in kept.indices {
            if let found = without.firstIndex(of: kept[place].worker) {
                without.remove(at: found)
            } else {
                spare.append(place)
            }
        }
        for (turn, place) in spare.enumerated() {
            kept[place].worker = without.isEmpty ? workers[turn % workers.count] : without.removeFirst()
        }
        // A manager's sockets outlive this process, and so do connections in their queues; those in others' would be lost.
        missing = kept.contains(where: \.isInherited) ? [] : without
    }
}

extension ListenAddress {
    /// The address as a socket is bound to it; nil when it is none.
    fileprivate var socketAddress: SocketAddress? {
        switch self {
        case .ipv4(let literal, let port), .ipv6(let literal, let port): SocketAddress(literal: literal, port: port)
        case .unix(let path): SocketAddress(unixPath: path)
        }
    }
}

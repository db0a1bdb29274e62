/// A configuration file, as far as scenarios vary it.
public struct ProxyConfiguration: Sendable {
    public var global: [Setting]
    public var servers: [Server]

    /// One worker unless told otherwise, so that what is counted per worker can be counted on.
    public init(workers: Int = 1, global: [Setting] = [], servers: [Server]) {
        self.global = [.workers(workers), .drainDeadline(5_000)] + global
        self.servers = servers
    }

    /// One `server` section.
    public struct Server: Sendable {
        var address: String
        /// 0 = a free one.
        var port = 0
        var settings: [Setting]
        var sections: [String] = []
        /// Format of the access log, which goes to the file `access.log`; nil = no access log.
        var accessLog: String?
        var downstreams: [Downstream]

        public init(
            address: String = "127.0.0.1", port: Int = 0, _ settings: [Setting] = [], accessLog: String? = nil,
            sections: [String] = [], downstreams: [Downstream]
        ) {
            self.address = address
            self.port = port
            self.settings = settings
            self.accessLog = accessLog
            self.sections = sections
            self.downstreams = downstreams
        }
    }

    /// One `downstream` section.
    public struct Downstream: Sendable {
        var address: PeerAddress
        var hostName: String?
        var settings: [Setting]

        public init(_ backend: any TestBackend, _ settings: [Setting] = [], connections: Int = 8) {
            self.init(at: backend.address, settings, connections: connections)
        }
        /// A place where nobody may be listening.
        public init(at address: PeerAddress, host: String? = nil, _ settings: [Setting] = [], connections: Int = 8) {
            self.address = address
            hostName = host
            self.settings = [.connections(connections)] + settings
        }
    }

    /// The text of the file; `folder` is where logs go.
    func text(in folder: TemporaryFolder) -> String {
        var lines = global.map(\.line) + [Setting.adminSocket(folder.path("admin")).line]
        for (number, server) in servers.enumerated() {
            lines.append("server {")
            let isUnix = server.address.hasPrefix("unix:")
            let place = [Setting.address(server.address)] + (isUnix ? [] : [Setting.port(server.port)])
            lines += (place + server.settings).map { "  " + $0.line }
            lines += server.sections
            if let format = server.accessLog {
                let path = folder.path(number == 0 ? "access.log" : "access\(number).log")
                lines += [
                    "  logging {", "    request {", "      enabled = true", "      output = \"file:\(path)\"",
                    "      format = \"\(format)\"", "    }", "  }",
                ]
            }
            for (index, downstream) in server.downstreams.enumerated() {
                lines.append("  downstream backend\(index) {")
                lines += (downstream.place + downstream.settings).map { "    " + $0.line }
                lines.append("  }")
            }
            lines.append("}")
        }
        return lines.joined(separator: "\n") + "\n"
    }
}

extension ProxyConfiguration.Downstream {
    fileprivate var place: [Setting] {
        if let hostName { return [.address(hostName), .port(Int(address.port))] }
        switch address {
        case .ipv4(let port): return [.address("127.0.0.1"), .port(Int(port))]
        case .loopback(let number, let port): return [.address("127.0.0.\(number)"), .port(Int(port))]
        case .ipv6(let port): return [.address("ipv6:::1"), .port(Int(port))]
        case .unix(let path): return [.address("unix:\(path)")]
        }
    }
}

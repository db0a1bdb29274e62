import TestSupport

/// A proxy with these sections in front of backends that answer with their numbers as names.
func withSites(
    backends count: Int, global: [Setting] = [], server: [Setting] = [], accessLog: String? = nil, _ sections: [String],
    _ body: (ProxyUnderTest, [HandlerBackend]) throws -> Void
) throws {
    let backends = try (0..<count).map { try HandlerBackend.named("\($0)") }
    let server = ProxyConfiguration.Server(server, accessLog: accessLog, sections: sections, downstreams: backends.map { .init($0) })
    try withProxy(ProxyConfiguration(global: global, servers: [server])) { proxy in
        defer { backends.forEach { $0.close() } }
        try body(proxy, backends)
    }
}

extension ReceivedResponse {
    /// The number of the backend that answered, else the status.
    var who: String { fields.only("X-Backend") ?? "\(status)" }
}

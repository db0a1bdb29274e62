import TestSupport
import Testing

/// A proxy of two workers whose server has these sections.
func withTwoWorkers(
    to backend: any TestBackend, _ settings: [Setting] = [], sections: [String], accessLog: String? = nil, downstream: [Setting] = [],
    _ body: (ProxyUnderTest) throws -> Void
) throws {
    let server = ProxyConfiguration.Server(
        settings, accessLog: accessLog, sections: sections, downstreams: [.init(backend, downstream + [Setting("connections-max", "64")])])
    try withProxy(ProxyConfiguration(workers: 2, servers: [server])) { proxy in
        defer { backend.close() }
        try body(proxy)
    }
}

/// Heads of the PROXY protocol as what stands before a proxy would send them.
enum SentHead {
    static func text(_ source: String, port: Int = 4711) -> Bytes { Bytes("PROXY TCP4 \(source) 192.0.2.200 \(port) 80\r\n") }

    static func binary(_ source: [UInt8], port: UInt16 = 4711, fields: [UInt8] = []) -> Bytes {
        let addresses: [UInt8] = source + [192, 0, 2, 200, UInt8(port >> 8), UInt8(port & 0xFF), 0, 80] + fields
        return signature + [0x21, 0x11, UInt8(addresses.count >> 8), UInt8(addresses.count & 0xFF)] + addresses
    }

    static let signature: [UInt8] = [0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A]
    static let local: [UInt8] = signature + [0x20, 0x00, 0, 0]
}

extension ProxyUnderTest {
    /// A connection on which the proxy sees this IPv4 address, where it believes 127.0.0.1.
    func connect(as source: String) throws -> ScriptedClient {
        let client = try connect()
        try client.send(SentHead.text(source))
        return client
    }
}

/// The words that let 127.0.0.1 tell the addresses of clients.
let believesUs = [Setting("proxy-protocol", "accept"), Setting("proxy-protocol-from", "{ 127.0.0.1 }")]
